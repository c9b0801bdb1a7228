// Notifications over NETCONF (RFC 5277): one stream, NETCONF, with a log of the last 1,000 events
// for replay. It tells RFC 6470 (configuration changes, sessions, confirmed commits) and what the
// services report (event_source.h).
//
// Thread-safe; a thread of its own ends subscriptions whose stopTime has come.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/base/clock/clock.h"
#include "services/base/netconf/message.h"
#include "services/base/netconf/server.h"
#include "services/base/yang/tree.h"
#include "services/config-service/shell/netconf/gate.h"

namespace portolan::config {

class Notices {
 public:
  // `gate` and `clock` are not owned.
  Notices(std::shared_ptr<const yang::Context> context, Gate* gate, const Clock* clock);
  ~Notices();

  // Before the first session opens; not owned, and outlives the sessions. Null: nobody is told any
  // more.
  void SetServer(netconf::Server* server);

  // create-subscription; nothing: an operation of somebody else.
  std::optional<netconf::Reply> Handle(const netconf::SessionInfo& session,
                                       const netconf::Request& request);
  void OnClosed(uint32_t session);

  // `xml`: the notification's own element, of that module. Our bug when it does not fit. `place`:
  // what of the operational state it speaks of, as instance data (RFC 7951); who may not read that
  // is not told. Empty: nothing.
  void Tell(const std::string& module, const std::string& name, const std::string& xml,
            const std::string& place = "");

 private:
  struct Event {
    absl::Time time;
    std::string module;
    std::string name;
    std::string xml;
    std::string place;
  };
  struct Subscription {
    netconf::SessionInfo session;
    std::optional<yang::Tree> filter;  // the element <filter>
    std::optional<absl::Time> start;   // replay from then on
    absl::Time stop = absl::InfiniteFuture();
  };

  netconf::Reply Subscribe(const netconf::SessionInfo& session, yang::Node input);
  bool Wants(const Subscription& subscription, const Event& event) const;
  void Send(const Subscription& subscription, const Event& event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Replay(const Subscription& subscription) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndSubscriptions();

  const std::shared_ptr<const yang::Context> context_;
  Gate* const gate_;
  const Clock* const clock_;
  absl::Mutex mutex_;
  netconf::Server* server_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;  // which subscription ends next
  std::deque<Event> log_ ABSL_GUARDED_BY(mutex_);
  std::map<uint32_t, Subscription> subscriptions_ ABSL_GUARDED_BY(mutex_);  // by session
  std::thread thread_;
};

}  // namespace portolan::config
