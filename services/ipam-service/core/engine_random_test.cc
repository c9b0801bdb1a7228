// Random operations against a plain model that knows only the rules, not the engine's structures.
//
// After every operation: one owner per address, what is published is durable (World checks both),
// nobody lost an address that is still legal, nobody waits who could be served, and counters add
// up. Pools change their pickers too, and in those of "longest-unused" addresses cool down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "plugins/address_pickers/longest_unused/longest_unused.h"
#include "services/base/rng/rng.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::IsEmpty;

constexpr absl::Duration kCoolDown = absl::Seconds(4);
// Stamps are in milliseconds, and one later each when several are given up at once.
constexpr absl::Duration kStampError = absl::Milliseconds(100);

PickerChanged CoolDownPicker() {
  std::shared_ptr<plugin::Stage> stage =
      plugin::NewLongestUnusedFactory()->Create(R"({"cool-down": 4})").value();
  return {.name = "longest-unused",
          .stage = std::dynamic_pointer_cast<const plugin::AddressPicker>(stage)};
}

class RandomRun {
 public:
  RandomRun(uint64_t seed, bool overlaps) : rng_(seed), overlaps_(overlaps) {
    world_->Send(CoolDownPicker());
    world_->Start();
  }

  void Step() {
    const std::map<std::string, Allocation> before = world_->allocations();
    const uint64_t action = rng_.Below(100);
    if (action < 45) {
      ChangeService();
    } else if (action < 65) {
      RemoveService();
    } else if (action < 80) {
      ChangePool();
    } else if (action < 84) {
      RemovePool();
    } else if (action < 94) {
      world_->Advance(absl::Milliseconds(rng_.Below(2000)));
    } else {
      Restart();
    }
    CheckNobodyMoved(before);
    if (!overlaps_) CheckNobodyWaitsInVain();
    CheckCounters();
  }

  const World& world() const { return *world_; }

 private:
  void ChangeService() {
    ServiceRequest service = ServiceOf(absl::StrCat("ns", rng_.Below(2), "/", rng_.Below(12)));
    service.generation = ++generation_;
    const char* colors[] = {"red", "green", "blue"};
    if (rng_.Below(2) == 0) service.labels = Labels{{"color", colors[rng_.Below(3)]}};
    if (rng_.Below(4) == 0) service.family_policy = FamilyPolicy::kRequireDualStack;
    if (rng_.Below(5) == 0) {
      service.requested_addresses = {absl::StrCat("10.0.0.", rng_.Below(24))};
    }
    if (rng_.Below(8) == 0) service.requested_pool = absl::StrCat("pool", rng_.Below(4));
    services_[service.key] = service;
    world_->Add(service);
  }

  void RemoveService() {
    const std::string key = absl::StrCat("ns", rng_.Below(2), "/", rng_.Below(12));
    services_.erase(key);
    world_->RemoveService(key);
  }

  // Without overlaps each pool has its own eighth of the addresses.
  void ChangePool() {
    const uint64_t index = rng_.Below(4);
    const uint64_t size = rng_.Below(6) + 1;
    const uint64_t first = overlaps_ ? rng_.Below(24) : index * 8;
    PoolConfig pool = PoolOf(absl::StrCat("pool", index),
                             {absl::StrCat("10.0.0.", first, "-10.0.0.", first + size)});
    if (rng_.Below(2) == 0) {
      pool.blocks.push_back(
          BlockOf(absl::StrCat("2001:db8:", index, "::-2001:db8:", index, "::3")));
    }
    if (rng_.Below(3) == 0) {
      pool.service_selector =
          LabelSelector({{"color", LabelSelector::Operator::kIn, {"red", "blue"}}});
    }
    if (rng_.Below(4) == 0) pool.namespaces = {"ns0"};
    if (rng_.Below(8) == 0) pool.disabled = true;
    if (rng_.Below(8) == 0) pool.auto_assign = false;
    const char* pickers[] = {"", "stable-hash", "random", "longest-unused"};
    pool.address_picker = pickers[rng_.Below(4)];
    pool.priority = static_cast<uint32_t>(rng_.Below(3));
    pools_[pool.name] = pool;
    world_->Add(pool);
  }

  void RemovePool() {
    const std::string name = absl::StrCat("pool", rng_.Below(4));
    pools_.erase(name);
    world_->RemovePool(name);
  }

  void Restart() {
    EXPECT_THAT(world_->problems, IsEmpty());
    world_ = std::make_unique<World>(&disk_);
    world_->Send(CoolDownPicker());
    for (const auto& [key, service] : services_) world_->Add(service);
    for (const auto& [name, pool] : pools_) world_->Add(pool);
    world_->Start();
    world_->Advance(kRenumberDelay);
  }

  static bool Covers(const PoolConfig& pool, const net::IpAddress& address) {
    for (const Block& block : pool.blocks) {
      if (block.range.Contains(address)) return true;
    }
    return false;
  }

  static bool Selects(const PoolConfig& pool, const ServiceRequest& service) {
    const std::string ns = service.key.substr(0, service.key.find('/'));
    if (!pool.namespaces.empty() && pool.namespaces != std::vector<std::string>{ns}) return false;
    if (!service.requested_pool.empty() && service.requested_pool != pool.name) return false;
    return pool.service_selector.FirstMismatch(service.key, service.labels).empty();
  }

  static bool Asks(const ServiceRequest& service, const net::IpAddress& address) {
    return service.requested_addresses.empty() ||
           service.requested_addresses[0] == address.ToString();
  }

  // Whether the pools let the Service keep the address.
  bool Legal(const ServiceRequest& service, const net::IpAddress& address) const {
    for (const auto& [name, pool] : pools_) {
      if (Covers(pool, address) && Selects(pool, service)) return true;
    }
    return false;
  }

  bool Wants(const ServiceRequest& service, net::Family family) const {
    if (!service.requested_addresses.empty()) return family == net::Family::kIpv4;
    if (service.family_policy == FamilyPolicy::kRequireDualStack) return true;
    bool any_v4 = false, any_v6 = false;
    for (const auto& [name, pool] : pools_) {
      for (const Block& block : pool.blocks) {
        (block.range.family() == net::Family::kIpv4 ? any_v4 : any_v6) = true;
      }
    }
    return family == (any_v4 || !any_v6 ? net::Family::kIpv4 : net::Family::kIpv6);
  }

  void CheckNobodyMoved(const std::map<std::string, Allocation>& before) {
    for (const auto& [key, allocation] : before) {
      auto service = services_.find(key);
      if (service == services_.end()) {
        EXPECT_FALSE(world_->allocations().contains(key)) << key << " is gone";
        continue;
      }
      for (const Grant& grant : allocation.grants) {
        const bool has = Has(key, grant.address);
        if (!Asks(service->second, grant.address)) {
          // It stays until what is asked for is there.
          const bool served = Has(key, Address(service->second.requested_addresses[0]));
          EXPECT_FALSE(has && served) << key << " has both";
        } else if (Legal(service->second, grant.address)) {
          // A single-stack Service that came down from dual stack gives up its second address.
          const bool second = allocation.grants.size() > 1 && &grant == &allocation.grants[1];
          EXPECT_TRUE(has || second) << key << " lost " << grant.address.ToString();
        } else {
          EXPECT_FALSE(has) << key << " keeps " << grant.address.ToString();
        }
      }
    }
  }

  bool Has(const std::string& key, const net::IpAddress& address) const {
    auto it = world_->allocations().find(key);
    if (it == world_->allocations().end()) return false;
    for (const Grant& grant : it->second.grants) {
      if (grant.address == address) return true;
    }
    return false;
  }

  bool HasFamily(const std::string& key, net::Family family) const {
    auto it = world_->allocations().find(key);
    if (it == world_->allocations().end()) return false;
    for (const Grant& grant : it->second.grants) {
      if (grant.address.family() == family) return true;
    }
    return false;
  }

  // How long until the cool-down of a free address is over; none: not above zero.
  absl::Duration CoolDownLeft(const PoolConfig& pool, const net::IpAddress& address) const {
    auto release = disk_.releases.find(address);
    if (pool.address_picker != "longest-unused" || release == disk_.releases.end() ||
        disk_.rows.contains(address)) {
      return absl::ZeroDuration();
    }
    return absl::FromUnixMillis(release->second.released_unix_ms) + kCoolDown - world_->WallNow();
  }
  bool MayCoolDown(const PoolConfig& pool, const net::IpAddress& address) const {
    return CoolDownLeft(pool, address) > -kStampError;
  }
  bool GaveUp(const ServiceRequest& service, const net::IpAddress& address) const {
    auto release = disk_.releases.find(address);
    return release != disk_.releases.end() && release->second.service == service.key;
  }

  bool CouldHave(const ServiceRequest& service, const PoolConfig& pool, net::Family family) const {
    if (pool.disabled || !Selects(pool, service)) return false;
    const bool on_request = !service.requested_pool.empty() || !service.requested_addresses.empty();
    if (!pool.auto_assign && !on_request) return false;
    for (const Block& block : pool.blocks) {
      if (block.range.family() != family) continue;
      for (absl::uint128 i = 0; i <= block.range.SizeMinusOne(); ++i) {
        const net::IpAddress address =
            net::IpAddress::FromValue(family, block.range.first().value() + i);
        if (!service.requested_addresses.empty() &&
            service.requested_addresses[0] != address.ToString()) {
          continue;
        }
        if (disk_.rows.contains(address)) continue;
        const bool own = !service.requested_addresses.empty() && GaveUp(service, address);
        if (own || !MayCoolDown(pool, address)) return true;
      }
    }
    return false;
  }

  void CheckNobodyWaitsInVain() {
    for (const auto& [key, service] : services_) {
      for (net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
        const bool single = service.family_policy == FamilyPolicy::kSingleStack;
        if (!Wants(service, family) || HasFamily(key, family)) continue;
        if (single && world_->allocations().contains(key)) continue;  // keeps its first family
        for (const auto& [name, pool] : pools_) {
          EXPECT_FALSE(CouldHave(service, pool, family)) << key << " waits though " << name;
        }
        EXPECT_NE(world_->StatusOf(key)->state, State::kReady) << key;
      }
    }
  }

  // Of the pools that work: what is used is what has a row, what cools down is reserved, and the
  // rest is available.
  void CheckCounters() {
    world_->Advance(absl::Seconds(1));
    for (const auto& [name, pool] : pools_) {
      const PoolState* state = world_->StateOf(name);
      ASSERT_NE(state, nullptr) << name;
      if (state->state == "conflicting") continue;
      for (const FamilyCount& count : state->counts) {
        int used = 0;
        for (const auto& [address, row] : disk_.rows) {
          if (address.family() == count.family && Covers(pool, address)) ++used;
        }
        EXPECT_EQ(count.used, absl::StrCat(used)) << name;
        int cooling = 0, may_cool = 0;
        for (const auto& [address, release] : disk_.releases) {
          if (address.family() != count.family || !Covers(pool, address)) continue;
          const absl::Duration left = CoolDownLeft(pool, address);
          if (left > kStampError) ++cooling;
          if (left > -kStampError) ++may_cool;
        }
        EXPECT_GE(std::stoi(count.reserved), cooling) << name;
        EXPECT_LE(std::stoi(count.reserved), may_cool) << name;
        EXPECT_EQ(std::stoi(count.used) + std::stoi(count.available) + std::stoi(count.reserved),
                  std::stoi(count.total));
      }
    }
  }

  Rng rng_;
  const bool overlaps_;
  Disk disk_;
  std::unique_ptr<World> world_ = std::make_unique<World>(&disk_);
  std::map<std::string, ServiceRequest> services_;
  std::map<std::string, PoolConfig> pools_;
  uint64_t generation_ = 0;
};

void PlayManySeeds(bool overlaps) {
  for (uint64_t seed = 0; seed < 25; ++seed) {
    RandomRun run(seed, overlaps);
    for (int step = 0; step < 300; ++step) {
      run.Step();
      ASSERT_THAT(run.world().problems, IsEmpty()) << "seed " << seed << " step " << step;
      ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << " step " << step;
    }
  }
}

TEST(EngineRandom, AgreesWithThePlainModel) { PlayManySeeds(/*overlaps=*/false); }

TEST(EngineRandom, NobodyMovesAndNothingIsGivenTwiceWhenPoolsOverlap) {
  PlayManySeeds(/*overlaps=*/true);
}

}  // namespace
}  // namespace portolan::ipam
