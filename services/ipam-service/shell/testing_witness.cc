#include "services/ipam-service/shell/testing_witness.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace portolan::ipam {

void Witness::Restart() {
  said_.clear();
  loaded_.clear();
}

void Witness::Read(const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words[0] == "c") {
    ++calls;
    last_call_ = LastCall{absl::HexStringToBytes(words.at(1)), std::nullopt};
    if (words.size() > 2) last_call_->value = absl::HexStringToBytes(words.at(2));
  } else if (words[0] == "i") {
    const Operation& operation = operations_->at(done_++);
    if (!operation.add) acknowledged_.erase(operation.key);
  } else if (words[0] == "l") {
    loaded_.emplace(words.at(2), words.at(1));
  } else if (words[0] == "L") {
    CheckLoaded();
  } else if (words[0] == "p") {
    OnPublished(words.at(1), {words.begin() + 2, words.end()});
  } else if (words[0] == "w") {
    OnWithdrawn(words.at(1));
  } else if (words[0] == "s") {
    OnSynced();
  } else if (words[0] == "d") {
    finished_ = true;
  } else {
    problems.push_back(absl::StrCat("a line that says nothing: ", line));
  }
}

void Witness::CheckLoaded() {
  for (auto row = loaded_.begin(); row != loaded_.end(); row = loaded_.upper_bound(row->first)) {
    if (loaded_.count(row->first) == 1) continue;
    ++two_owners;
    problems.push_back(absl::StrCat(row->first, " has several owners in the store"));
  }
  for (const auto& [key, addresses] : acknowledged_) {
    for (const std::string& address : addresses) {
      const auto row = loaded_.find(address);
      if (row == loaded_.end()) {
        Lose(absl::StrCat(address, " of ", key, " is not in the store"));
      } else if (row->second != key) {
        Lose(absl::StrCat(address, " of ", key, " is ", row->second, "'s in the store"));
      }
    }
  }
}

void Witness::OnPublished(const std::string& key, const std::set<std::string>& addresses) {
  ++published;
  for (const auto* known : {&acknowledged_, &said_}) {
    for (const auto& [other, held] : *known) {
      if (other == key) continue;
      for (const std::string& address : addresses) {
        if (!held.contains(address)) continue;
        ++two_owners;
        problems.push_back(absl::StrCat(address, " is ", other, "'s and ", key, "'s"));
      }
    }
  }
  std::set<std::string>& former = acknowledged_[key];
  if (!std::includes(addresses.begin(), addresses.end(), former.begin(), former.end())) {
    Lose(absl::StrCat(key, " has other addresses than before"));
  }
  former = addresses;
  said_[key] = addresses;
}

void Witness::OnWithdrawn(const std::string& key) {
  if (acknowledged_.erase(key) > 0) Lose(absl::StrCat(key, " was withdrawn though it is wanted"));
  said_.erase(key);
}

void Witness::OnSynced() {
  for (const auto& [key, addresses] : acknowledged_) {
    if (!said_.contains(key)) Lose(absl::StrCat(key, " is not published after a restart"));
  }
}

void Witness::Lose(const std::string& what) {
  ++lost;
  problems.push_back(what);
}

}  // namespace portolan::ipam
