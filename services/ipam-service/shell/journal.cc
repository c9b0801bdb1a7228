#include "services/ipam-service/shell/journal.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "services/base/status/status_macros.h"
#include "services/ipam-service/shell/convert.h"

namespace portolan::ipam {
namespace {

// Bounds the time of one transaction, and of its outcomes on the loop.
constexpr size_t kMaxGroup = 1024;

// False when a key was seen before.
bool AllNew(const store::Batch& rows, absl::flat_hash_set<std::string>& seen) {
  for (const std::string& key : rows.erase) {
    if (seen.contains(key)) return false;
  }
  for (const store::Row& row : rows.create) {
    if (seen.contains(row.key)) return false;
  }
  for (const store::Row& row : rows.put) {
    if (seen.contains(row.key)) return false;
  }
  for (const std::string& key : rows.erase) seen.insert(key);
  for (const store::Row& row : rows.create) seen.insert(row.key);
  for (const store::Row& row : rows.put) seen.insert(row.key);
  return true;
}

template <typename T>
void Append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

Journal::Journal(Loop* loop, std::unique_ptr<store::Store> store, Report report)
    : loop_(loop),
      store_(std::move(store)),
      report_(std::make_shared<Report>(std::move(report))),
      thread_([this] { Run(); }) {}

Journal::~Journal() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
  *report_ = nullptr;
}

absl::StatusOr<JournalLoaded> Journal::Load() const {
  ASSIGN_OR_RETURN(const std::vector<store::Row> addresses, store_->List(kAddressPrefix));
  ASSIGN_OR_RETURN(const std::vector<store::Row> pools, store_->List(kPoolPrefix));
  ASSIGN_OR_RETURN(const std::vector<store::Row> releases, store_->List(kReleasePrefix));
  return FromRows(addresses, pools, releases);
}

void Journal::Commit(const JournalCommit& commit) {
  Write write{.batch = commit.batch, .rows = ToBatch(commit)};
  absl::MutexLock lock(&mutex_);
  queue_.push_back(std::move(write));
}

void Journal::Run() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !queue_.empty();
  };
  for (;;) {
    std::vector<Write> group;
    {
      absl::MutexLock lock(&mutex_, absl::Condition(&has_work));
      if (stopping_) return;
      group = TakeGroup(queue_);
    }
    loop_->Post([report = report_, outcomes = CommitGroup(group)] {
      for (const JournalDone& done : outcomes) {
        if (*report) (*report)(done);
      }
    });
  }
}

std::vector<Journal::Write> Journal::TakeGroup(std::deque<Write>& queue) {
  std::vector<Write> group;
  absl::flat_hash_set<std::string> seen;
  while (!queue.empty() && group.size() < kMaxGroup && AllNew(queue.front().rows, seen)) {
    group.push_back(std::move(queue.front()));
    queue.pop_front();
  }
  return group;
}

std::vector<JournalDone> Journal::CommitGroup(const std::vector<Write>& group) {
  store::Batch all;
  for (const Write& write : group) {
    Append(all.erase, write.rows.erase);
    Append(all.create, write.rows.create);
    Append(all.put, write.rows.put);
  }
  std::vector<JournalDone> outcomes;
  const absl::Status status = store_->Commit(all);
  for (const Write& write : group) {
    const bool alone = absl::IsAlreadyExists(status) && group.size() > 1;
    outcomes.push_back({write.batch, alone ? store_->Commit(write.rows) : status});
  }
  return outcomes;
}

}  // namespace portolan::ipam
