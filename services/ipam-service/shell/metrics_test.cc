// What stands on a page of metrics: every figure under its own name.
#include "services/ipam-service/shell/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A number of its own in each of them.
EngineFigures FiguresOfTheirOwn() {
  EngineFigures figures{.started = true,
                        .services = 11,
                        .addresses = 12,
                        .draining = 13,
                        .stranded = 14,
                        .waiting = 15,
                        .asks = 16,
                        .pools = 60,
                        .conflicting_pools = 17,
                        .disabled_pools = 18,
                        .store_refuses = true};
  figures.counters.addresses[0] = {.chosen = 21,
                                   .shared = 22,
                                   .adopted = 23,
                                   .restored = 24,
                                   .granted = 25,
                                   .lost = 26,
                                   .returned = 27,
                                   .reused = 28,
                                   .released = 29,
                                   .renumbered = 30};
  figures.counters.refusals["over-quota"] = 31;
  figures.waiting_by_reason["pool-exhausted"] = 32;
  figures.counters.not_adopted = 33;
  figures.counters.unreadable = 34;
  figures.counters.services = {35, 36, 37, 38, 39};
  figures.counters.pickers.asked = 40;
  figures.counters.pickers.declined = 41;
  figures.counters.pickers.failed = 42;
  figures.counters.pickers.failed_open = 43;
  for (int i = 0; i < 44; ++i) figures.counters.pickers.answered_after.Observe(1);
  for (int i = 0; i < 45; ++i) figures.served_after.Observe(1);
  figures.by_pool.push_back(
      {.pool = "p", .total = 50, .used = 51, .available = 52, .reserved = 53});
  return figures;
}

TEST(IpamMetrics, EveryCounterOfTheEngineIsOnThePageWithItsOwnValue) {
  metrics::Page page;
  CollectMetrics(FiguresOfTheirOwn(), page);
  const std::string text = page.ToText();
  for (const char* line : {"started 1",
                           "services 11",
                           "addresses 12",
                           "draining_addresses 13",
                           "stranded_services 14",
                           "queue_services 15",
                           "picker_questions_open 16",
                           "pools{state=\"active\"} 25",
                           "pools{state=\"conflicting\"} 17",
                           "pools{state=\"disabled\"} 18",
                           "store_refuses 1",
                           "assignments_total{family=\"ipv4\",kind=\"chosen\"} 21",
                           "assignments_total{family=\"ipv4\",kind=\"shared\"} 22",
                           "assignments_total{family=\"ipv4\",kind=\"adopted\"} 23",
                           "assignments_total{family=\"ipv4\",kind=\"restored\"} 24",
                           "grants_total{family=\"ipv4\"} 25",
                           "foreign_rows_total{family=\"ipv4\"} 26",
                           "reused_total{family=\"ipv4\",former=\"same\"} 27",
                           "reused_total{family=\"ipv4\",former=\"other\"} 28",
                           "releases_total{family=\"ipv4\"} 29",
                           "renumbered_total{family=\"ipv4\"} 30",
                           "refusals_total{reason=\"over-quota\"} 31",
                           "waiting_services{reason=\"pool-exhausted\"} 32",
                           "not_adopted_total 33",
                           "unreadable_rows 34",
                           "told_services{state=\"pending\"} 35",
                           "told_services{state=\"ready\"} 36",
                           "told_services{state=\"degraded\"} 37",
                           "told_services{state=\"rejected\"} 38",
                           "told_services{state=\"failed\"} 39",
                           "picker_questions_total 40",
                           "picker_declines_total 41",
                           "picker_failures_total{policy=\"closed\"} 42",
                           "picker_failures_total{policy=\"open\"} 43",
                           "picker_seconds_count 44",
                           "wait_seconds_count 45",
                           "pool_addresses{pool=\"p\",family=\"ipv4\"} 50",
                           "pool_addresses_used{pool=\"p\",family=\"ipv4\"} 51",
                           "pool_addresses_available{pool=\"p\",family=\"ipv4\"} 52",
                           "pool_addresses_reserved{pool=\"p\",family=\"ipv4\"} 53"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\nportolan_ipam_") + line + "\n"));
  }
  EXPECT_THAT(text, Not(HasSubstr("exhausted_in_seconds"))) << "that is not foreseeable";
}

TEST(IpamMetrics, OutcomesOfTheStoreAndOfQuestionsAreOnThePage) {
  ShellFigures shell{
      .plans_harmless = 1, .plans_moving = 2, .plans_unavailable = 3, .explanations = 4};
  for (int i = 0; i < 5; ++i) shell.published_after.Observe(1);
  JournalFigures journal{
      .writes = 6, .failures_full = 7, .failures_exists = 8, .failures_other = 9, .queued = 10};
  for (int i = 0; i < 11; ++i) journal.write_seconds.Observe(1);
  for (int i = 0; i < 12; ++i) journal.group_size.Observe(1);
  metrics::Page page;
  CollectMetrics(shell, page);
  CollectMetrics(journal, page);
  const std::string text = page.ToText();
  for (const char* line :
       {"plans_total{outcome=\"harmless\"} 1", "plans_total{outcome=\"moves\"} 2",
        "plans_total{outcome=\"unavailable\"} 3", "explanations_total 4", "publish_seconds_count 5",
        "journal_writes_total 6", "journal_failures_total{kind=\"full\"} 7",
        "journal_failures_total{kind=\"exists\"} 8", "journal_failures_total{kind=\"other\"} 9",
        "journal_queued_commits 10", "journal_write_seconds_count 11",
        "journal_group_commits_count 12"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\nportolan_ipam_") + line + "\n"));
  }
}

}  // namespace
}  // namespace portolan::ipam
