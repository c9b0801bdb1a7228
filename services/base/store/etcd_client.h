// The calls to an etcd v3 cluster that the store and the election need, over several members.
//
// Sticks to one member until it does not answer, then turns to the next. Every call blocks, at most
// until its deadline. Thread-safe. The certificates are read once, by New().
//
// Errors: UNAVAILABLE (nobody answered; the outcome of a write is unknown), RESOURCE_EXHAUSTED (the
// member is full or has too many requests), OUT_OF_RANGE (the revision is compacted),
// UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT; CANCELLED after Cancel(). Each names the
// member.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/base/store/etcd.pb.h"

namespace grpc {
class Channel;
class ClientContext;
class Status;
}  // namespace grpc

namespace portolan::store {

struct EtcdOptions {
  std::vector<std::string> endpoints;  // "HOST:PORT", "[ADDRESS]:PORT"
  // PEM files. `ca_file` empty: no TLS. The other two together or not at all.
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string user;  // empty: no authentication
  std::string password;
  absl::Duration call_deadline = absl::Seconds(3);
};

class EtcdClient {
 public:
  // INVALID_ARGUMENT or NOT_FOUND name what is wrong with the options.
  static absl::StatusOr<std::unique_ptr<EtcdClient>> New(EtcdOptions options);
  ~EtcdClient();

  // Linearizable. Asks every member before it gives up.
  absl::StatusOr<etcdserverpb::RangeResponse> Range(const etcdserverpb::RangeRequest& request);
  // Sent once, to a member that is connected. `budget` shortens the deadline of the options.
  absl::StatusOr<etcdserverpb::TxnResponse> Txn(const etcdserverpb::TxnRequest& request,
                                                absl::Duration budget = absl::InfiniteDuration());

  struct Lease {
    int64_t id = 0;
    absl::Duration ttl;  // etcd may give more than was asked for
  };
  absl::StatusOr<Lease> Grant(absl::Duration ttl);
  // The new time to live. NOT_FOUND: the lease is gone.
  absl::StatusOr<absl::Duration> KeepAlive(int64_t lease, absl::Duration budget);
  absl::Status Revoke(int64_t lease);

  // OK: `key` was deleted at `revision` or later, or may have been. UNAVAILABLE: not within
  // `patience`, or the member went away.
  absl::Status AwaitDeletion(const std::string& key, int64_t revision, absl::Duration patience);

  // Ends the calls that run, and those to come until Restart().
  void Cancel();
  void Restart();

 private:
  struct Member {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };
  // One attempt on a channel with a prepared context.
  using Attempt =
      absl::FunctionRef<grpc::Status(const std::shared_ptr<grpc::Channel>&, grpc::ClientContext&)>;

  explicit EtcdClient(EtcdOptions options) : options_(std::move(options)) {}

  // `attempts`: how many members may be asked.
  absl::Status Call(size_t attempts, absl::Duration budget, Attempt attempt);
  absl::Status CallOnce(absl::Time deadline, Attempt attempt);
  // Turns to the next members until one is connected.
  absl::StatusOr<size_t> Connect(absl::Time deadline);
  grpc::Status Run(const Member& member, absl::Time deadline, const std::string& token,
                   Attempt attempt);
  absl::StatusOr<std::string> Token(const Member& member, absl::Time deadline);
  void TurnFrom(size_t member);

  const EtcdOptions options_;
  std::vector<Member> members_;
  absl::Mutex mutex_;
  size_t current_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<grpc::ClientContext*> running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::store
