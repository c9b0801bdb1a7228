#include "services/datapath-loader/shell/event_watcher.h"

#include <string>
#include <utility>

#include "services/base/wire/grpc_status.h"

namespace portolan::datapath {

// gRPC's end of the call. Deletes itself; holds the watcher until then.
class EventWatcher::Reactor : public grpc::ServerWriteReactor<Response> {
 public:
  explicit Reactor(std::shared_ptr<EventWatcher> watcher) : watcher_(std::move(watcher)) {}
  void OnWriteDone(bool ok) override { watcher_->OnWritten(ok); }
  void OnCancel() override { watcher_->Finish(grpc::Status::CANCELLED); }
  void OnDone() override {
    watcher_->OnDone();
    delete this;
  }

 private:
  const std::shared_ptr<EventWatcher> watcher_;
};

std::shared_ptr<EventWatcher> EventWatcher::Begin() {
  std::shared_ptr<EventWatcher> watcher(new EventWatcher);
  absl::MutexLock lock(&watcher->mutex_);
  watcher->reactor_ = new Reactor(watcher);
  // The client learns that it is being served before the first event.
  watcher->reactor_->StartSendInitialMetadata();
  return watcher;
}

grpc::ServerWriteReactor<EventWatcher::Response>* EventWatcher::reactor() {
  absl::MutexLock lock(&mutex_);
  return reactor_;
}

void EventWatcher::Put(v1alpha1::Event event) {
  absl::MutexLock lock(&mutex_);
  if (ended_) return;
  if (waiting_.events_size() >= kMostWaiting) {
    waiting_.set_lost(waiting_.lost() + 1);
    return;
  }
  *waiting_.add_events() = std::move(event);
  SendNext();
}

void EventWatcher::Lost(uint64_t events) {
  absl::MutexLock lock(&mutex_);
  if (ended_ || events == 0) return;
  waiting_.set_lost(waiting_.lost() + events);
  SendNext();
}

void EventWatcher::SendNext() {
  if (sending_ || ended_ || (waiting_.events_size() == 0 && waiting_.lost() == 0)) return;
  sending_ = true;
  sent_ = std::exchange(waiting_, {});
  reactor_->StartWrite(&sent_);
}

void EventWatcher::End(const absl::Status& status) { Finish(wire::ToGrpc(status)); }

void EventWatcher::Finish(const grpc::Status& status) {
  std::function<void()> on_end;
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    ended_ = true;
    status_ = status;
    on_end = std::exchange(on_end_, nullptr);
    // A write on its way ends first.
    if (!sending_) {
      finished_ = true;
      reactor_->Finish(status_);
    }
  }
  if (on_end) on_end();
}

void EventWatcher::OnWritten(bool ok) {
  if (!ok) Finish(grpc::Status::CANCELLED);
  absl::MutexLock lock(&mutex_);
  sending_ = false;
  if (ended_ && !finished_) {
    finished_ = true;
    reactor_->Finish(status_);
  }
  SendNext();
}

void EventWatcher::OnDone() {
  absl::MutexLock lock(&mutex_);
  reactor_ = nullptr;
}

bool EventWatcher::has_ended() const {
  absl::MutexLock lock(&mutex_);
  return ended_;
}

void EventWatcher::OnEnd(std::function<void()> callback) {
  {
    absl::MutexLock lock(&mutex_);
    if (!ended_) {
      on_end_ = std::move(callback);
      return;
    }
  }
  callback();
}

}  // namespace portolan::datapath
