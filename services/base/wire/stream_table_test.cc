#include "services/base/wire/stream_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"

namespace portolan::wire {
namespace {

using intent::v1alpha1::ServiceIntent;
using stream::v1alpha1::WatchRequest;
using stream::v1alpha1::WatchResponse;

ServiceIntent Service(uint64_t generation) {
  ServiceIntent service;
  service.set_generation(generation);
  return service;
}

class CountingWaker : public Waker {
 public:
  void Wake() override { ++count; }
  int count = 0;
};

class StreamTableTest : public testing::Test {
 protected:
  bool Read(Position& position) {
    std::string bytes;
    const bool has_more = table_.Read(position, bytes, waker_);
    EXPECT_TRUE(response_.ParseFromString(bytes));
    return has_more;
  }
  // "a=1 b=2 -c reset synced"
  std::string Text() const {
    std::string text;
    for (const auto& change : response_.changes()) {
      ServiceIntent service;
      change.value().UnpackTo(&service);
      absl::StrAppend(&text, change.has_value()
                                 ? absl::StrCat(change.key(), "=", service.generation(), " ")
                                 : absl::StrCat("-", change.key(), " "));
    }
    return absl::StrCat(text, response_.reset() ? "reset " : "",
                        response_.synced() ? "synced" : "");
  }

  StreamTable table_{"epoch-1", 3};
  int writer_ = table_.AddWriter();
  WatchResponse response_;
  std::shared_ptr<CountingWaker> waker_ = std::make_shared<CountingWaker>();
};

TEST_F(StreamTableTest, GivesASnapshotThenOneMarkThenDeltas) {
  table_.Upsert("a", Service(1));
  table_.Upsert("b", Service(1));
  table_.Remove("b");
  table_.MarkSynced(writer_);
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "a=1 reset synced");
  ASSERT_FALSE(Read(position));
  table_.Upsert("a", Service(2));
  EXPECT_EQ(waker_->count, 1);
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "a=2 ");
}

TEST_F(StreamTableTest, CountsReadersChangesAndWhatWasSent) {
  table_.Upsert("a", Service(1));
  table_.Upsert("b", Service(1));
  table_.Remove("b");
  table_.CountReader(1);
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  const size_t sent = response_.ByteSizeLong();
  ASSERT_FALSE(Read(position));  // nothing new is no response
  StreamFigures figures = table_.Figures();
  EXPECT_EQ(figures.revisions, 3u);
  EXPECT_EQ(figures.entries, 1u);
  EXPECT_EQ(figures.readers, 1);
  EXPECT_EQ(figures.responses, 1u);
  EXPECT_EQ(figures.sent_bytes, sent);
  table_.CountReader(-1);
  EXPECT_EQ(table_.Figures().readers, 0);
}

TEST_F(StreamTableTest, ASlowReaderGetsOnlyTheLatestValueOfAKey) {
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  for (int i = 1; i <= 1000; ++i) table_.Upsert("a", Service(i));
  table_.Upsert("b", Service(1));
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "a=1000 b=1 ");
}

TEST_F(StreamTableTest, AnEqualValueIsNoChangeEvenWithLabelsInAnotherOrder) {
  ServiceIntent first, second;
  for (int i = 0; i < 20; ++i) (*first.mutable_labels())[absl::StrCat(i)] = "x";
  for (int i = 19; i >= 0; --i) (*second.mutable_labels())[absl::StrCat(i)] = "x";
  table_.Upsert("a", first);
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  table_.Upsert("a", second);
  EXPECT_FALSE(Read(position));
}

TEST_F(StreamTableTest, AnEmptyValueIsAValueAndNotARemoval) {
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  table_.Upsert("a", ServiceIntent());
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "a=0 ");
  table_.Upsert("a", ServiceIntent());
  EXPECT_FALSE(Read(position));
  table_.Upsert("a", Service(1));
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "a=1 ");
  table_.Remove("a");
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "-a ");
}

TEST_F(StreamTableTest, EveryChangeCarriesItsKeyTypeAndRevision) {
  table_.Upsert("a", Service(7));
  table_.Upsert("b", Service(8));
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  ASSERT_EQ(response_.changes_size(), 2);
  EXPECT_EQ(response_.changes(1).key(), "b");
  EXPECT_EQ(response_.changes(1).revision(), 2u);
  EXPECT_EQ(response_.changes(1).value().type_url(),
            "type.googleapis.com/portolan.intent.v1alpha1.ServiceIntent");
  EXPECT_EQ(response_.revision(), 2u);
  EXPECT_EQ(response_.epoch(), "epoch-1");
}

TEST_F(StreamTableTest, SaysSyncedOnlyWhenEveryWriterHasSaidSo) {
  const int other = table_.AddWriter();
  Position position = table_.Begin({});
  table_.MarkSynced(writer_);
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "reset ");
  ASSERT_FALSE(Read(position));
  table_.MarkSynced(other);
  EXPECT_EQ(waker_->count, 1);
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "synced");
}

TEST_F(StreamTableTest, SaysWhenSeveralChangesWereAllThereWas) {
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  table_.Upsert("a", Service(1));
  ASSERT_TRUE(Read(position));
  EXPECT_FALSE(position.crowded) << "a single change goes out at once";
  table_.Upsert("a", Service(2));
  table_.Upsert("b", Service(2));
  ASSERT_TRUE(Read(position));
  EXPECT_TRUE(position.crowded);
  for (int i = 0; i < 20'000; ++i) table_.Upsert(absl::StrCat("service-", i), Service(1));
  ASSERT_TRUE(Read(position));
  EXPECT_FALSE(position.crowded) << "there is more already";
}

TEST_F(StreamTableTest, LongValuesAndKeysArriveWhole) {
  for (const size_t size : {0u, 1u, 127u, 128u, 16'383u, 16'384u, 100'000u}) {
    ServiceIntent service;
    service.set_requested_pool(std::string(size, 'p'));
    const std::string key(size + 1, 'k');
    table_.Upsert(key, service);
    Position position = table_.Begin({});
    position.revision = table_.Figures().revisions - 1;
    ASSERT_TRUE(Read(position));
    ASSERT_EQ(response_.changes_size(), 1);
    EXPECT_EQ(response_.changes(0).key(), key);
    ServiceIntent read;
    ASSERT_TRUE(response_.changes(0).value().UnpackTo(&read));
    EXPECT_EQ(read.requested_pool(), service.requested_pool());
  }
}

TEST_F(StreamTableTest, AClosedTableForgetsEverythingAndEndsItsReaders) {
  table_.Upsert("a", Service(1));
  table_.MarkSynced(writer_);
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  ASSERT_FALSE(Read(position));
  EXPECT_EQ(table_.closed(), std::nullopt);
  table_.Close("another one speaks");
  EXPECT_EQ(waker_->count, 1);
  EXPECT_EQ(table_.closed(), "another one speaks");
  EXPECT_FALSE(Read(position));
  EXPECT_TRUE(position.ended);
  EXPECT_EQ(table_.Figures().entries, 0u);
}

TEST_F(StreamTableTest, ATableThatIsOpenedAgainBeginsANewLifeUnderItsTerm) {
  table_.Upsert("a", Service(1));
  table_.MarkSynced(writer_);
  Position before = table_.Begin({});
  ASSERT_TRUE(Read(before));
  EXPECT_EQ(response_.term(), 0u);
  WatchRequest resume;
  resume.set_epoch(response_.epoch());
  resume.set_revision(response_.revision());
  table_.Close("another one speaks");
  table_.Open(7);
  table_.Upsert("b", Service(2));
  EXPECT_FALSE(Read(before));
  EXPECT_TRUE(before.ended) << "a reader from before is not led on";
  Position position = table_.Begin(resume);
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "b=2 reset ") << "not resumed, and synced only when its writer says so again";
  EXPECT_EQ(response_.term(), 7u);
  table_.MarkSynced(writer_);
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "synced");
}

// A leader that was deposed and leads again: readers never heard "synced", and kept for ever what
// had gone meanwhile.
TEST_F(StreamTableTest, AWriterThatIsGoneHoldsNoLaterLifeUp) {
  const int other = table_.AddWriter();
  table_.Close("standby");
  table_.RemoveWriter(other);
  table_.Close("standby, leader is b");
  table_.Open(7);
  table_.MarkSynced(writer_);
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "reset synced");
}

TEST_F(StreamTableTest, AReturningReaderHearsOnlyOfWhatChangedMeanwhile) {
  table_.Upsert("a", Service(1));
  table_.Upsert("b", Service(1));
  table_.MarkSynced(writer_);
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  WatchRequest resume;
  resume.set_epoch(response_.epoch());
  resume.set_revision(response_.revision());
  table_.Remove("b");
  table_.Upsert("c", Service(3));
  position = table_.Begin(resume);
  ASSERT_TRUE(Read(position));
  EXPECT_EQ(Text(), "-b c=3 synced");
}

TEST_F(StreamTableTest, AReaderOfAnotherEpochOrOfTheFutureStartsAnew) {
  table_.Upsert("a", Service(1));
  for (const auto& [epoch, revision] : {std::pair("epoch-0", 1), std::pair("epoch-1", 99)}) {
    WatchRequest resume;
    resume.set_epoch(epoch);
    resume.set_revision(revision);
    Position position = table_.Begin(resume);
    ASSERT_TRUE(Read(position));
    EXPECT_EQ(Text(), "a=1 reset ");
  }
}

TEST_F(StreamTableTest, AReaderThatMissedAForgottenRemovalGetsANewSnapshot) {
  for (int i = 0; i < 5; ++i) table_.Upsert(absl::StrCat("k", i), Service(1));
  table_.Upsert("stays", Service(1));
  table_.MarkSynced(writer_);
  Position position = table_.Begin({});
  ASSERT_TRUE(Read(position));
  WatchRequest resume;
  resume.set_epoch(response_.epoch());
  resume.set_revision(response_.revision());
  for (int i = 0; i < 5; ++i) table_.Remove(absl::StrCat("k", i));  // three are remembered
  Position resumed = table_.Begin(resume);
  ASSERT_TRUE(Read(resumed));
  EXPECT_EQ(Text(), "stays=1 reset synced");
  ASSERT_TRUE(Read(position)) << "a connected reader that was too slow";
  EXPECT_EQ(Text(), "stays=1 reset synced");
}

TEST_F(StreamTableTest, CutsALargeSnapshotIntoResponses) {
  ServiceIntent large;
  (*large.mutable_labels())["x"] = std::string(StreamTable::kMaxResponseBytes / 2, 'x');
  for (int i = 0; i < 5; ++i) table_.Upsert(absl::StrCat(i), large);
  table_.MarkSynced(writer_);
  Position position = table_.Begin({});
  int responses = 0, changes = 0, marks = 0, resets = 0;
  while (Read(position)) {
    ++responses;
    changes += response_.changes_size();
    marks += response_.synced();
    resets += response_.reset();
  }
  EXPECT_EQ(responses, 3);
  EXPECT_EQ(changes, 5);
  EXPECT_EQ(marks, 1);
  EXPECT_EQ(resets, 1);
}

}  // namespace
}  // namespace portolan::wire
