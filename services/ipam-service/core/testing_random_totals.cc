// Everything at rest: who holds what, the reason of each refusal, the counters, the state of pools.
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/ipam-service/core/testing_random_run.h"

namespace portolan::ipam {
namespace {

constexpr net::Family kBoth[] = {net::Family::kIpv4, net::Family::kIpv6};

std::string About(const net::IpAddress& address, absl::string_view reason) {
  return absl::StrCat("address/", address.ToString(), " ", reason);
}

std::set<std::string> FindingsOf(const StatusReport& report) {
  std::set<std::string> findings;
  for (const Finding& finding : report.findings) {
    // What is left is seen in the allocation; what was not adopted is said once.
    if (finding.reason == "draining" || finding.reason == "not-adopted") continue;
    findings.insert(absl::StrCat(finding.subject, " ", finding.reason));
  }
  return findings;
}

bool Adopted(const JournalRow& row, const std::string& service) {
  const std::vector<RowMember> members = MembersOf(row);
  return std::any_of(members.begin(), members.end(), [&](const RowMember& member) {
    return member.service == service && member.adopted;
  });
}

bool Says(const StatusReport& report, absl::string_view reason) {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [&](const Finding& finding) { return finding.reason == reason; });
}

}  // namespace

void RandomRun::CheckEverything() {
  last_ = absl::StrCat("at rest after ", last_);
  CheckRows();
  for (const auto& [key, service] : model_.services) CheckService(service);
  CheckPools();
}

// What is published is what the rows say, and the rows name the pool that answers for them.
void RandomRun::CheckRows() {
  std::set<std::string> published, recorded;
  for (const auto& [key, allocation] : world_->allocations()) {
    for (const Grant& grant : allocation.grants) {
      published.insert(absl::StrCat(key, " ", grant.address.ToString(), " ", grant.pool, " ",
                                    grant.since_unix_ms, " ", grant.draining_until_unix_ms));
    }
  }
  for (const auto& [address, row] : model_.rows) {
    const std::vector<RowMember> members = MembersOf(row);
    for (const RowMember& member : members) {
      recorded.insert(absl::StrCat(member.service, " ", address.ToString(), " ", row.pool, " ",
                                   member.since_unix_ms, " ", member.draining_until_unix_ms));
      auto service = model_.services.find(member.service);
      if (service == model_.services.end()) {
        Problem(absl::StrCat(address.ToString(), " belongs to nobody"));
        continue;
      }
      for (const RowMember& other : members) {
        if (other.service == member.service) continue;
        const std::string why =
            Model::WhyNotTogether(service->second, model_.services.at(other.service));
        if (!why.empty()) Problem(absl::StrCat(address.ToString(), " is shared: ", why));
      }
    }
  }
  if (published == recorded) return;
  Problem(absl::StrCat("published [", absl::StrJoin(published, ", "), "] recorded [",
                       absl::StrJoin(recorded, ", "), "]"));
}

void RandomRun::CheckService(const ServiceRequest& service) {
  const StatusReport* published = world_->StatusOf(service.key);
  if (published == nullptr) return Problem(absl::StrCat(service.key, " has no status"));
  const StatusReport report = world_->engine().Explain(service.key)->status;
  Expected expected;
  const Model::Addresses held = model_.HeldBy(service.key);
  Model::Addresses leaving;
  for (const Finding& finding : report.findings) {
    const net::IpAddress address =
        finding.reason == "draining" ? Address(finding.subject.substr(8)) : net::IpAddress();
    if (held.contains(address)) leaving.insert(address);
  }
  for (const net::IpAddress& address : held) {
    if (model_.Legal(service, address)) continue;
    expected.findings.insert(About(address, "address-stranded"));
    expected.missing = true;
    if (world_->settings.allow_renumber && !Adopted(model_.rows.at(address), service.key)) {
      Problem(absl::StrCat(service.key, " keeps ", address.ToString()));
    }
  }
  for (const net::IpAddress& address : model_.LeftBy(service.key)) {
    Problem(absl::StrCat(service.key, " still leaves ", address.ToString()));
  }
  std::vector<std::string> wrong;
  for (net::Family lead : LeadsOf(service)) {
    Expected guess = expected;
    if (service.requested_addresses.empty()) {
      ExpectFamilies(service, lead, leaving, guess);
    } else {
      ExpectRequested(service, leaving, guess);
    }
    Compare(service.key, report, guess);
    wrong = guess.wrong;
    if (wrong.empty()) return;
  }
  for (const std::string& text : wrong) Problem(text);
}

// Without a family of its own a Service goes on with that of its oldest address. Of two that came
// in one millisecond either may be it.
std::set<net::Family> RandomRun::LeadsOf(const ServiceRequest& service) const {
  std::set<net::Family> leads;
  int64_t oldest = std::numeric_limits<int64_t>::max();
  for (const auto& [address, row] : model_.rows) {
    for (const RowMember& member : MembersOf(row)) {
      if (member.service != service.key || member.since_unix_ms > oldest) continue;
      if (member.since_unix_ms < oldest) leads.clear();
      oldest = member.since_unix_ms;
      leads.insert(address.family());
    }
  }
  if (leads.empty()) leads.insert(model_.Lead());
  return leads;
}

void RandomRun::Compare(const std::string& key, const StatusReport& report, Expected& expected) {
  if (FindingsOf(report) != expected.findings) {
    expected.wrong.push_back(absl::StrCat(key, " is told [",
                                          absl::StrJoin(FindingsOf(report), ", "), "], not [",
                                          absl::StrJoin(expected.findings, ", "), "]"));
  }
  const bool ready = !expected.missing && !Says(report, "not-adopted");
  if (ready != (report.state == State::kReady)) {
    expected.wrong.push_back(
        absl::StrCat(key, ready ? " is not ready: " : " is ready: ", report.message));
  }
}

void RandomRun::ExpectRequested(const ServiceRequest& service, const Model::Addresses& leaving,
                                Expected& expected) {
  const Model::Addresses requested = Model::Requested(service).first;
  const Model::Addresses held = model_.HeldBy(service.key);
  bool unreadable = false;
  std::set<net::Family> families;
  for (const std::string& text : service.requested_addresses) {
    const auto address = net::IpAddress::Parse(text);
    if (!address.ok()) {
      unreadable = expected.missing = true;
      expected.findings.insert(absl::StrCat("address/", text, " unparsable-address"));
    } else if (!requested.contains(*address)) {
      expected.missing = true;
      expected.findings.insert(About(*address, "family-mismatch"));
    } else {
      families.insert(address->family());
    }
  }
  for (net::Family family : kBoth) {
    const bool required = service.family_policy == FamilyPolicy::kRequireDualStack;
    if (unreadable || !required || families.contains(family)) continue;
    expected.missing = true;
    expected.findings.insert(absl::StrCat("family/", net::FamilyName(family), " family-missing"));
  }
  for (const net::IpAddress& address : requested) {
    if (held.contains(address)) {
      expected.findings.insert(About(address, "granted"));
      continue;
    }
    const std::string why = model_.WhyNotAddress(service, address, leaving);
    if (why.empty()) {
      expected.wrong.push_back(
          absl::StrCat(service.key, " waits in vain for ", address.ToString()));
    }
    expected.missing = true;
    expected.findings.insert(About(address, why));
  }
  for (const net::IpAddress& address : held) {
    if (requested.contains(address) || unreadable || leaving.contains(address)) continue;
    expected.wrong.push_back(absl::StrCat(service.key, " did not ask for ", address.ToString()));
  }
}

void RandomRun::ExpectFamilies(const ServiceRequest& service, net::Family lead,
                               const Model::Addresses& leaving, Expected& expected) {
  Model::Addresses held = model_.HeldBy(service.key);
  for (const net::IpAddress& address : leaving) held.erase(address);
  const auto held_of = [&](net::Family family) {
    return static_cast<int>(
        std::count_if(held.begin(), held.end(),
                      [&](const net::IpAddress& address) { return address.family() == family; }));
  };
  bool unserved = false;
  for (net::Family family : kBoth) {
    if (held_of(family) >= Model::Wanted(service, family, lead)) continue;
    unserved = true;
    if (model_.Shareable(service, family, leaving) != nullptr) {
      expected.wrong.push_back(absl::StrCat(service.key, " waits though it could share"));
    }
    ExpectPools(service, family, leaving, expected);
  }
  const bool prefers = service.family_policy == FamilyPolicy::kPreferDualStack;
  expected.missing = expected.missing || (unserved && (!prefers || held.empty()));
}

void RandomRun::ExpectPools(const ServiceRequest& service, net::Family family,
                            const Model::Addresses& leaving, Expected& expected) {
  const std::string& wanted = service.requested_pool;
  if (!wanted.empty() && !model_.pools.contains(wanted)) {
    expected.findings.insert(absl::StrCat("pool/", wanted, " no-such-pool"));
    return;
  }
  if (model_.pools.empty()) expected.findings.insert("pool no-pool");
  bool reached = true;
  for (const PoolConfig* pool : model_.Order()) {
    if (!wanted.empty() && pool->name != wanted) continue;
    std::string why = model_.WhyNotPool(service, *pool, family, leaving);
    if (why.empty() && pool->address_picker == "nobody") {
      why = "picker-unknown";
      reached = false;
    } else if (why.empty() && !reached) {
      why = "not-reached";
    }
    if (why.empty())
      expected.wrong.push_back(absl::StrCat(service.key, " waits though ", pool->name, " serves"));
    expected.findings.insert(absl::StrCat("pool/", pool->name, " ", why));
  }
}

void RandomRun::CheckPools() {
  for (const auto& [name, pool] : model_.pools) {
    const PoolState* state = world_->StateOf(name);
    if (state == nullptr) {
      Problem(absl::StrCat(name, " has no state"));
      continue;
    }
    std::string expected = pool.disabled ? "disabled" : "active";
    if (model_.Conflicts(name)) expected = "conflicting " + model_.ConflictOf(name);
    std::string got =
        absl::StrCat(state->state, state->conflicts_with.empty() ? "" : " ", state->conflicts_with);
    for (net::Family family : kBoth) {
      const Model::Counts counts = model_.CountsOf(pool, family);
      if (counts.total == 0) continue;
      absl::StrAppend(&expected, " ", net::FamilyName(family), " ", counts.total, "=", counts.used,
                      "+", counts.available, "+", counts.reserved);
    }
    for (const FamilyCount& count : state->counts) {
      absl::StrAppend(&got, " ", net::FamilyName(count.family), " ", count.total, "=", count.used,
                      "+", count.available, "+", count.reserved);
    }
    if (got != expected) Problem(absl::StrCat(name, " is ", got, ", not ", expected));
  }
}

}  // namespace portolan::ipam
