#include "plugins/health_checks/udp/udp.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "plugins/sdk/testing_health_check.h"

namespace portolan::plugin {
namespace {

// Sends every datagram back, on a thread of its own, until one is empty.
class EchoServer {
 public:
  EchoServer() : fd_(socket(AF_INET, SOCK_DGRAM, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address_), size), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
    thread_ = std::thread([this] { Serve(); });
  }
  ~EchoServer() {
    sendto(fd_, "", 0, 0, reinterpret_cast<sockaddr*>(&address_), sizeof(address_));
    thread_.join();
    close(fd_);
  }
  uint16_t port() const { return ntohs(address_.sin_port); }

 private:
  void Serve() {
    char buffer[2048];
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    ssize_t length = 0;
    while ((length = recvfrom(fd_, buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&peer),
                              &size)) > 0) {
      sendto(fd_, buffer, length, 0, reinterpret_cast<sockaddr*>(&peer), size);
    }
  }

  int fd_;
  sockaddr_in address_{};
  std::thread thread_;
};

HealthTarget Asking(uint16_t port, std::string send, std::string expect) {
  HealthTarget target = Loopback(port);
  target.send = std::move(send);
  target.expect = std::move(expect);
  return target;
}

TEST(UdpCheckTest, AnAnswerThatBeginsAsExpectedIsHealth) {
  const EchoServer server;
  for (const char* expect : {"ping", "pi", ""}) {
    EXPECT_TRUE(AskOnce(*NewUdpCheckFactory(), Asking(server.port(), "ping", expect)).ok());
  }
}

TEST(UdpCheckTest, AnotherAnswerIsNot) {
  const EchoServer server;
  EXPECT_EQ(AskOnce(*NewUdpCheckFactory(), Asking(server.port(), "ping", "pong")).message(),
            "the answer does not begin as expected");
}

TEST(UdpCheckTest, APortThatNobodyHasIsToldAtOnce) {
  uint16_t port = 0;
  { port = EchoServer().port(); }
  EXPECT_EQ(AskOnce(*NewUdpCheckFactory(), Asking(port, "ping", "")).message(),
            "no answer: Connection refused");
}

TEST(UdpCheckTest, SilenceIsForTheCallerToEnd) {
  const EchoServer server;
  const int mute = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(mute, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(mute, reinterpret_cast<sockaddr*>(&address), &size), 0);
  EXPECT_EQ(AskOnce(*NewUdpCheckFactory(), Asking(ntohs(address.sin_port), "ping", ""),
                    absl::Milliseconds(50))
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  close(mute);
}

}  // namespace
}  // namespace portolan::plugin
