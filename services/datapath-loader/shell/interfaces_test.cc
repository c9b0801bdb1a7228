// Programs on interfaces of the real kernel, in a network namespace of its own. Needs root.
#include "services/datapath-loader/shell/interfaces.h"

#include <bpf/bpf.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bpf/include/datapath_maps.h"
#include "services/datapath-loader/shell/attachment.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/kernel_world.h"
#include "services/datapath-loader/shell/xdp_features.h"

namespace portolan::datapath {
namespace {

using InterfacesTest = KernelTest;

TEST_F(InterfacesTest, LinksOutliveTheirProcessAndGetTheNewProgram) {
  const uint32_t ifindex = InterfaceIndex("t0");
  {
    auto objects = Load();
    ASSERT_TRUE(Attachment::AttachXdp(directory_, ifindex, objects->xdp_program()).ok());
    ASSERT_TRUE(Attachment::AttachTc(directory_, ifindex, objects->tc_program()).ok());
  }
  EXPECT_EQ(ListLinkPins(directory_).size(), 2u);
  EXPECT_TRUE(Shell("ip link show t0 | grep -q 'prog/xdp'"));
  auto objects = Load();
  auto xdp = Attachment::AttachXdp(directory_, ifindex, objects->xdp_program());
  ASSERT_TRUE(xdp.ok()) << xdp.status();
  EXPECT_TRUE(xdp->IsAlive());
  EXPECT_TRUE(xdp->Detach().ok());
  EXPECT_FALSE(Shell("ip link show t0 | grep -q 'prog/xdp'"));
}

TEST_F(InterfacesTest, ClsactWorksWhereThereIsNoTcx) {
  const uint32_t ifindex = InterfaceIndex("t0");
  auto objects = Load();
  auto filter = Attachment::AttachClsact(ifindex, objects->tc_program());
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_TRUE(filter->IsAlive());
  EXPECT_TRUE(Shell("tc filter show dev t0 ingress | grep -q portolan_lb_tc"));
  ASSERT_TRUE(Attachment::AttachClsact(ifindex, objects->tc_program()).ok());
  EXPECT_TRUE(filter->Detach().ok());
  EXPECT_FALSE(filter->IsAlive());
}

TEST_F(InterfacesTest, AnInterfaceIsAttachedWhenItComesAndAgainWhenItComesBack) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"late", {.mode = "auto"}}});
  std::vector<InterfaceReport> reports = interfaces.Reconcile();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].state, State::kFailed);
  EXPECT_EQ(reports[0].reason, "no-interface");
  EXPECT_EQ(interfaces.attached(), 0);
  for (int life = 0; life < 2; life++) {
    ASSERT_TRUE(Shell("ip tuntap add late mode tap && ip link set late up"));
    reports = interfaces.Reconcile();
    EXPECT_EQ(reports[0].state, State::kReady) << reports[0].message;
    EXPECT_EQ(reports[0].mode, "xdp");
    EXPECT_EQ(interfaces.attached(), 1);
    EXPECT_EQ(ListLinkPins(directory_).size(), 2u);
    ASSERT_TRUE(Shell("ip link del late"));
    EXPECT_EQ(interfaces.Reconcile()[0].reason, "no-interface");
    EXPECT_TRUE(ListLinkPins(directory_).empty());
  }
}

TEST_F(InterfacesTest, AutoTakesTcOnAVethAndXdpWhenAsked) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "auto"}}});
  const std::vector<InterfaceReport> reports = interfaces.Reconcile();
  EXPECT_EQ(reports[0].state, State::kReady) << reports[0].message;
  EXPECT_EQ(reports[0].mode, "tc");
  EXPECT_TRUE(absl::StrContains(reports[0].message, "veth")) << reports[0].message;
  interfaces.Want({{"t0", {.mode = "xdp"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].mode, "xdp");
  interfaces.Want({});
  interfaces.Reconcile();
}

TEST_F(InterfacesTest, TheProgramsAreToldOfAnInterfaceForAsLongAsItIsTheirs) {
  auto objects = Load();
  const uint32_t ifindex = InterfaceIndex("t0");
  const uint32_t slot = portolan_interface_slot(ifindex);
  const uint32_t left = (slot + 1) % PORTOLAN_INTERFACES;  // from an earlier life
  const int fd = objects->map("interfaces");
  portolan_interface value{};
  value.ifindex = ifindex + 1;
  ASSERT_EQ(bpf_map_update_elem(fd, &left, &value, BPF_ANY), 0);
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "xdp", .inside = true}}});
  interfaces.Reconcile();
  ASSERT_EQ(bpf_map_lookup_elem(fd, &slot, &value), 0);
  EXPECT_EQ(value.ifindex, ifindex);
  EXPECT_EQ(memcmp(value.mac, MacAddressOf("t0")->octets.data(), sizeof(value.mac)), 0);
  EXPECT_TRUE(value.flags & PORTOLAN_INTERFACE_INTERNAL);
  ASSERT_EQ(bpf_map_lookup_elem(fd, &left, &value), 0);
  EXPECT_EQ(value.ifindex, 0u);
  ASSERT_TRUE(Shell("ip link set t0 address 02:00:00:00:77:01"));
  interfaces.Reconcile();
  ASSERT_EQ(bpf_map_lookup_elem(fd, &slot, &value), 0);
  EXPECT_EQ(value.mac[4], 0x77);
  interfaces.Want({});
  interfaces.Reconcile();
  ASSERT_EQ(bpf_map_lookup_elem(fd, &slot, &value), 0);
  EXPECT_EQ(value.ifindex, 0u);
}

TEST_F(InterfacesTest, AnInterfaceThatCannotBeAttachedAnewIsForgottenByThePrograms) {
  auto objects = Load();
  const uint32_t slot = portolan_interface_slot(InterfaceIndex("t0"));
  const auto is_known = [&] {
    portolan_interface value{};
    bpf_map_lookup_elem(objects->map("interfaces"), &slot, &value);
    return value.ifindex != 0;
  };
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "tc"}}});
  ASSERT_EQ(interfaces.Reconcile()[0].mode, "tc");
  EXPECT_TRUE(is_known());
  // The next attachment finds no place for its pin.
  ASSERT_TRUE(Shell(absl::StrCat("rm -r ", directory_, "/links")));
  interfaces.Want({{"t0", {.mode = "auto"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].reason, "refused");
  EXPECT_FALSE(is_known());
  EXPECT_EQ(interfaces.attached(), 0);
}

TEST_F(InterfacesTest, AVethTakesFramesFromXdpWhileItsPeerHasAProgram) {
  auto objects = Load();
  const uint32_t ifindex = InterfaceIndex("t0");
  XdpFeatureQuery query;
  EXPECT_FALSE(query.TakesXdpFrames(ifindex));
  EXPECT_FALSE(query.TakesXdpFrames(0));
  auto peer = Attachment::AttachXdp(directory_, InterfaceIndex("t1"), objects->xdp_program());
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_TRUE(query.TakesXdpFrames(ifindex));
  EXPECT_TRUE(peer->Detach().ok());
}

TEST_F(InterfacesTest, TwoInterfacesOnOneSlotAreTold) {
  auto objects = Load();
  InterfaceMap map(objects->map("interfaces"));
  ASSERT_TRUE(map.Put(7, {}).ok());
  const absl::Status status = map.Put(7 + PORTOLAN_INTERFACES, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(absl::StrContains(status.message(), "create one of them anew"));
  map.Remove(7);
  EXPECT_TRUE(map.Put(7 + PORTOLAN_INTERFACES, {}).ok());
}

TEST_F(InterfacesTest, AutoFallsBackToTcAndXdpFailsWithNothingAttached) {
  auto objects = Load();
  auto foreign = Load();
  Interfaces interfaces(directory_, *objects);
  // Somebody else's XDP program is on the interface.
  ASSERT_TRUE(Shell("ip tuntap add used mode tap && ip link set used up"));
  const std::string other = directory_ + "-other";
  ASSERT_TRUE(PreparePinDirectory(other).ok());
  auto theirs = Attachment::AttachXdp(other, InterfaceIndex("used"), foreign->xdp_program());
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  interfaces.Want({{"used", {.mode = "xdp"}}});
  std::vector<InterfaceReport> reports = interfaces.Reconcile();
  EXPECT_EQ(reports[0].state, State::kFailed);
  EXPECT_EQ(reports[0].reason, "no-xdp");
  EXPECT_TRUE(ListLinkPins(directory_).empty());
  interfaces.Want({{"used", {.mode = "auto"}}});
  reports = interfaces.Reconcile();
  EXPECT_EQ(reports[0].mode, "tc");
  EXPECT_TRUE(absl::StrContains(reports[0].message, "another program")) << reports[0].message;
  interfaces.Want({});
  interfaces.Reconcile();
  EXPECT_TRUE(ListLinkPins(directory_).empty());
  EXPECT_TRUE(theirs->IsAlive());
  RemovePins(other).IgnoreError();
  Shell("ip link del used");
}

TEST_F(InterfacesTest, ChangingTheModeLeavesNoGapInTc) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "xdp"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].mode, "xdp");
  interfaces.Want({{"t0", {.mode = "tc"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].mode, "tc");
  EXPECT_EQ(ListLinkPins(directory_).size(), 1u);
  EXPECT_FALSE(Shell("ip link show t0 | grep -q 'prog/xdp'"));
}

TEST_F(InterfacesTest, WhatIsNotEthernetIsRefused) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  ASSERT_TRUE(Shell("ip tuntap add mode tun name tun0"));
  interfaces.Want({{"tun0", {.mode = "auto"}}});
  EXPECT_EQ(interfaces.Reconcile()[0].reason, "not-ethernet");
  Shell("ip link del tun0");
}

TEST_F(InterfacesTest, StrictReversePathIsNamed) {
  auto objects = Load();
  Interfaces interfaces(directory_, *objects);
  interfaces.Want({{"t0", {.mode = "tc"}}});
  ASSERT_TRUE(Shell("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.t0.rp_filter=1"));
  EXPECT_EQ(interfaces.Reconcile()[0].reason, "strict-reverse-path");
  ASSERT_TRUE(Shell("sysctl -qw net.ipv4.conf.t0.rp_filter=0"));
  EXPECT_EQ(interfaces.Reconcile()[0].reason, "attached");
}

}  // namespace
}  // namespace portolan::datapath
