#include "services/base/selector/label_set.h"

namespace portolan {
namespace {

void Append(std::string& packed, absl::string_view text) {
  size_t length = text.size();
  for (; length >= 0x80; length >>= 7) packed.push_back(static_cast<char>(length | 0x80));
  packed.push_back(static_cast<char>(length));
  packed.append(text.data(), text.size());
}

}  // namespace

LabelSet::LabelSet(const Labels& labels) {
  size_t size = 0;
  for (const auto& [key, value] : labels) size += key.size() + value.size() + 2;
  packed_.reserve(size);
  for (const auto& [key, value] : labels) {
    Append(packed_, key);
    Append(packed_, value);
  }
}

absl::string_view LabelSet::Next(size_t& at) const {
  size_t length = 0;
  for (int shift = 0;; shift += 7) {
    const auto octet = static_cast<unsigned char>(packed_[at++]);
    length |= static_cast<size_t>(octet & 0x7f) << shift;
    if (octet < 0x80) break;
  }
  const absl::string_view text = absl::string_view(packed_).substr(at, length);
  at += length;
  return text;
}

std::optional<absl::string_view> LabelSet::Find(absl::string_view key) const {
  for (size_t at = 0; at < packed_.size();) {
    const absl::string_view found = Next(at);
    const absl::string_view value = Next(at);
    if (found == key) return value;
  }
  return std::nullopt;
}

Labels LabelSet::ToLabels() const {
  Labels labels;
  ForEach([&](absl::string_view key, absl::string_view value) {
    labels.emplace(std::string(key), std::string(value));
  });
  return labels;
}

}  // namespace portolan
