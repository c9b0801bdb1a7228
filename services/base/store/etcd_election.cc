#include "services/base/store/etcd_election.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::store {
namespace {

constexpr absl::Duration kFirstRetry = absl::Milliseconds(100);
constexpr absl::Duration kMaxRetry = absl::Seconds(2);

}  // namespace

absl::Duration Leadership::Remaining() const {
  absl::MutexLock lock(&mutex_);
  if (ended_) return absl::ZeroDuration();
  return std::max(expires_ - clock_->Now(), absl::ZeroDuration());
}

void Leadership::Renew(absl::Time expires) {
  absl::MutexLock lock(&mutex_);
  expires_ = expires;
}

void Leadership::End() {
  absl::MutexLock lock(&mutex_);
  ended_ = true;
}

bool Leadership::AwaitEnd(absl::Duration patience) const {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&ended_), patience);
}

Election::Election(std::unique_ptr<EtcdClient> client, Options options, const Clock* clock,
                   Handlers handlers)
    : client_(std::move(client)),
      options_(std::move(options)),
      clock_(clock),
      handlers_(std::move(handlers)),
      thread_([this] { Run(); }) {}

Election::~Election() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    if (leading_ != nullptr) leading_->End();
    if (!revoking_) client_->Cancel();
  }
  thread_.join();
}

bool Election::SetLeading(std::shared_ptr<Leadership> leadership) {
  absl::MutexLock lock(&mutex_);
  leading_ = std::move(leadership);
  return !stopping_;
}

bool Election::stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

void Election::Sleep(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stopping_), duration);
}

void Election::Wait(const std::string& why) {
  if (why == reason_ || stopping()) return;
  reason_ = why;
  handlers_.on_waiting(why);
}

void Election::Run() {
  absl::Duration retry = kFirstRetry;
  while (!stopping()) {
    const absl::Status status = Round();
    if (status.ok()) {
      retry = kFirstRetry;
      continue;
    }
    Wait(absl::StrCat("the store is away: ", status.message()));
    Sleep(retry);
    retry = std::min(retry * 2, kMaxRetry);
  }
}

absl::Status Election::Round() {
  etcdserverpb::RangeRequest request;
  request.set_key(options_.key);
  ASSIGN_OR_RETURN(const etcdserverpb::RangeResponse found, client_->Range(request));
  if (found.kvs_size() > 0) {
    Wait(absl::StrCat("standby, leader is ", found.kvs(0).value()));
    const absl::Status status =
        client_->AwaitDeletion(options_.key, found.header().revision() + 1, options_.ttl);
    // The time was up or the member went away: look again, at another one if need be.
    return absl::IsUnavailable(status) ? absl::OkStatus() : status;
  }
  const absl::Time before = clock_->Now();
  ASSIGN_OR_RETURN(const EtcdClient::Lease lease, client_->Grant(options_.ttl));
  // However this ends, the lease does not outlive it: the next one need not wait for its expiry.
  const absl::Cleanup revoke = [&] { Revoke(lease); };
  ASSIGN_OR_RETURN(const std::shared_ptr<Leadership> leadership, Campaign(lease, before));
  if (leadership == nullptr) return absl::OkStatus();
  if (!SetLeading(leadership)) return absl::OkStatus();
  reason_.clear();
  handlers_.on_elected(leadership);
  const absl::Status why = Lead(lease, *leadership);
  SetLeading(nullptr);
  leadership->End();
  handlers_.on_lost(why);
  return absl::OkStatus();
}

// Also of an election that ends: its destructor waits for this one call.
void Election::Revoke(const EtcdClient::Lease& lease) {
  {
    absl::MutexLock lock(&mutex_);
    revoking_ = true;
    client_->Restart();
  }
  client_->Revoke(lease.id).IgnoreError();  // else it expires by itself
  absl::MutexLock lock(&mutex_);
  revoking_ = false;
  if (stopping_) client_->Cancel();
}

// Null: another one was faster.
absl::StatusOr<std::shared_ptr<Leadership>> Election::Campaign(const EtcdClient::Lease& lease,
                                                               absl::Time granted) {
  etcdserverpb::TxnRequest request;
  etcdserverpb::Compare& compare = *request.add_compare();
  compare.set_target(etcdserverpb::Compare::CREATE);
  compare.set_key(options_.key);
  compare.set_create_revision(0);
  etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(options_.key);
  put.set_value(options_.name);
  put.set_lease(lease.id);
  ASSIGN_OR_RETURN(const etcdserverpb::TxnResponse response, client_->Txn(request));
  if (!response.succeeded()) return std::shared_ptr<Leadership>();
  return std::make_shared<Leadership>(options_.key, response.header().revision(), clock_,
                                      granted + lease.ttl);
}

// Returns why it is over.
absl::Status Election::Lead(const EtcdClient::Lease& lease, Leadership& leadership) {
  absl::Duration pause = lease.ttl / 3;
  for (;;) {
    if (leadership.AwaitEnd(std::min(pause, leadership.Remaining()))) {
      return absl::CancelledError(stopping() ? "this process stops" : "another process leads");
    }
    if (!leadership.Holds()) {
      return absl::UnavailableError("the store did not renew the lease in time");
    }
    const absl::Time before = clock_->Now();
    const absl::StatusOr<absl::Duration> ttl =
        client_->KeepAlive(lease.id, std::min(lease.ttl / 3, leadership.Remaining()));
    if (ttl.ok()) {
      leadership.Renew(before + *ttl);
      pause = *ttl / 3;
    } else if (absl::IsNotFound(ttl.status())) {
      return ttl.status();
    } else {
      pause = kFirstRetry;
    }
  }
}

}  // namespace portolan::store
