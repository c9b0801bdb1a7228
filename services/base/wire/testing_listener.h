// A reader of ServiceIntent with a loop of its own, for tests: what it has heard so far.
//
// Owns the loop; everything happens on the caller's thread, in RunUntil().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "services/base/loop/loop.h"
#include "services/base/wire/reader.h"

namespace portolan::wire {

inline intent::v1alpha1::ServiceIntent Service(uint64_t generation) {
  intent::v1alpha1::ServiceIntent service;
  service.set_generation(generation);
  return service;
}

class Listener {
 public:
  explicit Listener(const Channels& channels) : loop_(NewLoop()) {
    using intent::v1alpha1::ServiceIntent;
    reader_ = std::make_unique<TypedReader<ServiceIntent>>(
        loop_.get(), channels,
        Handlers<ServiceIntent>{
            .on_upsert = [this](const std::string& key,
                                const ServiceIntent& s) { seen[key] = s.generation(); },
            .on_remove = [this](const std::string& key) { seen.erase(key), ++removals; },
            .on_synced = [this] { ++syncs; },
            .on_connected = [this](bool up) { connected = up; },
        });
  }

  // Runs the loop until the wish is fulfilled; false after ten seconds.
  bool RunUntil(const std::function<bool()>& wish) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    bool fulfilled = false;
    std::function<void()> look = [&] {
      fulfilled = wish();
      if (fulfilled || absl::Now() > deadline) return loop_->Stop();
      loop_->RunAfter(absl::Milliseconds(1), look);
    };
    loop_->Post(look);
    loop_->Run();
    return fulfilled;
  }

  std::map<std::string, uint64_t> seen;  // generation by key
  int removals = 0;
  int syncs = 0;
  bool connected = false;

 private:
  const std::unique_ptr<Loop> loop_;
  std::unique_ptr<TypedReader<intent::v1alpha1::ServiceIntent>> reader_;
};

}  // namespace portolan::wire
