#include "services/base/netconf/framing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace portolan::netconf {
namespace {

struct Result {
  std::vector<std::string> messages;
  std::vector<bool> too_big;
  bool malformed = false;
  bool in_message = false;
  friend bool operator==(const Result&, const Result&) = default;
};

// In pieces of `piece` octets.
Result Read(Version version, absl::string_view octets, size_t piece, size_t max_message = 1 << 20) {
  Result result;
  Deframer deframer;
  deframer.SetVersion(version);
  deframer.SetMaxMessage(max_message);
  for (; !octets.empty() && !result.malformed;
       octets.remove_prefix(std::min(piece, octets.size()))) {
    absl::string_view part = octets.substr(0, piece);
    for (bool more = true; more;) {
      const Deframer::Step step = deframer.Feed(&part);
      more = step == Deframer::Step::kMessage;
      result.malformed = step == Deframer::Step::kMalformed;
      if (!more) continue;
      Message message = deframer.Take();
      result.messages.emplace_back(message.text);
      result.too_big.push_back(message.too_big);
    }
  }
  result.in_message = deframer.in_message();
  return result;
}

struct Row {
  const char* name;
  Version version;
  std::string octets;
  std::vector<std::string> messages;
  bool malformed = false;
};

class FramingTest : public testing::TestWithParam<Row> {};

TEST_P(FramingTest, CutsTheSameMessagesWhereverTheOctetsAreCut) {
  const Row& row = GetParam();
  for (size_t piece = 1; piece <= row.octets.size() + 1; ++piece) {
    const Result result = Read(row.version, row.octets, piece);
    EXPECT_EQ(result.messages, row.messages) << piece;
    EXPECT_EQ(result.malformed, row.malformed) << piece;
  }
}

constexpr Version kText = Version::k10;
constexpr Version kChunks = Version::k11;

INSTANTIATE_TEST_SUITE_P(
    All, FramingTest,
    testing::ValuesIn(std::vector<Row>{
        {"TextMessages", kText, "<a/>]]>]]><b/>]]>]]>", {"<a/>", "<b/>"}},
        {"TextThatLooksLikeTheEnd", kText, "]]>]]]>]]>]]]]>]]>", {"]]>]", "]]"}},
        {"TextWithoutAnEnd", kText, "<a/>]]>]]", {}},
        {"SpaceBetweenTexts", kText, "\n<a/>]]>]]>\r\n <b/>]]>]]>\n", {"<a/>", "<b/>"}},
        {"EmptyText", kText, "]]>]]>", {""}},
        {"Chunks", kChunks, "\n#3\n<a/\n#1\n>\n##\n\n#2\nxy\n##\n", {"<a/>", "xy"}},
        {"ChunkThatLooksLikeAnEnd", kChunks, "\n#4\n\n##\n\n##\n", {"\n##\n"}},
        {"SpaceBetweenChunkedMessages",
         kChunks,
         "\n \r\n\n#1\nx\n##\n\n\n\n#1\ny\n##\n",
         {"x", "y"}},
        {"ChunkThatIsNotThere", kChunks, "\n#5\nab", {}},
        {"EndWithoutAChunk", kChunks, "\n##\n", {}, true},
        {"ChunkOfNothing", kChunks, "\n#0\n\n##\n", {}, true},
        {"SizeWithALeadingZero", kChunks, "\n#01\nx\n##\n", {}, true},
        {"NegativeSize", kChunks, "\n#-1\n", {}, true},
        {"LargestSize", kChunks, "\n#4294967295\nx", {}},
        {"SizeTooLarge", kChunks, "\n#4294967296\n", {}, true},
        {"SizeWithManyDigits", kChunks, "\n#11111111111111111111111", {}, true},
        {"NoHash", kChunks, "\nx", {}, true},
        {"HashWithoutALineBreak", kChunks, "#1\nx", {}, true},
        {"SpaceBetweenChunks", kChunks, "\n#1\nx\n\n#1\ny\n##\n", {}, true},
        {"ChunkLongerThanItsSize", kChunks, "\n#1\nxy\n##\n", {}, true},
        {"EndThatDoesNotEnd", kChunks, "\n#1\nx\n###\n", {}, true},
        {"SpaceBehindTheSize", kChunks, "\n#1 \nx\n##\n", {}, true},
        {"MessageBeforeWhatIsMalformed", kChunks, "\n#1\nx\n##\nrubbish", {"x"}, true},
    }),
    [](const auto& info) { return info.param.name; });

TEST(FramingTest, WhatIsTooBigIsKeptByItsBeginningAlone) {
  const std::string large(3 * Deframer::kHead, 'x');
  const std::string chunk =
      absl::StrCat("\n#", large.size() / 3, "\n", large.substr(0, large.size() / 3));
  for (const size_t piece : {size_t{1000}, Deframer::kHead, 5 * Deframer::kHead}) {
    for (const auto& [version, octets] :
         {std::pair(kText, large + "]]>]]>y]]>]]>"),
          std::pair(kChunks, chunk + chunk + chunk + "\n##\n\n#1\ny\n##\n")}) {
      const Result result = Read(version, octets, piece, 2 * Deframer::kHead);
      EXPECT_EQ(result.messages,
                (std::vector<std::string>{std::string(Deframer::kHead, 'x'), "y"}));
      EXPECT_EQ(result.too_big, (std::vector<bool>{true, false}));
    }
  }
}

TEST(FramingTest, TellsWhetherAMessageHasBegun) {
  EXPECT_FALSE(Read(kText, "<a/>]]>]]>\n", 1).in_message);
  EXPECT_TRUE(Read(kText, "<", 1).in_message);
  EXPECT_FALSE(Read(kChunks, "\n#1\nx\n##\n\n", 1).in_message);
  EXPECT_TRUE(Read(kChunks, "\n#", 1).in_message);
  EXPECT_TRUE(Read(kChunks, "\n#1\nx", 1).in_message);
}

TEST(FramingTest, WhatIsFramedReadsBack) {
  for (const Version version : {kText, kChunks}) {
    const std::string octets(Framed(version, absl::Cord("<a/>")));
    EXPECT_EQ(Read(version, octets, 3).messages, std::vector<std::string>{"<a/>"});
  }
}

}  // namespace
}  // namespace portolan::netconf
