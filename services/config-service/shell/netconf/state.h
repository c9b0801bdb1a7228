// State data: what the services report (operational.h), and what NETCONF itself has:
// ietf-netconf-monitoring (RFC 6022), ietf-yang-library (RFC 8525), the streams of
// nc-notifications (RFC 5277) and the counters of ietf-netconf-acm (RFC 8341). Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/base/netconf/server.h"
#include "services/base/yang/tree.h"
#include "services/config-service/core/locks.h"
#include "services/config-service/shell/access.h"
#include "services/config-service/shell/operational.h"

namespace portolan::config {

// Where operational state comes from, on demand. Thread-safe.
class StateSource {
 public:
  virtual ~StateSource() = default;
  virtual absl::StatusOr<yang::Tree> State() = 0;
};

class NetconfState : public StateSource {
 public:
  // `start`: since when there is a log of notifications. `access` is not owned.
  NetconfState(std::shared_ptr<const yang::Context> context, const Access* access, absl::Time start)
      : context_(std::move(context)), access_(access), start_(start) {}
  // Before the first session opens; not owned, and outlives the sessions.
  void SetServer(netconf::Server* server) { server_ = server; }
  // The same; what the services report.
  void SetOperational(const Operational* operational) { operational_ = operational; }

  absl::StatusOr<yang::Tree> State() override;

  void OnLock(uint64_t session, Datastore datastore, bool locked, absl::Time now);
  // Its locks are free.
  void OnClosed(uint64_t session);

 private:
  struct Lock {
    uint64_t session = 0;  // 0: nobody
    absl::Time since;
  };

  std::string Monitoring();
  std::string DatastoreList();

  const std::shared_ptr<const yang::Context> context_;
  const Access* const access_;
  const absl::Time start_;
  netconf::Server* server_ = nullptr;
  const Operational* operational_ = nullptr;
  absl::Mutex mutex_;
  std::array<Lock, kDatastores> locks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::config
