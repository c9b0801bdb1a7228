#include "services/datapath-loader/shell/layout.h"

#include <gtest/gtest.h>

#include <cstring>

namespace portolan::datapath {
namespace {

net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }

TEST(LayoutTest, FrontendKeysSurviveTheKernel) {
  for (const char* address : {"20.0.10.1", "2001:db8::1", "0.0.0.0", "::"}) {
    for (const uint8_t protocol : {kTcp, kUdp}) {
      const FrontendKey key{Ip(address), 8443, protocol};
      EXPECT_EQ(*FromKernel(ToKernel(key)), key) << key.ToString();
    }
  }
}

TEST(LayoutTest, FrontendsSurviveTheKernel) {
  const FrontendEntry entry{
      .id = 7, .epoch = 65535, .group = 3, .table_offset = 1024, .table_size = 251, .backends = 2};
  EXPECT_EQ(FromKernel(ToKernel(entry), InfoOf(entry)), entry);
  FrontendEntry other = entry;
  other.restricted = true;
  other.affinity_s = 10800;
  other.internal_offset = 2048;
  other.internal_size = 1021;
  other.idle_s = 90;
  EXPECT_EQ(FromKernel(ToKernel(other), InfoOf(other)), other);
  other.restricted = false;
  other.silent = true;
  EXPECT_EQ(FromKernel(ToKernel(other), InfoOf(other)), other);
}

// Found by reading the program: with equal offsets it takes the one for the other.
TEST(LayoutTest, ATableThatIsMissingHasNotTheOffsetOfTheOther) {
  const FrontendEntry outside_only{.id = 1, .table_offset = 0, .table_size = 251};
  const FrontendEntry inside_only{.id = 1, .internal_offset = 0, .internal_size = 251};
  for (const FrontendEntry& entry : {outside_only, inside_only}) {
    const portolan_frontend kernel = ToKernel(entry);
    EXPECT_NE(kernel.internal_offset, kernel.table_offset);
    EXPECT_EQ(FromKernel(kernel, InfoOf(entry)), entry);
  }
}

TEST(LayoutTest, WhatIsKnownOfAFrontendIsThatItLivesAndItsFlags) {
  const portolan_frontend_info info =
      InfoOf({.id = 7, .epoch = 3, .group = 4, .restricted = true, .idle_s = 5, .silent = true});
  EXPECT_EQ(info.epoch, 3);
  EXPECT_EQ(info.group, 4u);
  EXPECT_EQ(info.idle_s, 5u);
  EXPECT_EQ(info.flags,
            PORTOLAN_FRONTEND_ALIVE | PORTOLAN_FRONTEND_SOURCES | PORTOLAN_FRONTEND_SILENT);
}

TEST(LayoutTest, BackendsSurviveTheKernelWithAndWithoutASource) {
  BackendEntry entry{.epoch = 9,
                     .group = 4,
                     .address = Ip("2001:db8::9"),
                     .port = 8080,
                     .protocol = kUdp,
                     .source = std::nullopt};
  EXPECT_EQ(*FromKernel(ToKernel(entry)), entry);
  entry.source = Ip("2001:db8::1");
  entry.rests = true;
  EXPECT_EQ(*FromKernel(ToKernel(entry)), entry);
}

TEST(LayoutTest, WhatIsDoneToAPacketIsAFlagOfTheBackend) {
  const struct {
    Delivery delivery;
    int flag;
  } cases[] = {{Delivery::kDestinationNat, 0},
               {Delivery::kFullNat, PORTOLAN_BACKEND_SNAT},
               {Delivery::kDirectReturn, PORTOLAN_BACKEND_DSR},
               {Delivery::kTunnel, PORTOLAN_BACKEND_TUNNEL}};
  for (const auto& [delivery, flag] : cases) {
    const BackendEntry entry{
        .address = Ip("10.0.0.9"), .source = Ip("10.0.0.1"), .delivery = delivery};
    EXPECT_EQ(ToKernel(entry).flags, PORTOLAN_BACKEND_ALIVE | flag);
    EXPECT_EQ(*FromKernel(ToKernel(entry)), entry);
  }
}

TEST(LayoutTest, SourcesAndAddressesSurviveTheKernel) {
  for (const char* text : {"0.0.0.0/0", "::/0", "192.0.2.0/25", "2001:db8::/33", "20.0.10.1/32"}) {
    const net::Prefix prefix = *net::Prefix::Parse(text);
    const portolan_source_key key = ToKernel(5, prefix);
    EXPECT_EQ(key.group, 5u);
    EXPECT_EQ(*FromKernel(key), prefix) << text;
    EXPECT_EQ(*FromKernel(ToKernel(prefix.first())), prefix.first()) << text;
  }
}

TEST(LayoutTest, AddressesAndPortsStandInNetworkOrder) {
  const portolan_frontend_key key = ToKernel(FrontendKey{Ip("20.0.10.1"), 0x1234, kTcp});
  const unsigned char address[16] = {20, 0, 10, 1};
  EXPECT_EQ(memcmp(key.address, address, sizeof(address)), 0);
  const unsigned char port[2] = {0x12, 0x34};
  EXPECT_EQ(memcmp(&key.port, port, sizeof(port)), 0);
}

TEST(LayoutTest, AnUnknownFamilyIsAnError) {
  portolan_frontend_key key{};
  key.family = 5;
  EXPECT_FALSE(FromKernel(key).ok());
  EXPECT_FALSE(FromKernel(portolan_address_key{.family = 5}).ok());
  EXPECT_FALSE(FromKernel(portolan_source_key{.prefix_length = 64, .family = 5}).ok());
}

TEST(LayoutTest, APrefixLongerThanItsFamilyIsAnError) {
  portolan_source_key key = ToKernel(1, *net::Prefix::Parse("192.0.2.0/24"));
  for (const uint32_t length : {0u, 63u, 97u}) {
    key.prefix_length = length;
    EXPECT_FALSE(FromKernel(key).ok()) << length;
  }
}

}  // namespace
}  // namespace portolan::datapath
