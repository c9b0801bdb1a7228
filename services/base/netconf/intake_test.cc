#include "services/base/netconf/intake.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace portolan::netconf {
namespace {

const std::string kHello11 =
    absl::StrCat("<hello xmlns=\"", kBaseNamespace, "\"><capabilities><capability>",
                 "urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>]]>]]>");

class IntakeTest : public testing::Test {
 protected:
  // Says hello for `version`, which is forgotten.
  void Greet(const char* version) {
    ASSERT_TRUE(intake_.Feed(absl::StrCat(version, "]]>]]>")));
    intake_.ready().Clear();
  }
  std::string Ready() { return std::string(intake_.ready()); }
  static std::string Rpc(absl::string_view body, absl::string_view attributes = "message-id='1'") {
    return absl::StrCat("<rpc xmlns='", kBaseNamespace, "' ", attributes, ">", body, "</rpc>");
  }
  static std::string Chunked(absl::string_view text) {
    return std::string(Framed(Version::k11, absl::Cord(text)));
  }

  size_t max_message_ = 1 << 20;
  std::vector<Error> errors_;
  Intake intake_{{.read_hello = [](const std::string& hello) -> std::optional<Version> {
                    if (hello == "1.1") return Version::k11;
                    if (hello == "1.0") return Version::k10;
                    return std::nullopt;
                  },
                  .check_operation = [](const ElementName& operation) -> std::optional<Error> {
                    if (operation.name != "bad") return std::nullopt;
                    return Error{.tag = "operation-not-supported"};
                  },
                  .refuse =
                      [this](Error error) {
                        errors_.push_back(std::move(error));
                        return absl::StrCat("refusal ", errors_.size());
                      },
                  .max_message = [this] { return max_message_; }}};
};

TEST_F(IntakeTest, LibraryHearsTheVersionThatWasAgreedOn) {
  EXPECT_TRUE(intake_.Feed("1.1]]>]]>"));
  EXPECT_EQ(Ready(), kHello11);
}

TEST_F(IntakeTest, HelloThatIsNoneEndsTheSession) {
  EXPECT_FALSE(intake_.Feed("2.0]]>]]>"));
  EXPECT_EQ(Ready(), "");
}

TEST_F(IntakeTest, HelloThatIsTooBigEndsTheSession) {
  EXPECT_FALSE(intake_.Feed(std::string(Deframer::kHead + 1, 'x') + "]]>]]>"));
}

TEST_F(IntakeTest, MessagesPassWholeAndAsTheyAre) {
  Greet("1.1");
  const std::string octets = Chunked(Rpc("<get/>"));
  EXPECT_TRUE(intake_.Feed(octets.substr(0, 20)));
  EXPECT_EQ(Ready(), "");
  EXPECT_TRUE(intake_.in_message());
  EXPECT_TRUE(intake_.Feed(octets.substr(20)));
  EXPECT_EQ(Ready(), octets);
}

TEST_F(IntakeTest, ChunksOfAMessageBecomeOne) {
  Greet("1.1");
  EXPECT_TRUE(intake_.Feed("\n#2\n<a\n#2\n/>\n##\n"));
  EXPECT_EQ(Ready(), "\n#4\n<a/>\n##\n");
}

TEST_F(IntakeTest, HelloAndMessagesInOnePiece) {
  EXPECT_TRUE(intake_.Feed(absl::StrCat("1.1]]>]]>", Chunked("<a/>"))));
  EXPECT_EQ(Ready(), absl::StrCat(kHello11, Chunked("<a/>")));
}

TEST_F(IntakeTest, BadChunksEndTheSessionAfterWhatCameBefore) {
  Greet("1.1");
  EXPECT_FALSE(intake_.Feed(absl::StrCat(Chunked("<a/>"), "rubbish")));
  EXPECT_EQ(Ready(), Chunked("<a/>"));
}

TEST_F(IntakeTest, RefusalIsAskedForWithTheAttributesOfTheRpc) {
  Greet("1.0");
  EXPECT_TRUE(intake_.Feed(Rpc("<bad/>", "message-id='1' x='2'") + "]]>]]>"));
  ASSERT_EQ(errors_.size(), 1);
  EXPECT_EQ(errors_[0].tag, "operation-not-supported");
  EXPECT_EQ(Ready(),
            absl::StrCat("<rpc xmlns='", kBaseNamespace,
                         "' message-id='1' x='2'><get-schema xmlns=\"urn:ietf:params:xml:ns:yang:"
                         "ietf-netconf-monitoring\"><identifier>refusal 1</identifier>"
                         "</get-schema></rpc>]]>]]>"));
}

TEST_F(IntakeTest, RpcWithoutMessageIdIsRefused) {
  Greet("1.0");
  EXPECT_TRUE(intake_.Feed(Rpc("<get/>", "") + "]]>]]>"));
  ASSERT_EQ(errors_.size(), 1);
  EXPECT_EQ(errors_[0].tag, "missing-attribute");
}

TEST_F(IntakeTest, RpcThatIsTooBigIsRefusedAndTheNextOneIsNot) {
  Greet("1.1");
  max_message_ = 2 << 20;
  const std::string large(3 << 20, 'x');
  EXPECT_TRUE(intake_.Feed(absl::StrCat(Chunked(Rpc(large)), Chunked(Rpc("<get/>")))));
  ASSERT_EQ(errors_.size(), 1);
  EXPECT_EQ(errors_[0].tag, "too-big");
  EXPECT_TRUE(absl::StrContains(errors_[0].message, "larger than 2 MiB"));
  EXPECT_LT(Ready().size(), 1000);
  EXPECT_TRUE(absl::EndsWith(Ready(), Chunked(Rpc("<get/>"))));
}

TEST_F(IntakeTest, WhatIsTooBigAndNoRpcEndsTheSession) {
  for (const char* begin : {"<notice>", "", "<rpc>"}) {
    Intake intake({.read_hello = [](const std::string&) { return Version::k10; },
                   .max_message = [] { return Deframer::kHead; }});
    EXPECT_FALSE(intake.Feed(absl::StrCat("]]>]]>", begin, std::string(1 << 20, 'x'), "]]>]]>")));
  }
}

TEST_F(IntakeTest, WhatHasNoStartTagReachesTheLibraryAsBadXml) {
  Greet("1.1");
  for (const char* text :
       {" ", "text", "<!-- -->", "<?xml version='1.0'?>", "<rpc", "\xEF\xBB\xBF"}) {
    EXPECT_TRUE(intake_.Feed(Chunked(text)));
    EXPECT_EQ(Ready(), Chunked("<")) << text;
    intake_.ready().Clear();
  }
}

}  // namespace
}  // namespace portolan::netconf
