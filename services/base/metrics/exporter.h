// The HTTP endpoint that Prometheus scrapes: GET /metrics, over prometheus-cpp's own server.
//
// A scrape asks every source at once, each on the loop that owns its state, and waits for the
// answers up to kPatience; so a scrape costs nothing between scrapes, and its numbers are exact. A
// source that does not answer in time is left out, and portolan_loop_answers says 0 for it.
//
// Owned by the process; sources are added and removed by whoever runs a service. Thread-safe but
// for Listen() and Close(), which are called on one thread. Sources must go before the exporter.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/base/clock/clock.h"
#include "services/base/loop/loop.h"
#include "services/base/metrics/page.h"

namespace portolan::metrics {

class Exporter {
 private:
  struct State;  // of a source

 public:
  using Collect = std::function<void(Page&)>;
  // Less than a scraper waits (10 s is usual).
  static constexpr absl::Duration kPatience = absl::Seconds(5);

  // As long as it lives, its source is asked. With a loop: destroyed on the loop's thread, or while
  // the loop does not run. Without: the destructor waits for a call that runs.
  class Source {
   public:
    ~Source();
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

   private:
    friend class Exporter;
    Source(Exporter* exporter, std::shared_ptr<const State> state)
        : exporter_(exporter), state_(std::move(state)) {}
    Exporter* const exporter_;
    const std::shared_ptr<const State> state_;
  };

  // `clock` outlives this object; its Now() is called on several threads.
  explicit Exporter(const Clock* clock);
  ~Exporter();

  // `service` is the value of the label of portolan_loop_*. `loop` null: `collect` is thread-safe.
  [[nodiscard]] std::unique_ptr<Source> Add(std::string service, Loop* loop, Collect collect);

  // Serves on this address (text, IPv4: Debian builds civetweb without IPv6) and port, 0: a free
  // one; returns the port. Replaces what was served. FAILED_PRECONDITION: why not; then nothing is
  // served.
  absl::StatusOr<int> Listen(const std::string& address, int port);
  // Scrapes that run are answered with what has come.
  void Close();

  // What a scrape gets. Blocks; not on the loop of a source.
  Page Scrape();

 private:
  class Collector;
  struct Server;
  struct Round;

  // Asks every source; those without a loop have answered when it returns.
  std::shared_ptr<Round> Ask();
  void AskOnLoop(const std::shared_ptr<Round>& round, const std::shared_ptr<const State>& source);

  const Clock* const clock_;
  absl::Mutex mutex_;
  std::list<std::shared_ptr<const State>> sources_ ABSL_GUARDED_BY(mutex_);
  std::list<std::weak_ptr<Round>> rounds_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Server> server_;
};

}  // namespace portolan::metrics
