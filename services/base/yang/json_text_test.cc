#include "services/base/yang/json_text.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace portolan::yang {
namespace {

// An object with this many members; the last one has the name of member `again`.
std::string ObjectOf(int members, int again) {
  std::string text = "{";
  for (int i = 0; i < members - 1; ++i) absl::StrAppend(&text, "\"m", i, "\": {}, ");
  return absl::StrCat(text, "\"m", again, "\": {}}");
}

TEST(CheckJson, FindsATwinInAnObjectOfAnySize) {
  for (const int members : {2, 15, 16, 17, 18, 40}) {
    EXPECT_FALSE(CheckJson(ObjectOf(members, members)).has_value()) << members;
    for (int again = 0; again < members - 1; ++again) {
      const auto finding = CheckJson(ObjectOf(members, again));
      ASSERT_TRUE(finding.has_value()) << members << " " << again;
      EXPECT_EQ(finding->rule, "duplicate");
    }
  }
}

TEST(CheckJson, TheSameNameInAnotherObjectIsNoTwin) {
  const std::string big = ObjectOf(20, 20);
  const auto finding = CheckJson(
      absl::StrCat(R"({"a": )", big, R"(, "b": [)", big, ", [], ", big, ", 1], \"c\": ", big, "}"));
  EXPECT_FALSE(finding.has_value()) << finding->message;
  EXPECT_TRUE(CheckJson(absl::StrCat(R"({"a": [)", big, R"(], "a": 1})")).has_value());
}

TEST(CheckJson, DepthIsBounded) {
  EXPECT_FALSE(CheckJson(std::string(128, '[') + std::string(128, ']')).has_value());
  EXPECT_EQ(CheckJson(std::string(1000000, '[')).value().rule, "syntax");
}

}  // namespace
}  // namespace portolan::yang
