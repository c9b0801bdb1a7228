// One NETCONF session with its thread. Private to this room.
//
// Made by the server, which owns it until its thread ended. The thread alone reads requests and
// writes; others only leave notifications for it and end it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/base/netconf/handler.h"
#include "services/base/netconf/libnetconf2.h"
#include "services/base/netconf/message.h"
#include "services/base/netconf/refusals.h"

namespace portolan::netconf {

class Session {
 public:
  // What the server does for its sessions.
  struct Host {
    Handler* handler = nullptr;
    const ly_ctx* context = nullptr;
    // Before requests are read: now others find it by its number.
    std::function<void(Session*)> on_open;
  };

  // Of a socket whose hello is still to come, from `peer`; it becomes the session's. The rest of a
  // message that the intake has refused is in `refusals`.
  Session(const Host* host, int fd, SessionInfo peer, std::shared_ptr<Refusals> refusals);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Until it ends. On its own thread.
  void Run();

  // From any thread.
  const SessionInfo& info() const { return info_; }  // once it is open
  Counters counters() const;
  // Once it is over: its client did not close it.
  bool lost() const { return !closed_; }
  // Cuts the transport. `killer`: the session that wants it; 0: none does.
  void End(uint32_t killer);
  // False: too many wait, and it ends.
  bool Leave(nc_server_notif* notification);

  nc_server_reply* Answer(lyd_node* rpc);

 private:
  bool Open();
  void Serve();
  void SendNotifications();
  void Wait();
  void Cut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Ending TakeEnding();
  Reply ReplyTo(const Request& request);

  const Host* const host_;
  SessionInfo info_;
  const std::shared_ptr<Refusals> refusals_;
  int fd_;       // of the socket; -1: it is over
  int wake_up_;  // eventfd
  nc_session* session_ = nullptr;
  bool closed_ = false;  // by close-session

  mutable absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t killer_ ABSL_GUARDED_BY(mutex_) = 0;
  Counters counters_ ABSL_GUARDED_BY(mutex_);
  std::deque<nc_server_notif*> notifications_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::netconf
