// What is remembered of addresses that were given up, and the end of their cool-down.
#include <utility>

#include "services/ipam-service/core/engine.h"

namespace portolan::ipam {

// An address that is not durable was not used: nobody was told of it.
void Engine::NoteRelease(const ServiceRecord& service, const net::IpAddress& address) {
  const Holding& holding = *ledger_.Find(address);
  if (holding.Find(&service)->state != Member::State::kDurable) return;
  NoteRelease(service.request.key, address, *holding.pool);
}

void Engine::NoteRelease(const std::string& service, const net::IpAddress& address,
                         const std::string& pool) {
  const Pool* named = pools_.Find(pool);
  if (named != nullptr && pickers_.HistoryFor(named->config().address_picker).kept) {
    releases_.Note(address, service, now_);
    ForgetReleases(releases_.Surplus());
  } else if (releases_.Find(address) != nullptr) {
    ForgetReleases({address});  // what is known is no longer the last use
  }
}

// A row whose erasure fails is erased with the next ones that are forgotten.
void Engine::ForgetReleases(const std::vector<net::IpAddress>& addresses) {
  if (addresses.empty()) return;
  for (const net::IpAddress& address : addresses) {
    pools_.Forget(address);
    releases_.Forget(address);
    forgotten_.insert(address);
  }
  JournalCommit commit{.batch = ledger_.NextBatch()};
  for (const net::IpAddress& address : std::exchange(forgotten_, {})) {
    if (releases_.Find(address) == nullptr) commit.erase_releases.push_back(address);
  }
  forgetting_.emplace(commit.batch, commit.erase_releases);
  effects_.push_back(std::move(commit));
}

bool Engine::ForgotReleases(const JournalDone& done) {
  auto written = forgetting_.find(done.batch);
  if (written == forgetting_.end()) return false;
  if (!done.status.ok()) forgotten_.insert(written->second.begin(), written->second.end());
  forgetting_.erase(written);
  return true;
}

void Engine::EndCoolDowns() {
  const std::optional<absl::Time>& end = pools_.cool_downs_end_at();
  if (!end.has_value() || *end > now_.steady) return;
  for (Pool* pool : pools_.EndCoolDowns(now_.steady)) {
    pools_changed_ = true;
    SettleWaitingFor(*pool);
  }
}

}  // namespace portolan::ipam
