#include "services/bgp-exporter/shell/transport.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>

namespace portolan::bgp {
namespace {

const net::IpAddress kLoopback = *net::IpAddress::Parse("127.0.0.1");

// A port that nobody had a moment ago.
uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

class TransportTest : public testing::Test {
 protected:
  // One side of a conversation, with everything that it was told.
  struct Side {
    explicit Side(Loop* loop) : transport(loop, [this](Event event) { On(event); }) {}
    void On(const Event& event) {
      if (const auto* e = std::get_if<Connected>(&event)) connected = *e;
      if (const auto* e = std::get_if<Accepted>(&event)) accepted = *e;
      if (const auto* e = std::get_if<Disconnected>(&event)) disconnected = *e;
      if (const auto* e = std::get_if<ListenResult>(&event)) listening = *e;
      if (const auto* e = std::get_if<Received>(&event)) received += e->octets;
      if (std::holds_alternative<WriteBlocked>(event)) blocked = true;
      if (const auto* e = std::get_if<WriteProgress>(&event)) drained = e->drained;
    }
    std::optional<Connected> connected;
    std::optional<Accepted> accepted;
    std::optional<Disconnected> disconnected;
    std::optional<ListenResult> listening;
    std::string received;
    bool blocked = false;
    bool drained = false;
    Transport transport;
  };

  // Runs the loop until the condition holds, ten seconds at most.
  void RunUntil(const std::function<bool()>& condition) {
    bool late = false;
    const Loop::TimerId deadline = loop_->RunAfter(absl::Seconds(10), [&] {
      late = true;
      loop_->Stop();
    });
    std::function<void()> check = [&] {
      if (late) return;
      if (condition()) return loop_->Stop();
      loop_->RunAfter(absl::Milliseconds(1), [&] { check(); });
    };
    check();
    loop_->Run();
    loop_->Cancel(deadline);
    EXPECT_FALSE(late) << "the condition did not come true in ten seconds";
  }

  // `client_` is connected to `server_` afterwards; the client's connection is 1.
  void Join() {
    port_ = FreePort();
    server_.transport.Listen({"lab", port_, {}});
    ASSERT_TRUE(server_.listening.has_value());
    ASSERT_EQ(server_.listening->problem, "");
    client_.transport.Dial({.connection = 1, .remote = kLoopback, .port = port_, .ttl = 1});
    RunUntil([this] { return client_.connected && server_.accepted; });
    server_.transport.Keep({server_.accepted->connection, 1});
  }

  const std::unique_ptr<Loop> loop_ = NewLoop();
  Side server_{loop_.get()};
  Side client_{loop_.get()};
  uint16_t port_ = 0;
};

TEST_F(TransportTest, CarriesOctetsBothWaysAndKnowsItsAddresses) {
  Join();
  EXPECT_EQ(server_.accepted->instance, "lab");
  EXPECT_EQ(server_.accepted->remote, kLoopback);
  EXPECT_EQ(client_.connected->local.session, kLoopback);
  EXPECT_FALSE(client_.connected->local.same_interface.empty());
  client_.transport.Send({1, "ping"});
  server_.transport.Send({server_.accepted->connection, "pong"});
  RunUntil([this] { return server_.received == "ping" && client_.received == "pong"; });
}

TEST_F(TransportTest, ARefusedConnectionNamesAddressPortAndError) {
  const uint16_t port = FreePort();
  client_.transport.Dial({.connection = 1, .remote = kLoopback, .port = port, .ttl = 1});
  RunUntil([this] { return client_.disconnected.has_value(); });
  EXPECT_EQ(client_.disconnected->reason,
            "cannot connect to 127.0.0.1 port " + std::to_string(port) + ": Connection refused");
}

TEST_F(TransportTest, ALocalAddressThatIsNotOursIsNamed) {
  client_.transport.Dial({.connection = 1,
                          .remote = kLoopback,
                          .port = FreePort(),
                          .local = *net::IpAddress::Parse("192.0.2.77")});
  ASSERT_TRUE(client_.disconnected.has_value());
  EXPECT_NE(client_.disconnected->reason.find("local-address 192.0.2.77"), std::string::npos);
}

TEST_F(TransportTest, WhatWasSentBeforeCloseArrives) {
  Join();
  client_.transport.Send({1, "farewell"});
  client_.transport.Close(1);
  RunUntil([this] { return server_.disconnected.has_value(); });
  EXPECT_EQ(server_.received, "farewell");
  EXPECT_EQ(server_.disconnected->reason, "the peer closed the connection");
  EXPECT_FALSE(client_.disconnected.has_value()) << "no event follows a Close";
}

TEST_F(TransportTest, WhatWasSentBeforeDestructionArrivesEvenIfThePeersOctetsAreUnread) {
  Join();
  auto late = std::make_unique<Side>(loop_.get());
  late->transport.Dial({.connection = 7, .remote = kLoopback, .port = port_, .ttl = 1});
  server_.accepted.reset();
  RunUntil([&] { return late->connected && server_.accepted; });
  server_.transport.Send({server_.accepted->connection, "unread"});
  late->transport.Send({7, "farewell"});
  late->transport.Close(7);
  late.reset();
  RunUntil([this] { return server_.disconnected.has_value(); });
  EXPECT_EQ(server_.received, "farewell");
}

TEST_F(TransportTest, ASlowReaderBlocksTheWriterAndLosesNothing) {
  Join();
  constexpr size_t kSize = 64 << 20;  // more than any socket buffer
  client_.transport.Send({1, std::string(kSize, 'x')});
  EXPECT_TRUE(client_.blocked);
  RunUntil([this] { return server_.received.size() == kSize; });
  RunUntil([this] { return client_.drained; });
}

TEST_F(TransportTest, AnOccupiedPortIsReported) {
  Join();
  client_.transport.Listen({"other", port_, {}});
  ASSERT_TRUE(client_.listening.has_value());
  EXPECT_NE(client_.listening->problem.find("Address already in use"), std::string::npos);
  server_.transport.Listen({"lab", 0, {}});
  client_.listening.reset();
  client_.transport.Listen({"other", port_, {}});
  EXPECT_EQ(client_.listening->problem, "") << "after the port was freed";
}

TEST_F(TransportTest, TcpMd5LetsOnlyTheSamePasswordIn) {
  port_ = FreePort();
  server_.transport.Listen({"lab", port_, {{kLoopback, "secret"}}});
  if (server_.listening->problem.find("MD5") != std::string::npos) {
    GTEST_SKIP() << server_.listening->problem;
  }
  client_.transport.Dial(
      {.connection = 1, .remote = kLoopback, .port = port_, .ttl = 1, .password = "wrong"});
  client_.transport.Dial(
      {.connection = 2, .remote = kLoopback, .port = port_, .ttl = 1, .password = "secret"});
  RunUntil([this] { return client_.connected.has_value(); });
  EXPECT_EQ(client_.connected->connection, 2u);
  client_.transport.Close(1);
}

}  // namespace
}  // namespace portolan::bgp
