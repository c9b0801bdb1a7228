#include "services/bgp-exporter/core/message.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace portolan::bgp {
namespace {

constexpr size_t kOpenMinimum = 29;
constexpr size_t kUpdateMinimum = 23;
constexpr size_t kNotificationMinimum = 21;
constexpr size_t kRouteRefreshSize = 23;
constexpr size_t kMaxShutdownText = 255;

std::string U16String(uint16_t value) {
  ByteWriter out;
  out.U16(value);
  return out.Release();
}

struct SubcodeName {
  uint8_t code;
  uint8_t subcode;
  absl::string_view name;
};

constexpr SubcodeName kSubcodeNames[] = {
    {1, 1, "Connection Not Synchronized"},
    {1, 2, "Bad Message Length"},
    {1, 3, "Bad Message Type"},
    {2, 1, "Unsupported Version Number"},
    {2, 2, "Bad Peer AS"},
    {2, 3, "Bad BGP Identifier"},
    {2, 4, "Unsupported Optional Parameter"},
    {2, 6, "Unacceptable Hold Time"},
    {2, 7, "Unsupported Capability"},
    {3, 1, "Malformed Attribute List"},
    {3, 2, "Unrecognized Well-known Attribute"},
    {3, 3, "Missing Well-known Attribute"},
    {3, 4, "Attribute Flags Error"},
    {3, 5, "Attribute Length Error"},
    {3, 6, "Invalid ORIGIN Attribute"},
    {3, 8, "Invalid NEXT_HOP Attribute"},
    {3, 9, "Optional Attribute Error"},
    {3, 10, "Invalid Network Field"},
    {3, 11, "Malformed AS_PATH"},
    {5, 1, "Unexpected Message in OpenSent"},
    {5, 2, "Unexpected Message in OpenConfirm"},
    {5, 3, "Unexpected Message in Established"},
    {6, 1, "Maximum Number of Prefixes Reached"},
    {6, 2, "Administrative Shutdown"},
    {6, 3, "Peer De-configured"},
    {6, 4, "Administrative Reset"},
    {6, 5, "Connection Rejected"},
    {6, 6, "Other Configuration Change"},
    {6, 7, "Connection Collision Resolution"},
    {6, 8, "Out of Resources"},
    {6, 9, "Hard Reset"},
    {6, 10, "BFD Down"},
    {7, 1, "Invalid Message Length"},
};

constexpr absl::string_view kCodeNames[] = {
    "Unknown",
    "Message Header Error",
    "OPEN Message Error",
    "UPDATE Message Error",
    "Hold Timer Expired",
    "Finite State Machine Error",
    "Cease",
    "ROUTE-REFRESH Message Error",
    "Send Hold Timer Expired",
};

ProtocolError BadLength(uint16_t length, absl::string_view text) {
  return {{kHeaderError, 2, U16String(length)}, std::string(text)};
}

// The type's own bounds, RFC 4271 section 6.1.
std::optional<ProtocolError> CheckLength(uint8_t type, uint16_t length) {
  const auto complain = [length](absl::string_view name, size_t minimum) {
    return BadLength(length, absl::StrCat("length ", length, " is wrong for ", name, ", which has ",
                                          minimum, " octets or more"));
  };
  switch (static_cast<MessageType>(type)) {
    case MessageType::kOpen:
      if (length < kOpenMinimum) return complain("OPEN", kOpenMinimum);
      return std::nullopt;
    case MessageType::kUpdate:
      if (length < kUpdateMinimum) return complain("UPDATE", kUpdateMinimum);
      return std::nullopt;
    case MessageType::kNotification:
      if (length < kNotificationMinimum) return complain("NOTIFICATION", kNotificationMinimum);
      return std::nullopt;
    case MessageType::kKeepalive:
      if (length == kHeaderSize) return std::nullopt;
      return BadLength(length, absl::StrCat("KEEPALIVE has length ", length, ", not 19"));
    case MessageType::kRouteRefresh:
      return std::nullopt;  // has its own error, RFC 7313 section 5
  }
  return ProtocolError{{kHeaderError, 3, std::string(1, static_cast<char>(type))},
                       absl::StrCat("message type ", type, " is unknown")};
}

Decoded<Message> DecodeRouteRefresh(const Frame& frame) {
  if (frame.size != kRouteRefreshSize) {
    return ProtocolError{
        {kRouteRefreshError, 1, WithHeader(MessageType::kRouteRefresh, AsString(frame.body))},
        absl::StrCat("ROUTE-REFRESH has length ", frame.size, ", not 23")};
  }
  ByteReader in(frame.body);
  RouteRefresh refresh;
  refresh.afi = in.U16();
  refresh.subtype = in.U8();
  refresh.safi = in.U8();
  return Message(refresh);
}

template <typename T>
Decoded<Message> Widen(Decoded<T> decoded) {
  if (auto* error = std::get_if<ProtocolError>(&decoded)) return std::move(*error);
  return Message(std::get<T>(std::move(decoded)));
}

}  // namespace

uint16_t AfiOf(net::Family family) { return family == net::Family::kIpv4 ? 1 : 2; }

std::optional<net::Family> UnicastFamily(uint16_t afi, uint8_t safi) {
  if (safi != 1) return std::nullopt;
  if (afi == 1) return net::Family::kIpv4;
  if (afi == 2) return net::Family::kIpv6;
  return std::nullopt;
}

std::string Describe(const Notification& notification) {
  const uint8_t code = notification.code;
  std::string text = absl::StrCat(code, "/", notification.subcode, " ",
                                  kCodeNames[code < std::size(kCodeNames) ? code : 0]);
  for (const SubcodeName& entry : kSubcodeNames) {
    if (entry.code == code && entry.subcode == notification.subcode) {
      absl::StrAppend(&text, ", ", entry.name);
    }
  }
  const bool may_have_text =
      code == kCease && (notification.subcode == 2 || notification.subcode == 4);
  if (may_have_text && notification.data.size() > 1) {
    const size_t length = static_cast<uint8_t>(notification.data[0]);
    const absl::string_view said = absl::string_view(notification.data).substr(1, length);
    absl::StrAppend(&text, ": \"", absl::Utf8SafeCHexEscape(said), "\"");
  }
  return text;
}

Notification CeaseWithText(uint8_t subcode, absl::string_view text) {
  text = text.substr(0, kMaxShutdownText);
  std::string data(1, static_cast<char>(text.size()));
  absl::StrAppend(&data, text);
  return {kCease, subcode, std::move(data)};
}

std::optional<Decoded<Frame>> NextFrame(Octets buffer) {
  if (buffer.size() < kHeaderSize) return std::nullopt;
  const Octets marker = buffer.subspan(0, 16);
  if (!std::all_of(marker.begin(), marker.end(), [](uint8_t octet) { return octet == 0xff; })) {
    return ProtocolError{{kHeaderError, 1, ""}, "the marker of a message is not all ones"};
  }
  ByteReader in(buffer.subspan(16));
  const uint16_t length = in.U16();
  const uint8_t type = in.U8();
  if (length < kHeaderSize || length > kMaxMessageSize) {
    return BadLength(length, absl::StrCat("message length ", length, " is not in 19..4096"));
  }
  if (auto error = CheckLength(type, length)) return *std::move(error);
  if (buffer.size() < length) return std::nullopt;
  return Frame{static_cast<MessageType>(type), buffer.subspan(kHeaderSize, length - kHeaderSize),
               length};
}

Decoded<Message> Decode(const Frame& frame, bool four_octet_as) {
  switch (frame.type) {
    case MessageType::kOpen:
      return Widen(DecodeOpen(frame.body));
    case MessageType::kUpdate:
      return Widen(DecodeUpdate(frame.body, four_octet_as));
    case MessageType::kNotification: {
      ByteReader in(frame.body);
      Notification notification;
      notification.code = in.U8();
      notification.subcode = in.U8();
      notification.data = AsString(in.Take(in.remaining()));
      return Message(std::move(notification));
    }
    case MessageType::kKeepalive:
      return Message(Keepalive());
    case MessageType::kRouteRefresh:
      break;
  }
  return DecodeRouteRefresh(frame);
}

std::string WithHeader(MessageType type, absl::string_view body) {
  ByteWriter out;
  out.Append(std::string(16, '\xff'));
  out.U16(static_cast<uint16_t>(kHeaderSize + body.size()));
  out.U8(static_cast<uint8_t>(type));
  out.Append(body);
  return out.Release();
}

std::string EncodeKeepalive() { return WithHeader(MessageType::kKeepalive, ""); }

std::string EncodeNotification(const Notification& notification) {
  constexpr size_t kRoom = kMaxMessageSize - kNotificationMinimum;
  ByteWriter out;
  out.U8(notification.code);
  out.U8(notification.subcode);
  out.Append(absl::string_view(notification.data).substr(0, kRoom));
  return WithHeader(MessageType::kNotification, out.octets());
}

std::string EncodeRouteRefresh(const RouteRefresh& refresh) {
  ByteWriter out;
  out.U16(refresh.afi);
  out.U8(refresh.subtype);
  out.U8(refresh.safi);
  return WithHeader(MessageType::kRouteRefresh, out.octets());
}

}  // namespace portolan::bgp
