#include "services/config-service/shell/entries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/config-service/shell/model.h"

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kPool[] = "/portolan-ipam:ipam/pools/pool[name='p']";
constexpr char kInstance[] = "/portolan-bgp:bgp/instances/instance[name='i']";
constexpr char kTor[] = "/portolan-bgp:bgp/instances/instance[name='i']/peers/peer[name='tor']";
constexpr char kWeb[] = "/portolan-service:services/service[namespace='d'][name='web']";

constexpr char kBase[] = R"({
  "portolan-ipam:ipam": {
    "pools": {"pool": [{"name": "p", "blocks": {"block": [{"id": "a", "cidr": "20.0.0.0/24"}]}}]}},
  "portolan-bgp:bgp": {"instances": {"instance": [{"name": "i", "local-as": 65001,
    "peers": {"peer": [{"name": "tor", "address": "10.0.0.1", "remote-as": 65000}]}}]}},
  "portolan-service:services": {"service": [
    {"namespace": "d", "name": "web", "port": [{"name": "http", "port": 80}]}]}})";

class EntriesTest : public ::testing::Test {
 protected:
  Configuration Parse(const std::string& text) const {
    Prepared prepared = model_->Replace(text, yang::Format::kJson, "");
    EXPECT_TRUE(prepared.candidate.has_value()) << prepared.problems.front().message;
    return *std::move(prepared.candidate);
  }
  Configuration Merged(const std::string& text) const {
    return model_->Merge(base_, text, yang::Format::kJson, "").candidate.value();
  }
  std::vector<TouchedEntry> MergeTouches(const std::string& text) const {
    return TouchedEntries(base_, Merged(text));
  }
  std::vector<TouchedEntry> DeleteTouches(const std::string& path) const {
    return TouchedEntries(base_, model_->Delete(base_, path).candidate.value());
  }

  const std::shared_ptr<const Model> model_ = Model::Create().value();
  const Configuration base_ = Parse(kBase);
};

TEST_F(EntriesTest, FromNothingEveryEntryIsTouchedOnce) {
  EXPECT_THAT(TouchedEntries(model_->Empty(), base_),
              ElementsAre(TouchedEntry{kInstance}, TouchedEntry{kTor}, TouchedEntry{kPool},
                          TouchedEntry{kWeb}));
  EXPECT_THAT(TouchedEntries(base_, Parse(kBase)), IsEmpty());
}

TEST_F(EntriesTest, AnEditTouchesTheEntryThatItIsIn) {
  EXPECT_THAT(MergeTouches(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p",
                  "blocks": {"block": [{"id": "b", "cidr": "21.0.0.0/24"}]}}]}}})"),
              ElementsAre(TouchedEntry{kPool}));
  EXPECT_THAT(MergeTouches(R"({"portolan-bgp:bgp": {"instances": {"instance": [{"name": "i",
                  "peers": {"peer": [{"name": "tor", "hold-time": 9}]}}]}}})"),
              ElementsAre(TouchedEntry{kTor}));
  EXPECT_THAT(MergeTouches(R"({"portolan-service:services": {"service": [{"namespace": "d",
                  "name": "web", "requested-pool": "p"}]}})"),
              ElementsAre(TouchedEntry{kWeb}));
  EXPECT_THAT(MergeTouches(R"({"portolan-ipam:ipam": {"settings": {"drain-time": 9}}})"),
              ElementsAre(TouchedEntry{"/portolan-ipam:ipam/settings"}));
}

TEST_F(EntriesTest, WhatIsRemovedIsTouchedAndGone) {
  EXPECT_THAT(DeleteTouches(kTor), ElementsAre(TouchedEntry{kTor, false}));
  EXPECT_THAT(DeleteTouches(kWeb), ElementsAre(TouchedEntry{kWeb, false}));
  EXPECT_THAT(DeleteTouches(kInstance),
              ElementsAre(TouchedEntry{kInstance, false}, TouchedEntry{kTor, false}));
  // Of an entry that stays.
  EXPECT_THAT(DeleteTouches(std::string(kPool) + "/blocks"), ElementsAre(TouchedEntry{kPool}));
}

TEST_F(EntriesTest, WhatReplacesEverythingKeepsTheEntriesOfOthersAndOnlyThose) {
  const Owners owners(std::map<std::string, Writer>{{kPool, Writer::kFile},
                                                    {kWeb, Writer::kOperator},
                                                    {kInstance, Writer::kOperator},
                                                    {kTor, Writer::kOperator}});
  const Configuration none = Parse("{}");
  std::vector<std::string> kept;
  std::optional<Draft> draft = WithEntriesOfOthers(base_, none, owners, Writer::kOperator, &kept);
  ASSERT_TRUE(draft.has_value());
  EXPECT_THAT(kept, ElementsAre(kPool));
  EXPECT_THAT(TouchedEntries(none, model_->Validate(*draft).candidate.value()),
              ElementsAre(TouchedEntry{kPool}));

  kept.clear();
  draft = WithEntriesOfOthers(base_, none, owners, Writer::kFile, &kept);
  EXPECT_THAT(kept, ElementsAre(kInstance, kTor, kWeb));
  EXPECT_THAT(TouchedEntries(base_, model_->Validate(*draft).candidate.value()),
              ElementsAre(TouchedEntry{kPool, false}));

  kept.clear();
  EXPECT_FALSE(WithEntriesOfOthers(base_, base_, owners, Writer::kKube, &kept).has_value());
}

}  // namespace
}  // namespace portolan::config
