#include "services/ipam-service/core/ledger.h"

#include <algorithm>
#include <utility>

#include "services/ipam-service/core/service_record.h"
#include "services/ipam-service/core/sharing.h"

namespace portolan::ipam {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kMaxBackoff = absl::Seconds(30);

Ledger::Owners OwnersOf(const Holding& holding) {
  Ledger::Owners owners;
  for (const Member& member : holding.members) owners.push_back(member.owner);
  return owners;
}

RowMember RowMemberOf(const Member& member) {
  return {.service = member.owner->request.key,
          .generation = member.generation,
          .since_unix_ms = member.since_unix_ms,
          .draining_until_unix_ms = member.stays() ? 0 : member.draining_until_unix_ms,
          .adopted = member.adopted};
}

Member& MemberOf(Holding& holding, const ServiceRecord* owner) {
  return *std::find_if(holding.members.begin(), holding.members.end(),
                       [owner](const Member& member) { return member.owner == owner; });
}

}  // namespace

const Member* Holding::Find(const ServiceRecord* owner) const {
  for (const Member& member : members) {
    if (member.owner == owner) return &member;
  }
  return nullptr;
}

const std::string* Ledger::Intern(const std::string& pool) {
  return &*pool_names_.insert(pool).first;
}

void Ledger::AddToCounts(const net::IpAddress& address, const Holding& holding, int64_t change) {
  held_in_name_[{holding.pool, address.family()}] += static_cast<uint64_t>(change);
  absl::InlinedVector<absl::string_view, 1> namespaces;
  for (const Member& member : holding.members) {
    if (!member.stays()) {
      draining_ += static_cast<uint64_t>(change);
      continue;
    }
    const absl::string_view name = NamespaceOf(member.owner->request.key);
    if (std::find(namespaces.begin(), namespaces.end(), name) != namespaces.end()) continue;
    namespaces.push_back(name);
    PoolCounts& counts = held_by_namespace_[name];
    auto count = std::find_if(counts.begin(), counts.end(),
                              [&](const auto& entry) { return entry.first == holding.pool; });
    if (count == counts.end()) count = counts.insert(counts.end(), {holding.pool, 0});
    count->second += static_cast<uint64_t>(change);
    if (count->second == 0) counts.erase(count);
    if (counts.empty()) held_by_namespace_.erase(name);
  }
}

void Ledger::Uncount(const net::IpAddress& address, const Holding& holding) {
  AddToCounts(address, holding, -1);
}
void Ledger::Count(const net::IpAddress& address, const Holding& holding) {
  AddToCounts(address, holding, 1);
}

void Ledger::Adopt(const JournalRow& row, absl::Span<ServiceRecord* const> owners,
                   Effects& effects) {
  Holding holding{.pool = Intern(row.pool)};
  const auto add = [&](ServiceRecord* owner, int64_t since_unix_ms, uint64_t generation,
                       int64_t draining_until_unix_ms, bool adopted) {
    if (owner == nullptr) return;
    holding.members.push_back({owner, since_unix_ms, generation, draining_until_unix_ms,
                               Member::State::kDurable, adopted});
  };
  add(owners[0], row.since_unix_ms, row.generation, row.draining_until_unix_ms, row.adopted);
  for (size_t i = 0; i < row.others.size(); ++i) {
    const RowMember& other = row.others[i];
    add(owners[i + 1], other.since_unix_ms, other.generation, other.draining_until_unix_ms,
        other.adopted);
  }
  if (holding.members.empty()) holding.state = Holding::State::kErasing;
  Holding& stored = holdings_.insert_or_assign(row.address, std::move(holding)).first->second;
  Count(row.address, stored);
  if (stored.members.size() != owners.size()) Write(row.address, stored, effects);
}

void Ledger::AdoptForeign(const net::IpAddress& address) {
  Holding holding{.pool = Intern(""), .state = Holding::State::kForeign};
  Count(address, holding);
  holdings_.insert_or_assign(address, std::move(holding));
}

void Ledger::CopyFrom(const Ledger& other,
                      absl::FunctionRef<ServiceRecord*(const ServiceRecord*)> twin_of) {
  for (const auto& [address, theirs] : other.holdings_) {
    if (theirs.state == Holding::State::kErasing) continue;
    Holding holding{.members = theirs.members, .pool = Intern(*theirs.pool)};
    for (Member& member : holding.members) {
      member.owner = twin_of(member.owner);
      member.state = Member::State::kDurable;
      if (std::exchange(member.returning, false)) member.draining_until_unix_ms = 0;
    }
    const bool ours = !holding.members.empty() &&
                      std::all_of(holding.members.begin(), holding.members.end(),
                                  [](const Member& member) { return member.owner != nullptr; });
    if (!ours) {
      AdoptForeign(address);
      continue;
    }
    Count(address, holding);
    holdings_.insert_or_assign(holdings_.end(), address, std::move(holding));
  }
}

const Holding* Ledger::Find(const net::IpAddress& address) const {
  auto it = holdings_.find(address);
  return it == holdings_.end() ? nullptr : &it->second;
}

const Member* Ledger::Find(const net::IpAddress& address, const ServiceRecord* owner) const {
  const Holding* holding = Find(address);
  return holding == nullptr ? nullptr : holding->Find(owner);
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

uint64_t Ledger::HeldByNamespace(absl::string_view name, const std::string* pool) const {
  auto counts = held_by_namespace_.find(name);
  if (counts == held_by_namespace_.end()) return 0;
  uint64_t held = 0;
  for (const auto& [counted, count] : counts->second) {
    if (pool == nullptr || *counted == *pool) held += count;
  }
  return held;
}

void Ledger::Create(const net::IpAddress& address, const std::string& pool, Member member,
                    Effects& effects) {
  Holding holding{.pool = Intern(pool), .state = Holding::State::kCreating};
  member.state = Member::State::kNew;
  holding.members.push_back(member);
  Holding& stored = holdings_.insert_or_assign(address, std::move(holding)).first->second;
  Count(address, stored);
  Write(address, stored, effects);
}

void Ledger::Join(const net::IpAddress& address, Member member, Effects& effects) {
  Holding& holding = holdings_.at(address);
  member.state = Member::State::kNew;
  Uncount(address, holding);
  holding.members.push_back(member);
  Count(address, holding);
  Write(address, holding, effects);
}

void Ledger::Leave(const net::IpAddress& address, ServiceRecord* owner, Effects& effects) {
  Holding& holding = holdings_.at(address);
  Uncount(address, holding);
  holding.members.erase(&MemberOf(holding, owner));
  Count(address, holding);
  // With a create on its way nobody knows yet whether the row to erase is ours.
  const bool unsure = holding.state == Holding::State::kCreating && holding.batch != 0;
  if (holding.members.empty() && !unsure) holding.state = Holding::State::kErasing;
  Write(address, holding, effects);
}

void Ledger::SetDraining(const net::IpAddress& address, ServiceRecord* owner, int64_t until_unix_ms,
                         Effects& effects) {
  Holding& holding = holdings_.at(address);
  Uncount(address, holding);
  Member& member = MemberOf(holding, owner);
  if (!std::exchange(member.returning, false)) member.draining_until_unix_ms = until_unix_ms;
  Count(address, holding);
  Write(address, holding, effects);
}

void Ledger::Return(const net::IpAddress& address, ServiceRecord* owner, Effects& effects) {
  Holding& holding = holdings_.at(address);
  Uncount(address, holding);
  MemberOf(holding, owner).returning = true;
  Count(address, holding);
  Write(address, holding, effects);
}

void Ledger::Rehome(const net::IpAddress& address, const std::string& pool, Effects& effects) {
  Holding& holding = holdings_.at(address);
  Uncount(address, holding);
  holding.pool = Intern(pool);
  Count(address, holding);
  Write(address, holding, effects);
}

JournalRow Ledger::RowOf(const net::IpAddress& address, const Holding& holding) {
  RowMember first = RowMemberOf(holding.members.front());
  JournalRow row{.address = address,
                 .service = std::move(first.service),
                 .generation = first.generation,
                 .pool = *holding.pool,
                 .since_unix_ms = first.since_unix_ms,
                 .draining_until_unix_ms = first.draining_until_unix_ms,
                 .adopted = first.adopted};
  for (size_t i = 1; i < holding.members.size(); ++i) {
    row.others.push_back(RowMemberOf(holding.members[i]));
  }
  return row;
}

// The write that takes the row from whatever it is to what the holding says.
void Ledger::Write(const net::IpAddress& address, Holding& holding, Effects& effects) {
  JournalCommit commit{.batch = NextBatch()};
  switch (holding.state) {
    case Holding::State::kErasing:
      commit.erase.push_back(address);
      if (releases_->Find(address) != nullptr) {
        commit.put_releases.push_back(releases_->RowOf(address));
      }
      break;
    case Holding::State::kCreating:
      if (holding.batch != 0) {  // nobody knows yet whether the address is ours
        holding.write_again = true;
        return;
      }
      holding.row_might_before = std::exchange(holding.row_may_exist, true);
      (holding.row_might_before ? commit.put : commit.create).push_back(RowOf(address, holding));
      break;
    case Holding::State::kDurable:
      commit.put.push_back(RowOf(address, holding));
      break;
    case Holding::State::kForeign:
      return;
  }
  for (Member& member : holding.members) {
    if (member.state == Member::State::kNew) member.state = Member::State::kWritten;
  }
  if (holding.stalled) stalled_.erase(address);
  holding.stalled = false;
  holding.batch = commit.batch;
  in_flight_.emplace(commit.batch, address);
  effects.push_back(std::move(commit));
}

Ledger::Outcome Ledger::Done(const JournalDone& done, absl::Time now, Effects& effects) {
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
  return Written(address, holding, effects);
}

Ledger::Outcome Ledger::Written(const net::IpAddress& address, Holding& holding, Effects& effects) {
  if (holding.state == Holding::State::kErasing) {
    Outcome outcome{Outcome::Kind::kFreed, address, {}, holding.pool};
    Uncount(address, holding);
    holdings_.erase(address);
    return outcome;
  }
  Outcome outcome{Outcome::Kind::kNothing, address, {}, holding.pool};
  for (Member& member : holding.members) {
    if (std::exchange(member.returning, false)) {
      member.draining_until_unix_ms = 0;
      outcome.returned.push_back(member.owner);
    }
    if (member.state != Member::State::kWritten) continue;
    member.state = Member::State::kDurable;
    outcome.owners.push_back(member.owner);
  }
  if (!outcome.owners.empty()) outcome.kind = Outcome::Kind::kGranted;
  if (holding.state == Holding::State::kCreating) {
    holding.state = holding.members.empty() ? Holding::State::kErasing : Holding::State::kDurable;
  }
  if (std::exchange(holding.write_again, false)) Write(address, holding, effects);
  return outcome;
}

Ledger::Outcome Ledger::Failed(const net::IpAddress& address, Holding& holding,
                               const absl::Status& status, absl::Time now) {
  Outcome outcome{Outcome::Kind::kStalled, address, OwnersOf(holding), holding.pool};
  if (absl::IsAlreadyExists(status) && holding.state == Holding::State::kCreating) {
    Uncount(address, holding);
    holding.members.clear();
    holding.state = Holding::State::kForeign;
    Count(address, holding);
    outcome.kind = Outcome::Kind::kForeign;
    return outcome;
  }
  // A full disk has written nothing now; after any other error nobody knows.
  if (absl::IsResourceExhausted(status)) holding.row_may_exist = holding.row_might_before;
  if (holding.members.empty()) holding.state = Holding::State::kErasing;
  failure_ = status;
  holding.stalled = true;
  holding.write_again = false;  // Retry() writes everything
  stalled_.insert(address);
  if (!retry_at_.has_value()) {
    backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kMaxBackoff);
    retry_at_ = now + backoff_;
  }
  return outcome;
}

void Ledger::Retry(absl::Time now, Effects& effects) {
  if (!retry_at_.has_value() || *retry_at_ > now) return;
  retry_at_.reset();
  for (const net::IpAddress& address : std::exchange(stalled_, {})) {
    Holding& holding = holdings_.at(address);
    holding.stalled = false;
    Write(address, holding, effects);
  }
}

}  // namespace portolan::ipam
