// Carries the octets of one NETCONF session between its transport and libnetconf2, which has a
// socket of its own for each; what the client sends passes an Intake. Private to this room.
//
// On the transport's thread, which asks what to wait for and then lets it move what can be moved.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "services/base/netconf/intake.h"

namespace portolan::netconf {

// The plain text of a transport. Never blocks.
class Stream {
 public:
  static constexpr ssize_t kEnd = 0;  // the client sends no more; it may still read
  static constexpr ssize_t kNothing = -1;
  static constexpr ssize_t kBroken = -2;

  virtual ~Stream() = default;
  // Octets read, or one of the three.
  virtual ssize_t Read(char* to, size_t size) = 0;
  // Octets written, kNothing or kBroken.
  virtual ssize_t Write(absl::string_view octets) = 0;
  // There is something to read that a socket does not show.
  virtual bool has_more() const { return false; }
};

// What a session was opened with: our end of the socket that libnetconf2 reads, and the intake.
struct Opened {
  int fd = -1;
  Intake intake;
  // A session on which nothing passes for so long is ended.
  absl::Duration idle_timeout = absl::InfiniteDuration();
};

class Relay {
 public:
  Relay(Stream* outer, Opened opened)
      : outer_(outer),
        inner_(opened.fd),
        idle_timeout_(opened.idle_timeout),
        intake_(std::move(opened.intake)),
        last_in_(absl::Now()),
        last_out_(last_in_) {}
  // The library reads an end.
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  struct Wish {
    bool read = false;   // from the client
    bool write = false;  // to it
    int fd = -1;         // of the library; -1: none
    short events = 0;    // of poll(), there
    absl::Duration timeout = absl::InfiniteDuration();
  };
  Wish Wants(absl::Time now) const;

  // `hung_up`: the library has closed its end, as poll() says. False: it is over.
  bool Step(bool hung_up, absl::Time now);

 private:
  void TakeIn(absl::Time now);
  bool HandOver();
  void TakeOut(absl::Time now);
  bool ReadInner(absl::Time now);

  Stream* const outer_;
  const int inner_;
  const absl::Duration idle_timeout_;
  Intake intake_;
  std::string out_;  // for the client

  bool no_more_in_ = false;   // the client is heard no further
  bool told_ = false;         // and the library knows
  bool hung_up_ = false;      // the library closed its end
  bool no_more_out_ = false;  // and everything of it was read
  bool broken_ = false;       // the transport is gone
  size_t taken_ = 0;          // octets from the client since memory was given back
  absl::Time last_in_;
  absl::Time last_out_;
};

// Until the session or the transport is over. `fd`: the socket of `outer`.
void Carry(Stream* outer, int fd, Opened opened);

}  // namespace portolan::netconf
