// Sums of drops by Service and reason, from rows as the maps have them.
#include "services/datapath-loader/shell/drop_states.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "services/datapath-loader/shell/testing_streams.h"

namespace portolan::datapath {
namespace {

using v1alpha1::DropState;

const net::IpAddress kVip = *net::IpAddress::Parse("20.0.10.1");

ServiceDrop Row(uint32_t frontend, uint64_t packets,
                portolan_drop reason = PORTOLAN_DROP_NO_BACKEND, uint16_t epoch = 0) {
  ServiceDrop row;
  row.frontend = frontend;
  row.epoch = epoch;
  row.reason = reason;
  row.counter = {.packets = packets, .bytes = 100 * packets, .flows = 0};
  return row;
}

ServiceDrop AddressRow(uint64_t packets) {
  ServiceDrop row = Row(0, packets, PORTOLAN_DROP_UNSERVED);
  row.address = kVip;
  return row;
}

class DropStatesTest : public testing::Test {
 protected:
  DropStatesTest() { states_.MarkSynced(); }
  void Have(uint32_t id, const std::string& service, uint16_t port = 80) {
    states_.Put({.key = {kVip, port, kTcp}, .service = service, .id = id});
  }
  uint64_t PacketsOf(const std::string& key) {
    const auto rows = streams_.Get<DropState>();
    const auto row = rows.find(key);
    return row == rows.end() ? 0 : row->second.packets();
  }
  std::string Metrics() const {
    metrics::Page page;
    states_.Collect(page);
    return page.ToText();
  }

  wire::Hub hub_;
  DropStates states_{hub_, "a"};
  TestingStreams streams_{hub_};
};

TEST_F(DropStatesTest, FrontendsOfAServiceAreSummedUpByReason) {
  Have(1, "ns/web", 80);
  Have(2, "ns/web", 81);
  Have(3, "ns/dns", 53);
  states_.Take({Row(1, 5), Row(2, 7), Row(2, 1, PORTOLAN_DROP_SOURCE), Row(3, 2)}, true);
  const auto rows = streams_.Get<DropState>();
  ASSERT_EQ(rows.size(), 3u);
  const DropState& web = rows.at("a/ns/web/no-backend");
  EXPECT_EQ(web.packets(), 12u);
  EXPECT_EQ(web.bytes(), 1200u);
  EXPECT_EQ(web.service(), "ns/web");
  EXPECT_EQ(web.reason(), "no-backend");
  EXPECT_FALSE(web.message().empty());
  EXPECT_EQ(rows.at("a/ns/web/source").packets(), 1u);
  EXPECT_EQ(rows.at("a/ns/dns/no-backend").packets(), 2u);
}

TEST_F(DropStatesTest, WhatIsServedNowhereStandsUnderItsAddressWhileItsRowIsThere) {
  states_.Take({AddressRow(3)}, true);
  const DropState state = streams_.Get<DropState>().at("a/20.0.10.1/unserved");
  EXPECT_EQ(state.address(), "20.0.10.1");
  EXPECT_EQ(state.service(), "");
  states_.Take({}, true);
  EXPECT_TRUE(streams_.Get<DropState>().empty());
}

TEST_F(DropStatesTest, SumsGrowWhileRowsAreEvictedComeBackAndChangeTheirEpoch) {
  Have(1, "ns/web");
  states_.Take({Row(1, 5)}, true);
  states_.Take({Row(1, 8)}, true);
  EXPECT_EQ(PacketsOf("a/ns/web/no-backend"), 8u);
  states_.Take({}, true);
  EXPECT_EQ(PacketsOf("a/ns/web/no-backend"), 8u);
  states_.Take({Row(1, 2)}, true);
  EXPECT_EQ(PacketsOf("a/ns/web/no-backend"), 10u);
  states_.Take({Row(1, 1)}, true);  // evicted and back between two sweeps
  EXPECT_EQ(PacketsOf("a/ns/web/no-backend"), 11u);
  states_.Take({Row(1, 1), Row(1, 4, PORTOLAN_DROP_NO_BACKEND, 1)}, true);
  EXPECT_EQ(PacketsOf("a/ns/web/no-backend"), 15u);
}

TEST_F(DropStatesTest, RowsOfAFrontendThatIsNotKnownYetAreCountedWhenItIs) {
  states_.Take({Row(1, 5)}, true);
  EXPECT_TRUE(streams_.Get<DropState>().empty());
  Have(1, "ns/web");
  states_.Take({Row(1, 5)}, true);
  EXPECT_EQ(PacketsOf("a/ns/web/no-backend"), 5u);
}

TEST_F(DropStatesTest, AServiceThatIsGoneLeavesNothing) {
  Have(1, "ns/web", 80);
  Have(2, "ns/web", 81);
  states_.Take({Row(1, 5)}, true);
  states_.Remove({kVip, 80, kTcp});
  states_.Take({}, true);
  EXPECT_EQ(PacketsOf("a/ns/web/no-backend"), 5u) << "it has another frontend";
  states_.Remove({kVip, 81, kTcp});
  states_.Take({}, true);
  EXPECT_TRUE(streams_.Get<DropState>().empty());
}

TEST_F(DropStatesTest, APieceThatIsNotTheLastForgetsNothing) {
  Have(1, "ns/web");
  states_.Take({Row(1, 5)}, false);
  states_.Take({AddressRow(2)}, true);
  states_.Take({AddressRow(2)}, false);
  states_.Take({Row(1, 5)}, true);
  EXPECT_EQ(PacketsOf("a/ns/web/no-backend"), 5u);
  EXPECT_EQ(PacketsOf("a/20.0.10.1/unserved"), 2u);
}

TEST_F(DropStatesTest, TheMetricHasSoManyServicesAndSumsUpTheRest) {
  const uint32_t count = DropStates::kMostInMetric + 5;
  std::vector<ServiceDrop> rows = {AddressRow(9)};
  for (uint32_t id = 1; id <= count; id++) {
    Have(id, absl::StrCat("ns/s", id), static_cast<uint16_t>(id));
    rows.push_back(Row(id, 2));
  }
  states_.Take(rows, true);
  const std::string text = Metrics();
  const std::string name = "portolan_datapath_service_dropped_packets_total";
  EXPECT_TRUE(absl::StrContains(text, name + "{service=\"ns/s1\",reason=\"no-backend\"} 2"))
      << text.substr(0, 500);
  EXPECT_TRUE(absl::StrContains(text, name + "{service=\"others\",reason=\"no-backend\"} 10"));
  EXPECT_TRUE(absl::StrContains(text, name + "{service=\"\",reason=\"unserved\"} 9"));
}

}  // namespace
}  // namespace portolan::datapath
