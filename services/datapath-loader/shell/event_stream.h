// The ring of events, read for whoever watches: turns each event into words and hands it to the
// watchers that it concerns. Nobody watches: nothing is read, and nothing is wanted of the
// programs.
//
// Belongs to the control thread. When the ring is full the programs lose events, which nobody
// counts; what a watcher is too slow for it is told.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "api/proto/datapath/v1alpha1/control.pb.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/clock/clock.h"
#include "services/base/loop/loop.h"
#include "services/datapath-loader/shell/event_watcher.h"
#include "services/datapath-loader/shell/live_maps.h"
#include "services/datapath-loader/shell/service_names.h"
#include "services/datapath-loader/shell/tracing.h"

struct ring_buffer;

namespace portolan::datapath {

class EventStream {
 public:
  // All outlive this. `on_wish`: what the watchers want changed.
  EventStream(Loop* loop, const Clock* clock, const LiveMaps& maps, const ServiceNames& names,
              std::function<void(TraceWish)> on_wish);
  // Ends all watchers with UNAVAILABLE.
  ~EventStream();

  // NOT_FOUND: this node has no such Service.
  absl::Status Watch(const v1alpha1::WatchEventsRequest& request,
                     std::shared_ptr<EventWatcher> watcher);
  // The call of a watcher has ended, or the names have changed: says anew what is wanted.
  void Refresh();

 private:
  struct Entry {
    std::string service;  // empty: drops
    uint32_t drop_sample = 0;
    std::shared_ptr<EventWatcher> watcher;
  };

  absl::Status Open();
  void Close();
  void Consume();
  static int OnSample(void* self, void* data, size_t size);
  void Deliver(const portolan_event& event);
  v1alpha1::Event ToProto(const portolan_event& event, const std::string& service) const;
  std::string BackendOf(uint32_t id) const;

  Loop* const loop_;
  const Clock* const clock_;
  const LiveMaps& maps_;
  const ServiceNames& names_;
  const std::function<void(TraceWish)> on_wish_;
  std::list<Entry> watchers_;
  TraceWish wish_;
  ring_buffer* ring_ = nullptr;
  Loop::FdId watch_ = 0;
  int budget_ = 0;  // events that this turn of the loop may still take
  bool discards_ = false;
};

}  // namespace portolan::datapath
