#include "services/ipam-service/shell/testing_relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace portolan::ipam {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

void SendAtOnce(int fd) {
  const int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) abort();
}

}  // namespace

Relay::Relay(int server) : server_port_(server) {
  listening_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = eventfd(0, EFD_CLOEXEC);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(listening_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      listen(listening_, 1) != 0) {
    abort();
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

Relay::~Relay() {
  const uint64_t one = 1;
  if (write(stop_, &one, sizeof(one)) != sizeof(one)) abort();
  thread_.join();
  close(listening_);
  close(stop_);
}

std::string Relay::endpoint() const { return absl::StrCat("127.0.0.1:", port_); }

void Relay::DieAfterSending(std::string text) {
  text_ = std::move(text);
  armed_ = true;
}

void Relay::Run() {
  for (;;) {
    pollfd waited[] = {{stop_, POLLIN, 0}, {listening_, POLLIN, 0}};
    poll(waited, 2, -1);
    if (waited[0].revents != 0) return;
    const int client = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(server_port_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      for (const int end : {client, server}) SendAtOnce(end);
      Carry(client, server);
    }
    close(client);
    close(server);
  }
}

void Relay::Carry(int client, int server) {
  for (;;) {
    pollfd waited[] = {{stop_, POLLIN, 0}, {client, POLLIN, 0}, {server, POLLIN, 0}};
    poll(waited, 3, -1);
    if (waited[0].revents != 0) return;
    if (waited[1].revents != 0 && !PassOn(client, server, /*outgoing=*/true)) return;
    if (waited[2].revents != 0 && !PassOn(server, client, /*outgoing=*/false)) return;
  }
}

bool Relay::PassOn(int from, int to, bool outgoing) {
  char buffer[64 * 1024];
  const ssize_t size = recv(from, buffer, sizeof(buffer), 0);
  if (size <= 0) return false;
  for (ssize_t sent = 0; sent < size;) {
    const ssize_t step = send(to, buffer + sent, size - sent, MSG_NOSIGNAL);
    if (step <= 0) return false;
    sent += step;
  }
  if (!outgoing || !armed_) return true;
  sent_.append(buffer, size);
  if (absl::StrContains(sent_, text_)) kill(getpid(), SIGKILL);
  return true;
}

}  // namespace portolan::ipam
