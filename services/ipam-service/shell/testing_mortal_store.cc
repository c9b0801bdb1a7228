#include "services/ipam-service/shell/testing_mortal_store.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "services/base/store/sqlite_store.h"
#include "services/base/store/testing_commit_hook.h"

namespace portolan::ipam {
namespace {

// SQLite's hook is the process's.
std::atomic<bool> dies_inside_sqlite = false;

void Die() { kill(getpid(), SIGKILL); }

LastCall CallOf(const store::Batch& batch) {
  for (const auto* rows : {&batch.put, &batch.create}) {
    if (!rows->empty()) return {rows->front().key, rows->front().value};
  }
  return {batch.erase.front(), std::nullopt};
}

bool WasDone(const LastCall& call, const store::Store& store) {
  const std::vector<store::Row> rows = store.List(call.key).value();
  const auto row =
      std::ranges::find_if(rows, [&](const store::Row& r) { return r.key == call.key; });
  if (!call.value.has_value()) return row == rows.end();
  return row != rows.end() && row->value == *call.value;
}

}  // namespace

MortalParts OpenMortalSqlite(const std::string& path) {
  store::CallInsideCommits([] {
    if (dies_inside_sqlite) Die();
  });
  return {store::OpenSqlite(path).value(), [] { dies_inside_sqlite = true; }};
}

MortalStore::MortalStore(MortalParts parts, DeathMoment moment,
                         const std::optional<LastCall>& before,
                         std::function<void(const LastCall&)> on_call)
    : parts_(std::move(parts)), moment_(moment), on_call_(std::move(on_call)) {
  if (before.has_value() && !WasDone(*before, *parts_.store)) calls_left_ = 2;
}

absl::Status MortalStore::Commit(const store::Batch& batch) {
  on_call_(CallOf(batch));
  const bool last = --calls_left_ == 0;
  if (last && moment_ == DeathMoment::kBefore) Die();
  if (last && moment_ == DeathMoment::kInside) parts_.die_inside();
  const absl::Status status = parts_.store->Commit(batch);
  if (last && moment_ == DeathMoment::kInside) abort();  // it outlived what it was to die in
  if (last) Die();
  return status;
}

}  // namespace portolan::ipam
