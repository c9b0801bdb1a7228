#include "services/base/yang/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/yang/modules.h"

namespace portolan::yang {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Tree Configuration(const std::string& text) {
  static const auto context = [] {
    std::vector<ModuleText> modules;
    for (size_t i = 0; i < api::kYangModuleCount; ++i) {
      modules.push_back({api::kYangModules[i].name, api::kYangModules[i].text});
    }
    return Context::FromTexts(std::move(modules)).value();
  }();
  std::vector<Finding> findings;
  auto tree = Tree::Parse(context, text, Format::kJson, &findings);
  EXPECT_TRUE(tree.has_value()) << (findings.empty() ? "" : findings[0].message);
  EXPECT_THAT(tree->Validate(), IsEmpty());
  return *std::move(tree);
}

Tree Pools(const std::string& entries) {
  return Configuration(
      absl::StrCat(R"({"portolan-ipam:ipam": {"pools": {"pool": [)", entries, "]}}}"));
}

Tree Service(const std::string& rest) {
  return Configuration(absl::StrCat(R"({"portolan-service:services": {"service": [{"namespace": "d",
      "name": "w", "port": [{"name": "h", "port": 80}])",
                                    rest, "}]}}"));
}

std::vector<std::string> Texts(const Tree& from, const Tree& to) {
  std::vector<std::string> texts;
  for (const Difference& difference : Compare(from, to, 100).differences) {
    texts.push_back(ToText(difference));
  }
  return texts;
}

TEST(Compare, FindsNothingBetweenEquals) {
  const Tree tree = Pools(R"({"name": "a", "priority": 3})");
  EXPECT_THAT(Texts(tree, tree.Duplicate()), IsEmpty());
}

TEST(Compare, FindsALeafMergedIntoAContainerThatHeldOnlyDefaults) {
  const Tree from = Configuration(R"({"portolan-datapath:datapath": {}})");
  Tree to = from.Duplicate();
  ASSERT_TRUE(to.Merge(Configuration(
                           R"({"portolan-datapath:datapath": {"settings": {"max-flows": 2048}}})"))
                  .ok());
  ASSERT_THAT(to.Validate(), IsEmpty());
  EXPECT_THAT(Texts(from, to),
              ElementsAre("+ /portolan-datapath:datapath/settings/max-flows: 2048"));
}

TEST(Compare, ShowsThatASecretDiffersAndNotWhatItIs) {
  const auto peer = [](const std::string& password) {
    return Configuration(absl::StrCat(R"({"portolan-bgp:bgp": {"instances": {"instance": [
        {"name": "i", "local-as": 1, "peers": {"peer": [{"name": "p", "address": "10.0.0.1",
         "remote-as": 2)",
                                      password, "}]}}]}}}"));
  };
  const std::string path =
      "/portolan-bgp:bgp/instances/instance[name='i']/peers/peer[name='p']/password";
  const Tree none = peer("");
  const Tree old = peer(R"(, "password": "old")");
  EXPECT_THAT(Texts(none, old), ElementsAre("+ " + path + ": ***"));
  EXPECT_THAT(Texts(old, peer(R"(, "password": "new")")),
              ElementsAre("~ " + path + ": *** -> ***"));
  EXPECT_THAT(Texts(old, none), ElementsAre("- " + path + ": ***"));
}

TEST(Compare, VisitsNoMoreThanTheVisitorWants) {
  size_t visited = 0;
  VisitDifferences(Pools(R"({"name": "a"})"), Pools(R"({"name": "b", "priority": 1})"),
                   [&](const NodeDifference&) { return ++visited < 2; });
  EXPECT_EQ(visited, 2u);
}

TEST(Compare, ShowsALeafWithBothValues) {
  EXPECT_THAT(
      Texts(Pools(R"({"name": "a", "priority": 3})"), Pools(R"({"name": "a", "priority": 4})")),
      ElementsAre("~ /portolan-ipam:ipam/pools/pool[name='a']/priority: 3 -> 4"));
}

TEST(Compare, ShowsAnEntryThatCameAndOneThatWentWithTheirLeaves) {
  EXPECT_THAT(Texts(Pools(R"({"name": "a", "priority": 3}, {"name": "b"})"),
                    Pools(R"({"name": "c", "disabled": true}, {"name": "b"})")),
              ElementsAre("+ /portolan-ipam:ipam/pools/pool[name='c']",
                          "+ /portolan-ipam:ipam/pools/pool[name='c']/disabled: true",
                          "- /portolan-ipam:ipam/pools/pool[name='a']",
                          "- /portolan-ipam:ipam/pools/pool[name='a']/priority: 3"));
}

TEST(Compare, DefaultsThatNobodyGaveAreAbsent) {
  EXPECT_THAT(Texts(Pools(R"({"name": "a"})"), Pools(R"({"name": "a", "priority": 100})")).size(),
              1u);
  EXPECT_THAT(Texts(Configuration("{}"), Configuration(R"({"portolan-ipam:ipam": {}})")),
              IsEmpty());
}

TEST(Compare, OrderOfEntriesMattersOnlyWhereTheUserOrders) {
  EXPECT_THAT(
      Texts(Pools(R"({"name": "a"}, {"name": "b"})"), Pools(R"({"name": "b"}, {"name": "a"})")),
      IsEmpty());
  const Tree forwards = Service(R"(, "requested-address": ["20.0.0.1", "20.0.0.2"])");
  const Tree backwards = Service(R"(, "requested-address": ["20.0.0.2", "20.0.0.1"])");
  EXPECT_THAT(
      Texts(forwards, backwards),
      ElementsAre("^ /portolan-service:services/service[namespace='d'][name='w']/requested-address:"
                  " order"));
}

TEST(Compare, ShowsAPresenceContainer) {
  EXPECT_THAT(Texts(Service(""), Service(R"(, "sharing": {"key": "k"})")),
              ElementsAre("+ /portolan-service:services/service[namespace='d'][name='w']/sharing",
                          "+ /portolan-service:services/service[namespace='d'][name='w']/sharing/"
                          "key: k"));
}

TEST(Compare, CountsWhatIsBeyondTheLimit) {
  const Comparison comparison =
      Compare(Pools(""), Pools(R"({"name": "a"}, {"name": "b"}, {"name": "c"})"), 2);
  EXPECT_EQ(comparison.differences.size(), 2u);
  EXPECT_EQ(comparison.more, 1u);
}

}  // namespace
}  // namespace portolan::yang
