// A caller of address pickers in other processes (api/proto/plugin/v1alpha1).
//
// Pick() returns at once; the answer comes through the callback, on a thread of gRPC, within the
// deadline. At most kMaxInFlight questions are out at a time; the others wait here, and their
// deadline begins when they are sent. Thread-safe. The destructor cancels what is out, and every
// question is answered before it returns.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"

namespace portolan::plugin {

class RemotePicker {
 public:
  static constexpr int kMaxInFlight = 64;

  struct Question {
    std::string service;
    std::string pool;
    std::vector<net::Range> free;  // lowest first, one family
  };
  // `address` without a value: the plugin declined, `message` says why. An error: no answer, or
  // one that is not an address; the message names the endpoint.
  struct Answer {
    absl::StatusOr<std::optional<net::IpAddress>> address;
    std::string message;
  };
  using Callback = std::function<void(Answer)>;

  // `endpoint` as gRPC names it, e.g. "unix:/run/portolan/picker.sock". Connects when needed.
  RemotePicker(std::string endpoint, absl::Duration deadline);
  ~RemotePicker();

  void Pick(Question question, Callback callback);

 private:
  struct Call;
  class Stub;

  void Start(Call* call);
  void Finish(Call* call);
  Answer AnswerOf(const Call& call) const;

  const std::string endpoint_;
  const absl::Duration deadline_;
  const std::unique_ptr<Stub> stub_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Call>> in_flight_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<Call>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::plugin
