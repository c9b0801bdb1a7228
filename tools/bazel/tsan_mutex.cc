// Tells the thread sanitizer about Abseil's locks (--config=tsan only). Debian's Abseil is built
// without it and waits on futexes, so every lock would be invisible and everything it guards a
// false race. The definitions here come before the library's in symbol resolution, for our code and
// for gRPC's alike; each announces what the library's own one does.
//
// Between a pre_ and its post_ call the sanitizer ignores memory accesses, which covers the
// evaluation of other threads' conditions inside the library.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace {

// The library's own definition. Debian puts Abseil's names into the inline namespace debian3.
template <typename Function>
Function* Real(const char* symbol) {
  void* const found = dlsym(RTLD_NEXT, symbol);
  if (found == nullptr) __builtin_trap();
  return reinterpret_cast<Function*>(found);
}

// A lock taken; `kind` may be a read lock.
template <typename Call>
auto Take(void* mutex, unsigned kind, Call call) {
  struct Taken {
    void* mutex;
    unsigned kind;
    ~Taken() { __tsan_mutex_post_lock(mutex, kind, 0); }
  } taken{mutex, kind};
  __tsan_mutex_pre_lock(mutex, kind);
  return call();
}

bool Attempt(void* mutex, unsigned kind, bool (*real)(absl::Mutex*)) {
  kind |= __tsan_mutex_try_lock;
  __tsan_mutex_pre_lock(mutex, kind);
  const bool taken = real(static_cast<absl::Mutex*>(mutex));
  __tsan_mutex_post_lock(mutex, taken ? kind : kind | __tsan_mutex_try_lock_failed, 0);
  return taken;
}

void Drop(void* mutex, unsigned kind, void (*real)(absl::Mutex*)) {
  __tsan_mutex_pre_unlock(mutex, kind);
  real(static_cast<absl::Mutex*>(mutex));
  __tsan_mutex_post_unlock(mutex, kind);
}

thread_local bool waiting = false;

// A lock given back for as long as the call waits, and taken again. The library's waits call one
// another; the outermost one is told.
template <typename Call>
auto Wait(void* mutex, Call call) {
  if (waiting) return call();
  struct Waiting {
    Waiting() { waiting = true; }
    ~Waiting() { waiting = false; }
  } until_return;
  __tsan_mutex_pre_unlock(mutex, 0);
  __tsan_mutex_post_unlock(mutex, 0);
  return Take(mutex, 0, call);
}

using absl::Condition;
using absl::CondVar;
using absl::Duration;
using absl::Mutex;
using absl::Notification;
using absl::Time;

}  // namespace

// gRPC orders its own memory by atomics inside Debian's library, invisible here; that includes the
// templates that it puts into our programs. The price: a race between two of our gRPC handlers is
// not reported. They only post to the loop.
extern "C" const char* __tsan_default_suppressions() { return "race:^grpc::internal::\n"; }

void Mutex::Lock() {
  static auto* const real = Real<void(Mutex*)>("_ZN4absl7debian35Mutex4LockEv");
  Take(this, 0, [this] { real(this); });
}

void Mutex::Unlock() {
  static auto* const real = Real<void(Mutex*)>("_ZN4absl7debian35Mutex6UnlockEv");
  Drop(this, 0, real);
}

bool Mutex::TryLock() {
  static auto* const real = Real<bool(Mutex*)>("_ZN4absl7debian35Mutex7TryLockEv");
  return Attempt(this, 0, real);
}

void Mutex::ReaderLock() {
  static auto* const real = Real<void(Mutex*)>("_ZN4absl7debian35Mutex10ReaderLockEv");
  Take(this, __tsan_mutex_read_lock, [this] { real(this); });
}

void Mutex::ReaderUnlock() {
  static auto* const real = Real<void(Mutex*)>("_ZN4absl7debian35Mutex12ReaderUnlockEv");
  Drop(this, __tsan_mutex_read_lock, real);
}

bool Mutex::ReaderTryLock() {
  static auto* const real = Real<bool(Mutex*)>("_ZN4absl7debian35Mutex13ReaderTryLockEv");
  return Attempt(this, __tsan_mutex_read_lock, real);
}

void Mutex::LockWhen(const Condition& condition) {
  static auto* const real =
      Real<void(Mutex*, const Condition&)>("_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE");
  Take(this, 0, [&] { real(this, condition); });
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "_ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Take(this, 0, [&] { return real(this, condition, timeout); });
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "_ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Take(this, 0, [&] { return real(this, condition, deadline); });
}

void Mutex::Await(const Condition& condition) {
  static auto* const real =
      Real<void(Mutex*, const Condition&)>("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE");
  Wait(this, [&] { real(this, condition); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Wait(this, [&] { return real(this, condition, timeout); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Wait(this, [&] { return real(this, condition, deadline); });
}

void CondVar::Wait(Mutex* mutex) {
  static auto* const real =
      Real<void(CondVar*, Mutex*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  ::Wait(mutex, [&] { real(this, mutex); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static auto* const real = Real<bool(CondVar*, Mutex*, Duration)>(
      "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return ::Wait(mutex, [&] { return real(this, mutex, timeout); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static auto* const real = Real<bool(CondVar*, Mutex*, Time)>(
      "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return ::Wait(mutex, [&] { return real(this, mutex, deadline); });
}

void Notification::Notify() {
  static auto* const real = Real<void(Notification*)>("_ZN4absl7debian312Notification6NotifyEv");
  __tsan_release(this);
  real(this);
}

void Notification::WaitForNotification() const {
  static auto* const real =
      Real<void(const Notification*)>("_ZNK4absl7debian312Notification19WaitForNotificationEv");
  real(this);
  __tsan_acquire(const_cast<Notification*>(this));
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const real = Real<bool(const Notification*, Duration)>(
      "_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = real(this, timeout);
  if (notified) __tsan_acquire(const_cast<Notification*>(this));
  return notified;
}
