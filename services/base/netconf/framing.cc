#include "services/base/netconf/framing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::netconf {
namespace {

constexpr absl::string_view kEnd = "]]>]]>";
constexpr uint64_t kMaxChunk = 4294967295;

// How much of kEnd stands at the end after `octet`, when `matched` of it stood there before.
size_t Match(size_t matched, char octet) {
  if (octet == kEnd[matched]) return matched + 1;
  // Behind "]]" another one: the last two count.
  return octet == ']' ? 2 : 0;
}

bool IsSpace(char octet) { return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n'; }

}  // namespace

Deframer::Step Deframer::Feed(absl::string_view* octets) {
  if (!in_message()) max_message_ = std::max(next_max_message_, kHead);
  return version_ == Version::k10 ? FeedText(octets) : FeedChunks(octets);
}

Message Deframer::Take() {
  size_ = 0;
  matched_ = 0;
  return std::exchange(message_, Message());
}

void Deframer::Append(absl::string_view octets) {
  size_ += octets.size();
  if (message_.too_big) return;
  if (size_ > max_message_) {
    message_.too_big = true;
    message_.text.Append(octets.substr(0, kHead));
    message_.text = message_.text.Subcord(0, kHead);
    // Not what shares the memory of all the rest.
    message_.text = absl::Cord(std::string(message_.text));
    return;
  }
  message_.text.Append(octets);
}

Deframer::Step Deframer::FeedText(absl::string_view* octets) {
  // What stands between messages is none.
  while (size_ == 0 && !octets->empty() && IsSpace(octets->front())) octets->remove_prefix(1);
  for (size_t i = 0; i < octets->size(); ++i) {
    if (matched_ == 0) {
      i = std::min(octets->find(']', i), octets->size());
      if (i == octets->size()) break;
    }
    matched_ = Match(matched_, (*octets)[i]);
    if (matched_ < kEnd.size()) continue;
    Append(octets->substr(0, i + 1));
    octets->remove_prefix(i + 1);
    if (!message_.too_big) message_.text.RemoveSuffix(kEnd.size());
    return Step::kMessage;
  }
  Append(*octets);
  *octets = "";
  return Step::kMore;
}

Deframer::Step Deframer::FeedChunks(absl::string_view* octets) {
  while (!octets->empty()) {
    if (state_ == State::kData) {
      const absl::string_view part = octets->substr(0, chunk_);
      Append(part);
      octets->remove_prefix(part.size());
      chunk_ -= part.size();
      if (chunk_ == 0) state_ = State::kBreak;
      continue;
    }
    const Step step = FeedMark(octets->front());
    octets->remove_prefix(1);
    if (step != Step::kMore) return step;
  }
  return Step::kMore;
}

Deframer::Step Deframer::FeedMark(char octet) {
  switch (state_) {
    case State::kBetween:
      if (octet == '#' && after_break_) {
        state_ = State::kHash;
        after_break_ = false;
        return Step::kMore;
      }
      // Some clients end a message with a line break of their own.
      after_break_ = octet == '\n';
      return IsSpace(octet) ? Step::kMore : Step::kMalformed;
    case State::kBreak:
      state_ = State::kLastBreak;
      return octet == '\n' ? Step::kMore : Step::kMalformed;
    case State::kLastBreak:
      state_ = State::kHash;
      return octet == '#' ? Step::kMore : Step::kMalformed;
    case State::kHash:
      chunk_ = 0;
      state_ = State::kSize;
      if (octet == '#') return size_ == 0 ? Step::kMalformed : Step::kMore;
      if (octet < '1' || octet > '9') return Step::kMalformed;
      chunk_ = octet - '0';
      return Step::kMore;
    case State::kSize:
      if (octet == '\n') {
        // Without a size it was the second mark of an end.
        const bool ends = chunk_ == 0;
        state_ = ends ? State::kBetween : State::kData;
        return ends ? Step::kMessage : Step::kMore;
      }
      if (chunk_ == 0 || octet < '0' || octet > '9') return Step::kMalformed;
      chunk_ = chunk_ * 10 + (octet - '0');
      return chunk_ > kMaxChunk ? Step::kMalformed : Step::kMore;
    case State::kData:
      break;
  }
  return Step::kMalformed;
}

absl::Cord Framed(Version version, absl::Cord text) {
  if (version == Version::k10) {
    text.Append(kEnd);
    return text;
  }
  text.Prepend(absl::StrCat("\n#", text.size(), "\n"));
  text.Append("\n##\n");
  return text;
}

}  // namespace portolan::netconf
