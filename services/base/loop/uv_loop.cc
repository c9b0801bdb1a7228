#include <uv.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "services/base/loop/loop.h"

namespace portolan {
namespace {

// libuv handles must be closed on the loop and stay alive until their close callback: each one is
// a heap object that deletes itself there.
struct TimerHandle {
  uv_timer_t uv;
  Loop::Callback callback;
  absl::flat_hash_map<Loop::TimerId, TimerHandle*>* timers;
  Loop::TimerId id;
};

struct WatchHandle {
  uv_poll_t uv;
  absl::AnyInvocable<void(int)> callback;
  bool closed = false;   // Unwatch() was called from inside its own callback
  bool running = false;  // the callback is on the stack
};

template <typename Handle>
void CloseAndDelete(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->uv),
           [](uv_handle_t* uv) { delete static_cast<Handle*>(uv->data); });
}

class UvLoop : public Loop {
 public:
  UvLoop() {
    uv_loop_init(&loop_);
    uv_async_init(&loop_, &wake_,
                  [](uv_async_t* wake) { static_cast<UvLoop*>(wake->data)->RunPosted(); });
    wake_.data = this;
  }

  ~UvLoop() override {
    for (const auto& [id, timer] : timers_) CloseAndDelete(timer);
    for (const auto& [id, watch] : watches_) CloseAndDelete(watch);
    uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);  // only runs the close callbacks
    uv_loop_close(&loop_);
  }

  void Post(Callback callback) override {
    {
      absl::MutexLock lock(&mutex_);
      posted_.push_back(std::move(callback));
    }
    uv_async_send(&wake_);
  }

  TimerId RunAfter(absl::Duration delay, Callback callback) override {
    auto* timer = new TimerHandle{{}, std::move(callback), &timers_, next_id_++};
    uv_timer_init(&loop_, &timer->uv);
    timer->uv.data = timer;
    timers_[timer->id] = timer;
    const absl::Duration wait = std::max(delay, absl::ZeroDuration());
    uv_update_time(&loop_);
    uv_timer_start(&timer->uv, &UvLoop::OnTimer,
                   absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1))), 0);
    return timer->id;
  }

  void Cancel(TimerId id) override {
    const auto it = timers_.find(id);
    if (it == timers_.end()) return;
    CloseAndDelete(it->second);
    timers_.erase(it);
  }

  FdId Watch(int fd, int events, absl::AnyInvocable<void(int)> callback) override {
    auto* watch = new WatchHandle{{}, std::move(callback)};
    uv_poll_init(&loop_, &watch->uv, fd);
    watch->uv.data = watch;
    const int wanted =
        ((events & kReadable) ? UV_READABLE : 0) | ((events & kWritable) ? UV_WRITABLE : 0);
    uv_poll_start(&watch->uv, wanted, &UvLoop::OnReady);
    const FdId id = next_id_++;
    watches_[id] = watch;
    return id;
  }

  void Unwatch(FdId id) override {
    const auto it = watches_.find(id);
    if (it == watches_.end()) return;
    WatchHandle* watch = it->second;
    watches_.erase(it);
    uv_poll_stop(&watch->uv);
    watch->closed = true;
    if (!watch->running) CloseAndDelete(watch);
  }

  void Run() override {
    if (TakeStop()) return;
    uv_run(&loop_, UV_RUN_DEFAULT);
  }

  void Stop() override {
    {
      absl::MutexLock lock(&mutex_);
      stop_ = true;
    }
    uv_async_send(&wake_);
  }

 private:
  static void OnTimer(uv_timer_t* uv) {
    auto* timer = static_cast<TimerHandle*>(uv->data);
    Callback callback = std::move(timer->callback);
    timer->timers->erase(timer->id);
    CloseAndDelete(timer);
    callback();
  }

  static void OnReady(uv_poll_t* uv, int status, int ready) {
    auto* watch = static_cast<WatchHandle*>(uv->data);
    const int both = kReadable | kWritable;
    const int events = status < 0 ? both
                                  : ((ready & UV_READABLE) ? kReadable : 0) |
                                        ((ready & UV_WRITABLE) ? kWritable : 0);
    watch->running = true;
    watch->callback(events);
    watch->running = false;
    if (watch->closed) CloseAndDelete(watch);
  }

  void RunPosted() {
    std::vector<Callback> batch;
    {
      absl::MutexLock lock(&mutex_);
      batch.swap(posted_);
    }
    for (Callback& callback : batch) callback();
    if (TakeStop()) uv_stop(&loop_);
  }

  bool TakeStop() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(stop_, false);
  }

  uv_loop_t loop_;
  uv_async_t wake_;
  absl::Mutex mutex_;
  std::vector<Callback> posted_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<TimerId, TimerHandle*> timers_;
  absl::flat_hash_map<FdId, WatchHandle*> watches_;
  uint64_t next_id_ = 1;
};

}  // namespace

std::unique_ptr<Loop> NewLoop() { return std::make_unique<UvLoop>(); }

}  // namespace portolan
