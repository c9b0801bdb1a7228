// What the engine knows, in numbers.
#include "services/ipam-service/core/engine.h"

namespace portolan::ipam {

EngineFigures Engine::Figures(absl::Time now) const {
  EngineFigures figures{.started = started_,
                        .services = services_.size(),
                        .addresses = ledger_.size(),
                        .draining = ledger_.draining(),
                        .stranded = stranded_.size(),
                        .waiting = waiting_.size(),
                        .asks = asks_.size(),
                        .pools = pools_.ordered().size(),
                        .store_refuses = !ledger_.failure().ok(),
                        .counters = counters_,
                        .waiting_by_reason = waiting_counters_.by_reason(),
                        .served_after = waiting_counters_.served_after()};
  for (const Pool* pool : pools_.ordered()) {
    if (!pool->active()) {
      ++figures.conflicting_pools;
    } else if (pool->config().disabled) {
      ++figures.disabled_pools;
    }
    if (!started_) continue;  // what is free is not known yet
    for (const net::Family family : kFamilies) {
      if (!pool->HasFamily(family)) continue;
      const Pool::Counts counts = CountsOf(*pool, family, ledger_);
      const double used = counts.used.ToDouble();
      const double available = counts.available.ToDouble();
      figures.by_pool.push_back(
          {.pool = pool->name(),
           .family = family,
           .total = counts.total.ToDouble(),
           .used = used,
           .available = available,
           .reserved = counts.reserved.ToDouble(),
           .exhausted_in_s = pool->trend(family).ExhaustedIn(now, used, available)});
    }
  }
  return figures;
}

AddressCounters& Engine::CountersOf(const net::IpAddress& address) {
  return counters_.addresses[FamilyIndex(address.family())];
}

void Engine::CountReuse(const ServiceRecord& service, const net::IpAddress& address) {
  const Release* release = releases_.Find(address);
  if (release == nullptr) return;
  AddressCounters& counters = CountersOf(address);
  ++(release->service == service.request.key ? counters.returned : counters.reused);
}

void Engine::CountStatus(ServiceRecord& service, const StatusReport& report) {
  if (service.status_print != 0) UncountStatus(service);
  service.told = report.state;
  ++counters_.services[static_cast<size_t>(report.state)];
  // A reason of a plugin that we do not know has no label of its own.
  const std::string reason = IsKnownReason(report.reason) ? report.reason : "other";
  if (service.place != 0 && !waiting_counters_.SetReason(service.place, reason)) return;
  if (report.state != State::kReady) ++counters_.refusals[reason];
}

void Engine::UncountStatus(const ServiceRecord& service) {
  --counters_.services[static_cast<size_t>(service.told)];
}

}  // namespace portolan::ipam
