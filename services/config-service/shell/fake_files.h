// A disk in memory that can fail, run full, or lose power. Tests only.
//
// It keeps what processes see (`visible`) and what a power cut leaves (`durable`): contents become
// durable when they are written (Write syncs), names when their directory is synced.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/config-service/shell/files.h"

namespace portolan::config {

class FakeFiles : public Files {
 public:
  // The names and contents that this object's owner, or the next process, finds.
  std::map<std::string, std::string> visible;
  std::map<std::string, std::string> durable;

  // The operation with this number (from 0, reads and lists not counted) fails with `fault`.
  std::optional<int> fail_at;
  // And every one from this number on.
  std::optional<int> fail_from;
  absl::Status fault = absl::ResourceExhaustedError("No space left on device");
  // The process dies in the operation with this number: half of it is done, nothing later is.
  std::optional<int> die_at;

  int operations() const { return operations_; }
  bool dead() const { return dead_; }

  absl::StatusOr<std::string> Read(const std::string& path) override {
    const auto it = visible.find(path);
    if (it == visible.end()) return absl::NotFoundError(path);
    return it->second;
  }

  absl::Status Write(const std::string& path, const std::string& text) override {
    const absl::Status status = Step();
    // A failed or interrupted write leaves a part.
    visible[path] = status.ok() ? text : text.substr(0, text.size() / 2);
    if (durable.count(path) > 0) durable[path] = visible[path];
    return status;
  }

  absl::Status Link(const std::string& from, const std::string& to) override {
    if (absl::Status status = Step(); !status.ok()) return status;
    visible[to] = visible[from];
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    std::vector<std::string> names;
    for (const auto& [path, text] : visible) {
      const size_t slash = path.rfind('/');
      if (path.substr(0, slash) == directory) names.push_back(path.substr(slash + 1));
    }
    return names;
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (absl::Status status = Step(); !status.ok()) return status;
    visible[to] = visible[from];
    visible.erase(from);
    return absl::OkStatus();
  }

  absl::Status SyncDirectory(const std::string&) override {
    if (absl::Status status = Step(); !status.ok()) return status;
    durable = visible;
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& path) override {
    if (absl::Status status = Step(); !status.ok()) return status;
    visible.erase(path);
    return absl::OkStatus();
  }

  // What the process sees that starts after this one was killed.
  FakeFiles AfterKill() const {
    FakeFiles next;
    next.visible = visible;
    next.durable = durable;
    return next;
  }
  // The same after a power cut.
  FakeFiles AfterPowerCut() const {
    FakeFiles next;
    next.visible = durable;
    next.durable = durable;
    return next;
  }

 private:
  absl::Status Step() {
    const int number = operations_++;
    if (dead_) return absl::AbortedError("the process is dead");
    if (die_at == number) {
      dead_ = true;
      return absl::AbortedError("the process died here");
    }
    const bool fails = fail_at == number || (fail_from.has_value() && number >= *fail_from);
    return fails ? fault : absl::OkStatus();
  }

  int operations_ = 0;
  bool dead_ = false;
};

}  // namespace portolan::config
