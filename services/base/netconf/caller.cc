#include "services/base/netconf/caller.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/base/netconf/sockets.h"

namespace portolan::netconf {

// Of the thread; the Caller only stops it.
class Caller::Loop {
 public:
  Loop(std::string name, CallHomeClient client, Host host)
      : name_(std::move(name)),
        client_(std::move(client)),
        host_(std::move(host)),
        stop_(eventfd(0, EFD_CLOEXEC)) {}
  ~Loop() { close(stop_); }

  void Stop() {
    stopped_ = true;
    const uint64_t one = 1;
    // Whoever waits wakes up; that it counts at all does not matter.
    if (write(stop_, &one, sizeof(one)) != sizeof(one)) return;
  }

  void Run() {
    Redial redial(client_.plan);
    Redial::Call call = redial.First(Chance());
    while (!Waited(call.wait)) {
      const TcpEndpoint& endpoint = client_.endpoints[call.endpoint];
      const absl::Time began = absl::Now();
      bool had_session = false;
      const absl::Status status = Try(endpoint, &had_session);
      if (had_session) {
        call = redial.AfterSession(began, absl::Now(), Chance());
      } else {
        call = redial.AfterFailure();
      }
      if (!stopped_) Report(endpoint, false, had_session ? absl::OkStatus() : status);
    }
  }

 private:
  double Chance() { return absl::Uniform(chance_, 0.0, 1.0); }

  // True: it is stopped.
  bool Waited(absl::Duration wait) {
    const absl::Time until = absl::Now() + wait;
    for (absl::Duration left = wait; left > absl::ZeroDuration() && !stopped_;
         left = until - absl::Now()) {
      pollfd file = {stop_, POLLIN, 0};
      poll(&file, 1,
           static_cast<int>(absl::ToInt64Milliseconds(std::min(left, absl::Hours(1)))) + 1);
    }
    return stopped_;
  }

  absl::Status Try(const TcpEndpoint& endpoint, bool* had_session) {
    absl::StatusOr<int> fd = ConnectTcp(endpoint.address, endpoint.port, client_.max_wait, stop_);
    if (!fd.ok()) return fd.status();
    return host_.serve(*fd, endpoint, client_.idle_timeout, [&] {
      *had_session = true;
      if (!stopped_) Report(endpoint, true, absl::OkStatus());
    });
  }

  void Report(const TcpEndpoint& endpoint, bool connected, const absl::Status& failure) {
    host_.report({.client = name_,
                  .place = absl::StrCat(endpoint.address, " port ", endpoint.port),
                  .connected = connected,
                  .failure = failure});
  }

  const std::string name_;
  const CallHomeClient client_;
  const Host host_;
  const int stop_;
  std::atomic<bool> stopped_ = false;
  absl::BitGen chance_;
};

Caller::Caller(std::string name, CallHomeClient client, const Host& host)
    : loop_(std::make_shared<Loop>(std::move(name), std::move(client), host)) {
  host.start([loop = loop_] { loop->Run(); });
}

Caller::~Caller() { loop_->Stop(); }

}  // namespace portolan::netconf
