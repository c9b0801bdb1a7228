#include "services/config-service/core/data_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

TEST(DataPathTest, NamesModulesAndKeysOfEachStep) {
  EXPECT_THAT(ParseDataPath("/m:a/b[key='x/y'][m:other=\"it's\"]/c"),
              Optional(ElementsAre(PathStep{"m", "a", {}},
                                   PathStep{"", "b", {{"key", "x/y"}, {"other", "it's"}}},
                                   PathStep{"", "c", {}})));
}

class MoreThanAPath : public testing::TestWithParam<const char*> {};

TEST_P(MoreThanAPath, IsLeftToXpath) { EXPECT_EQ(ParseDataPath(GetParam()), std::nullopt); }

INSTANTIATE_TEST_SUITE_P(DataPath, MoreThanAPath,
                         testing::Values("", "/", "a", "//a", "/a/", "/a//b", "/a/*", "/a/..",
                                         "/a/.", "/a | /b", "/a[1]", "/a[b='c' or d]", "/a[b='c",
                                         "/a[b=/c]", "/a[b='c'", "count(/a)", "/a/text()",
                                         "/child::a", "/a[.='b']", "/m:"));

}  // namespace
}  // namespace portolan::config
