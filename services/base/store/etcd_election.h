// One leader among processes that share a key of etcd, by lease.
//
// A process leads while it holds a lease that the key is bound to. It waits for the key to go by a
// watch, keeps its lease alive at a third of its time to live, and takes itself for deposed at the
// latest when the lease would expire by its own clock, counted from before the renewal was sent: so
// never after etcd does. Its term is the create revision of the key; it grows with every leader.
//
// The handlers are called on a thread of the election, one at a time: waiting*, then elected, then
// lost, then waiting again and so on. The destructor resigns: the next one leads at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/base/clock/clock.h"
#include "services/base/store/etcd_client.h"

namespace portolan::store {

// The right to write. Thread-safe.
class Leadership {
 public:
  Leadership(std::string key, int64_t term, const Clock* clock, absl::Time expires)
      : key_(std::move(key)), term_(term), clock_(clock), expires_(expires) {}

  const std::string& key() const { return key_; }
  int64_t term() const { return term_; }
  // How much longer it is certain; zero: it is over.
  absl::Duration Remaining() const;
  bool Holds() const { return Remaining() > absl::ZeroDuration(); }

  // Does nothing after End().
  void Renew(absl::Time expires);
  // For ever: its owner resigns, or a refused write has shown that another one leads.
  void End();
  // True: it has ended. False: it has not, so far.
  bool AwaitEnd(absl::Duration patience) const;

 private:
  const std::string key_;
  const int64_t term_;
  const Clock* const clock_;
  mutable absl::Mutex mutex_;
  absl::Time expires_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class Election {
 public:
  struct Options {
    std::string key;
    std::string name;  // of this process; what the others are told
    absl::Duration ttl;
  };
  struct Handlers {
    std::function<void(std::shared_ptr<Leadership>)> on_elected;
    std::function<void(const absl::Status& why)> on_lost;
    // Not leader, and why: "standby, leader is X", or what is wrong with etcd. Once per reason.
    std::function<void(const std::string& why)> on_waiting;
  };

  // `clock` outlives the election.
  Election(std::unique_ptr<EtcdClient> client, Options options, const Clock* clock,
           Handlers handlers);
  ~Election();

 private:
  void Run();
  // One round: until somebody else's key is gone, or until a leadership of ours is over.
  absl::Status Round();
  absl::StatusOr<std::shared_ptr<Leadership>> Campaign(const EtcdClient::Lease& lease,
                                                       absl::Time granted);
  absl::Status Lead(const EtcdClient::Lease& lease, Leadership& leadership);
  void Revoke(const EtcdClient::Lease& lease);
  void Wait(const std::string& why);
  void Sleep(absl::Duration duration);
  // False: the election ends.
  bool SetLeading(std::shared_ptr<Leadership> leadership);
  bool stopping();

  const std::unique_ptr<EtcdClient> client_;
  const Options options_;
  const Clock* const clock_;
  const Handlers handlers_;
  std::string reason_;  // last told
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool revoking_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Leadership> leading_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace portolan::store
