#include "services/base/netconf/envelope.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace portolan::netconf {
namespace {

std::string Base(absl::string_view prefix = "") {
  return absl::StrCat("xmlns", prefix.empty() ? "" : ":", prefix, "='", kBaseNamespace, "'");
}

TEST(EnvelopeTest, ReadsAnRpcAndItsOperation) {
  const auto envelope = ReadEnvelope(absl::StrCat("<?xml version='1.0'?>\n<!-- <rpc> --> <rpc ",
                                                  Base(), "\tmessage-id = \"1\" >\n<get/></rpc>"));
  ASSERT_TRUE(envelope.has_value());
  EXPECT_TRUE(envelope->is_rpc());
  EXPECT_TRUE(envelope->has_message_id);
  EXPECT_EQ(envelope->start_tag, absl::StrCat("rpc ", Base(), "\tmessage-id = \"1\" "));
  EXPECT_EQ(envelope->tag_name, "rpc");
  EXPECT_EQ(envelope->operation, (ElementName{std::string(kBaseNamespace), "get"}));
}

TEST(EnvelopeTest, ResolvesPrefixes) {
  const auto envelope = ReadEnvelope(
      absl::StrCat("<n:rpc ", Base("n"), " x:message-id='1'><!-- --><p:ask xmlns:p='urn:p'>"));
  ASSERT_TRUE(envelope.has_value());
  EXPECT_TRUE(envelope->is_rpc());
  EXPECT_FALSE(envelope->has_message_id);
  EXPECT_EQ(envelope->tag_name, "n:rpc");
  EXPECT_EQ(envelope->operation, (ElementName{"urn:p", "ask"}));
}

TEST(EnvelopeTest, OperationMayHaveNoNamespace) {
  const auto envelope = ReadEnvelope(absl::StrCat("<n:rpc ", Base("n"), "><get/>"));
  ASSERT_TRUE(envelope.has_value());
  EXPECT_EQ(envelope->operation, (ElementName{"", "get"}));
}

TEST(EnvelopeTest, OperationThatIsNotToldPlainlyIsNone) {
  for (const char* rest :
       {"/>", ">", "></rpc>", ">text<get/>", "><get", "><p:get/>", "><!DOCTYPE a><get/>",
        "><get xmlns='urn:&#97;'/>", "><!-- <get/>", "><get a='1' a='2'/>"}) {
    const auto envelope = ReadEnvelope(absl::StrCat("<rpc ", Base(), rest));
    ASSERT_TRUE(envelope.has_value()) << rest;
    EXPECT_EQ(envelope->operation, std::nullopt) << rest;
  }
}

TEST(EnvelopeTest, RootOfAnotherNamespaceIsNoRpc) {
  for (const char* text : {"<rpc/>", "<rpc xmlns='urn:x'/>", "<rpc xmlns:p='urn:x'>"}) {
    const auto envelope = ReadEnvelope(text);
    ASSERT_TRUE(envelope.has_value()) << text;
    EXPECT_FALSE(envelope->is_rpc()) << text;
  }
}

TEST(EnvelopeTest, WithoutACompleteStartTagThereIsNone) {
  for (const char* text : {"",           " ",         "rpc",         "<",
                           "<rpc",       "<rpc a",    "<rpc a=",     "<rpc a='",
                           "<rpc a='1'", "<rpc a=1>", "<rpc a='<'>", "<rpc a='1'b='2'>",
                           "<rpc / >",   "< rpc>",    "</rpc>",      "<!DOCTYPE rpc><rpc/>",
                           "<!-- ",      "<?xml",     "<p:rpc/>",    "<rpc xmlns='&base;'/>",
                           "text <rpc/>"}) {
    EXPECT_EQ(ReadEnvelope(text).has_value(), false) << text;
  }
}

}  // namespace
}  // namespace portolan::netconf
