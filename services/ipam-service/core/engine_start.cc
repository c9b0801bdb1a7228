// What happens once: the journal's rows and the addresses found in use become holdings.
#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "services/ipam-service/core/engine.h"

namespace portolan::ipam {
namespace {

constexpr uint8_t kAllSources = (1 << std::size(kSources)) - 1;

int64_t EarliestOf(const JournalRow& row) {
  int64_t earliest = row.since_unix_ms;
  for (const RowMember& other : row.others) earliest = std::min(earliest, other.since_unix_ms);
  return earliest;
}

}  // namespace

void Engine::StartWhenComplete() {
  if (started_ || !loaded_.has_value() || synced_ != kAllSources) return;
  OrderPools();
  AdoptJournal();
  started_ = true;
  std::vector<ServiceRecord*> by_key;
  for (const auto& service : services_) by_key.push_back(service.get());
  std::sort(by_key.begin(), by_key.end(), [](const ServiceRecord* a, const ServiceRecord* b) {
    return a->request.key < b->request.key;
  });
  effects_.reserve(effects_.size() + 2 * by_key.size());  // an allocation and a status each
  // Everything that is there before anything is chosen.
  for (ServiceRecord* service : by_key) AdoptInUse(*service);
  for (ServiceRecord* service : by_key) {
    if (service->held.empty()) continue;
    Wish wish = WishFor(*service);
    Keep(*service, wish, nullptr);
  }
  for (ServiceRecord* service : by_key) Settle(*service);
  if (settings_.allow_renumber) renumber_at_ = now_.steady + kRenumberDelay;
  pools_changed_ = true;
  PublishPools();
  effects_.push_back(MarkSynced{});
}

// Ages of pools: as recorded; else by the earliest address that they gave; else by name.
void Engine::OrderPools() {
  std::map<std::string, int64_t> seen;
  for (const JournalRow& row : loaded_->rows) {
    auto [it, first] = seen.emplace(row.pool, EarliestOf(row));
    if (!first) it->second = std::min(it->second, EarliestOf(row));
  }
  std::vector<std::string> gone;
  for (const PoolRow& row : loaded_->pools) {
    seen[row.name] = row.first_seen_unix_ms;
    if (pools_.Find(row.name) == nullptr) gone.push_back(row.name);
  }
  const int64_t now = absl::ToUnixMillis(now_.wall);
  pools_.OrderAgesBy([&](const std::string& pool) {
    auto it = seen.find(pool);
    return it == seen.end() ? std::numeric_limits<int64_t>::max() : it->second;
  });
  std::vector<PoolRow> rows;
  int64_t unknown = now;  // younger than all that are known, even when the clock went back
  for (const std::string& pool : pools_.Names()) {
    if (auto it = seen.find(pool); it != seen.end()) unknown = std::max(unknown, it->second + 1);
  }
  for (const std::string& pool : pools_.Names()) {
    auto it = seen.find(pool);
    first_seen_[pool] = it == seen.end() ? unknown : it->second;
    last_seen_ = std::max(last_seen_, first_seen_[pool]);
    rows.push_back({pool, first_seen_[pool]});
  }
  std::erase_if(rows, [&](const PoolRow& row) {
    return std::find(loaded_->pools.begin(), loaded_->pools.end(), row) != loaded_->pools.end();
  });
  WritePoolRows(std::move(rows), std::move(gone));
}

void Engine::AdoptJournal() {
  std::vector<const JournalRow*> rows;
  for (const JournalRow& row : loaded_->rows) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(), [](const JournalRow* a, const JournalRow* b) {
    return std::tie(a->since_unix_ms, a->address) < std::tie(b->since_unix_ms, b->address);
  });
  for (const ReleaseRow& row : loaded_->releases) releases_.Load(row, now_);
  ForgetReleases(releases_.Surplus());
  counters_.unreadable = loaded_->unreadable.size();
  for (const net::IpAddress& address : loaded_->unreadable) ledger_.AdoptForeign(address);
  for (const JournalRow* row : rows) AdoptRow(*row);
  // Whoever shares an address came to it later than its row.
  for (const auto& service : services_) {
    if (service->held.size() < 2) continue;
    std::stable_sort(service->held.begin(), service->held.end(),
                     [&](const net::IpAddress& a, const net::IpAddress& b) {
                       return ledger_.Find(a, service.get())->since_unix_ms <
                              ledger_.Find(b, service.get())->since_unix_ms;
                     });
  }
  loaded_.reset();
  pools_.Rebuild(ledger_, Past());
}

// Those whose Service is gone, or does not agree with the others any more, are not on the address.
// Who was not edited since stays before who was; among equals who came first stays.
void Engine::AdoptRow(const JournalRow& row) {
  // One is by far the most common.
  absl::InlinedVector<RowMember, 1> members = {
      {row.service, row.generation, row.since_unix_ms, row.draining_until_unix_ms, row.adopted}};
  members.insert(members.end(), row.others.begin(), row.others.end());
  Ledger::Owners owners;
  for (const RowMember& member : members) owners.push_back(FindService(member.service));
  absl::InlinedVector<size_t, 1> order(members.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_partition(order.begin(), order.end(), [&](size_t i) {
    return owners[i] != nullptr && owners[i]->request.generation == members[i].generation;
  });
  absl::InlinedVector<const ServiceRecord*, 1> staying;
  for (const size_t i : order) {
    const bool agrees =
        owners[i] != nullptr &&
        std::none_of(staying.begin(), staying.end(), [&](const ServiceRecord* other) {
          return WhyNotTogether(owners[i]->request, other->request).has_value();
        });
    if (agrees) {
      staying.push_back(owners[i]);
    } else {
      owners[i] = nullptr;
    }
  }
  if (staying.empty()) NoteRelease(row.service, row.address, row.pool);
  ledger_.Adopt(row, owners, effects_);
  AddressCounters& counters = CountersOf(row.address);
  for (size_t i = 0; i < owners.size(); ++i) {
    ++(owners[i] == nullptr ? counters.released : counters.restored);
    if (owners[i] == nullptr) continue;
    owners[i]->held.push_back(row.address);
    sharing_.Add(owners[i]->request, row.address);
    if (members[i].draining_until_unix_ms != 0) {
      ScheduleDrain(*owners[i], row.address, members[i].draining_until_unix_ms);
    }
  }
}

void Engine::AdoptInUse(ServiceRecord& service) {
  if (!service.request.addresses_in_use.has_value() || !service.held.empty()) return;
  const std::vector<std::string>& texts = *service.request.addresses_in_use;
  for (size_t i = 0; i < texts.size() && i < kMaxRequestedAddresses; ++i) {
    absl::StatusOr<net::IpAddress> address = net::IpAddress::Parse(texts[i]);
    if (address.ok()) {
      AdoptAddress(service, *address);
    } else {
      service.notes.push_back(UnreadableInUse(texts[i]));
    }
  }
}

void Engine::AdoptAddress(ServiceRecord& service, const net::IpAddress& address) {
  const Holding* holding = ledger_.Find(address);
  if (holding == nullptr) {
    const Pool* pool = pools_.ActiveFor(address);
    Take(service, pool == nullptr ? "" : pool->name(), address, /*adopted=*/true);
    return;
  }
  if (holding->Find(&service) != nullptr) return;  // listed twice
  std::optional<Finding> objection = rules_.JoinObjection(service, address, *holding);
  if (!objection.has_value() && !holding->members.empty()) {
    Join(service, address, /*adopted=*/true);
    return;
  }
  service.notes.push_back(NotAdopted(address, objection));
  ++counters_.not_adopted;
}

void Engine::RecordPool(const std::string& name) {
  // Younger than all, even when the clock went back.
  last_seen_ = std::max(absl::ToUnixMillis(now_.wall), last_seen_ + 1);
  first_seen_[name] = last_seen_;
  WritePoolRows({{name, last_seen_}}, {});
}

void Engine::WritePoolRows(std::vector<PoolRow> put, std::vector<std::string> erase) {
  if (put.empty() && erase.empty()) return;
  JournalCommit commit{.batch = ledger_.NextBatch()};
  commit.put_pools = std::move(put);
  commit.erase_pools = std::move(erase);
  pool_writes_.insert(commit.batch);
  effects_.push_back(std::move(commit));
}

std::vector<PoolRow> Engine::PoolRows() const {
  std::vector<PoolRow> rows;
  for (const auto& [name, first_seen] : first_seen_) rows.push_back({name, first_seen});
  return rows;
}

}  // namespace portolan::ipam
