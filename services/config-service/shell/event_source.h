// Follows what the services publish and says what happened: core/lookout.h with the streams that it
// looks at.
//
// Lives on the loop's thread. Follows while it is wanted; from the first complete picture on, so
// what happens while nobody wants it is never told. Notices come in
// batches, a few thousand a second at most: a burst of 100,000 waits here, where one costs some
// hundred bytes, and not in every session.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "services/base/process/service.h"
#include "services/base/wire/reader.h"
#include "services/config-service/core/lookout.h"
#include "services/config-service/core/notice.h"

namespace portolan::config {

class EventSource {
 public:
  using Listener = std::function<void(std::vector<Notice>)>;

  // What `context` lends outlives this. Reads from `upstreams` alone.
  EventSource(const process::Context& context, const process::Upstreams& upstreams);
  ~EventSource();

  // Who is told, on the loop's thread; null: nobody, and nothing is followed.
  void Listen(Listener listener);

  // From any thread. Whether the streams are followed.
  void Follow(bool wanted);
  // From which use on a pool is nearly full.
  void SetThreshold(uint32_t percent);

 private:
  struct Readers;

  void PostToLoop(std::function<void()> callback);
  void Adjust();
  void Handle(SeenEvent event);
  void Deliver();
  void Arm();

  const process::Context context_;
  const process::Upstreams upstreams_;
  Listener listener_;
  bool wanted_ = false;
  uint32_t threshold_percent_ = 90;
  std::optional<Lookout> lookout_;  // while the streams are followed
  std::deque<Notice> waiting_;
  uint64_t dropped_ = 0;  // since the last time that it was logged
  Loop::TimerId settle_timer_ = 0;
  Loop::TimerId deliver_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<Readers> readers_;  // last: their callbacks use what stands above
};

}  // namespace portolan::config
