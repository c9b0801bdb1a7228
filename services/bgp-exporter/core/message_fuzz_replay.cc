// Runs the fuzz target over seeds and random mutations of them, for builds without libFuzzer.
#include <cstdio>
#include <vector>

#include "services/base/rng/rng.h"
#include "services/bgp-exporter/core/message.h"
#include "services/bgp-exporter/core/update.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using namespace portolan::bgp;  // NOLINT: a test program of one page

std::vector<std::string> Seeds() {
  using portolan::net::Family;
  using portolan::net::IpAddress;
  using portolan::net::Prefix;
  Open open{.as_number = 70'000,
            .hold_time_s = 90,
            .router_id = 1,
            .families = std::vector<Family>{Family::kIpv4, Family::kIpv6},
            .four_octet_as = true,
            .route_refresh = true,
            .ipv4_over_ipv6_hop = true,
            .graceful_restart = GracefulRestart{true, 120, {{Family::kIpv4, true}}}};
  std::vector<std::string> seeds = {
      EncodeOpen(open),
      EncodeOpen({.as_number = 65'000, .hold_time_s = 3, .router_id = 9}),
      EncodeKeepalive(),
      EncodeRouteRefresh({1, 0, 1}),
      EncodeNotification(CeaseWithText(kAdministrativeShutdown, "maintenance")),
      // RFC 9072: extended optional parameters.
      WithHeader(
          MessageType::kOpen,
          std::string("\4\xfd\xe8\0\x5a\x0a\0\0\1\xff\xff\0\x09\2\0\6\x41\4\0\0\xfd\xe8", 22)),
  };
  for (const char* text : {"20.0.10.1", "2001:db8::1"}) {
    const IpAddress address = *IpAddress::Parse(text);
    const std::vector<Prefix> prefixes = {Prefix::Host(address)};
    std::string octets;
    AppendAnnouncement({false, 70'000, false}, {address, {1, 2, 3}, 100}, prefixes, octets);
    AppendAnnouncement({true, 70'000, true}, {address, {}, 100}, prefixes, octets);
    AppendWithdrawal(prefixes, octets);
    AppendEndOfRib(address.family(), octets);
    seeds.push_back(octets);
  }
  return seeds;
}

// One to four edits: set, insert or remove an octet; the header's length is repaired half the time.
std::string Mutate(std::string octets, portolan::Rng& rng) {
  for (uint64_t edits = 1 + rng.Below(4); edits > 0 && !octets.empty(); --edits) {
    const size_t at = rng.Below(octets.size());
    const char value = static_cast<char>(rng.Next());
    switch (rng.Below(3)) {
      case 0:
        octets[at] = value;
        break;
      case 1:
        octets.insert(at, 1, value);
        break;
      default:
        octets.erase(at, 1);
    }
  }
  if (rng.Below(2) == 0 && octets.size() >= kHeaderSize && octets.size() <= kMaxMessageSize) {
    octets.replace(0, 16, 16, '\xff');
    octets[16] = static_cast<char>(octets.size() >> 8);
    octets[17] = static_cast<char>(octets.size());
  }
  return octets;
}

void RunOne(const std::string& octets) {
  // An exact copy on the heap, so that a sanitizer sees a read beyond the end.
  const std::vector<uint8_t> exact(octets.begin(), octets.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main() {
  portolan::Rng rng(20'261'124);
  const std::vector<std::string> seeds = Seeds();
  for (const std::string& seed : seeds) RunOne(seed);
  constexpr int kRounds = 200'000;
  for (int i = 0; i < kRounds; ++i) RunOne(Mutate(seeds[rng.Below(seeds.size())], rng));
  std::printf("%zu seeds, %d mutations\n", seeds.size(), kRounds);
  return 0;
}
