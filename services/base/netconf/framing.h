// Cuts what a NETCONF client sends into messages: the end-of-message framing of hello and of
// base:1.0, and the chunked framing of base:1.1 (RFC 6242, sections 4.2 and 4.3). Pure; one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace portolan::netconf {

enum class Version : uint8_t { k10, k11 };

struct Message {
  absl::Cord text;
  bool too_big = false;  // `text` is only its beginning
};

class Deframer {
 public:
  // What is kept of a message that is too big: enough for its start tag.
  static constexpr size_t kHead = 64 << 10;

  // The framing of what follows. Between messages only.
  void SetVersion(Version version) { version_ = version; }
  // The largest message, in octets; at least kHead. From the next message on.
  void SetMaxMessage(size_t octets) { next_max_message_ = octets; }

  enum class Step : uint8_t {
    kMore,      // all of it was taken, and a message is not complete
    kMessage,   // Take() it
    kMalformed  // not well-formed: the session must end (RFC 6242, section 4.2)
  };
  // Takes from the front of `octets` up to the end of a message. An announced size takes no memory.
  Step Feed(absl::string_view* octets);
  Message Take();

  // A message has begun and has not ended.
  bool in_message() const { return size_ != 0 || state_ != State::kBetween; }

 private:
  enum class State : uint8_t { kBetween, kBreak, kHash, kSize, kData, kLastBreak };

  Step FeedText(absl::string_view* octets);
  Step FeedChunks(absl::string_view* octets);
  // One octet of what stands around the chunks.
  Step FeedMark(char octet);
  void Append(absl::string_view octets);

  Version version_ = Version::k10;
  size_t max_message_ = kHead;
  size_t next_max_message_ = kHead;

  State state_ = State::kBetween;
  uint64_t chunk_ = 0;        // octets of it that are still to come
  size_t matched_ = 0;        // octets of the end of a message of base:1.0
  bool after_break_ = false;  // between messages: the last octet was a line break
  size_t size_ = 0;           // of the message so far
  Message message_;
};

// The message as `version` frames it.
absl::Cord Framed(Version version, absl::Cord text);

}  // namespace portolan::netconf
