// Received UPDATEs: RFC 4271 sections 4.3 and 6.3, RFC 4760 section 7, RFC 7606.
//
// Three outcomes: sound, treat-as-withdraw (the session lives, the prefixes do not), and session
// reset, which is left for what makes the prefixes themselves unreadable (RFC 7606 section 3 j).
#include <bitset>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/message.h"

namespace portolan::bgp {
namespace {

constexpr uint8_t kOptional = 0x80;
constexpr uint8_t kTransitive = 0x40;
constexpr uint8_t kExtendedLength = 0x10;

constexpr uint8_t kOrigin = 1;
constexpr uint8_t kAsPath = 2;
constexpr uint8_t kNextHop = 3;
constexpr uint8_t kMpReach = 14;
constexpr uint8_t kMpUnreach = 15;

// What RFC 7606 section 7 says of an attribute whose length is wrong.
enum class OnBadLength { kWithdraw, kDiscard };

struct AttributeRule {
  uint8_t type;
  uint8_t flags;    // kOptional and kTransitive as they must be
  size_t exact;     // 0: see `multiple`
  size_t multiple;  // length is a non-zero multiple of this; 0: any
  OnBadLength on_bad_length;
  absl::string_view name;
};

constexpr AttributeRule kRules[] = {
    {kOrigin, kTransitive, 1, 0, OnBadLength::kWithdraw, "ORIGIN"},
    {kAsPath, kTransitive, 0, 0, OnBadLength::kWithdraw, "AS_PATH"},
    {kNextHop, kTransitive, 4, 0, OnBadLength::kWithdraw, "NEXT_HOP"},
    {4, kOptional, 4, 0, OnBadLength::kWithdraw, "MULTI_EXIT_DISC"},
    {5, kTransitive, 4, 0, OnBadLength::kWithdraw, "LOCAL_PREF"},
    {6, kTransitive, 0, 0, OnBadLength::kDiscard, "ATOMIC_AGGREGATE"},
    {7, kOptional | kTransitive, 0, 0, OnBadLength::kDiscard, "AGGREGATOR"},
    {8, kOptional | kTransitive, 0, 4, OnBadLength::kWithdraw, "COMMUNITIES"},
    {9, kOptional, 4, 0, OnBadLength::kWithdraw, "ORIGINATOR_ID"},
    {10, kOptional, 0, 4, OnBadLength::kWithdraw, "CLUSTER_LIST"},
    {kMpReach, kOptional, 0, 0, OnBadLength::kWithdraw, "MP_REACH_NLRI"},
    {kMpUnreach, kOptional, 0, 0, OnBadLength::kWithdraw, "MP_UNREACH_NLRI"},
    {16, kOptional | kTransitive, 0, 8, OnBadLength::kWithdraw, "EXTENDED_COMMUNITIES"},
    {17, kOptional | kTransitive, 0, 0, OnBadLength::kDiscard, "AS4_PATH"},
    {18, kOptional | kTransitive, 8, 0, OnBadLength::kDiscard, "AS4_AGGREGATOR"},
    {32, kOptional | kTransitive, 0, 12, OnBadLength::kWithdraw, "LARGE_COMMUNITY"},
};

const AttributeRule* FindRule(uint8_t type) {
  for (const AttributeRule& rule : kRules) {
    if (rule.type == type) return &rule;
  }
  return nullptr;
}

ProtocolError UpdateProblem(uint8_t subcode, std::string text, std::string data = "") {
  return {{kUpdateError, subcode, std::move(data)}, std::move(text)};
}

// Number of prefixes, or nothing when they cannot be read.
std::optional<size_t> CountPrefixes(Octets octets, net::Family family) {
  ByteReader in(octets);
  size_t count = 0;
  while (!in.empty()) {
    const uint8_t length = in.U8();
    if (length > net::FamilyBits(family)) return std::nullopt;
    in.Take((length + 7) / 8);
    if (!in.ok()) return std::nullopt;
    ++count;
  }
  return count;
}

// RFC 7606 section 7.2: segment types 1..4, none empty, nothing left over.
bool AsPathIsSound(Octets octets, size_t as_size) {
  ByteReader in(octets);
  while (!in.empty()) {
    const uint8_t type = in.U8();
    const uint8_t count = in.U8();
    in.Take(count * as_size);
    if (!in.ok() || type < 1 || type > 4 || count == 0) return false;
  }
  return true;
}

class UpdateDecoder {
 public:
  explicit UpdateDecoder(bool four_octet_as) : as_size_(four_octet_as ? 4 : 2) {}

  Decoded<Update> Run(Octets body);

 private:
  void Malformed(std::string reason) {
    if (update_.treat_as_withdraw.empty()) update_.treat_as_withdraw = std::move(reason);
  }
  std::optional<ProtocolError> ReadAttributes(Octets octets);
  std::optional<ProtocolError> ReadAttribute(uint8_t flags, uint8_t type, Octets value);
  void CheckValue(const AttributeRule& rule, Octets value);
  std::optional<ProtocolError> ReadMpReach(Octets value);
  std::optional<ProtocolError> ReadMpUnreach(Octets value);
  void CheckMandatory(bool plain_nlri);

  const size_t as_size_;
  Update update_;
  std::bitset<256> seen_;
  bool mp_announces_ = false;
  size_t attributes_ = 0;
  std::optional<net::Family> empty_mp_unreach_;
};

Decoded<Update> UpdateDecoder::Run(Octets body) {
  ByteReader in(body);
  const Octets withdrawn = in.Take(in.U16());
  const size_t attributes_size = in.U16();
  const Octets attributes = in.Take(attributes_size);
  if (!in.ok()) {
    return UpdateProblem(1, "the lengths inside an UPDATE do not fit its own length");
  }
  const Octets nlri = in.Take(in.remaining());

  const auto withdrawn_count = CountPrefixes(withdrawn, net::Family::kIpv4);
  if (!withdrawn_count) return UpdateProblem(10, "a withdrawn IPv4 prefix is unreadable");
  const auto nlri_count = CountPrefixes(nlri, net::Family::kIpv4);
  if (!nlri_count) return UpdateProblem(10, "an announced IPv4 prefix is unreadable");
  update_.withdrawn += *withdrawn_count;
  update_.announced += *nlri_count;

  if (auto error = ReadAttributes(attributes)) return *std::move(error);
  CheckMandatory(!nlri.empty());
  if (body.size() == 4) update_.end_of_rib = net::Family::kIpv4;
  if (attributes_ == 1 && withdrawn.empty() && nlri.empty()) {
    update_.end_of_rib = empty_mp_unreach_;
  }
  return update_;
}

std::optional<ProtocolError> UpdateDecoder::ReadAttributes(Octets octets) {
  ByteReader in(octets);
  while (!in.empty()) {
    const uint8_t flags = in.U8();
    const uint8_t type = in.U8();
    const size_t size = (flags & kExtendedLength) != 0 ? in.U16() : in.U8();
    const Octets value = in.Take(size);
    if (!in.ok()) {  // RFC 7606 section 4
      Malformed(absl::StrCat("attribute ", type, " is cut off"));
      return std::nullopt;
    }
    ++attributes_;
    if (auto error = ReadAttribute(flags, type, value)) return error;
  }
  return std::nullopt;
}

std::optional<ProtocolError> UpdateDecoder::ReadAttribute(uint8_t flags, uint8_t type,
                                                          Octets value) {
  if (seen_[type]) {
    if (type != kMpReach && type != kMpUnreach) return std::nullopt;  // the first one counts
    return UpdateProblem(1, absl::StrCat("attribute ", type, " stands twice"));
  }
  seen_.set(type);
  const AttributeRule* rule = FindRule(type);
  if (rule == nullptr) {
    if ((flags & kOptional) != 0) return std::nullopt;
    ByteWriter data;
    data.U8(flags);
    data.U8(type);
    if ((flags & kExtendedLength) != 0) {
      data.U16(static_cast<uint16_t>(value.size()));
    } else {
      data.U8(static_cast<uint8_t>(value.size()));
    }
    data.Append(AsString(value));
    return UpdateProblem(2, absl::StrCat("well-known attribute ", type, " is unknown"),
                         data.Release());
  }
  if ((flags & (kOptional | kTransitive)) != rule->flags) {
    Malformed(absl::StrCat(rule->name, " has wrong flags"));
  }
  if (type == kMpReach) return ReadMpReach(value);
  if (type == kMpUnreach) return ReadMpUnreach(value);
  CheckValue(*rule, value);
  return std::nullopt;
}

void UpdateDecoder::CheckValue(const AttributeRule& rule, Octets value) {
  const bool bad_length =
      (rule.exact != 0 && value.size() != rule.exact) ||
      (rule.multiple != 0 && (value.empty() || value.size() % rule.multiple != 0));
  if (bad_length && rule.on_bad_length == OnBadLength::kWithdraw) {
    Malformed(absl::StrCat(rule.name, " has a wrong length of ", value.size()));
  } else if (rule.type == kOrigin && value[0] > 2) {
    Malformed(absl::StrCat("ORIGIN is ", value[0]));
  } else if (rule.type == kAsPath && !AsPathIsSound(value, as_size_)) {
    Malformed("AS_PATH is malformed");
  }
}

std::optional<ProtocolError> UpdateDecoder::ReadMpReach(Octets value) {
  ByteReader in(value);
  const uint16_t afi = in.U16();
  const uint8_t safi = in.U8();
  const size_t next_hop_size = in.U8();
  in.Take(next_hop_size);
  in.U8();  // reserved
  if (!in.ok()) return UpdateProblem(9, "MP_REACH_NLRI is cut off");
  const auto family = UnicastFamily(afi, safi);
  if (!family) return std::nullopt;  // not agreed, so not ours to judge
  const bool good_size = next_hop_size == 16 || next_hop_size == 32 ||
                         (next_hop_size == 4 && *family == net::Family::kIpv4);
  if (!good_size) {
    return UpdateProblem(
        9, absl::StrCat("MP_REACH_NLRI has a next hop of ", next_hop_size, " octets"));
  }
  const auto count = CountPrefixes(in.Take(in.remaining()), *family);
  if (!count) return UpdateProblem(9, "a prefix in MP_REACH_NLRI is unreadable");
  update_.announced += *count;
  mp_announces_ = *count > 0;
  return std::nullopt;
}

std::optional<ProtocolError> UpdateDecoder::ReadMpUnreach(Octets value) {
  ByteReader in(value);
  const uint16_t afi = in.U16();
  const uint8_t safi = in.U8();
  if (!in.ok()) return UpdateProblem(9, "MP_UNREACH_NLRI is cut off");
  const auto family = UnicastFamily(afi, safi);
  if (!family) return std::nullopt;
  if (in.empty()) empty_mp_unreach_ = family;
  const auto count = CountPrefixes(in.Take(in.remaining()), *family);
  if (!count) return UpdateProblem(9, "a prefix in MP_UNREACH_NLRI is unreadable");
  update_.withdrawn += *count;
  return std::nullopt;
}

void UpdateDecoder::CheckMandatory(bool plain_nlri) {
  if (!plain_nlri && !mp_announces_) return;
  for (const uint8_t type : {kOrigin, kAsPath, kNextHop}) {
    if (type == kNextHop && !plain_nlri) continue;
    if (!seen_[type]) Malformed(absl::StrCat(FindRule(type)->name, " is missing"));
  }
}

}  // namespace

Decoded<Update> DecodeUpdate(Octets body, bool four_octet_as) {
  return UpdateDecoder(four_octet_as).Run(body);
}

}  // namespace portolan::bgp
