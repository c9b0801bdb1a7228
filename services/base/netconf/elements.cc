#include "services/base/netconf/elements.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/netconf/start_tag.h"

namespace portolan::netconf {

void ElementScan::Feed(absl::string_view octets) {
  while (!octets.empty() && state_ != State::kDone) {
    if (state_ == State::kText) {
      const size_t at = octets.find('<');
      if (at == absl::string_view::npos) return;
      octets.remove_prefix(at + 1);
      state_ = State::kTag;
      tag_.clear();
      continue;
    }
    if (state_ == State::kTag) {
      FeedTag(octets.front());
    } else {
      FeedSection(octets.front());
    }
    octets.remove_prefix(1);
  }
}

void ElementScan::Refuse(std::string finding) {
  finding_ = std::move(finding);
  state_ = State::kDone;
}

void ElementScan::FeedTag(char octet) {
  if (octet == '>' && quote_ == 0) return OnTag();
  tag_ += octet;
  if (tag_.size() > kMaxTag) return Refuse("a tag is longer than 64 KiB");
  if (tag_[0] == '?') return BeginSection("?>");
  if (tag_[0] == '!') {
    if (tag_ == "!--") return BeginSection("-->");
    if (tag_ == "![CDATA[") return BeginSection("]]>");
    // libyang goes no further than to a declaration.
    if (tag_.size() == 8) state_ = State::kDone;
    return;
  }
  if (tag_[0] == '/') return;
  if (quote_ == octet) {
    quote_ = 0;
  } else if (quote_ == 0 && (octet == '"' || octet == '\'')) {
    quote_ = octet;
  }
}

void ElementScan::BeginSection(const char* end) {
  state_ = State::kSection;
  end_ = end;
  tag_.clear();
}

void ElementScan::FeedSection(char octet) {
  if (tag_.size() == end_.size()) tag_.erase(0, 1);
  tag_ += octet;
  if (tag_ == end_) state_ = State::kText;
}

void ElementScan::OnTag() {
  state_ = State::kText;
  if (absl::StartsWith(tag_, "!")) {
    state_ = State::kDone;
  } else if (!absl::StartsWith(tag_, "/")) {
    OnStart(absl::EndsWith(tag_, "/"));
  } else if (open_.size() > 1) {
    open_.pop_back();
    declared_.resize(open_.back().declarations);
  } else {
    // More ends than begins: no XML from here on.
    state_ = State::kDone;
  }
}

std::optional<bool> ElementScan::Declared(absl::string_view prefix) const {
  const auto it = std::find_if(declared_.rbegin(), declared_.rend(),
                               [&](const auto& entry) { return entry.first == prefix; });
  if (it == declared_.rend()) return std::nullopt;
  return it->second;
}

void ElementScan::OnStart(bool is_empty) {
  absl::string_view name = tag_;
  if (tag_.find('=') != std::string::npos) {
    tag_.insert(0, "<");
    tag_ += '>';
    absl::string_view text = tag_;
    const std::optional<StartTag> tag = TakeStartTag(&text);
    if (!tag.has_value()) return Refuse("a start tag is not well-formed");
    name = tag->name;
    for (const auto& [attribute, value] : tag->attributes) {
      absl::string_view prefix = attribute;
      if (attribute == "xmlns") {
        declared_.emplace_back("", !value.empty());
      } else if (absl::ConsumePrefix(&prefix, "xmlns:")) {
        declared_.emplace_back(prefix, !value.empty());
      }
    }
  } else {
    name = TakeName(&name);
  }
  const size_t colon = name.find(':');
  const bool has_prefix = colon != absl::string_view::npos;
  const absl::string_view local = has_prefix ? name.substr(colon + 1) : name;
  const std::optional<bool> declared = Declared(has_prefix ? name.substr(0, colon) : "");
  auto& bare = open_.back().bare;
  if (declared.has_value() && bare != nullptr && bare->count(local) != 0) {
    return Refuse(absl::StrCat("an element ", local, " without a namespace stands before another ",
                               local, "; give it a namespace"));
  }
  if (!declared.value_or(false)) {
    if (bare == nullptr) bare = std::make_unique<std::set<std::string, std::less<>>>();
    bare->emplace(local);
  }
  if (is_empty) {
    declared_.resize(open_.back().declarations);
    return;
  }
  if (open_.size() > kMaxDepth) {
    state_ = State::kDone;
    return;
  }
  open_.push_back({.declarations = declared_.size()});
}

}  // namespace portolan::netconf
