// One question to a server over a socket: connect, send a text, judge what comes back. For health
// checks that need no more than that.
//
// Lives on the loop's thread; nothing blocks. The text must fit into an empty socket buffer (a few
// kilobytes do). At most kMaxAnswer bytes of the answer are read.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "plugins/sdk/health_check.h"

namespace portolan::plugin {

class Exchange : public HealthCheck::Attempt {
 public:
  static constexpr size_t kMaxAnswer = 4096;

  // The verdict, or nullopt while more of the answer is needed; `ended`: there is no more.
  using Judge =
      absl::AnyInvocable<std::optional<absl::Status>(absl::string_view answer, bool ended)>;

  struct Question {
    int socket_type = 0;  // SOCK_STREAM or SOCK_DGRAM
    std::string text;
    Judge judge;  // null: to be connected is enough
  };

  static std::unique_ptr<Exchange> Begin(Loop* loop, const HealthTarget& target, Question question,
                                         HealthCheck::Done done);
  ~Exchange() override;

 private:
  Exchange(Loop* loop, Question question, HealthCheck::Done done)
      : loop_(loop), question_(std::move(question)), done_(std::move(done)) {}
  void Connect(const HealthTarget& target);
  void OnWritable();
  void OnReadable();
  void Watch(int events, void (Exchange::*handler)());
  // Tells it in a turn of its own, in which the exchange may be destroyed.
  void Finish(absl::Status verdict);

  Loop* const loop_;
  Question question_;
  HealthCheck::Done done_;
  int fd_ = -1;
  Loop::FdId watch_ = 0;
  bool asked_ = false;
  bool finished_ = false;
  std::string answer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is posted
};

}  // namespace portolan::plugin
