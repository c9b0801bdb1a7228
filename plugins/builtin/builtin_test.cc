#include "plugins/builtin/builtin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>

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

// A process blocks the signals that it waits for after it has built its registry; a thread from
// before would be killed by them, and the process with it.
TEST(Builtin, ARegistryBeginsNoThread) {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const auto before = threads();
  const Registry registry = NewBuiltinRegistry();
  EXPECT_EQ(threads(), before);
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
