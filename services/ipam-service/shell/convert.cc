#include "services/ipam-service/shell/convert.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/selector/selector_proto.h"
#include "services/base/status/status_macros.h"
#include "services/ipam-service/core/report.h"
#include "services/ipam-service/shell/journal.pb.h"

namespace portolan::ipam {
namespace {

constexpr uint32_t kMaxAddressesPerFamily = 32;

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

std::vector<LabelSelector> SelectorsOf(const auto& selectors) {
  std::vector<LabelSelector> result;
  for (const config::v1alpha1::LabelSelector& selector : selectors) {
    result.push_back(portolan::FromProto(selector));
  }
  return result;
}

void AddBlocks(const auto& from, absl::string_view prefix, std::vector<Block>& blocks,
               std::vector<BadBlock>& bad) {
  for (const config::v1alpha1::AddressBlock& block : from) {
    absl::StatusOr<net::Range> range = RangeOf(block);
    if (range.ok()) {
      blocks.push_back({block.id(), *range, static_cast<int>(block.prefix_length())});
    } else {
      bad.push_back({absl::StrCat(prefix, block.id()), std::string(range.status().message())});
    }
  }
}

// Avoiding costs an interval for each 256 addresses.
bool TooWideToAvoid(const Block& block) {
  return block.range.family() == net::Family::kIpv4 &&
         block.range.SizeMinusOne() >= absl::uint128{1} << 24;
}

SharingTerms SharingOf(const intent::v1alpha1::ServiceIntent& intent) {
  const intent::v1alpha1::Sharing& sharing = intent.sharing();
  SharingTerms terms{.key = sharing.key(),
                     .namespaces = {sharing.namespaces().begin(), sharing.namespaces().end()},
                     .backend_selector = sharing.backend_selector(),
                     .different_backends = sharing.different_backends()};
  if (sharing.traffic_policy() == intent::v1alpha1::TRAFFIC_POLICY_LOCAL) {
    terms.traffic_policy = TrafficPolicy::kLocal;
  }
  for (const intent::v1alpha1::ServicePort& port : intent.ports()) {
    terms.ports.push_back(
        {static_cast<uint8_t>(port.protocol()), static_cast<uint16_t>(port.port())});
  }
  std::sort(terms.ports.begin(), terms.ports.end());
  return terms;
}

std::string KeyOf(const char* prefix, const net::IpAddress& address) {
  const std::string octets = address.ToBytes();
  std::string key = prefix;
  key.push_back(address.is_ipv4() ? 4 : 6);
  key.append(16 - octets.size(), '\0');
  return key + octets;
}

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
                    .namespace_selectors = SelectorsOf(pool.namespace_selectors()),
                    .address_picker = pool.address_picker(),
                    .avoid_buggy_ips = pool.avoid_buggy_ips()};
  if (pool.has_service_selector()) {
    config.service_selector = portolan::FromProto(pool.service_selector());
  }
  AddBlocks(pool.blocks(), "", config.blocks, config.bad_blocks);
  AddBlocks(pool.excluded(), "excluded/", config.excluded, config.bad_blocks);
  if (config.avoid_buggy_ips)
    std::erase_if(config.blocks, [&](const Block& block) {
      if (!TooWideToAvoid(block)) return false;
      config.bad_blocks.push_back(
          {block.id, "it is too wide for avoid-buggy-ips: at most a /8 is possible"});
      return true;
    });
  return config;
}

QuotaConfig FromProto(const config::v1alpha1::Quota& quota) {
  return {.name = quota.name(),
          .namespaces = {quota.namespaces().begin(), quota.namespaces().end()},
          .namespace_selectors = SelectorsOf(quota.namespace_selectors()),
          .pools = {quota.pools().begin(), quota.pools().end()},
          .max_addresses = quota.max_addresses()};
}

Settings FromProto(const config::v1alpha1::IpamSettings& settings) {
  return {.address_picker = settings.address_picker(),
          .drain_time = absl::Seconds(settings.drain_time_s()),
          .allow_renumber = settings.allow_renumber()};
}

ServiceRequest FromProto(const intent::v1alpha1::ServiceIntent& intent) {
  ServiceRequest request{.key = intent.key(),
                         .generation = intent.generation(),
                         .labels = portolan::FromProto(intent.labels()),
                         .requested_addresses = {intent.requested_addresses().begin(),
                                                 intent.requested_addresses().end()},
                         .requested_pool = intent.requested_pool()};
  request.addresses_per_family = static_cast<uint8_t>(
      std::clamp<uint32_t>(intent.addresses_per_family(), 1, kMaxAddressesPerFamily));
  if (intent.has_sharing() && !intent.sharing().key().empty()) request.sharing = SharingOf(intent);
  if (!intent.addresses_in_use().empty()) {
    request.addresses_in_use = std::vector<std::string>(intent.addresses_in_use().begin(),
                                                        intent.addresses_in_use().end());
  }
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
    out->set_draining_until_unix_ms(grant.draining_until_unix_ms);
    out->set_adopted(grant.adopted);
  }
  allocation.labels.ForEach([&](absl::string_view key, absl::string_view value) {
    (*proto.mutable_labels())[std::string(key)] = std::string(value);
  });
  return proto;
}

allocation::v1alpha1::PoolState ToProto(const PoolState& state) {
  allocation::v1alpha1::PoolState proto;
  proto.set_name(state.name);
  proto.set_state(state.state);
  proto.set_message(state.message);
  proto.set_conflicts_with(state.conflicts_with);
  for (const FamilyCount& count : state.counts) {
    allocation::v1alpha1::FamilyCount* out = proto.add_counts();
    out->set_family(std::string(net::FamilyName(count.family)));
    out->set_total(count.total);
    out->set_used(count.used);
    out->set_available(count.available);
    out->set_reserved(count.reserved);
    out->set_exhausted_in_s(count.exhausted_in_s);
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

Proposal FromProto(const v1alpha1::PlanRequest& request) {
  Proposal proposal{.settings = FromProto(request.settings())};
  for (const config::v1alpha1::Pool& pool : request.pools()) {
    proposal.pools.push_back(FromProto(pool));
  }
  for (const config::v1alpha1::Quota& quota : request.quotas()) {
    proposal.quotas.push_back(FromProto(quota));
  }
  return proposal;
}

v1alpha1::PlanResponse ToProto(const AddressPlan& plan) {
  v1alpha1::PlanResponse proto;
  for (const AddressMove& move : plan.moves) {
    config::v1alpha1::AddressMove* out = proto.add_moves();
    out->set_service(move.service);
    out->set_address(move.address.ToString());
    out->set_pool(move.pool);
    if (move.new_address.has_value()) out->set_new_address(move.new_address->ToString());
    out->set_new_pool(move.new_pool);
    out->set_reason(move.why.reason);
    out->set_message(move.why.message);
  }
  for (const AddressGain& gain : plan.gains) {
    config::v1alpha1::AddressGain* out = proto.add_gains();
    out->set_service(gain.service);
    out->set_address(gain.address.ToString());
    out->set_pool(gain.pool);
  }
  return proto;
}

v1alpha1::ExplainResponse ToProto(const Explanation& explanation) {
  v1alpha1::ExplainResponse proto;
  proto.set_summary(explanation.status.message);
  proto.set_remedy(explanation.status.remedy);
  for (const SlotExplanation& slot : explanation.slots) {
    v1alpha1::SlotExplanation* out = proto.add_slots();
    out->set_wish(slot.wish);
    if (slot.address.has_value()) out->set_address(slot.address->ToString());
    out->set_outcome(slot.outcome);
    out->set_since_unix_ms(slot.since_unix_ms);
    for (const std::string& other : slot.shared_with) out->add_shared_with(other);
    for (const Finding& finding : slot.considered) {
      v1alpha1::Considered* considered = out->add_considered();
      // "pool/NAME"; about an address or the store no pool is named.
      if (absl::StartsWith(finding.subject, "pool/"))
        considered->set_pool(finding.subject.substr(5));
      considered->set_reason(finding.reason);
      considered->set_message(finding.message);
      considered->set_remedy(RemedyFor(finding.reason));
    }
  }
  return proto;
}

std::string StatusKey(ObjectKind kind, const std::string& key) {
  return absl::StrCat("ipam//", KindName(kind), "/", key);
}

std::string JournalKey(const net::IpAddress& address) { return KeyOf(kAddressPrefix, address); }

std::string ReleaseKey(const net::IpAddress& address) { return KeyOf(kReleasePrefix, address); }

std::string PoolKey(const std::string& pool) { return absl::StrCat(kPoolPrefix, pool); }

store::Row ToRow(const JournalRow& row) {
  journal::v1::AddressRow value;
  value.set_service(row.service);
  value.set_generation(row.generation);
  value.set_pool(row.pool);
  value.set_since_unix_ms(row.since_unix_ms);
  value.set_draining_until_unix_ms(row.draining_until_unix_ms);
  value.set_adopted(row.adopted);
  for (const RowMember& other : row.others) {
    journal::v1::AddressMember* out = value.add_others();
    out->set_service(other.service);
    out->set_generation(other.generation);
    out->set_since_unix_ms(other.since_unix_ms);
    out->set_draining_until_unix_ms(other.draining_until_unix_ms);
    out->set_adopted(other.adopted);
  }
  return {JournalKey(row.address), value.SerializeAsString()};
}

store::Row ToRow(const PoolRow& row) {
  journal::v1::PoolRow value;
  value.set_first_seen_unix_ms(row.first_seen_unix_ms);
  return {PoolKey(row.name), value.SerializeAsString()};
}

store::Row ToRow(const ReleaseRow& row) {
  journal::v1::ReleaseRow value;
  value.set_service(row.service);
  value.set_released_unix_ms(row.released_unix_ms);
  return {ReleaseKey(row.address), value.SerializeAsString()};
}

store::Batch ToBatch(const JournalCommit& commit) {
  store::Batch batch;
  for (const net::IpAddress& address : commit.erase) batch.erase.push_back(JournalKey(address));
  for (const std::string& pool : commit.erase_pools) batch.erase.push_back(PoolKey(pool));
  for (const net::IpAddress& address : commit.erase_releases) {
    batch.erase.push_back(ReleaseKey(address));
  }
  for (const JournalRow& row : commit.create) batch.create.push_back(ToRow(row));
  for (const JournalRow& row : commit.put) batch.put.push_back(ToRow(row));
  for (const PoolRow& row : commit.put_pools) batch.put.push_back(ToRow(row));
  for (const ReleaseRow& row : commit.put_releases) batch.put.push_back(ToRow(row));
  return batch;
}

absl::StatusOr<JournalLoaded> FromRows(const std::vector<store::Row>& addresses,
                                       const std::vector<store::Row>& pools,
                                       const std::vector<store::Row>& releases) {
  JournalLoaded loaded;
  loaded.rows.reserve(addresses.size());
  journal::v1::AddressRow value;
  for (const store::Row& row : addresses) {
    ASSIGN_OR_RETURN(const net::IpAddress address, AddressOfKey(row.key));
    if (!value.ParseFromString(row.value) || value.service().empty()) {
      loaded.unreadable.push_back(address);
      continue;
    }
    JournalRow& out = loaded.rows.emplace_back();
    out = {.address = address,
           .service = std::move(*value.mutable_service()),
           .generation = value.generation(),
           .pool = std::move(*value.mutable_pool()),
           .since_unix_ms = value.since_unix_ms(),
           .draining_until_unix_ms = value.draining_until_unix_ms(),
           .adopted = value.adopted()};
    for (const journal::v1::AddressMember& other : value.others()) {
      out.others.push_back({.service = other.service(),
                            .generation = other.generation(),
                            .since_unix_ms = other.since_unix_ms(),
                            .draining_until_unix_ms = other.draining_until_unix_ms(),
                            .adopted = other.adopted()});
    }
  }
  for (const store::Row& row : pools) {
    journal::v1::PoolRow value;
    if (!value.ParseFromString(row.value)) continue;
    loaded.pools.push_back({row.key.substr(1), value.first_seen_unix_ms()});
  }
  for (const store::Row& row : releases) {
    const absl::StatusOr<net::IpAddress> address = AddressOfKey(row.key);
    journal::v1::ReleaseRow value;
    if (!address.ok() || !value.ParseFromString(row.value) || value.service().empty()) continue;
    loaded.releases.push_back({*address, value.service(), value.released_unix_ms()});
  }
  return loaded;
}

}  // namespace portolan::ipam
