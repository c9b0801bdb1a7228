// What stands in the map after what the announcer was told; the map is a real one, pinned as
// datapath-loader pins it. That programs answer by it: interop/responder_test.py.
#include "services/l2-announcer/shell/responder.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/process/pins.h"
#include "services/l2-announcer/shell/neighbour_map.h"

namespace portolan::l2 {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr uint32_t kIfindex = 7;
constexpr absl::Duration kPromise = absl::Seconds(10);

net::IpAddress Ip(absl::string_view text) { return *net::IpAddress::Parse(text); }
net::MacAddress Mac() { return *net::MacAddress::Parse("02:00:00:00:00:01"); }

uint64_t MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::DurationFromTimespec(now)));
}

// What datapath-loader leaves in a directory.
class Pins {
 public:
  explicit Pins(std::string directory) : directory_(std::move(directory)) {}
  ~Pins() { Remove(); }

  void Make(uint32_t version = PORTOLAN_LAYOUT_VERSION, uint64_t cookie = OwnCookie()) {
    std::filesystem::create_directories(absl::StrCat(directory_, "/maps"));
    LIBBPF_OPTS(bpf_map_create_opts, shared, .map_flags = BPF_F_MMAPABLE);
    neighbours_ = bpf_map_create(BPF_MAP_TYPE_ARRAY, "neighbours", sizeof(uint32_t),
                                 sizeof(portolan_neighbours), PORTOLAN_NEIGHBOUR_BUCKETS, &shared);
    interfaces_ = bpf_map_create(BPF_MAP_TYPE_ARRAY, "interfaces", sizeof(uint32_t),
                                 sizeof(portolan_interface), PORTOLAN_INTERFACES, nullptr);
    SetFlags(PORTOLAN_INTERFACE_ATTACHED);
    const int settings = bpf_map_create(BPF_MAP_TYPE_ARRAY, "settings_map", sizeof(uint32_t),
                                        sizeof(portolan_settings), 1, nullptr);
    portolan_settings value{};
    value.layout_version = version;
    value.netns_cookie = cookie;
    const uint32_t zero = 0;
    ASSERT_EQ(bpf_map_update_elem(settings, &zero, &value, BPF_ANY), 0);
    Pin(neighbours_, "neighbours");
    Pin(interfaces_, "interfaces");
    Pin(settings, "settings_map");
    close(settings);
  }
  void Remove() {
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
    for (int* fd : {&neighbours_, &interfaces_}) {
      if (*fd >= 0) close(*fd);
      *fd = -1;
    }
  }

  // Of the interface in the slot of `slot_of`.
  void SetFlags(uint16_t flags, uint32_t ifindex = kIfindex, uint32_t slot_of = kIfindex) const {
    const portolan_interface value{.ifindex = ifindex, .mac = {}, .flags = flags};
    const uint32_t slot = portolan_interface_slot(slot_of);
    ASSERT_EQ(bpf_map_update_elem(interfaces_, &slot, &value, BPF_ANY), 0);
  }
  // Those that are not free.
  std::vector<portolan_neighbour> Places() const {
    std::vector<portolan_neighbour> places;
    for (uint32_t i = 0; i < PORTOLAN_NEIGHBOUR_BUCKETS; ++i) {
      portolan_neighbours bucket{};
      bpf_map_lookup_elem(neighbours_, &i, &bucket);
      for (const portolan_neighbour& place : bucket.place) {
        if (place.until_ns == 0) continue;
        EXPECT_EQ(portolan_neighbour_bucket(&place.key), i);
        places.push_back(place);
      }
    }
    return places;
  }
  // The same by address.
  std::map<std::string, portolan_neighbour> Taken() const {
    std::map<std::string, portolan_neighbour> taken;
    for (const portolan_neighbour& place : Places()) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(place.key.address);
      const size_t size = place.key.family == PORTOLAN_FAMILY_IPV4 ? 4 : 16;
      taken[net::IpAddress::FromBytes({bytes, size})->ToString()] = place;
    }
    return taken;
  }

  static uint64_t OwnCookie() { return process::NetworkNamespaceCookie().value_or(0); }

 private:
  void Pin(int fd, const char* name) {
    ASSERT_EQ(bpf_obj_pin(fd, absl::StrCat(directory_, "/maps/", name).c_str()), 0) << name;
  }

  const std::string directory_;
  int neighbours_ = -1;
  int interfaces_ = -1;
};

class ResponderTest : public testing::Test {
 protected:
  ResponderTest()
      : directory_(absl::StrCat("/sys/fs/bpf/portolan-responder-test-", getpid())),
        pins_(directory_) {}

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to make BPF maps";
    if (!process::IsOnBpffs("/sys/fs/bpf")) GTEST_SKIP() << "no BPF file system is mounted";
  }

  // A process that has a link and has just sent a heartbeat there.
  void Start() {
    responder_.emplace(directory_, &SystemClock());
    responder_->SetAttached("lan", true);
    responder_->AddLink("lan", kIfindex);
    Renew();
  }
  void Renew() { responder_->Renew("lan", SystemClock().Now() + kPromise); }
  void Own(const std::string& address) { responder_->Own("lan", Ip(address), Mac()); }
  bool Answers(const std::string& address) { return responder_->Answers("lan", Ip(address)); }

  const std::string directory_;
  Pins pins_;
  std::optional<Responder> responder_;
};

TEST_F(ResponderTest, WhatIsOwnedStandsInTheMapUntilThePromiseEnds) {
  pins_.Make();
  Start();
  Own("192.0.2.1");
  Own("2001:db8::1");
  EXPECT_TRUE(Answers("192.0.2.1"));
  EXPECT_FALSE(Answers("192.0.2.2"));
  EXPECT_EQ(responder_->answered(), 2);
  const auto taken = pins_.Taken();
  ASSERT_EQ(taken.size(), 2u);
  const portolan_neighbour& entry = taken.at("2001:db8::1");
  EXPECT_EQ(entry.key.ifindex, kIfindex);
  EXPECT_EQ(entry.key.vlan, 0);
  EXPECT_EQ(memcmp(entry.mac, Mac().octets.data(), 6), 0);
  const auto promised = static_cast<uint64_t>(absl::ToInt64Nanoseconds(kPromise));
  EXPECT_LT(entry.until_ns, MonotonicNow() + promised - 10'000'000);  // the kernel's late tick
  EXPECT_GT(entry.until_ns, MonotonicNow() + promised / 2);
}

class VlanResponderTest : public ResponderTest {
 protected:
  // "lan" is VLAN 100 of "trunk"; nothing is known of their programs.
  void StartInVlan() {
    responder_.emplace(directory_, &SystemClock());
    responder_->AddLink("lan", kIfindex,
                        Vlan{.below = "trunk", .below_ifindex = kTrunk, .id = 100});
    Renew();
    Own("192.0.2.1");
  }
  // The keys' interfaces and VLANs.
  std::set<std::pair<uint32_t, uint16_t>> Doors() const {
    std::set<std::pair<uint32_t, uint16_t>> doors;
    for (const portolan_neighbour& place : pins_.Places()) {
      doors.insert({place.key.ifindex, place.key.vlan});
    }
    return doors;
  }

  static constexpr uint32_t kTrunk = kIfindex + 1;
};

TEST_F(VlanResponderTest, AnAddressInAVlanHasAnEntryWhereTheProgramsAre) {
  pins_.Make();
  pins_.SetFlags(0);
  StartInVlan();
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_TRUE(Doors().empty());

  pins_.SetFlags(PORTOLAN_INTERFACE_ATTACHED, kTrunk, kTrunk);
  responder_->SetAttached("trunk", true);
  EXPECT_TRUE(Answers("192.0.2.1"));
  EXPECT_THAT(Doors(), ElementsAre(Pair(kTrunk, 100)));

  pins_.SetFlags(PORTOLAN_INTERFACE_ATTACHED);
  responder_->SetAttached("lan", true);
  EXPECT_THAT(Doors(), ElementsAre(Pair(kIfindex, 0), Pair(kTrunk, 100)));
  EXPECT_EQ(responder_->answered(), 1) << "it is one address";

  responder_->SetAttached("trunk", false);
  EXPECT_TRUE(Answers("192.0.2.1")) << "behind the tag the programs still are";
  EXPECT_THAT(Doors(), ElementsAre(Pair(kIfindex, 0)));
}

TEST_F(VlanResponderTest, WhatIsGivenUpInAVlanIsSilentTaggedAndUntagged) {
  pins_.Make();
  pins_.SetFlags(PORTOLAN_INTERFACE_ATTACHED, kTrunk, kTrunk);
  StartInVlan();
  responder_->SetAttached("lan", true);
  responder_->SetAttached("trunk", true);
  ASSERT_EQ(Doors().size(), 2u);
  responder_->Disown("lan", Ip("192.0.2.1"));
  EXPECT_TRUE(Doors().empty());
  Own("192.0.2.1");
  ASSERT_EQ(Doors().size(), 2u);
  responder_->RemoveLink("lan");
  EXPECT_TRUE(Doors().empty());
}

TEST_F(VlanResponderTest, QuestionsOfAVlanComeInAtTheInterfaceBelow) {
  pins_.Make();
  StartInVlan();
  responder_->AddLink("trunk", kTrunk);
  EXPECT_THAT(responder_->LinksAt("trunk"), ElementsAre("lan", "trunk"));
  EXPECT_THAT(responder_->LinksAt("lan"), ElementsAre("lan"));
  EXPECT_THAT(responder_->LinksAt("other"), IsEmpty());
}

TEST_F(ResponderTest, WhatIsGivenUpIsOutOfTheMapAtOnce) {
  pins_.Make();
  Start();
  Own("192.0.2.1");
  Own("192.0.2.2");
  responder_->Disown("lan", Ip("192.0.2.1"));
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_EQ(pins_.Taken().count("192.0.2.1"), 0u);
  EXPECT_EQ(pins_.Taken().count("192.0.2.2"), 1u);
  responder_->RemoveLink("lan");
  EXPECT_TRUE(pins_.Taken().empty());
}

TEST_F(ResponderTest, ARenewalReachesEveryEntry) {
  pins_.Make();
  Start();
  Own("192.0.2.1");
  const uint64_t before = pins_.Taken().at("192.0.2.1").until_ns;
  responder_->Renew("lan", SystemClock().Now() + 2 * kPromise);
  EXPECT_GT(pins_.Taken().at("192.0.2.1").until_ns, before + 5'000'000'000);
}

TEST_F(ResponderTest, WithoutAHeartbeatOrWithAnOldOneNothingIsLeftToTheDatapath) {
  pins_.Make();
  responder_.emplace(directory_, &SystemClock());
  responder_->SetAttached("lan", true);
  responder_->AddLink("lan", kIfindex);
  Own("192.0.2.1");
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_TRUE(pins_.Taken().empty());
  Renew();
  EXPECT_TRUE(Answers("192.0.2.1"));
  responder_->Renew("lan", SystemClock().Now());
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_TRUE(pins_.Taken().empty());
}

TEST_F(ResponderTest, WhereNoProgramIsAttachedTheDatapathIsNotAsked) {
  pins_.Make();
  Start();
  Own("192.0.2.1");
  responder_->SetAttached("lan", false);
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_TRUE(pins_.Taken().empty());
  responder_->SetAttached("lan", true);
  EXPECT_TRUE(Answers("192.0.2.1"));
}

TEST_F(ResponderTest, TheDatapathsMapMustNameTheInterfaceToo) {
  pins_.Make();
  Start();
  Own("192.0.2.1");
  EXPECT_TRUE(Answers("192.0.2.1"));
  pins_.SetFlags(PORTOLAN_INTERFACE_TARGET);
  Renew();
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_TRUE(pins_.Taken().empty());
  pins_.SetFlags(PORTOLAN_INTERFACE_ATTACHED, kIfindex + PORTOLAN_INTERFACES);
  Renew();
  EXPECT_FALSE(Answers("192.0.2.1")) << "another interface has that slot";
  pins_.SetFlags(PORTOLAN_INTERFACE_ATTACHED);
  Renew();
  EXPECT_TRUE(Answers("192.0.2.1"));
}

TEST_F(ResponderTest, WhatAFormerLifeLeftIsSilencedBeforeAnythingElse) {
  pins_.Make();
  {
    absl::StatusOr<std::unique_ptr<NeighbourMap>> former = NeighbourMap::Open(directory_);
    ASSERT_TRUE(former.ok()) << former.status();
    portolan_neighbour entry{};
    entry.key.address[0] = 0x010200c0;
    entry.key.family = PORTOLAN_FAMILY_IPV4;
    entry.until_ns = MonotonicNow() + 60'000'000'000;
    ASSERT_NE((*former)->Take(entry), nullptr);
  }
  ASSERT_EQ(pins_.Taken().size(), 1u);
  responder_.emplace(directory_, &SystemClock());
  EXPECT_TRUE(pins_.Taken().empty());
}

TEST_F(ResponderTest, AProcessThatEndsInOrderLeavesNothing) {
  pins_.Make();
  Start();
  Own("192.0.2.1");
  responder_.reset();
  EXPECT_TRUE(pins_.Taken().empty());
}

TEST_F(ResponderTest, MapsThatAreGoneOrMadeAnewAreNoticedAtTheNextHeartbeat) {
  Start();
  Own("192.0.2.1");
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_EQ(responder_->error(), "");
  pins_.Make();
  Renew();
  EXPECT_TRUE(Answers("192.0.2.1"));
  pins_.Remove();
  Renew();
  EXPECT_FALSE(Answers("192.0.2.1"));
  pins_.Make();
  Renew();
  EXPECT_TRUE(Answers("192.0.2.1"));
  EXPECT_EQ(pins_.Taken().size(), 1u);
}

TEST_F(ResponderTest, MapsOfAnotherVersionOrNetworkAreRefusedWithTheReason) {
  pins_.Make(PORTOLAN_LAYOUT_VERSION + 1);
  Start();
  Own("192.0.2.1");
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_NE(responder_->error().find("another version"), std::string::npos);
  pins_.Remove();
  pins_.Make(PORTOLAN_LAYOUT_VERSION, Pins::OwnCookie() + 1);
  Renew();
  EXPECT_FALSE(Answers("192.0.2.1"));
  EXPECT_NE(responder_->error().find("another network namespace"), std::string::npos);
  EXPECT_TRUE(pins_.Taken().empty());
}

TEST_F(ResponderTest, AnAddressForWhichNoPlaceIsFreeStaysWithTheProcess) {
  pins_.Make();
  Start();
  std::map<uint32_t, std::vector<std::string>> buckets;
  std::vector<std::string>* full = nullptr;
  for (uint32_t i = 0; full == nullptr; ++i) {
    portolan_neighbour_key key{.address = {htonl(0x0a000000 + i)},
                               .ifindex = kIfindex,
                               .vlan = 0,
                               .family = PORTOLAN_FAMILY_IPV4,
                               .reserved = 0};
    std::vector<std::string>& here = buckets[portolan_neighbour_bucket(&key)];
    here.push_back(net::IpAddress::FromValue(net::Family::kIpv4, 0x0a000000 + i).ToString());
    if (here.size() > PORTOLAN_NEIGHBOUR_PLACES) full = &here;
  }
  for (const std::string& address : *full) Own(address);
  const std::string& last = full->back();
  EXPECT_FALSE(Answers(last));
  EXPECT_EQ(responder_->answered(), PORTOLAN_NEIGHBOUR_PLACES);
  responder_->Disown("lan", Ip(full->front()));
  Renew();
  EXPECT_TRUE(Answers(last)) << "a place was given back";
}

TEST_F(ResponderTest, TenThousandAddressesNearlyAllFindAPlace) {
  pins_.Make();
  Start();
  for (uint32_t i = 0; i < 10000; ++i) {
    Own(net::IpAddress::FromValue(net::Family::kIpv4, 0x14000000 + i).ToString());
  }
  EXPECT_GT(responder_->answered(), 9800);
}

}  // namespace
}  // namespace portolan::l2
