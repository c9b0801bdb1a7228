#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/reader.h"
#include "services/base/wire/server.h"
#include "services/base/wire/stream_table.h"
#include "services/base/wire/testing_listener.h"

namespace portolan::wire {
namespace {

using intent::v1alpha1::BackendSet;
using intent::v1alpha1::ServiceIntent;

class WireTest : public testing::Test {
 protected:
  void SetUp() override {
    // Short: a socket path is at most 107 bytes, and Bazel's own directories are longer.
    std::string pattern = std::filesystem::temp_directory_path() / "portolan-wire-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    address_ = absl::StrCat("unix:", directory_, "/s.sock");
    StartServer();
  }
  void TearDown() override {
    StopServer();
    unlink(absl::StrCat(directory_, "/s.sock").c_str());
    rmdir(directory_.c_str());
  }
  void StartServer() {
    hub_ = std::make_unique<Hub>();
    writer_ = hub_->NewWriter<ServiceIntent>();
    auto server = Server::Start(address_, {hub_->service()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void StopServer() {
    if (hub_ != nullptr) hub_->Shutdown();
    server_.reset();
    writer_.reset();
    hub_.reset();
  }

  std::string directory_;
  std::string address_;
  std::unique_ptr<Hub> hub_;
  std::optional<Writer> writer_;  // goes before the hub
  std::unique_ptr<Server> server_;
};

TEST_F(WireTest, CarriesSnapshotAndDeltasOverAUnixSocket) {
  writer_->Upsert("a", Service(1));
  writer_->MarkSynced();
  Listener listener(Connect(address_));
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
  EXPECT_EQ(listener.seen, (std::map<std::string, uint64_t>{{"a", 1}}));
  writer_->Upsert("b", Service(2));
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen.size() == 2; }));
  writer_->Remove("a");
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen.size() == 1; }));
}

TEST_F(WireTest, CarriesTheSameInsideAProcess) {
  writer_->Upsert("a", Service(1));
  writer_->MarkSynced();
  Listener listener(server_->InProcessChannel());
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
  EXPECT_EQ(listener.seen.at("a"), 1u);
}

TEST_F(WireTest, KeepsWhatItKnewWhileThePublisherIsAwayAndPrunesOnlyAfterTheNewSync) {
  writer_->Upsert("kept", Service(1));
  writer_->Upsert("gone", Service(1));
  writer_->MarkSynced();
  Listener listener(Connect(address_));
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
  StopServer();
  ASSERT_TRUE(listener.RunUntil([&] { return !listener.connected; }));
  EXPECT_EQ(listener.seen.size(), 2u);
  StartServer();
  writer_->Upsert("kept", Service(2));
  ASSERT_TRUE(listener.RunUntil([&] { return listener.seen.at("kept") == 2; }));
  EXPECT_EQ(listener.removals, 0) << "the new publisher is not synced yet";
  writer_->MarkSynced();
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 2; }));
  EXPECT_EQ(listener.seen, (std::map<std::string, uint64_t>{{"kept", 2}}));
}

TEST_F(WireTest, WaitsForAPublisherThatIsNotThereYet) {
  StopServer();
  Listener listener(Connect(address_));
  StartServer();
  writer_->Upsert("a", Service(1));
  writer_->MarkSynced();
  EXPECT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
}

TEST_F(WireTest, RefusesASocketThatALivingServerHoldsAndNamesTheRemedy) {
  Hub other;
  const auto second = Server::Start(address_, {other.service()});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().message().find("--run-dir"), absl::string_view::npos);
}

TEST_F(WireTest, ReplacesTheSocketFileOfADeadServer) {
  const std::string path = absl::StrCat(directory_, "/s.sock");
  ASSERT_EQ(link(path.c_str(), (path + ".old").c_str()), 0);
  StopServer();
  ASSERT_EQ(rename((path + ".old").c_str(), path.c_str()), 0);
  StartServer();
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u);
}

TEST_F(WireTest, AWriterThatIsGoneDoesNotHoldUpTheSyncMark) {
  writer_->MarkSynced();
  { const Writer other = hub_->NewWriter<ServiceIntent>(); }
  Listener listener(server_->InProcessChannel());
  EXPECT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
}

TEST_F(WireTest, ALargeTableArrivesWhole) {
  for (int i = 0; i < 20'000; ++i) writer_->Upsert(absl::StrCat("ns/service-", i), Service(i));
  writer_->MarkSynced();
  Listener listener(Connect(address_));
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
  EXPECT_EQ(listener.seen.size(), 20'000u);
}

TEST_F(WireTest, ValuesAreConvertedBeforeTheLoopGetsThem) {
  writer_->Upsert("a", Service(7));
  writer_->MarkSynced();
  const auto loop = NewLoop();
  static std::thread::id converted_on;
  std::string seen;
  TypedReader<ServiceIntent, std::string> reader(
      loop.get(), Connect(address_),
      Handlers<ServiceIntent, std::string>{
          .convert =
              [](const ServiceIntent& service) {
                converted_on = std::this_thread::get_id();
                return absl::StrCat("generation ", service.generation());
              },
          .on_upsert = [&](const std::string&, std::string&& text) { seen = std::move(text); },
          .on_remove = [](const std::string&) {},
          .on_synced = [&] { loop->Stop(); }});
  loop->Run();
  EXPECT_EQ(seen, "generation 7");
  EXPECT_NE(converted_on, std::this_thread::get_id());
}

TEST_F(WireTest, AValueOfAnotherTypeIsPassedOver) {
  writer_->Upsert("odd", BackendSet());
  writer_->MarkSynced();
  Listener listener(Connect(address_));
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
  EXPECT_TRUE(listener.seen.empty());
}

TEST_F(WireTest, AReaderThatItsOwnHandlerDestroysHearsNoMore) {
  for (const char* key : {"a", "b", "c"}) writer_->Upsert(key, Service(1));
  writer_->MarkSynced();
  const auto loop = NewLoop();
  int heard = 0;
  std::optional<TypedReader<ServiceIntent>> reader;
  reader.emplace(loop.get(), Connect(address_),
                 Handlers<ServiceIntent>{.on_upsert =
                                             [&](const std::string&, const ServiceIntent&) {
                                               ++heard;
                                               reader.reset();
                                               loop->Post([&] { loop->Stop(); });
                                             },
                                         .on_remove = [](const std::string&) {},
                                         .on_synced = [&] { ++heard; }});
  loop->Run();
  EXPECT_EQ(heard, 1);
}

// A response holds a quarter of a megabyte at most; two wait for the loop, one is being read, and a
// few are on their way.
TEST_F(WireTest, AReaderWhoseLoopDoesNotRunDoesNotTakeEverything) {
  const std::string large(64 * 1024, 'x');
  constexpr int kKeys = 400;
  for (int i = 0; i < kKeys; ++i) {
    ServiceIntent service;
    service.set_requested_pool(large);
    writer_->Upsert(absl::StrCat("service-", i), service);
  }
  writer_->MarkSynced();
  Listener listener(Connect(address_));
  const auto sent = [&] { return hub_->Figures().front().sent_bytes; };
  uint64_t before = 0;
  for (const absl::Time end = absl::Now() + absl::Seconds(10); absl::Now() < end;) {
    absl::SleepFor(absl::Milliseconds(100));
    if (sent() == before && before > 0) break;  // nothing moves any more
    before = sent();
  }
  EXPECT_GT(before, 0u);
  EXPECT_LT(before, kKeys * large.size() / 2);
  ASSERT_TRUE(listener.RunUntil([&] { return listener.syncs == 1; }));
  EXPECT_EQ(listener.seen.size(), static_cast<size_t>(kKeys));
}

TEST_F(WireTest, ManyReadersComeAndGoWhileTheTableChanges) {
  writer_->MarkSynced();
  const auto channel = server_->InProcessChannel();
  for (int round = 0; round < 50; ++round) {
    Listener listener(channel);
    writer_->Upsert("a", Service(round + 1));
    ASSERT_TRUE(listener.RunUntil([&] { return listener.seen["a"] == round + 1u; }));
  }
}

}  // namespace
}  // namespace portolan::wire
