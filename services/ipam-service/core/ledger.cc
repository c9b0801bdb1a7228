#include "services/ipam-service/core/ledger.h"

#include <algorithm>
#include <utility>

#include "services/ipam-service/core/service_record.h"

namespace portolan::ipam {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kMaxBackoff = absl::Seconds(30);

}  // namespace

const std::string* Ledger::Intern(const std::string& pool) {
  return &*pool_names_.insert(pool).first;
}

void Ledger::Adopt(const JournalRow& row, ServiceRecord* owner) {
  Holding holding{.owner = owner,
                  .pool = Intern(row.pool),
                  .since_unix_ms = row.since_unix_ms,
                  .generation = row.generation};
  ++held_in_name_[{holding.pool, row.address.family()}];
  holdings_.insert_or_assign(row.address, holding);
}

void Ledger::AdoptOrphan(const JournalRow& row, Effects& effects) {
  Adopt(row, nullptr);
  Release(row.address, effects);
}

void Ledger::AdoptForeign(const net::IpAddress& address) {
  Holding holding{.pool = Intern(""), .state = Holding::State::kForeign};
  ++held_in_name_[{holding.pool, address.family()}];
  holdings_.insert_or_assign(address, holding);
}

const Holding* Ledger::Find(const net::IpAddress& address) const {
  auto it = holdings_.find(address);
  return it == holdings_.end() ? nullptr : &it->second;
}

void Ledger::ForEachIn(const net::Range& range,
                       absl::FunctionRef<void(const net::IpAddress&, const Holding&)> visit) const {
  for (auto it = holdings_.lower_bound(range.first());
       it != holdings_.end() && it->first <= range.last(); ++it) {
    visit(it->first, it->second);
  }
}

uint64_t Ledger::HeldInName(const std::string& pool, net::Family family) const {
  auto name = pool_names_.find(pool);
  if (name == pool_names_.end()) return 0;
  auto count = held_in_name_.find({&*name, family});
  return count == held_in_name_.end() ? 0 : count->second;
}

void Ledger::Create(const JournalRow& row, ServiceRecord* owner, Effects& effects) {
  Holding holding{.owner = owner,
                  .pool = Intern(row.pool),
                  .since_unix_ms = row.since_unix_ms,
                  .generation = row.generation,
                  .state = Holding::State::kCreating};
  ++held_in_name_[{holding.pool, row.address.family()}];
  Holding& stored = holdings_.insert_or_assign(row.address, holding).first->second;
  Write(row.address, stored, effects);
}

void Ledger::Release(const net::IpAddress& address, Effects& effects) {
  Holding& holding = holdings_.at(address);
  holding.owner = nullptr;
  holding.state = Holding::State::kErasing;
  Write(address, holding, effects);
}

void Ledger::Rehome(const net::IpAddress& address, const std::string& pool, Effects& effects) {
  Holding& holding = holdings_.at(address);
  --held_in_name_[{holding.pool, address.family()}];
  holding.pool = Intern(pool);
  ++held_in_name_[{holding.pool, address.family()}];
  Write(address, holding, effects);
}

JournalRow Ledger::RowOf(const net::IpAddress& address, const Holding& holding) const {
  return {.address = address,
          .service = holding.owner->request.key,
          .generation = holding.generation,
          .pool = *holding.pool,
          .since_unix_ms = holding.since_unix_ms};
}

// The write that takes the row from whatever it is to what the holding says.
void Ledger::Write(const net::IpAddress& address, Holding& holding, Effects& effects) {
  JournalCommit commit{.batch = ++last_batch_};
  switch (holding.state) {
    case Holding::State::kErasing:
      commit.erase.push_back(address);
      break;
    case Holding::State::kCreating:
      if (holding.row_may_exist) commit.erase.push_back(address);
      holding.row_might_before = std::exchange(holding.row_may_exist, true);
      commit.create.push_back(RowOf(address, holding));
      break;
    case Holding::State::kDurable:
      commit.put.push_back(RowOf(address, holding));
      break;
    case Holding::State::kForeign:
      return;
  }
  if (holding.stalled) stalled_.erase(address);
  holding.stalled = false;
  holding.batch = commit.batch;
  in_flight_.emplace(commit.batch, address);
  effects.push_back(std::move(commit));
}

Ledger::Outcome Ledger::Done(const JournalDone& done, absl::Time now) {
  auto flight = in_flight_.find(done.batch);
  if (flight == in_flight_.end()) return {};
  const net::IpAddress address = flight->second;
  in_flight_.erase(flight);
  if (done.status.ok()) {
    failure_ = absl::OkStatus();
    if (stalled_.empty()) {
      backoff_ = absl::ZeroDuration();
    } else {
      retry_at_ = now;  // the store is back: the others need not wait
    }
  }
  auto it = holdings_.find(address);
  if (it == holdings_.end() || it->second.batch != done.batch) return {};
  Holding& holding = it->second;
  holding.batch = 0;
  if (!done.status.ok()) return Failed(address, holding, done.status, now);
  switch (holding.state) {
    case Holding::State::kCreating:
      holding.state = Holding::State::kDurable;
      return {Outcome::Kind::kGranted, address, holding.owner, holding.pool};
    case Holding::State::kErasing: {
      const std::string* pool = holding.pool;
      --held_in_name_[{pool, address.family()}];
      holdings_.erase(it);
      return {Outcome::Kind::kFreed, address, nullptr, pool};
    }
    default:
      return {};
  }
}

Ledger::Outcome Ledger::Failed(const net::IpAddress& address, Holding& holding,
                               const absl::Status& status, absl::Time now) {
  if (absl::IsAlreadyExists(status) && holding.state == Holding::State::kCreating) {
    ServiceRecord* owner = std::exchange(holding.owner, nullptr);
    holding.state = Holding::State::kForeign;
    return {Outcome::Kind::kForeign, address, owner, holding.pool};
  }
  // A full disk has written nothing now; after any other error nobody knows.
  if (absl::IsResourceExhausted(status)) holding.row_may_exist = holding.row_might_before;
  failure_ = status;
  holding.stalled = true;
  stalled_.insert(address);
  if (!retry_at_.has_value()) {
    backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kMaxBackoff);
    retry_at_ = now + backoff_;
  }
  return {Outcome::Kind::kStalled, address, holding.owner, holding.pool};
}

void Ledger::Retry(absl::Time now, Effects& effects) {
  if (!retry_at_.has_value() || *retry_at_ > now) return;
  retry_at_.reset();
  for (const net::IpAddress& address : std::set<net::IpAddress>(std::move(stalled_))) {
    Holding& holding = holdings_.at(address);
    holding.stalled = false;
    Write(address, holding, effects);
  }
  stalled_.clear();
}

}  // namespace portolan::ipam
