// Keeps messages away from libyang by which a client would end the process: libyang 2.1.30 reads
// through a null pointer when, where it knows no schema (in filters, unknown elements, hello), an
// element without a namespace stands before one of the same name that has one, or whose namespace
// is declared to be none.
//
// Pure; one owner. Looks through a message once, as far as libyang would.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace portolan::netconf {

class ElementScan {
 public:
  // libyang's own: it refuses what is nested deeper.
  static constexpr size_t kMaxDepth = 500;
  static constexpr size_t kMaxTag = 64 << 10;

  // The next octets of the message.
  void Feed(absl::string_view octets);

  // What is wrong so far, for a person. Nothing: nothing is.
  const std::optional<std::string>& finding() const { return finding_; }

 private:
  enum class State : uint8_t { kText, kTag, kSection, kDone };

  struct Element {
    size_t declarations = 0;  // of it and those around it
    // Names of those in it that have no namespace; null: there are none.
    std::unique_ptr<std::set<std::string, std::less<>>> bare;
  };

  // One octet of what follows a '<'.
  void FeedTag(char octet);
  void BeginSection(const char* end);
  // One of a comment, an instruction or a CDATA section.
  void FeedSection(char octet);
  void OnTag();
  void OnStart(bool is_empty);
  // Whether `prefix` stands for a namespace; nothing: nobody has declared it.
  std::optional<bool> Declared(absl::string_view prefix) const;
  void Refuse(std::string finding);

  State state_ = State::kText;
  std::string tag_;        // what stands behind '<'; or the last octets of a section
  char quote_ = 0;         // of the attribute in which it is; 0: in none
  absl::string_view end_;  // of the section
  // Prefixes ("" is none) and whether they stand for a namespace, the innermost last.
  std::vector<std::pair<std::string, bool>> declared_;
  std::vector<Element> open_ = std::vector<Element>(1);
  std::optional<std::string> finding_;
};

}  // namespace portolan::netconf
