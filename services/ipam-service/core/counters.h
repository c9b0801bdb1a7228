// What the engine counts since its start: values that a shell exports. A few additions an event,
// and no memory for a Service but while it waits. Owned by the engine; single-threaded.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "services/base/metrics/histogram.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

using CountByReason = std::map<std::string, uint64_t>;  // few: the vocabulary of report.cc

struct AddressCounters {
  uint64_t chosen = 0;    // that nobody had
  uint64_t shared = 0;    // that others had already
  uint64_t adopted = 0;   // that were found in use
  uint64_t restored = 0;  // from the journal at the start
  uint64_t granted = 0;   // of the chosen, shared and adopted: durable
  uint64_t lost = 0;      // of the chosen and adopted: the journal had somebody else's row
  // Of the chosen, as far as the history of a pool knows: given up before, by the Service that has
  // it now or by another.
  uint64_t returned = 0;
  uint64_t reused = 0;
  uint64_t released = 0;
  uint64_t renumbered = 0;  // of the released or draining: stranded ones that were moved
};

struct PickerCounters {
  uint64_t asked = 0;  // of another process
  uint64_t declined = 0;
  uint64_t failed = 0;                                   // and the Service waits
  uint64_t failed_open = 0;                              // and lowest-free chose instead
  metrics::Histogram answered_after{metrics::kSeconds};  // of those asked
};

// Those that wait: since when, and for which reason.
class WaitingCounters {
 public:
  void Enter(uint64_t place, absl::Time now) {
    waiting_.emplace(place, Waiting{now, &*by_reason_.try_emplace(kNotYet, 0).first});
    ++by_reason_[kNotYet];
  }
  // True: another reason than before.
  bool SetReason(uint64_t place, const std::string& reason) {
    Waiting& waiting = waiting_.at(place);
    if (waiting.reason->first == reason) return false;
    --waiting.reason->second;
    waiting.reason = &*by_reason_.try_emplace(reason, 0).first;
    ++waiting.reason->second;
    return true;
  }
  absl::Duration WaitOf(uint64_t place, absl::Time now) const {
    return now - waiting_.at(place).since;
  }
  void Leave(uint64_t place, absl::Time now, bool served) {
    const auto waiting = waiting_.find(place);
    if (served) served_after_.Observe(absl::ToDoubleSeconds(now - waiting->second.since));
    --waiting->second.reason->second;
    waiting_.erase(waiting);
  }

  // Also reasons for which nobody waits any more.
  const CountByReason& by_reason() const { return by_reason_; }
  // Seconds until everything was there, of those that had to wait.
  const metrics::Histogram& served_after() const { return served_after_; }

 private:
  // Another address of the Service is being recorded, and nothing was said yet.
  static constexpr char kNotYet[] = "not-told-yet";
  struct Waiting {
    absl::Time since;
    std::pair<const std::string, uint64_t>* reason;
  };
  absl::flat_hash_map<uint64_t, Waiting> waiting_;  // by place in the queue
  CountByReason by_reason_;
  metrics::Histogram served_after_{metrics::kSeconds};
};

struct Counters {
  std::array<AddressCounters, 2> addresses;  // by FamilyIndex()
  CountByReason refusals;                    // a Service was told why it lacks something
  uint64_t not_adopted = 0;                  // addresses found in use and not taken over
  uint64_t unreadable = 0;                   // rows of the journal at the start
  // By the State that they were told last.
  std::array<uint64_t, std::size(kStates)> services = {};
  PickerCounters pickers;
};

}  // namespace portolan::ipam
