// What counts of an interface: the configuration, or an operator's order.
#include "services/datapath-loader/shell/interface_orders.h"

#include <gtest/gtest.h>

namespace portolan::datapath {
namespace {

TEST(InterfaceOrdersTest, WithoutAnOrderTheConfigurationCounts) {
  const auto wanted = Merge({{"lan", {.mode = "xdp", .inside = true}}}, {});
  EXPECT_EQ(wanted.at("lan"),
            (WantedInterface{.mode = "xdp", .inside = true, .configured = "xdp"}));
}

TEST(InterfaceOrdersTest, AttachWinsOverTheConfigurationAndNeedsNone) {
  const auto wanted = Merge({{"lan", {.mode = "xdp", .inside = true}}},
                            {{"lan", {.mode = "tc"}}, {"wan", {.inside = true}}});
  EXPECT_EQ(wanted.at("lan"),
            (WantedInterface{.mode = "tc", .origin = Origin::kAttach, .configured = "xdp"}));
  EXPECT_EQ(wanted.at("wan"),
            (WantedInterface{.mode = "auto", .inside = true, .origin = Origin::kAttach}));
}

TEST(InterfaceOrdersTest, DetachWinsOverTheConfigurationAndIsNothingWithoutOne) {
  const auto wanted =
      Merge({{"lan", {.mode = "xdp"}}}, {{"lan", {.detached = true}}, {"wan", {.detached = true}}});
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted.at("lan").origin, Origin::kDetach);
  EXPECT_EQ(wanted.at("lan").configured, "xdp");
}

}  // namespace
}  // namespace portolan::datapath
