// Reading and writing octets in network order, for the message codec only.
//
// ByteReader never reads past its end: a read that does not fit returns zeros (or an empty view)
// and turns ok() false for good, so a parser may read a whole structure and check once. It does
// not own the octets. Neither class is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace portolan::bgp {

using Octets = absl::Span<const uint8_t>;

inline Octets AsOctets(absl::string_view text) {
  return Octets(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

inline std::string AsString(Octets octets) {
  return std::string(reinterpret_cast<const char*>(octets.data()), octets.size());
}

class ByteReader {
 public:
  explicit ByteReader(Octets octets) : octets_(octets) {}

  uint8_t U8() { return static_cast<uint8_t>(Number(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Number(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Number(4)); }
  Octets Take(size_t size) {
    if (size > octets_.size()) {
      ok_ = false;
      octets_ = Octets();
      return Octets();
    }
    const Octets taken = octets_.subspan(0, size);
    octets_.remove_prefix(size);
    return taken;
  }

  size_t remaining() const { return octets_.size(); }
  bool empty() const { return octets_.empty(); }
  bool ok() const { return ok_; }

 private:
  uint64_t Number(size_t size) {
    uint64_t value = 0;
    for (const uint8_t octet : Take(size)) value = value << 8 | octet;
    return value;
  }

  Octets octets_;
  bool ok_ = true;
};

class ByteWriter {
 public:
  void U8(uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void U16(uint16_t value) {
    U8(static_cast<uint8_t>(value >> 8));
    U8(static_cast<uint8_t>(value));
  }
  void U32(uint32_t value) {
    U16(static_cast<uint16_t>(value >> 16));
    U16(static_cast<uint16_t>(value));
  }
  void Append(absl::string_view octets) { out_.append(octets.data(), octets.size()); }

  size_t size() const { return out_.size(); }
  const std::string& octets() const { return out_; }
  std::string Release() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace portolan::bgp
