#include "services/base/table/reconciler.h"

#include <gtest/gtest.h>

#include <string>

namespace portolan::table {
namespace {

using Table = Reconciler<std::string, int>;
using Operation = Table::Operation;
using Operations = std::vector<Operation>;

const absl::Time kStart = absl::UnixEpoch();

TEST(ReconcilerTest, WritesADesiredRowOnceAndThenRests) {
  Table table;
  table.Set("a", 1);
  EXPECT_EQ(table.Plan(kStart), (Operations{{"a", 1}}));
  EXPECT_TRUE(table.Plan(kStart).empty()) << "in flight";
  table.Report("a", absl::OkStatus(), kStart);
  EXPECT_EQ(table.Find("a")->state, RowState::kDone);
  table.Set("a", 1);
  EXPECT_TRUE(table.Plan(kStart).empty());
}

TEST(ReconcilerTest, AChangeDuringAnOperationIsWrittenAfterIt) {
  Table table;
  table.Set("a", 1);
  table.Plan(kStart);
  table.Set("a", 2);
  EXPECT_TRUE(table.Plan(kStart).empty());
  table.Report("a", absl::OkStatus(), kStart);
  EXPECT_EQ(table.Plan(kStart), (Operations{{"a", 2}}));
}

TEST(ReconcilerTest, EraseDuringACreateDeletesAfterIt) {
  Table table;
  table.MarkSynced();
  table.Set("a", 1);
  table.Plan(kStart);
  table.Erase("a");
  table.Report("a", absl::OkStatus(), kStart);
  EXPECT_EQ(table.Plan(kStart), (Operations{{"a", std::nullopt}}));
  table.Report("a", absl::OkStatus(), kStart);
  EXPECT_TRUE(table.Plan(kStart).empty());
  EXPECT_EQ(table.Find("a"), nullptr);
}

TEST(ReconcilerTest, PrunesNothingBeforeTheDesiredStateIsComplete) {
  Table table;
  table.Adopt("kept", 1);
  table.Adopt("changed", 1);
  table.Adopt("orphan", 1);
  table.Set("kept", 1);
  table.Set("changed", 2);
  EXPECT_EQ(table.Plan(kStart), (Operations{{"changed", 2}}));
  table.MarkSynced();
  EXPECT_EQ(table.Plan(kStart), (Operations{{"orphan", std::nullopt}}));
  EXPECT_EQ(table.Find("kept")->state, RowState::kDone);
}

TEST(ReconcilerTest, ARefusedRowKeepsItsReasonAndRetriesWithBackoffWhileOthersGoOn) {
  Table table(Table::Options{absl::Milliseconds(100), absl::Milliseconds(300)});
  table.Set("bad", 1);
  table.Set("good", 2);
  table.Plan(kStart);
  table.Report("good", absl::OkStatus(), kStart);
  absl::Time now = kStart;
  for (const int backoff_ms : {100, 200, 300, 300}) {
    table.Report("bad", absl::ResourceExhaustedError("map full"), now);
    EXPECT_EQ(table.Find("bad")->status.message(), "map full");
    EXPECT_EQ(table.NextRetry(), now + absl::Milliseconds(backoff_ms));
    EXPECT_TRUE(table.Plan(now + absl::Milliseconds(backoff_ms - 1)).empty());
    now += absl::Milliseconds(backoff_ms);
    EXPECT_EQ(table.Plan(now), (Operations{{"bad", 1}}));
  }
  EXPECT_EQ(table.Find("good")->state, RowState::kDone);
}

TEST(ReconcilerTest, ARefusedDeleteIsTriedAgain) {
  Table table;
  table.MarkSynced();
  table.Adopt("a", 1);
  EXPECT_EQ(table.Plan(kStart).size(), 1u);
  table.Report("a", absl::UnavailableError("busy"), kStart);
  EXPECT_TRUE(table.Plan(kStart).empty());
  EXPECT_EQ(table.Plan(kStart + absl::Seconds(1)), (Operations{{"a", std::nullopt}}));
}

TEST(ReconcilerTest, AfterAFailureTheRowIsWrittenAgainEvenIfItWasThereBefore) {
  Table table;
  table.Adopt("a", 1);
  table.Set("a", 2);
  table.Plan(kStart);
  table.Report("a", absl::UnavailableError("unknown outcome"), kStart);
  table.Set("a", 1);
  EXPECT_EQ(table.Plan(kStart), (Operations{{"a", 1}}));
}

TEST(ReconcilerTest, DeletesComeBeforeWrites) {
  Table table;
  table.MarkSynced();
  table.Set("a", 1);
  table.Adopt("b", 1);
  EXPECT_EQ(table.Plan(kStart), (Operations{{"b", std::nullopt}, {"a", 1}}));
}

}  // namespace
}  // namespace portolan::table
