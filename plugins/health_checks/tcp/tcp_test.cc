#include "plugins/health_checks/tcp/tcp.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugins/sdk/testing_health_check.h"

namespace portolan::plugin {
namespace {

// A socket on a free port of a loopback address; listens or only holds the port.
class Port {
 public:
  explicit Port(bool listens, int family = AF_INET) : fd_(socket(family, SOCK_STREAM, 0)) {
    sockaddr_in6 address{};
    address.sin6_family = family;
    address.sin6_addr = IN6ADDR_LOOPBACK_INIT;
    auto* ipv4 = reinterpret_cast<sockaddr_in*>(&address);
    if (family == AF_INET) ipv4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_TRUE(!listens || listen(fd_, 1) == 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    number_ = ntohs(ipv4->sin_port);
  }
  ~Port() { close(fd_); }
  uint16_t number() const { return number_; }

 private:
  int fd_;
  uint16_t number_ = 0;
};

TEST(TcpCheckTest, AnAcceptedConnectionIsHealth) {
  const Port port(/*listens=*/true);
  EXPECT_TRUE(AskOnce(*NewTcpCheckFactory(), Loopback(port.number())).ok());
}

TEST(TcpCheckTest, Ipv6IsAskedToo) {
  const Port port(/*listens=*/true, AF_INET6);
  EXPECT_TRUE(AskOnce(*NewTcpCheckFactory(), Loopback(port.number(), "::1")).ok());
}

TEST(TcpCheckTest, ARefusedConnectionSaysSo) {
  const Port port(/*listens=*/false);
  EXPECT_EQ(AskOnce(*NewTcpCheckFactory(), Loopback(port.number())).message(),
            "cannot connect: Connection refused");
}

TEST(TcpCheckTest, WhatCannotBeReachedIsToldAfterBegin) {
  const Port port(/*listens=*/true);
  // A connection to the broadcast address fails at once.
  EXPECT_FALSE(AskOnce(*NewTcpCheckFactory(), Loopback(port.number(), "255.255.255.255")).ok());
}

TEST(TcpCheckTest, SettingsAreRefused) {
  EXPECT_FALSE(NewTcpCheckFactory()->Create(R"({"x": 1})").ok());
}

}  // namespace
}  // namespace portolan::plugin
