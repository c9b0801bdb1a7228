#include "tools/portolan/flow_text.h"

#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/match.h"

namespace portolan::cli {
namespace {

using datapath::v1alpha1::Flow;

Flow Example(bool ipv6) {
  Flow flow;
  flow.set_service("ns/web");
  flow.set_protocol("tcp");
  flow.set_frontend_address(ipv6 ? "2001:db8::1" : "20.0.10.1");
  flow.set_frontend_port(80);
  flow.set_client_address(ipv6 ? "2001:db8:2::7" : "192.0.2.7");
  flow.set_client_port(40000);
  flow.set_backend_address(ipv6 ? "fd00::1" : "10.0.0.1");
  flow.set_backend_port(8080);
  flow.set_source_address(ipv6 ? "fd00::2" : "10.0.0.2");
  flow.set_source_port(61000);
  flow.set_client_closed(true);
  flow.set_one_way(ipv6);
  flow.set_idle_s(12);
  return flow;
}

std::string Printed(const std::vector<Flow>& flows) {
  Printer printer = FlowPrinter();
  for (const Flow& flow : flows) AddFlow(flow, printer);
  std::ostringstream out;
  printer.Print(out, Output::kJson);
  return out.str();
}

TEST(FlowTextTest, WhatIsPrintedIsReadAgain) {
  const std::vector<Flow> flows = {Example(false), Example(true)};
  const auto read = ParseFlows(Printed(flows));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ((*read)[i].DebugString(), flows[i].DebugString());
}

TEST(FlowTextTest, NamesTheRowAndTheFieldThatCannotBeRead) {
  std::string text = Printed({Example(false), Example(false)});
  const size_t last = text.rfind("192.0.2.7:40000");
  text.replace(last, 15, "192.0.2.7");
  const absl::Status status = ParseFlows(text).status();
  EXPECT_TRUE(absl::StartsWith(status.message(), "row 2: client is missing or cannot be read"))
      << status;
  EXPECT_FALSE(ParseFlows("{}").ok());
  EXPECT_FALSE(ParseFlows("[1]").ok());
}

TEST(FlowTextTest, ReadsHexadecimalOfAnyShapeAndNothingElse) {
  EXPECT_EQ(*ParseHex("00ff 0A\n1b"), std::string("\0\xff\x0a\x1b", 4));
  EXPECT_EQ(Hex(*ParseHex("00ff0a1b")), "00ff0a1b");
  for (const char* text : {"", "0", "0x00", "zz"}) EXPECT_FALSE(ParseHex(text).ok()) << text;
}

}  // namespace
}  // namespace portolan::cli
