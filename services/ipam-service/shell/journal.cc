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

// Parts of at most `max` rows, erasures first, as in one batch.
std::vector<store::Batch> Split(store::Batch rows, size_t max) {
  std::vector<store::Batch> parts(1);
  const auto part = [&]() -> store::Batch& {
    if (parts.back().size() >= max) parts.emplace_back();
    return parts.back();
  };
  for (std::string& key : rows.erase) part().erase.push_back(std::move(key));
  for (store::Row& row : rows.put) part().put.push_back(std::move(row));
  return parts;
}

std::vector<store::Batch> PartsOf(const JournalCommit& commit, size_t max) {
  store::Batch rows = ToBatch(commit);
  const bool divisible = commit.erase.empty() && commit.create.empty() && commit.put.empty();
  if (divisible && rows.size() > max) return Split(std::move(rows), max);
  return {std::move(rows)};
}

}  // namespace

Journal::Journal(Loop* loop, std::unique_ptr<store::Store> store, Report report, const Clock* clock)
    : loop_(loop),
      store_(std::move(store)),
      report_(std::make_shared<Report>(std::move(report))),
      clock_(clock),
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
  Write write{.batch = commit.batch, .parts = PartsOf(commit, store_->max_rows())};
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

// The first write, whatever its size, and what fits behind it. A write in parts is alone.
std::vector<Journal::Write> Journal::TakeGroup(std::deque<Write>& queue) const {
  std::vector<Write> group;
  size_t rows = 0;
  absl::flat_hash_set<std::string> seen;
  while (!queue.empty() && group.size() < kMaxGroup) {
    const Write& next = queue.front();
    const store::Batch& first = next.parts.front();
    const bool fits = next.parts.size() == 1 && rows + first.size() <= store_->max_rows();
    if (!group.empty() && !fits) break;
    if (!AllNew(first, seen)) break;
    rows += first.size();
    group.push_back(std::move(queue.front()));
    queue.pop_front();
    if (!fits) break;
  }
  return group;
}

std::vector<JournalDone> Journal::CommitGroup(const std::vector<Write>& group) {
  if (group.size() == 1) return {{group.front().batch, CommitParts(group.front())}};
  store::Batch all;
  for (const Write& write : group) {
    Append(all.erase, write.parts.front().erase);
    Append(all.create, write.parts.front().create);
    Append(all.put, write.parts.front().put);
  }
  std::vector<JournalDone> outcomes;
  const absl::Status status = CommitOnce(all, group.size());
  for (const Write& write : group) {
    outcomes.push_back({write.batch, absl::IsAlreadyExists(status) ? CommitParts(write) : status});
  }
  return outcomes;
}

absl::Status Journal::CommitParts(const Write& write) {
  for (const store::Batch& part : write.parts) RETURN_IF_ERROR(CommitOnce(part, 1));
  return absl::OkStatus();
}

absl::Status Journal::CommitOnce(const store::Batch& rows, size_t group_size) {
  const absl::Time begin = clock_->Now();
  const absl::Status status = store_->Commit(rows);
  const double seconds = absl::ToDoubleSeconds(clock_->Now() - begin);
  absl::MutexLock lock(&mutex_);
  ++figures_.writes;
  figures_.write_seconds.Observe(seconds);
  figures_.group_size.Observe(static_cast<double>(group_size));
  if (status.ok()) return status;
  if (absl::IsResourceExhausted(status)) {
    ++figures_.failures_full;
  } else if (absl::IsAlreadyExists(status)) {
    ++figures_.failures_exists;
  } else {
    ++figures_.failures_other;
  }
  return status;
}

JournalFigures Journal::Figures() const {
  absl::MutexLock lock(&mutex_);
  JournalFigures figures = figures_;
  figures.queued = queue_.size();
  return figures;
}

}  // namespace portolan::ipam
