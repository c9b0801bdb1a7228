// A store whose process dies by SIGKILL at one Commit(), for tests that kill it at every one.
//
// The call dies before it begins, while it is on its way, or after it is durable and before its
// caller hears of it. A life that finds that its predecessor's last call did nothing lets one call
// pass, that one again, and dies at the next: so every call is somebody's last, and the work goes
// on. Lives in a child process; used on the journal's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/base/store/store.h"

namespace portolan::ipam {

enum class DeathMoment { kBefore, kInside, kAfter };

// A store, and how to make its process die inside the next Commit(): that one never returns.
struct MortalParts {
  std::unique_ptr<store::Store> store;
  std::function<void()> die_inside;
};
// Called in the child.
using OpenMortal = std::function<MortalParts()>;

MortalParts OpenMortalSqlite(const std::string& path);

// A row that a call writes, or (no value) erases: whether it is there tells whether the call was
// done.
struct LastCall {
  std::string key;
  std::optional<std::string> value;
};

class MortalStore : public store::Store {
 public:
  // `before`: the call that the life before died in. `on_call` is told of every call.
  MortalStore(MortalParts parts, DeathMoment moment, const std::optional<LastCall>& before,
              std::function<void(const LastCall&)> on_call);

  absl::Status Commit(const store::Batch& batch) override;
  absl::StatusOr<std::vector<store::Row>> List(absl::string_view prefix) const override {
    return parts_.store->List(prefix);
  }
  size_t max_rows() const override { return parts_.store->max_rows(); }

 private:
  const MortalParts parts_;
  const DeathMoment moment_;
  const std::function<void(const LastCall&)> on_call_;
  int calls_left_ = 1;
};

}  // namespace portolan::ipam
