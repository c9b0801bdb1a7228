// Makes and takes packets for the datapath benchmark.
//
//   traffic sink PORT
//     Takes UDP and TCP of both families. At the end of its input prints
//     {"datagrams":N,"connections":N}.
//   traffic udp ADDRESS PORT COUNT
//     Sends COUNT datagrams of 64 octets from 64 ports, in batches.
//   traffic connect ADDRESS PORT COUNT
//     COUNT times connects, waits for the other end to close and closes.
//
// The last two print {"seconds":S}: the time for one, in the fastest of 40 equal parts, which is
// what the path costs while nothing else runs on the machine. Exit code 1 with a reason when the
// network refuses.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int kBatch = 64;
constexpr int kPorts = 64;
constexpr long kParts = 40;
constexpr int kDatagramSize = 64;
constexpr int kSocketBuffer = 8 << 20;

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "traffic: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

int Check(int result, const char* what) {
  if (result < 0) Fail(what);
  return result;
}

struct Address {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address ToAddress(const std::string& text, int port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    address.size = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<uint16_t>(port));
    address.size = sizeof(sockaddr_in6);
  } else {
    errno = EINVAL;
    Fail(text.c_str());
  }
  return address;
}

// A batch of equal datagrams; also serves to receive into.
struct Batch {
  std::array<std::array<char, kDatagramSize>, kBatch> data = {};
  std::array<iovec, kBatch> vectors = {};
  std::array<mmsghdr, kBatch> messages = {};
  Batch() {
    for (int i = 0; i < kBatch; ++i) {
      vectors[i] = {data[i].data(), data[i].size()};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

int Listen(int type, int port) {
  const int fd = Check(socket(AF_INET6, type | SOCK_NONBLOCK, 0), "socket");
  const int off = 0, on = 1, buffer = kSocketBuffer;
  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
  const Address any = ToAddress("::", port);
  Check(bind(fd, any.get(), any.size), "bind");
  if (type == SOCK_STREAM) Check(listen(fd, 1024), "listen");
  return fd;
}

int Sink(int port) {
  const int udp = Listen(SOCK_DGRAM, port);
  const int tcp = Listen(SOCK_STREAM, port);
  std::printf("listening\n");
  std::fflush(stdout);
  Batch batch;
  long datagrams = 0, connections = 0;
  std::array<pollfd, 3> waiting = {{{0, POLLIN, 0}, {udp, POLLIN, 0}, {tcp, POLLIN, 0}}};
  while (true) {
    Check(poll(waiting.data(), waiting.size(), -1), "poll");
    for (int got; (got = recvmmsg(udp, batch.messages.data(), kBatch, 0, nullptr)) > 0;) {
      datagrams += got;
    }
    for (int client; (client = accept(tcp, nullptr, nullptr)) >= 0; ++connections) close(client);
    char octet;
    if (waiting[0].revents != 0 && read(0, &octet, 1) <= 0) break;
  }
  std::printf("{\"datagrams\":%ld,\"connections\":%ld}\n", datagrams, connections);
  return 0;
}

std::vector<int> OpenSockets(const Address& address) {
  std::vector<int> sockets;
  for (int i = 0; i < kPorts; ++i) {
    sockets.push_back(Check(socket(address.storage.ss_family, SOCK_DGRAM, 0), "socket"));
    Check(connect(sockets.back(), address.get(), address.size), "connect");
  }
  return sockets;
}

void SendDatagrams(const std::vector<int>& sockets, long count) {
  static Batch batch;
  for (long sent = 0; sent < count;) {
    const int fd = sockets[static_cast<size_t>(sent / kBatch) % sockets.size()];
    sent += Check(sendmmsg(fd, batch.messages.data(), kBatch, 0), "sendmmsg");
  }
}

void Connect(const Address& address, long count) {
  for (long i = 0; i < count; ++i) {
    const int fd = Check(socket(address.storage.ss_family, SOCK_STREAM, 0), "socket");
    Check(connect(fd, address.get(), address.size), "connect");
    char octet;
    Check(static_cast<int>(read(fd, &octet, 1)), "read");
    // No TIME_WAIT: the ports of a long run would not suffice.
    const linger reset = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "sink" && argc == 3) return Sink(std::atoi(argv[2]));
  if ((verb != "udp" && verb != "connect") || argc != 5) {
    std::fprintf(stderr, "usage: traffic sink PORT | udp|connect ADDRESS PORT COUNT\n");
    return 2;
  }
  const Address address = ToAddress(argv[2], std::atoi(argv[3]));
  const long part = std::max(1L, std::atol(argv[4]) / kParts);
  const std::vector<int> sockets = verb == "udp" ? OpenSockets(address) : std::vector<int>();
  double best = 1e9;
  for (long done = 0; done < std::atol(argv[4]); done += part) {
    const auto start = std::chrono::steady_clock::now();
    if (verb == "udp") {
      SendDatagrams(sockets, part);
    } else {
      Connect(address, part);
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count() / static_cast<double>(part));
  }
  std::printf("{\"seconds\":%.9f}\n", best);
  return 0;
}
