#include "services/ipam-service/core/testing_generator.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using Operator = LabelSelector::Operator;

constexpr const char* kColors[] = {"red", "green", "blue"};
// Each pool's corner: one begins at .0, one goes over .255.
constexpr uint64_t kCorners[] = {0, 16, 248, 264};

std::string Ipv4At(uint64_t offset) {
  return absl::StrCat("10.0.", offset / 256, ".", offset % 256);
}

}  // namespace

std::string Generator::ServiceKey() { return absl::StrCat(NamespaceName(), "/s", Below(4)); }
std::string Generator::PoolName() { return absl::StrCat("pool", Below(4)); }
std::string Generator::NamespaceName() { return absl::StrCat("t", Below(3)); }

Labels Generator::NamespaceLabels() {
  return OneIn(2) ? Labels{{"tier", OneIn(2) ? "gold" : "iron"}} : Labels{};
}

std::string Generator::Ipv4() { return Ipv4At(kCorners[Below(4)] + Below(12)); }
std::string Generator::Ipv6() { return absl::StrCat("2001:db8:", Below(4), "::", Below(6)); }

void Generator::AddBlocks(uint64_t index, PoolConfig& pool) {
  const uint64_t corner = kCorners[index];
  if (OneIn(3)) {
    const int length = 29 + static_cast<int>(Below(4));  // /29 to /32
    pool.blocks.push_back(BlockOf(absl::StrCat(Ipv4At(corner), "/", length)));
  } else {
    const uint64_t first = corner + Below(overlaps_ ? 12 : 4);
    pool.blocks.push_back(
        BlockOf(absl::StrCat(Ipv4At(first), "-", Ipv4At(first + Below(overlaps_ ? 8 : 4)))));
  }
  if (OneIn(4)) {
    pool.blocks.push_back(
        BlockOf(absl::StrCat(Ipv4At(corner + 9), "-", Ipv4At(corner + 9 + Below(3)))));
  }
  const uint64_t net = overlaps_ ? Below(4) : index;
  if (OneIn(2)) {
    const bool range = OneIn(2);
    pool.blocks.push_back(
        BlockOf(range ? absl::StrCat("2001:db8:", net, "::-2001:db8:", net, "::", Below(6))
                      : absl::StrCat("2001:db8:", net, "::/", 126 + Below(3))));
  }
  if (OneIn(5)) pool.blocks.erase(pool.blocks.begin());
  if (OneIn(4)) {
    const uint64_t first = corner + Below(6);
    pool.excluded.push_back(BlockOf(absl::StrCat(Ipv4At(first), "-", Ipv4At(first + Below(4)))));
  }
}

void Generator::AddSelectors(PoolConfig& pool) {
  switch (Below(8)) {
    case 0:
      pool.service_selector = LabelSelector({{"color", Operator::kIn, {"red", "blue"}}});
      break;
    case 1:
      pool.service_selector = LabelSelector({{"color", Operator::kNotIn, {"red"}}});
      break;
    case 2:
      pool.service_selector = LabelSelector({{"color", Operator::kExists, {}}});
      break;
    case 3:
      pool.service_selector =
          LabelSelector({{std::string(LabelSelector::kNamespaceKey), Operator::kIn, {"t0", "t1"}}});
      break;
    default:
      break;
  }
  if (OneIn(4)) pool.namespaces = {NamespaceName()};
  if (OneIn(4)) {
    pool.namespace_selectors = {LabelSelector({{"tier", Operator::kIn, {"gold"}}})};
  }
}

PoolConfig Generator::Pool() {
  const uint64_t index = Below(4);
  PoolConfig pool{.name = absl::StrCat("pool", index)};
  AddBlocks(index, pool);
  AddSelectors(pool);
  pool.disabled = OneIn(10);
  pool.auto_assign = !OneIn(8);
  pool.allow_first_last = OneIn(3);
  pool.avoid_buggy_ips = OneIn(4);
  pool.priority = static_cast<uint32_t>(Below(3));
  if (OneIn(4)) pool.address_picker = OneIn(6) ? "nobody" : "stable-hash";
  return pool;
}

QuotaConfig Generator::Quota() {
  QuotaConfig quota{.name = absl::StrCat("quota", Below(2))};
  quota.max_addresses = static_cast<uint32_t>(Below(5));
  if (OneIn(2)) quota.pools = {PoolName()};
  if (OneIn(3)) quota.namespaces = {NamespaceName()};
  if (OneIn(4)) {
    quota.namespace_selectors = {LabelSelector({{"tier", Operator::kIn, {"iron"}}})};
  }
  return quota;
}

SharingTerms Generator::Sharing() {
  SharingTerms terms{.key = OneIn(3) ? "dns" : "web"};
  if (OneIn(2)) terms.namespaces = {OneIn(2) ? "*" : NamespaceName()};
  for (uint16_t number : {53, 80, 443, 8080}) {
    if (OneIn(3)) terms.ports.push_back({static_cast<uint8_t>(OneIn(3) ? 17 : 6), number});
  }
  std::sort(terms.ports.begin(), terms.ports.end());
  if (OneIn(4)) terms.traffic_policy = TrafficPolicy::kLocal;
  if (OneIn(2)) terms.backend_selector = OneIn(2) ? "app=a" : "app=b";
  terms.different_backends = OneIn(3);
  return terms;
}

void Generator::AddRequest(ServiceRequest& service) {
  for (uint64_t count = 1 + Below(3); count > 0; --count) {
    service.requested_addresses.push_back(OneIn(4) ? Ipv6() : Ipv4());
  }
  if (OneIn(8)) service.requested_addresses.push_back("10.0.0.");
}

ServiceRequest Generator::Service() {
  ServiceRequest service{.key = ServiceKey(), .generation = ++generation_};
  if (OneIn(2)) service.labels = Labels{{"color", kColors[Below(3)]}};
  if (OneIn(4)) service.family_policy = FamilyPolicy::kRequireDualStack;
  if (OneIn(4)) service.family_policy = FamilyPolicy::kPreferDualStack;
  if (OneIn(4)) service.families.push_back(net::Family::kIpv6);
  if (OneIn(4)) service.families.push_back(net::Family::kIpv4);
  if (OneIn(5)) service.addresses_per_family = 2;
  if (OneIn(4)) AddRequest(service);
  if (OneIn(8)) service.requested_pool = PoolName();
  if (OneIn(4)) service.sharing = Sharing();
  if (OneIn(6)) {
    std::vector<std::string> in_use = {Ipv4()};
    if (OneIn(3)) in_use.push_back(Ipv6());
    service.addresses_in_use = std::move(in_use);
  }
  return service;
}

}  // namespace portolan::ipam
