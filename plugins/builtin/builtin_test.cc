#include "plugins/builtin/builtin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/pool_selector.h"

namespace portolan::plugin {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

TEST(Builtin, ListsThePluginsOfEveryExtensionPoint) {
  Registry registry = NewBuiltinRegistry();
  EXPECT_THAT(registry.Names("address-picker"),
              ElementsAre("longest-unused", "lowest-free", "random", "stable-hash"));
  EXPECT_THAT(registry.Names("pool-selector"), Contains("label"));
  EXPECT_THAT(registry.Names("owner-election"), Contains("rendezvous"));
}

TEST(Builtin, EveryPickerIsMadeWithoutSettings) {
  Registry registry = NewBuiltinRegistry();
  for (const std::string& name : registry.Names(AddressPicker::kExtensionPoint)) {
    EXPECT_TRUE(registry.Create<AddressPicker>(name, "").ok()) << name;
  }
  for (const std::string& name : registry.Names(PoolSelector::kExtensionPoint)) {
    EXPECT_TRUE(registry.Create<PoolSelector>(name, "{}").ok()) << name;
  }
}

}  // namespace
}  // namespace portolan::plugin
