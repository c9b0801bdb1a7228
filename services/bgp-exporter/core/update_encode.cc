#include "services/bgp-exporter/core/message.h"
#include "services/bgp-exporter/core/update.h"

namespace portolan::bgp {
namespace {

constexpr uint8_t kWellKnown = 0x40;
constexpr uint8_t kOptional = 0x80;
constexpr uint8_t kOptionalTransitive = 0xc0;
constexpr uint8_t kExtendedLength = 0x10;

constexpr size_t kBodyRoom = kMaxMessageSize - kHeaderSize;
constexpr size_t kMpHeader = 4;  // attribute flags, type and two octets of length

size_t EncodedSize(const net::Prefix& prefix) { return 1 + (prefix.length() + 7) / 8; }

void WritePrefix(const net::Prefix& prefix, ByteWriter& out) {
  out.U8(static_cast<uint8_t>(prefix.length()));
  out.Append(absl::string_view(prefix.first().ToBytes()).substr(0, EncodedSize(prefix) - 1));
}

// Takes from the front what fits into `room` octets.
std::string TakePrefixes(absl::Span<const net::Prefix>& prefixes, size_t room) {
  ByteWriter out;
  while (!prefixes.empty() && out.size() + EncodedSize(prefixes.front()) <= room) {
    WritePrefix(prefixes.front(), out);
    prefixes.remove_prefix(1);
  }
  return out.Release();
}

void WriteAttribute(uint8_t flags, uint8_t type, absl::string_view value, ByteWriter& out) {
  const bool extended = value.size() > 255;
  out.U8(extended ? flags | kExtendedLength : flags);
  out.U8(type);
  if (extended) {
    out.U16(static_cast<uint16_t>(value.size()));
  } else {
    out.U8(static_cast<uint8_t>(value.size()));
  }
  out.Append(value);
}

// One AS_SEQUENCE with our own AS; nothing towards internal peers (RFC 4271 section 5.1.2).
std::string AsPath(const SessionEncoding& encoding, bool four_octet) {
  if (encoding.internal) return "";
  ByteWriter out;
  out.U8(2);  // AS_SEQUENCE
  out.U8(1);
  if (four_octet) {
    out.U32(encoding.local_as);
  } else {
    out.U16(static_cast<uint16_t>(encoding.local_as > 0xffff ? kAsTrans : encoding.local_as));
  }
  return out.Release();
}

// Every attribute but MP_REACH_NLRI, in the order of their types.
std::string PlainAttributes(const SessionEncoding& encoding, const RouteAttributes& attributes,
                            bool with_next_hop) {
  ByteWriter out;
  WriteAttribute(kWellKnown, 1, absl::string_view("\0", 1), out);  // ORIGIN: IGP
  WriteAttribute(kWellKnown, 2, AsPath(encoding, encoding.four_octet_as), out);
  if (with_next_hop) WriteAttribute(kWellKnown, 3, attributes.next_hop.ToBytes(), out);
  if (encoding.internal) {
    ByteWriter value;
    value.U32(attributes.local_preference);
    WriteAttribute(kWellKnown, 5, value.octets(), out);
  }
  if (!attributes.communities.empty()) {
    ByteWriter value;
    for (const uint32_t community : attributes.communities) value.U32(community);
    WriteAttribute(kOptionalTransitive, 8, value.octets(), out);
  }
  // RFC 6793 section 4.2.2: only where the short AS_PATH does not tell the truth.
  if (!encoding.internal && !encoding.four_octet_as && encoding.local_as > 0xffff) {
    WriteAttribute(kOptionalTransitive, 17, AsPath(encoding, true), out);
  }
  return out.Release();
}

std::string UpdateMessage(absl::string_view withdrawn, absl::string_view attributes,
                          absl::string_view nlri) {
  ByteWriter body;
  body.U16(static_cast<uint16_t>(withdrawn.size()));
  body.Append(withdrawn);
  body.U16(static_cast<uint16_t>(attributes.size()));
  body.Append(attributes);
  body.Append(nlri);
  return WithHeader(MessageType::kUpdate, body.octets());
}

void WriteMpAttribute(uint8_t type, absl::string_view head, absl::string_view prefixes,
                      ByteWriter& out) {
  out.U8(kOptional | kExtendedLength);
  out.U8(type);
  out.U16(static_cast<uint16_t>(head.size() + prefixes.size()));
  out.Append(head);
  out.Append(prefixes);
}

void AppendMpAnnouncement(const SessionEncoding& encoding, const RouteAttributes& attributes,
                          absl::Span<const net::Prefix> prefixes, std::string& out) {
  const std::string plain = PlainAttributes(encoding, attributes, /*with_next_hop=*/false);
  const std::string next_hop = attributes.next_hop.ToBytes();
  ByteWriter head;
  head.U16(AfiOf(prefixes.front().family()));
  head.U8(1);
  head.U8(static_cast<uint8_t>(next_hop.size()));
  head.Append(next_hop);
  head.U8(0);
  const size_t room = kBodyRoom - 4 - kMpHeader - head.size() - plain.size();
  while (!prefixes.empty()) {
    ByteWriter all;
    WriteMpAttribute(14, head.octets(), TakePrefixes(prefixes, room), all);
    all.Append(plain);
    out += UpdateMessage("", all.octets(), "");
  }
}

}  // namespace

void AppendAnnouncement(const SessionEncoding& encoding, const RouteAttributes& attributes,
                        absl::Span<const net::Prefix> prefixes, std::string& out) {
  if (prefixes.empty()) return;
  if (attributes.next_hop.is_ipv6()) {
    AppendMpAnnouncement(encoding, attributes, prefixes, out);
    return;
  }
  const std::string plain = PlainAttributes(encoding, attributes, /*with_next_hop=*/true);
  while (!prefixes.empty()) {
    const std::string nlri = TakePrefixes(prefixes, kBodyRoom - 4 - plain.size());
    out += UpdateMessage("", plain, nlri);
  }
}

void AppendWithdrawal(absl::Span<const net::Prefix> prefixes, std::string& out) {
  if (prefixes.empty()) return;
  const net::Family family = prefixes.front().family();
  while (!prefixes.empty()) {
    if (family == net::Family::kIpv4) {
      out += UpdateMessage(TakePrefixes(prefixes, kBodyRoom - 4), "", "");
      continue;
    }
    ByteWriter head;
    head.U16(AfiOf(family));
    head.U8(1);
    ByteWriter attribute;
    WriteMpAttribute(15, head.octets(),
                     TakePrefixes(prefixes, kBodyRoom - 4 - kMpHeader - head.size()), attribute);
    out += UpdateMessage("", attribute.octets(), "");
  }
}

void AppendEndOfRib(net::Family family, std::string& out) {
  if (family == net::Family::kIpv4) {
    out += UpdateMessage("", "", "");
    return;
  }
  ByteWriter attribute;
  const char head[] = {'\0', '\2', '\1'};
  WriteAttribute(kOptional, 15, absl::string_view(head, sizeof(head)), attribute);
  out += UpdateMessage("", attribute.octets(), "");
}

}  // namespace portolan::bgp
