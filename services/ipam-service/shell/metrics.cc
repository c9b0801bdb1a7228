#include "services/ipam-service/shell/metrics.h"

#include <array>
#include <string>

#include "absl/strings/string_view.h"
#include "services/ipam-service/core/pool.h"
#include "services/ipam-service/core/report.h"

namespace portolan::ipam {
namespace {

double Number(uint64_t value) { return static_cast<double>(value); }

void CollectPools(const EngineFigures& figures, metrics::Page& page) {
  const auto pools = [&](absl::string_view state, uint64_t value) {
    page.AddGauge("portolan_ipam_pools", "Address pools.", {{"state", std::string(state)}},
                  Number(value));
  };
  pools("active", figures.pools - figures.conflicting_pools - figures.disabled_pools);
  pools("disabled", figures.disabled_pools);
  pools("conflicting", figures.conflicting_pools);
  for (const PoolFigures& pool : figures.by_pool) {
    const metrics::Labels labels = {{"pool", pool.pool},
                                    {"family", std::string(net::FamilyName(pool.family))}};
    page.AddGauge("portolan_ipam_pool_addresses", "Addresses of the pool; approximate above 2^53.",
                  labels, pool.total);
    page.AddGauge("portolan_ipam_pool_addresses_used",
                  "Addresses that somebody has; approximate above 2^53.", labels, pool.used);
    page.AddGauge("portolan_ipam_pool_addresses_available",
                  "Addresses that can be given; approximate above 2^53.", labels, pool.available);
    page.AddGauge("portolan_ipam_pool_addresses_reserved",
                  "Addresses that are neither used nor given; approximate above 2^53.", labels,
                  pool.reserved);
    if (pool.exhausted_in_s == 0) continue;
    page.AddGauge("portolan_ipam_pool_exhausted_in_seconds",
                  "Until nothing is available, at the rate of the last hour; absent when that is "
                  "not foreseeable.",
                  labels, static_cast<double>(pool.exhausted_in_s));
  }
}

void CollectAddresses(const AddressCounters& counters, net::Family family, metrics::Page& page) {
  const std::string name(net::FamilyName(family));
  const auto assigned = [&](absl::string_view kind, uint64_t value) {
    page.AddCounter("portolan_ipam_assignments_total",
                    "Addresses that Services came to: chosen anew, shared with who has them, found "
                    "in use, or restored from the journal at the start.",
                    {{"family", name}, {"kind", std::string(kind)}}, Number(value));
  };
  assigned("chosen", counters.chosen);
  assigned("shared", counters.shared);
  assigned("adopted", counters.adopted);
  assigned("restored", counters.restored);
  const metrics::Labels labels = {{"family", name}};
  page.AddCounter("portolan_ipam_grants_total",
                  "Addresses that were recorded for a Service and published, without the restored.",
                  labels, Number(counters.granted));
  page.AddCounter("portolan_ipam_foreign_rows_total",
                  "Chosen addresses that the store already had as somebody else's.", labels,
                  Number(counters.lost));
  const auto reused = [&](absl::string_view former, uint64_t value) {
    page.AddCounter("portolan_ipam_reused_total",
                    "Chosen addresses that somebody gave up before, as far as the histories of "
                    "pools know: the same Service, or another.",
                    {{"family", name}, {"former", std::string(former)}}, Number(value));
  };
  reused("same", counters.returned);
  reused("other", counters.reused);
  page.AddCounter("portolan_ipam_releases_total", "Addresses that Services left.", labels,
                  Number(counters.released));
  page.AddCounter("portolan_ipam_renumbered_total",
                  "Addresses that were not allowed any more and were moved.", labels,
                  Number(counters.renumbered));
}

void CollectServices(const EngineFigures& figures, metrics::Page& page) {
  page.AddGauge("portolan_ipam_started",
                "1: the journal and every source are known, addresses are given.", {},
                figures.started ? 1 : 0);
  page.AddGauge("portolan_ipam_services", "Services that are known.", {}, Number(figures.services));
  for (const State state : kStates) {
    page.AddGauge("portolan_ipam_told_services",
                  "Services by the state that they were told last: ready has all that it wants, "
                  "degraded has a part, or keeps what is not allowed any more.",
                  {{"state", StateName(state)}},
                  Number(figures.counters.services[static_cast<size_t>(state)]));
  }
  page.AddGauge("portolan_ipam_addresses",
                "Addresses in the ledger: held, being recorded or being erased.", {},
                Number(figures.addresses));
  page.AddGauge("portolan_ipam_draining_addresses",
                "Addresses that their Services leave and that still work.", {},
                Number(figures.draining));
  page.AddGauge("portolan_ipam_stranded_services",
                "Services with an address that is not allowed any more.", {},
                Number(figures.stranded));
  page.AddGauge("portolan_ipam_queue_services", "Services that wait for an address.", {},
                Number(figures.waiting));
  for (const auto& [reason, count] : figures.waiting_by_reason) {
    page.AddGauge("portolan_ipam_waiting_services", "Services that wait, by what they were told.",
                  {{"reason", reason}}, Number(count));
  }
  for (const auto& [reason, count] : figures.counters.refusals) {
    page.AddCounter("portolan_ipam_refusals_total",
                    "Times that a Service was told a new reason why it lacks something.",
                    {{"reason", reason}}, Number(count));
  }
  page.AddCounter("portolan_ipam_not_adopted_total",
                  "Addresses found in use that could not be taken over.", {},
                  Number(figures.counters.not_adopted));
  page.AddGauge("portolan_ipam_unreadable_rows",
                "Rows of the journal that could not be read at the start: their addresses go to "
                "nobody.",
                {}, Number(figures.counters.unreadable));
  page.AddHistogram("portolan_ipam_wait_seconds",
                    "Time in the queue of Services that had to wait and were served.", {},
                    figures.served_after);
}

void CollectPickers(const EngineFigures& figures, metrics::Page& page) {
  const PickerCounters& counters = figures.counters.pickers;
  page.AddCounter("portolan_ipam_picker_questions_total",
                  "Questions to address pickers in other processes.", {}, Number(counters.asked));
  page.AddGauge("portolan_ipam_picker_questions_open", "Of them without an answer.", {},
                Number(figures.asks));
  page.AddHistogram("portolan_ipam_picker_seconds", "Until such a question was answered.", {},
                    counters.answered_after);
  page.AddCounter("portolan_ipam_picker_declines_total",
                  "Times that an address picker had no address.", {}, Number(counters.declined));
  const auto failures = [&](absl::string_view policy, uint64_t value) {
    page.AddCounter("portolan_ipam_picker_failures_total",
                    "Times that an address picker failed, by its fail-policy.",
                    {{"policy", std::string(policy)}}, Number(value));
  };
  failures("closed", counters.failed);
  failures("open", counters.failed_open);
}

}  // namespace

void CollectMetrics(const EngineFigures& figures, metrics::Page& page) {
  CollectServices(figures, page);
  for (const net::Family family : kFamilies) {
    CollectAddresses(figures.counters.addresses[FamilyIndex(family)], family, page);
  }
  CollectPools(figures, page);
  CollectPickers(figures, page);
  page.AddGauge("portolan_ipam_store_refuses",
                "1: the store refuses writes, nothing new is assigned.", {},
                figures.store_refuses ? 1 : 0);
}

void CollectMetrics(const ShellFigures& figures, metrics::Page& page) {
  const auto plans = [&](absl::string_view outcome, uint64_t value) {
    page.AddCounter("portolan_ipam_plans_total",
                    "Proposed configurations that were judged: nobody would lose an address, "
                    "somebody would, or it was too early to say.",
                    {{"outcome", std::string(outcome)}}, Number(value));
  };
  plans("harmless", figures.plans_harmless);
  plans("moves", figures.plans_moving);
  plans("unavailable", figures.plans_unavailable);
  page.AddCounter("portolan_ipam_explanations_total", "Explain calls.", {},
                  Number(figures.explanations));
  page.AddHistogram("portolan_ipam_publish_seconds",
                    "From when a Service asked for a new address until it was durable and "
                    "published, waiting included.",
                    {}, figures.published_after);
}

void CollectMetrics(const JournalFigures& figures, metrics::Page& page) {
  page.AddCounter("portolan_ipam_journal_writes_total", "Transactions of the store.", {},
                  Number(figures.writes));
  const auto failures = [&](absl::string_view kind, uint64_t value) {
    page.AddCounter("portolan_ipam_journal_failures_total", "Transactions that the store refused.",
                    {{"kind", std::string(kind)}}, Number(value));
  };
  failures("full", figures.failures_full);
  failures("exists", figures.failures_exists);
  failures("other", figures.failures_other);
  page.AddGauge("portolan_ipam_journal_queued_commits", "Commits that wait for the store.", {},
                Number(figures.queued));
  page.AddHistogram("portolan_ipam_journal_write_seconds", "Time of one transaction.", {},
                    figures.write_seconds);
  page.AddHistogram("portolan_ipam_journal_group_commits", "Commits in one transaction.", {},
                    figures.group_size);
}

}  // namespace portolan::ipam
