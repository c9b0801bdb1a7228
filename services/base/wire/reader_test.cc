// A reader of one stream that several processes publish, of which one speaks at a time.
#include "services/base/wire/reader.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "services/base/wire/hub.h"
#include "services/base/wire/server.h"
#include "services/base/wire/stream_table.h"
#include "services/base/wire/testing_listener.h"

namespace portolan::wire {
namespace {

using intent::v1alpha1::ServiceIntent;
using Seen = std::map<std::string, uint64_t>;

// One process; at first it does not speak.
class Publisher {
 public:
  Publisher() { writer_.Close("standby"); }
  ~Publisher() { hub_.Shutdown(); }

  std::shared_ptr<grpc::Channel> channel() { return server_->InProcessChannel(); }
  // Speaks from now on; what it published before is forgotten.
  void Speak(uint64_t term, const Seen& services) {
    writer_.Open(term);
    for (const auto& [key, generation] : services) Say(key, generation);
  }
  void Say(const std::string& key, uint64_t generation) {
    writer_.Upsert(key, Service(generation));
  }
  void MarkSynced() { writer_.MarkSynced(); }
  void BeSilent() { writer_.Close("standby"); }
  uint64_t responses() const { return hub_.Figures().front().responses; }

 private:
  Hub hub_;
  Writer writer_ = hub_.NewWriter<ServiceIntent>();
  const std::unique_ptr<Server> server_ = Server::Start("", {hub_.service()}).value();
};

class ReaderTest : public testing::Test {
 protected:
  Channels Both() { return Channels({first_.channel(), second_.channel()}); }

  Publisher first_;
  Publisher second_;
};

TEST_F(ReaderTest, FollowsTheHighestTermInWhateverOrderTheyAnswer) {
  first_.Speak(5, {{"of-5", 1}});
  first_.MarkSynced();
  Listener listener(Both());
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"of-5", 1}}; }));
  second_.Speak(9, {{"of-9", 1}});
  second_.MarkSynced();
  EXPECT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"of-9", 1}}; }));
  Listener late(Both());
  EXPECT_TRUE(late.RunUntil([&] { return late.seen == Seen{{"of-9", 1}}; }));
}

TEST_F(ReaderTest, APublisherThatDoesNotKnowThatItIsDeposedMisleadsNobody) {
  first_.Speak(5, {{"a", 1}});
  first_.MarkSynced();
  second_.Speak(9, {{"a", 2}});
  second_.MarkSynced();
  Listener listener(Both());
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"a", 2}}; }));
  first_.Say("a", 3);
  first_.Say("b", 3);
  const uint64_t before = first_.responses();
  ASSERT_TRUE(listener.RunUntil([&] { return first_.responses() >= before + 2; }))
      << "it is asked again and again";
  EXPECT_EQ(listener.seen, (Seen{{"a", 2}}));
  EXPECT_TRUE(listener.connected);
}

TEST_F(ReaderTest, WhatTheFormerOneSaidStaysUntilItsSuccessorIsSynced) {
  first_.Speak(1, {{"kept", 1}, {"gone", 1}});
  first_.MarkSynced();
  Listener listener(Both());
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
  first_.BeSilent();
  ASSERT_TRUE(listener.RunUntil([&] { return !listener.connected; }));
  EXPECT_EQ(listener.seen.size(), 2u) << "nobody speaks: what was known stays";
  second_.Speak(2, {{"kept", 2}});
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen["kept"] == 2; }));
  EXPECT_EQ(listener.removals, 0);
  second_.MarkSynced();
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 2; }));
  EXPECT_EQ(listener.seen, (Seen{{"kept", 2}}));
}

TEST_F(ReaderTest, FollowsOneThatWasDeposedAndSpeaksAgain) {
  first_.Speak(1, {{"a", 1}});
  first_.MarkSynced();
  Listener listener(Both());
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"a", 1}}; }));
  second_.Speak(2, {{"b", 2}});
  second_.MarkSynced();
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"b", 2}}; }));
  first_.BeSilent();
  first_.Speak(3, {{"c", 3}});
  first_.MarkSynced();
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"c", 3}}; }));
  first_.Say("d", 4);
  EXPECT_TRUE(listener.RunUntil([&] { return listener.seen.contains("d"); }));
}

TEST_F(ReaderTest, OfTheSameTermTheFirstInTheListIsFollowedWhileItIsThere) {
  second_.Speak(0, {{"of-second", 1}});
  second_.MarkSynced();
  Listener listener(Both());
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"of-second", 1}}; }));
  first_.Speak(0, {{"of-first", 1}});
  first_.MarkSynced();
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"of-first", 1}}; }));
  const uint64_t before = second_.responses();
  ASSERT_TRUE(listener.RunUntil([&] { return second_.responses() >= before + 2; }));
  EXPECT_EQ(listener.seen, (Seen{{"of-first", 1}}));
  first_.BeSilent();
  EXPECT_TRUE(listener.RunUntil([&] { return listener.seen == Seen{{"of-second", 1}}; }));
}

}  // namespace
}  // namespace portolan::wire
