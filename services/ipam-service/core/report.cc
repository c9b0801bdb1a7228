#include "services/ipam-service/core/report.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/ipam-service/core/address_count.h"
#include "services/ipam-service/core/shown.h"

namespace portolan::ipam {
namespace {

struct ReasonText {
  const char* reason;
  const char* remedy;
};

// The nearer to being served, the earlier: of many findings the first of these is the headline.
constexpr std::array kReasons = {
    ReasonText{"store-full", "free space on the disk of the state directory; it goes on by itself"},
    ReasonText{"store-failed", "look at the log for the store's error; it is retried by itself"},
    ReasonText{"picker-asked", "wait for the address picker's answer"},
    ReasonText{"picker-failed",
               "repair the address picker or its settings, set its fail-policy to \"open\", or "
               "choose another address-picker for the pool; it is retried by itself"},
    ReasonText{"picker-unknown",
               "declare the plugin under /portolan-system:system/plugins, or choose another "
               "address-picker for the pool"},
    ReasonText{"picker-declined", "choose another address-picker for the pool, or widen the pool"},
    ReasonText{"address-stranded",
               "allow it again (the pool's blocks, selectors or namespaces), request another "
               "address, or commit with allow-renumber to have it moved"},
    ReasonText{"sharing-port-clash", "use another port, or another sharing key"},
    ReasonText{"sharing-namespace",
               "list each other's namespace in the sharing namespaces of both Services"},
    ReasonText{"sharing-traffic-policy", "give both Services the same traffic policy"},
    ReasonText{"sharing-backends",
               "give both the same backend selector, or let both say different-backends"},
    ReasonText{"address-held",
               "request another address, or remove it from the Service that holds it"},
    ReasonText{
        "cooling-down",
        "wait, it is served by itself when the cool-down ends; or widen the pool, or shorten "
        "cool-down in the settings of the plugin longest-unused"},
    ReasonText{"pool-exhausted",
               "add a block to the pool, or remove Services that hold its addresses"},
    ReasonText{"over-quota",
               "remove Services of the namespace that hold addresses, or raise the quota"},
    ReasonText{"address-reserved",
               "request another address, or change the pool's excluded blocks, allow-first-last or "
               "avoid-buggy-ips"},
    ReasonText{"pool-disabled", "set \"disabled\" of the pool to false"},
    ReasonText{"auto-assign-off",
               "request the pool by requested-pool, or set its auto-assign to true"},
    ReasonText{"pool-conflict", "remove the overlap from one of the two pools"},
    ReasonText{"selector-mismatch", "change the Service's labels, or the pool's service-selector"},
    ReasonText{"namespace-mismatch", "add the Service's namespace to the pool's namespaces"},
    ReasonText{"not-in-requested-pool", "change requested-address or requested-pool"},
    ReasonText{"family-missing", "add a block of that family to a pool, or change family-policy"},
    ReasonText{"not-in-pool", "add a pool that covers the address, or request another one"},
    ReasonText{"no-such-pool", "create the pool, or change requested-pool"},
    ReasonText{"no-pool", "add a pool under /portolan-ipam:ipam/pools"},
    ReasonText{"unparsable-address", "correct requested-address"},
    ReasonText{"family-mismatch", "list the family, or remove the requested-address"},
    ReasonText{"too-many-addresses", "request fewer addresses"},
    ReasonText{"sharing-key-too-long", "choose a shorter sharing key"},
    ReasonText{"not-adopted",
               "request another address for one of the two Services, or give both a sharing key"},
};

// Reasons of selector plugins that we do not know stand beside selector-mismatch.
size_t RankOf(const std::string& reason) {
  size_t unknown = 0;
  for (size_t i = 0; i < kReasons.size(); ++i) {
    if (reason == kReasons[i].reason) return i;
    if (std::string("selector-mismatch") == kReasons[i].reason) unknown = i;
  }
  return unknown;
}

const Finding& Headline(const std::vector<Finding>& findings) {
  return *std::min_element(
      findings.begin(), findings.end(),
      [](const Finding& a, const Finding& b) { return RankOf(a.reason) < RankOf(b.reason); });
}

std::string ListOf(const std::vector<net::IpAddress>& addresses) {
  return absl::StrJoin(addresses, ", ", [](std::string* out, const net::IpAddress& address) {
    absl::StrAppend(out, address.ToString());
  });
}

std::string TextOf(const Unserved& unserved) {
  const Finding& headline = Headline(unserved.findings);
  std::string text = absl::StrCat("does not get ", NameOf(unserved.slot), ": ", headline.message);
  const size_t others = unserved.findings.size() - 1;
  if (others > 0) absl::StrAppend(&text, " (and ", others, " more considered, see findings)");
  return text;
}

bool IsMissing(const Unserved& unserved, const ServiceOutcome& outcome) {
  return unserved.slot.required || outcome.granted.empty();
}

void AddFindings(const Wish& wish, const ServiceOutcome& outcome, StatusReport& report) {
  report.findings = wish.bad;
  for (const Finding& finding : wish.stranded) {
    report.findings.push_back({finding.subject, "address-stranded", finding.message});
  }
  for (const Slot& slot : wish.slots) {
    if (!slot.address.has_value() || std::find(outcome.granted.begin(), outcome.granted.end(),
                                               *slot.address) == outcome.granted.end()) {
      continue;
    }
    report.findings.push_back({absl::StrCat("address/", slot.address->ToString()), "granted",
                               "the Service has this requested address"});
  }
  for (const Unserved& unserved : outcome.unserved) {
    report.findings.insert(report.findings.end(), unserved.findings.begin(),
                           unserved.findings.end());
  }
}

Finding AboutLeaving(const ServiceOutcome::Leaving& leaving) {
  const std::string address = leaving.address.ToString();
  const std::string until =
      leaving.until == absl::InfiniteFuture()
          ? "until what is asked for is there"
          : absl::StrCat("until ",
                         absl::FormatTime(absl::RFC3339_sec, leaving.until, absl::UTCTimeZone()));
  return {absl::StrCat("address/", address), "draining",
          absl::StrCat("keeps ", address, " ", until)};
}

std::string StrandedText(const Finding& finding) {
  return absl::StrCat("keeps ", finding.subject.substr(finding.subject.find('/') + 1),
                      " although it is not allowed any more: ", finding.message);
}

// What is told in one message.
class Sentences {
 public:
  explicit Sentences(const std::string& key) : text_(absl::StrCat("Service ", key, " ")) {}
  void Add(absl::string_view sentence) {
    absl::StrAppend(&text_, empty_ ? "" : "; ", sentence);
    empty_ = false;
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  bool empty_ = true;
};

// Sentences and headlines about what is not as the Service wants it.
void AddTroubles(const Wish& wish, const ServiceOutcome& outcome, const std::vector<Finding>& notes,
                 Sentences& sentences, std::vector<Finding>& missing) {
  for (const Finding& finding : wish.stranded) {
    sentences.Add(StrandedText(finding));
    missing.push_back({finding.subject, "address-stranded", finding.message});
  }
  for (const auto* findings : {&wish.bad, &notes}) {
    for (const Finding& finding : *findings) {
      sentences.Add(finding.message);
      missing.push_back(finding);
    }
  }
  if (!outcome.stalled.ok()) {
    missing.push_back(StoreFinding(outcome.stalled));
    sentences.Add(missing.back().message);
  }
  for (const Unserved& unserved : outcome.unserved) {
    sentences.Add(TextOf(unserved));
    if (IsMissing(unserved, outcome)) missing.push_back(Headline(unserved.findings));
  }
}

}  // namespace

std::string RemedyFor(const std::string& reason) {
  for (const ReasonText& known : kReasons) {
    if (reason == known.reason) return known.remedy;
  }
  const bool fine = reason == "serves" || reason == "not-needed" || reason == "not-reached" ||
                    reason == "granted" || reason == "draining";
  return fine ? "" : kReasons[RankOf(reason)].remedy;
}

bool IsKnownReason(const std::string& reason) {
  return reason == "assigned" ||
         std::any_of(kReasons.begin(), kReasons.end(),
                     [&](const ReasonText& known) { return reason == known.reason; });
}

const char* StateName(State state) {
  switch (state) {
    case State::kPending:
      return "pending";
    case State::kReady:
      return "ready";
    case State::kDegraded:
      return "degraded";
    case State::kRejected:
      return "rejected";
    case State::kFailed:
      return "failed";
  }
  return "";
}

std::string NameOf(const Slot& slot) {
  if (slot.address.has_value()) return absl::StrCat("address ", slot.address->ToString());
  return absl::StrCat("an ", net::FamilyName(slot.family), " address");
}

Finding NotAdopted(const net::IpAddress& address, const std::optional<Finding>& objection) {
  const std::string text = address.ToString();
  return {absl::StrCat("address/", text), "not-adopted",
          absl::StrCat("was found to use ", text, ", which is not taken over: ",
                       objection.has_value() ? objection->message
                                             : "the store has a record of it that is not ours")};
}

Finding UnreadableInUse(const std::string& text) {
  return {absl::StrCat("address/", Shown(text)), "unparsable-address",
          absl::StrCat("was found to use \"", Shown(text), "\", which is not an IP address")};
}

Finding StoreFinding(const absl::Status& failure) {
  const bool full = absl::IsResourceExhausted(failure);
  return {"store", full ? "store-full" : "store-failed",
          absl::StrCat("no new address can be recorded, the store says: ", failure.message())};
}

StatusReport ReportOnService(const ServiceRequest& request, const Wish& wish,
                             const ServiceOutcome& outcome, const std::vector<Finding>& notes) {
  StatusReport report{.kind = ObjectKind::kService,
                      .key = request.key,
                      .generation = request.generation,
                      .addresses = outcome.granted};
  for (const ServiceOutcome::Leaving& leaving : outcome.leaving) {
    report.addresses.push_back(leaving.address);
  }
  AddFindings(wish, outcome, report);
  Sentences sentences(request.key);
  if (!outcome.granted.empty()) sentences.Add(absl::StrCat("has ", ListOf(outcome.granted)));
  std::vector<Finding> missing;
  AddTroubles(wish, outcome, notes, sentences, missing);
  report.findings.insert(report.findings.end(), notes.begin(), notes.end());
  if (!outcome.stalled.ok()) report.findings.push_back(StoreFinding(outcome.stalled));
  for (const ServiceOutcome::Leaving& leaving : outcome.leaving) {
    report.findings.push_back(AboutLeaving(leaving));
    sentences.Add(report.findings.back().message);
  }
  report.message = sentences.Take();
  if (missing.empty()) {
    report.state = State::kReady;
    report.reason = "assigned";
    return report;
  }
  const Finding& worst = Headline(missing);
  report.reason = worst.reason;
  report.remedy = RemedyFor(worst.reason);
  if (worst.subject == "store") {
    report.state = State::kFailed;
  } else if (!report.addresses.empty()) {
    report.state = State::kDegraded;
  } else {
    report.state = wish.bad.empty() ? State::kPending : State::kRejected;
  }
  return report;
}

StatusReport ReportOnPool(const Pool& pool, const std::string& picker_name,
                          const PickerTable::Picker* picker) {
  const PoolConfig& config = pool.config();
  StatusReport report{
      .kind = ObjectKind::kPool, .key = config.name, .state = State::kReady, .reason = "active"};
  for (const BadBlock& bad : config.bad_blocks) {
    report.findings.push_back({absl::StrCat("block/", bad.id), "bad-block", bad.message});
  }
  const std::string subject = absl::StrCat("pool \"", config.name, "\" ");
  if (!pool.active()) {
    report.state = State::kRejected;
    report.reason = "pool-conflict";
    report.message = absl::StrCat(subject, pool.conflict().message,
                                  "; it serves nobody new, and what it gave stays");
    report.remedy = RemedyFor("pool-conflict");
  } else if (!config.bad_blocks.empty()) {
    const BadBlock& bad = config.bad_blocks.front();
    report.state = config.blocks.empty() ? State::kRejected : State::kDegraded;
    report.reason = "bad-block";
    report.message = absl::StrCat(subject, "block \"", bad.id, "\": ", bad.message,
                                  config.blocks.empty() ? "" : "; its other blocks serve");
    report.remedy = "correct the block";
  } else if (config.disabled) {
    report.reason = "disabled";
    report.message = absl::StrCat(subject, "is disabled: it keeps what it gave and gives no more");
  } else if (picker == nullptr || picker->stage == nullptr) {
    const bool open = picker != nullptr && picker->fail_open;
    report.state = open ? State::kDegraded : State::kPending;
    report.reason = picker == nullptr ? "picker-unknown" : "picker-failed";
    report.message = absl::StrCat(
        subject, "names address-picker \"", picker_name, "\": ",
        picker == nullptr ? "there is none of this name" : std::string(picker->error.message()));
    report.remedy = RemedyFor(report.reason);
  } else if (config.blocks.empty()) {
    report.state = State::kPending;
    report.reason = "no-block";
    report.message = absl::StrCat(subject, "has no block");
    report.remedy = "add a block";
  } else {
    report.message = absl::StrCat(subject, "serves, address-picker ", picker_name);
  }
  return report;
}

Pool::Counts CountsOf(const Pool& pool, net::Family family, const Ledger& ledger) {
  Pool::Counts counts = pool.CountsOf(family);
  if (!pool.active()) {
    counts.used = AddressCount(ledger.HeldInName(pool.name(), family));
    counts.available = counts.reserved = AddressCount();
  }
  return counts;
}

PoolState StateOfPool(Pool& pool, const Ledger& ledger, absl::Time now) {
  PoolState state{.name = pool.name(), .state = "active"};
  if (!pool.active()) {
    state.state = "conflicting";
    state.message = pool.conflict().message;
    state.conflicts_with = pool.conflict().pool;
  } else if (pool.config().disabled) {
    state.state = "disabled";
    state.message = "disabled is true: no new address is given";
  }
  for (net::Family family : kFamilies) {
    if (!pool.HasFamily(family)) continue;
    const Pool::Counts counts = CountsOf(pool, family, ledger);
    const double used = counts.used.ToDouble();
    pool.trend(family).Note(now, used);
    state.counts.push_back(
        {family, counts.total.ToString(), counts.used.ToString(), counts.available.ToString(),
         counts.reserved.ToString(),
         pool.trend(family).ExhaustedIn(now, used, counts.available.ToDouble())});
  }
  return state;
}

}  // namespace portolan::ipam
