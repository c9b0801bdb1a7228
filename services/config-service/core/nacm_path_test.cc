#include "services/config-service/core/nacm_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(NacmPath, SlashIsAllData) { EXPECT_THAT(*ParseNacmPath("/"), IsEmpty()); }

TEST(NacmPath, StepsInheritTheModule) {
  EXPECT_THAT(*ParseNacmPath("/m:a/b/n:c/d"),
              ElementsAre(PathStep{"m", "a", {}}, PathStep{"m", "b", {}}, PathStep{"n", "c", {}},
                          PathStep{"n", "d", {}}));
}

TEST(NacmPath, PredicatesHoldWhateverStandsBetweenTheirQuotes) {
  EXPECT_THAT(*ParseNacmPath(R"(/m:a[k='x/y]"'][m:l="it's"]/b[.='1'])"),
              ElementsAre(PathStep{"m", "a", {{"k", "x/y]\""}, {"l", "it's"}}},
                          PathStep{"m", "b", {{".", "1"}}}));
}

TEST(NacmPath, RefusesWhatIsNotOne) {
  for (const char* text :
       {"", "a", "/a", "m:a", "/m:a/", "//m:a", "/m:", "/m:a[", "/m:a[k]", "/m:a[k=]", "/m:a[k=v]",
        "/m:a[k='v]", "/m:a[k='v'", "/m:a[='v']", "/m:a[k='v']b", "/m:a[k='v'] "}) {
    EXPECT_EQ(ParseNacmPath(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace portolan::config
