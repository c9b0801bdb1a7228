// Other XDP programs before and behind ours, in the slots of map "xdp_chain".
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include "bpf/programs/object.h"
#include "bpf/test/harness.h"
#include "bpf/test/programs_world.h"

namespace portolan::bpf {

Object Beside();

namespace {

constexpr int kAborted = 0, kDrop = 1, kPass = 2;

class ChainTest : public ProgramsWorld {
 protected:
  void SetUp() override {
    if (program() == Program::kTc) GTEST_SKIP() << "XDP only";
    ProgramsWorld::SetUp();
    if (IsSkipped()) return;
    Serve(1);
    root_ = Load(XdpRoot());
    beside_ = Load(Beside());
    ASSERT_NE(root_, nullptr);
    ASSERT_NE(beside_, nullptr);
    Fill(PORTOLAN_CHAIN_OURS, harness_->program(Program::kXdp));
  }
  void TearDown() override {
    if (IsSkipped()) return;
    for (uint32_t slot = 0; slot < PORTOLAN_CHAIN_SLOTS; slot++) Empty(slot);
    bpf_object__close(root_);
    bpf_object__close(beside_);
  }

  // With the chain that our program has.
  bpf_object* Load(const Object& bytes) {
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = bytes.name);
    bpf_object* object = bpf_object__open_mem(bytes.data, bytes.size, &options);
    if (object == nullptr) return nullptr;
    bpf_map__reuse_fd(bpf_object__find_map_by_name(object, "xdp_chain"),
                      harness_->map("xdp_chain"));
    return bpf_object__load(object) == 0 ? object : nullptr;
  }
  void Fill(uint32_t slot, int program) {
    ASSERT_EQ(bpf_map_update_elem(harness_->map("xdp_chain"), &slot, &program, BPF_ANY), 0) << slot;
  }
  void Fill(uint32_t slot, const char* name) {
    Fill(slot, bpf_program__fd(bpf_object__find_program_by_name(beside_, name)));
  }
  void Empty(uint32_t slot) { bpf_map_delete_elem(harness_->map("xdp_chain"), &slot); }
  uint64_t Seen(uint32_t index) const {
    uint64_t count = 0;
    bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(beside_, "seen"), &index, &count);
    return count;
  }
  // By the root, as it comes in at an interface.
  Outcome Arrive(const Bytes& packet) {
    const int fd = bpf_program__fd(bpf_object__find_program_by_name(root_, "portolan_xdp_root"));
    return harness_->RunXdp(fd, packet);
  }
  Bytes Foreign() const {
    PacketSpec packet = Request();
    packet.destination = Client(9);
    return Build(packet);
  }
  void ExpectBalanced() {
    const Outcome outcome = Arrive(Build(Request()));
    EXPECT_EQ(outcome.verdict, kPass);
    EXPECT_EQ(outcome.packet, Build(Via(Request(), Backend(1))));
  }

  bpf_object* root_ = nullptr;
  bpf_object* beside_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(All, ChainTest, EveryCase(), CaseName);

TEST_P(ChainTest, OursAloneDoesWhatItDoesWithoutTheRoot) {
  ExpectBalanced();
  const Outcome outcome = Arrive(Foreign());
  EXPECT_EQ(outcome.verdict, kPass);
  EXPECT_EQ(outcome.packet, Foreign());
}

TEST_P(ChainTest, AnEmptyChainPasses) {
  Empty(PORTOLAN_CHAIN_OURS);
  EXPECT_EQ(Arrive(Build(Request())).packet, Build(Request()));
}

TEST_P(ChainTest, AProgramBeforeOursSeesEverythingAndOursWhatItLetsThrough) {
  Fill(PORTOLAN_CHAIN_BEFORE, "beside_before");
  ExpectBalanced();
  EXPECT_EQ(Arrive(Foreign()).verdict, kPass);
  EXPECT_EQ(Seen(0), 2u);
}

TEST_P(ChainTest, AnySlotBeforeOursIsAskedFirst) {
  for (uint32_t slot = PORTOLAN_CHAIN_BEFORE; slot < PORTOLAN_CHAIN_OURS; slot++) {
    Fill(slot, "beside_after");
    EXPECT_EQ(Arrive(Build(Request())).verdict, kDrop);
    EXPECT_EQ(harness_->FlowCount(ipv6()), 0);
    Empty(slot);
  }
}

TEST_P(ChainTest, WhatAProgramBeforeOursDropsOursNeverSees) {
  if (ipv6()) GTEST_SKIP() << "the other program knows IPv4 only";
  Fill(PORTOLAN_CHAIN_BEFORE, "beside_before");
  const Bytes packet =
      BuildIcmp({.source = Client(), .destination = Vip(), .ttl = 64}, 13, 0, {0, 1, 2, 3});
  EXPECT_EQ(Arrive(packet).verdict, kDrop);
  EXPECT_EQ(Drops(PORTOLAN_DROP_UNSERVED).packets, 0u);
  Empty(PORTOLAN_CHAIN_BEFORE);
  EXPECT_EQ(Arrive(packet).verdict, kDrop);
  EXPECT_EQ(Drops(PORTOLAN_DROP_UNSERVED).packets, 1u);
}

TEST_P(ChainTest, AProgramBehindOursSeesWhatStaysOnTheMachine) {
  for (uint32_t slot = PORTOLAN_CHAIN_AFTER; slot < PORTOLAN_CHAIN_SLOTS; slot++) {
    const uint64_t before = Seen(1);
    Fill(slot, "beside_after");
    EXPECT_EQ(Arrive(Foreign()).verdict, kDrop);
    EXPECT_EQ(Seen(1), before + 1);
    // Rewritten, and left to the kernel's routes.
    EXPECT_EQ(Arrive(Build(Request())).packet, Build(Via(Request(), Backend(1))));
    EXPECT_EQ(Seen(1), before + 2);
    Empty(slot);
  }
}

TEST_P(ChainTest, WhatOursSendsOrDropsTheOneBehindNeverSees) {
  Fill(PORTOLAN_CHAIN_AFTER, "beside_after");
  const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 1};
  harness_->SetInterface(if_nametoindex("t0"), mac,
                         PORTOLAN_INTERFACE_ATTACHED | PORTOLAN_INTERFACE_TARGET);
  EXPECT_EQ(Arrive(Build(Request())).verdict, kXdpRedirect);
  harness_->SetSilent(ipv6(), Vip());
  PacketSpec unserved = Request();
  unserved.destination_port = 81;
  EXPECT_EQ(Arrive(Build(unserved)).verdict, kDrop);
  EXPECT_EQ(Drops(PORTOLAN_DROP_UNSERVED).packets, 1u);
  EXPECT_EQ(Seen(1), 0u);
}

TEST_P(ChainTest, OursGoesOnToThoseBehindWithoutARoot) {
  Fill(PORTOLAN_CHAIN_AFTER, "beside_after");
  EXPECT_EQ(harness_->Run(Program::kXdp, Foreign()).verdict, kDrop);
  EXPECT_EQ(Seen(1), 1u);
}

TEST_P(ChainTest, AllThreeKindsWorkTogether) {
  Fill(PORTOLAN_CHAIN_BEFORE, "beside_before");
  Fill(PORTOLAN_CHAIN_SLOTS - 1, "beside_after");
  const Outcome outcome = Arrive(Build(Request()));
  EXPECT_NE(outcome.verdict, kAborted);
  EXPECT_EQ(outcome.packet, Build(Via(Request(), Backend(1))));
  EXPECT_EQ(Seen(0), 1u);
  EXPECT_EQ(Seen(1), 1u);
}

}  // namespace
}  // namespace portolan::bpf
