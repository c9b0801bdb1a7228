#include "services/base/netconf/intake.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/netconf/elements.h"

namespace portolan::netconf {
namespace {

constexpr char kMonitoring[] = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring";
constexpr size_t kMaxHello = Deframer::kHead;

// The library is told no more than what was agreed on.
std::string HelloOf(Version version) {
  return absl::StrCat("<hello xmlns=\"", kBaseNamespace,
                      "\"><capabilities><capability>urn:ietf:params:netconf:base:1.",
                      version == Version::k10 ? "0" : "1", "</capability></capabilities></hello>");
}

std::string SizeText(size_t octets) {
  return absl::StrCat(octets >> 20, " MiB (/portolan-system:system/netconf/max-message-size)");
}

// With all attributes of the rpc, which its reply has, too.
std::string Question(const Envelope& envelope, const std::string& identifier) {
  return absl::StrCat("<", envelope.start_tag, "><get-schema xmlns=\"", kMonitoring,
                      "\"><identifier>", identifier, "</identifier></get-schema></",
                      envelope.tag_name, ">");
}

std::optional<std::string> FindingIn(const absl::Cord& text) {
  ElementScan scan;
  for (const absl::string_view chunk : text.Chunks()) scan.Feed(chunk);
  return scan.finding();
}

}  // namespace

bool Intake::Feed(absl::string_view octets) {
  for (;;) {
    if (!deframer_.in_message()) {
      deframer_.SetMaxMessage(version_.has_value() ? rules_.max_message() : kMaxHello);
    }
    switch (deframer_.Feed(&octets)) {
      case Deframer::Step::kMore:
        return true;
      case Deframer::Step::kMalformed:
        return false;
      case Deframer::Step::kMessage:
        break;
    }
    Message message = deframer_.Take();
    if (!(version_.has_value() ? TakeMessage(std::move(message)) : TakeHello(message))) {
      return false;
    }
  }
}

bool Intake::TakeHello(const Message& message) {
  if (message.too_big || FindingIn(message.text).has_value()) return false;
  version_ = rules_.read_hello(std::string(message.text));
  if (!version_.has_value()) return false;
  ready_.Append(Framed(Version::k10, absl::Cord(HelloOf(*version_))));
  deframer_.SetVersion(*version_);
  return true;
}

std::optional<Error> Intake::Check(const Message& message, const Envelope& envelope) const {
  if (message.too_big) {
    return Error{
        .type = "rpc",
        .tag = "too-big",
        .message = absl::StrCat("the message is larger than ", SizeText(rules_.max_message()),
                                "; send it in several edits, or raise the limit")};
  }
  if (!envelope.has_message_id) {
    return Error{.type = "rpc",
                 .tag = "missing-attribute",
                 .message = "the rpc has no message-id; give it one",
                 .info = {{"bad-attribute", "message-id"}, {"bad-element", "rpc"}}};
  }
  if (std::optional<std::string> finding = FindingIn(message.text)) {
    return Error{.type = "rpc", .tag = "operation-failed", .message = *std::move(finding)};
  }
  if (!envelope.operation.has_value()) return std::nullopt;
  return rules_.check_operation(*envelope.operation);
}

bool Intake::TakeMessage(Message message) {
  const absl::Cord head_cord = message.text.Subcord(0, Deframer::kHead);
  const std::string head(head_cord);
  const std::optional<Envelope> envelope = ReadEnvelope(head);
  if (envelope.has_value() && envelope->is_rpc()) {
    if (std::optional<Error> error = Check(message, *envelope)) {
      const std::string identifier = rules_.refuse(*std::move(error));
      ready_.Append(Framed(*version_, absl::Cord(Question(*envelope, identifier))));
      return true;
    }
  } else if (message.too_big || FindingIn(message.text).has_value()) {
    return false;
  }
  // Without a start tag the library would look for an answer to what it could not read; it knows
  // what to say to what is no XML.
  if (!envelope.has_value()) message.text = absl::Cord("<");
  ready_.Append(Framed(*version_, std::move(message.text)));
  return true;
}

}  // namespace portolan::netconf
