// What the kernel says about its links, as messages; the kernels that the tests run on may have no
// VLANs themselves.
#include "services/l2-announcer/shell/vlan.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace portolan::l2 {
namespace {

std::string Octets(const void* data, size_t size) { return {static_cast<const char*>(data), size}; }

template <typename Number>
std::string Octets(Number number) {
  return Octets(&number, sizeof(number));
}

std::string Attribute(uint16_t type, const std::string& value) {
  const rtattr header{.rta_len = static_cast<uint16_t>(sizeof(rtattr) + value.size()),
                      .rta_type = type};
  std::string attribute = Octets(header) + value;
  attribute.resize(RTA_ALIGN(attribute.size()));
  return attribute;
}

std::string Text(absl::string_view text) { return std::string(text) + std::string(1, '\0'); }

std::string Message(const std::string& attributes, uint16_t type = RTM_NEWLINK) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg)) + attributes.size();
  return Octets(header) + Octets(ifinfomsg{}) + attributes;
}

std::string Info(absl::string_view kind, const std::string& data) {
  return Attribute(IFLA_LINKINFO, Attribute(IFLA_INFO_KIND, Text(kind)) +
                                      Attribute(IFLA_INFO_DATA | NLA_F_NESTED, data));
}

std::string VlanData(uint16_t id, uint16_t protocol) {
  return Attribute(IFLA_VLAN_ID, Octets(id)) +
         Attribute(IFLA_VLAN_PROTOCOL, Octets(htons(protocol)));
}

// A VLAN named eth0.100 above the interface 3, as Linux says it.
std::string Vlan100() {
  return Message(Attribute(IFLA_IFNAME, Text("eth0.100")) + Attribute(IFLA_LINK, Octets(3u)) +
                 Info("vlan", VlanData(100, ETH_P_8021Q)));
}

std::optional<Vlan> Read(const std::string& message) {
  return VlanIn({reinterpret_cast<const std::byte*>(message.data()), message.size()});
}

TEST(VlanTest, AVlanHasTheInterfaceBelowAndAnIdentifier) {
  EXPECT_EQ(Read(Vlan100()), (Vlan{.below_ifindex = 3, .id = 100}));
}

TEST(VlanTest, OtherLinksAreNone) {
  const std::string below = Attribute(IFLA_LINK, Octets(3u));
  EXPECT_EQ(Read(Message(Attribute(IFLA_IFNAME, Text("eth0")))), std::nullopt);
  EXPECT_EQ(Read(Message(below + Info("macvlan", VlanData(100, ETH_P_8021Q)))), std::nullopt);
  EXPECT_EQ(Read(Message(below + Info("vlan", VlanData(100, ETH_P_8021AD)))), std::nullopt)
      << "the programs answer frames with the other tag only";
  EXPECT_EQ(Read(Message(below + Info("vlan", VlanData(0, ETH_P_8021Q)))), std::nullopt);
  EXPECT_EQ(Read(Message(Info("vlan", VlanData(100, ETH_P_8021Q)))), std::nullopt);
}

TEST(VlanTest, AnInterfaceBelowInAnotherNetworkNamespaceIsNotOurs) {
  EXPECT_EQ(
      Read(Message(Attribute(IFLA_LINK, Octets(3u)) + Attribute(IFLA_LINK_NETNSID, Octets(0)) +
                   Info("vlan", VlanData(100, ETH_P_8021Q)))),
      std::nullopt);
}

TEST(VlanTest, WhatIsCutOffOrNoAnswerSaysNothing) {
  const std::string whole = Vlan100();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(Read(whole.substr(0, size)), std::nullopt) << size;
    std::string shortened = whole.substr(0, size);
    const auto length = static_cast<uint32_t>(size);
    if (size >= sizeof(length)) std::memcpy(shortened.data(), &length, sizeof(length));
    const std::optional<Vlan> read = Read(shortened);
    EXPECT_EQ(read.value_or(Vlan{.id = 100}).id, 100) << size;
  }
  EXPECT_EQ(Read(Message("", NLMSG_ERROR)), std::nullopt);
}

TEST(VlanTest, TheKernelIsAskedAboutAnInterfaceThatIsNoVlan) {
  EXPECT_EQ(ReadVlan(if_nametoindex("lo")), std::nullopt);
  EXPECT_EQ(ReadVlan(0x7ffffff0), std::nullopt);
}

}  // namespace
}  // namespace portolan::l2
