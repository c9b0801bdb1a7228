// What stands in front of libnetconf2: it is given whole messages of a size that is allowed, framed
// well, each with a start tag. The others are answered with the error of RFC 6241 that they
// deserve, in their turn; what cannot be answered ends the session.
//
// One session's, on its relay's thread. Pure but for what the rules ask.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "services/base/netconf/envelope.h"
#include "services/base/netconf/error.h"
#include "services/base/netconf/framing.h"

namespace portolan::netconf {

class Intake {
 public:
  struct Rules {
    // What a hello agrees on. Nothing: it is none, or has no base that we know.
    std::function<std::optional<Version>(const std::string& hello)> read_hello;
    // What is wrong with an operation, if something is.
    std::function<std::optional<Error>(const ElementName& operation)> check_operation;
    // Keeps the error; an rpc whose get-schema asks for the identifier that it returns, will be
    // answered with it.
    std::function<std::string(Error error)> refuse;
    // In octets; asked at each message.
    std::function<size_t()> max_message;
  };
  explicit Intake(Rules rules) : rules_(std::move(rules)) {}

  // What the client has sent. False: the session must end, after what was taken before.
  bool Feed(absl::string_view octets);
  // What the library is to read.
  absl::Cord& ready() { return ready_; }
  const absl::Cord& ready() const { return ready_; }

  // A message of the client has begun and has not ended.
  bool in_message() const { return deframer_.in_message(); }

 private:
  bool TakeHello(const Message& message);
  bool TakeMessage(Message message);
  std::optional<Error> Check(const Message& message, const Envelope& envelope) const;

  Rules rules_;
  Deframer deframer_;
  std::optional<Version> version_;  // once hello was said
  absl::Cord ready_;
};

}  // namespace portolan::netconf
