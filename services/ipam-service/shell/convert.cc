#include "services/ipam-service/shell/convert.h"

#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "services/base/selector/selector_proto.h"
#include "services/base/status/status_macros.h"
#include "services/ipam-service/shell/journal.pb.h"

namespace portolan::ipam {
namespace {

absl::StatusOr<net::Range> RangeOf(const config::v1alpha1::AddressBlock& block) {
  absl::StatusOr<net::IpAddress> first = net::IpAddress::Parse(block.first());
  if (!first.ok()) return Annotate(first.status(), "first");
  absl::StatusOr<net::IpAddress> last = net::IpAddress::Parse(block.last());
  if (!last.ok()) return Annotate(last.status(), "last");
  ASSIGN_OR_RETURN(net::Range range, net::Range::Of(*first, *last));
  const uint32_t length = block.prefix_length();
  if (length == 0) return range;
  if (length > static_cast<uint32_t>(net::FamilyBits(range.family())) ||
      net::Range::Of(net::Prefix::Of(*first, static_cast<int>(length))) != range) {
    return absl::InvalidArgumentError(
        absl::StrCat("first and last are not the ends of a prefix of "
                     "length ",
                     length));
  }
  return range;
}

status::v1alpha1::State ToProto(State state) {
  switch (state) {
    case State::kPending:
      return status::v1alpha1::STATE_PENDING;
    case State::kReady:
      return status::v1alpha1::STATE_READY;
    case State::kDegraded:
      return status::v1alpha1::STATE_DEGRADED;
    case State::kRejected:
      return status::v1alpha1::STATE_REJECTED;
    case State::kFailed:
      return status::v1alpha1::STATE_FAILED;
  }
  return status::v1alpha1::STATE_UNSPECIFIED;
}

const char* KindName(ObjectKind kind) { return kind == ObjectKind::kService ? "service" : "pool"; }

absl::StatusOr<net::IpAddress> AddressOfKey(absl::string_view key) {
  const bool whole = key.size() == 18 && (key[1] == 4 || key[1] == 6);
  if (!whole) {
    return absl::DataLossError(absl::StrCat("the journal has a row with the key \"",
                                            absl::CHexEscape(key), "\", which is no address"));
  }
  const absl::string_view octets = key.substr(key[1] == 4 ? 14 : 2);
  return net::IpAddress::FromBytes(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(octets.data()), octets.size()));
}

}  // namespace

PoolConfig FromProto(const config::v1alpha1::Pool& pool) {
  PoolConfig config{.name = pool.name(),
                    .disabled = pool.disabled(),
                    .auto_assign = pool.auto_assign(),
                    .priority = pool.priority(),
                    .allow_first_last = pool.allow_first_last(),
                    .namespaces = {pool.namespaces().begin(), pool.namespaces().end()},
                    .address_picker = pool.address_picker()};
  if (pool.has_service_selector()) {
    config.service_selector = portolan::FromProto(pool.service_selector());
  }
  for (const config::v1alpha1::AddressBlock& block : pool.blocks()) {
    absl::StatusOr<net::Range> range = RangeOf(block);
    if (range.ok()) {
      config.blocks.push_back({block.id(), *range, static_cast<int>(block.prefix_length())});
    } else {
      config.bad_blocks.push_back({block.id(), std::string(range.status().message())});
    }
  }
  return config;
}

ServiceRequest FromProto(const intent::v1alpha1::ServiceIntent& intent) {
  ServiceRequest request{.key = intent.key(),
                         .generation = intent.generation(),
                         .labels = portolan::FromProto(intent.labels()),
                         .requested_addresses = {intent.requested_addresses().begin(),
                                                 intent.requested_addresses().end()},
                         .requested_pool = intent.requested_pool()};
  for (int family : intent.families()) {
    if (family == intent::v1alpha1::IP_FAMILY_IPV4) {
      request.families.push_back(net::Family::kIpv4);
    } else if (family == intent::v1alpha1::IP_FAMILY_IPV6) {
      request.families.push_back(net::Family::kIpv6);
    }
  }
  if (intent.family_policy() == intent::v1alpha1::FAMILY_POLICY_PREFER_DUAL_STACK) {
    request.family_policy = FamilyPolicy::kPreferDualStack;
  } else if (intent.family_policy() == intent::v1alpha1::FAMILY_POLICY_REQUIRE_DUAL_STACK) {
    request.family_policy = FamilyPolicy::kRequireDualStack;
  }
  return request;
}

allocation::v1alpha1::Allocation ToProto(const Allocation& allocation) {
  allocation::v1alpha1::Allocation proto;
  proto.set_key(allocation.key);
  proto.set_generation(allocation.generation);
  for (const Grant& grant : allocation.grants) {
    allocation::v1alpha1::AddressGrant* out = proto.add_grants();
    out->set_address(grant.address.ToString());
    out->set_pool(grant.pool);
    out->set_since_unix_ms(grant.since_unix_ms);
  }
  proto.mutable_labels()->insert(allocation.labels.begin(), allocation.labels.end());
  return proto;
}

allocation::v1alpha1::PoolState ToProto(const PoolState& state) {
  allocation::v1alpha1::PoolState proto;
  proto.set_name(state.name);
  proto.set_state(state.state);
  proto.set_message(state.message);
  for (const FamilyCount& count : state.counts) {
    allocation::v1alpha1::FamilyCount* out = proto.add_counts();
    out->set_family(std::string(net::FamilyName(count.family)));
    out->set_total(count.total);
    out->set_used(count.used);
    out->set_available(count.available);
  }
  return proto;
}

status::v1alpha1::ObjectStatus ToProto(const StatusReport& report) {
  status::v1alpha1::ObjectStatus proto;
  proto.set_component("ipam");
  proto.set_kind(KindName(report.kind));
  proto.set_key(report.key);
  proto.set_generation(report.generation);
  proto.set_state(ToProto(report.state));
  proto.set_reason(report.reason);
  proto.set_message(report.message);
  proto.set_remedy(report.remedy);
  for (const Finding& finding : report.findings) {
    status::v1alpha1::Finding* out = proto.add_findings();
    out->set_subject(finding.subject);
    out->set_reason(finding.reason);
    out->set_message(finding.message);
  }
  for (const net::IpAddress& address : report.addresses) {
    proto.add_addresses(address.ToString());
  }
  return proto;
}

std::string StatusKey(ObjectKind kind, const std::string& key) {
  return absl::StrCat("ipam//", KindName(kind), "/", key);
}

std::string JournalKey(const net::IpAddress& address) {
  const std::string octets = address.ToBytes();
  std::string key = kJournalPrefix;
  key.push_back(address.is_ipv4() ? 4 : 6);
  key.append(16 - octets.size(), '\0');
  return key + octets;
}

store::Row ToRow(const JournalRow& row) {
  journal::v1::AddressRow value;
  value.set_service(row.service);
  value.set_generation(row.generation);
  value.set_pool(row.pool);
  value.set_since_unix_ms(row.since_unix_ms);
  return {JournalKey(row.address), value.SerializeAsString()};
}

absl::StatusOr<JournalLoaded> FromRows(const std::vector<store::Row>& rows) {
  JournalLoaded loaded;
  for (const store::Row& row : rows) {
    ASSIGN_OR_RETURN(const net::IpAddress address, AddressOfKey(row.key));
    journal::v1::AddressRow value;
    if (!value.ParseFromString(row.value) || value.service().empty()) {
      loaded.unreadable.push_back(address);
      continue;
    }
    loaded.rows.push_back({.address = address,
                           .service = value.service(),
                           .generation = value.generation(),
                           .pool = value.pool(),
                           .since_unix_ms = value.since_unix_ms()});
  }
  return loaded;
}

}  // namespace portolan::ipam
