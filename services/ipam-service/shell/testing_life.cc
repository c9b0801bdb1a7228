#include "services/ipam-service/shell/testing_life.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "plugins/builtin/builtin.h"
#include "services/base/clock/clock.h"
#include "services/base/rng/rng.h"
#include "services/ipam-service/shell/pickers.h"

namespace portolan::ipam {
namespace {

// Fewer addresses than Services want: what is given up is given to another at once.
constexpr int kServices = 60;

Block BlockOf(const std::string& first, const std::string& last) {
  return {first,
          net::Range::Of(net::IpAddress::Parse(first).value(), net::IpAddress::Parse(last).value())
              .value(),
          0};
}

PoolConfig SmallPool() {
  return {.name = "small",
          .blocks = {BlockOf("10.0.0.1", "10.0.0.24"), BlockOf("2001:db8::1", "2001:db8::10")}};
}

ServiceRequest RequestOf(const std::string& key) {
  const bool one_family = key.back() % 2 == 0;
  return {
      .key = key,
      .generation = 1,
      .family_policy = one_family ? FamilyPolicy::kSingleStack : FamilyPolicy::kPreferDualStack};
}

}  // namespace

std::vector<Operation> OperationsOf(int count, uint64_t seed) {
  Rng rng(seed);
  std::set<std::string> there;
  std::vector<Operation> operations;
  for (int i = 0; i < count; ++i) {
    const std::string key = absl::StrCat("default/", rng.Below(kServices));
    const bool add = there.erase(key) == 0;
    if (add) there.insert(key);
    operations.push_back({key, add});
  }
  return operations;
}

Life::Life(const OpenMortal& open, const Death& death, const std::vector<Operation>* operations,
           size_t done, int pipe)
    : operations_(operations),
      done_(done),
      pipe_(pipe),
      engine_(OptionsFrom(plugin::NewBuiltinRegistry()).value()),
      journal_(std::make_unique<Journal>(
          loop_.get(),
          std::make_unique<MortalStore>(open(), death.moment, death.before,
                                        [this](const LastCall& call) { TellCall(call); }),
          [this](const JournalDone& answer) {
            if (!answer.status.ok()) abort();
            --writes_on_their_way_;
            Send(answer);
          })) {}

Life::~Life() {
  if (timer_ != 0) loop_->Cancel(timer_);
}

void Life::Run() {
  loop_->Post([this] { Begin(); });
  loop_->Run();
}

// One write each: lines of two threads do not mix, and a line is there or is not.
void Life::Tell(const std::string& line) const {
  const std::string text = line + "\n";
  if (write(pipe_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) abort();
}

void Life::TellCall(const LastCall& call) const {
  std::string line = absl::StrCat("c ", absl::BytesToHexString(call.key));
  if (call.value.has_value()) absl::StrAppend(&line, " ", absl::BytesToHexString(*call.value));
  Tell(line);
}

void Life::TellLoaded(const JournalLoaded& loaded) const {
  if (!loaded.unreadable.empty()) abort();
  for (const JournalRow& row : loaded.rows) {
    Tell(absl::StrCat("l ", row.service, " ", row.address.ToString()));
    for (const RowMember& other : row.others) {
      Tell(absl::StrCat("l ", other.service, " ", row.address.ToString()));
    }
  }
  Tell("L");
}

void Life::Begin() {
  JournalLoaded loaded = journal_->Load().value();
  TellLoaded(loaded);
  Send(std::move(loaded));
  Send(PoolChanged{SmallPool()});
  std::set<std::string> there;
  for (size_t i = 0; i < done_; ++i) {
    const Operation& operation = operations_->at(i);
    if (operation.add) {
      there.insert(operation.key);
    } else {
      there.erase(operation.key);
    }
  }
  for (const std::string& key : there) Send(ServiceChanged{RequestOf(key)});
  for (Source source : kSources) Send(Synced{source});
  GoOn();
}

// Some operations at once, so that writes meet in the journal's queue; then what they brought
// about.
void Life::GoOn() {
  if (writes_on_their_way_ > 0) return;
  if (done_ == operations_->size()) {
    Tell("d");
    loop_->Stop();
    return;
  }
  const size_t end = std::min(operations_->size(), done_ + 1 + done_ % 3);
  while (done_ < end) Apply(operations_->at(done_));
  if (writes_on_their_way_ == 0) loop_->Post([this] { GoOn(); });
}

void Life::Apply(const Operation& operation) {
  ++done_;
  Tell("i");
  if (operation.add) {
    Send(ServiceChanged{RequestOf(operation.key)});
  } else {
    Send(ServiceRemoved{operation.key});
  }
}

void Life::Send(const Event& event) {
  const bool answer = std::holds_alternative<JournalDone>(event);
  const Moment now{SystemClock().Now(), SystemClock().WallNow()};
  for (const Effect& effect : engine_.Handle(event, now)) Execute(effect);
  if (answer && writes_on_their_way_ == 0) loop_->Post([this] { GoOn(); });
}

void Life::Execute(const Effect& effect) {
  if (const auto* commit = std::get_if<JournalCommit>(&effect)) {
    ++writes_on_their_way_;
    journal_->Commit(*commit);
  } else if (const auto* publish = std::get_if<PublishAllocation>(&effect)) {
    std::string line = absl::StrCat("p ", publish->allocation.key);
    for (const Grant& grant : publish->allocation.grants) {
      absl::StrAppend(&line, " ", grant.address.ToString());
    }
    Tell(line);
  } else if (const auto* withdraw = std::get_if<WithdrawAllocation>(&effect)) {
    Tell(absl::StrCat("w ", withdraw->key));
  } else if (const auto* timer = std::get_if<ArmTimer>(&effect)) {
    Arm(timer->at);
  } else if (std::holds_alternative<MarkSynced>(effect)) {
    Tell("s");
  }
}

void Life::Arm(absl::Time at) {
  if (timer_ != 0) loop_->Cancel(timer_);
  timer_ = loop_->RunAfter(std::max(at - SystemClock().Now(), absl::ZeroDuration()), [this] {
    timer_ = 0;
    Send(Tick{});
  });
}

}  // namespace portolan::ipam
