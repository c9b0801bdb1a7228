// Which pools a Service is let into: selectors, namespaces, and what a tenant cannot forge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Operator = LabelSelector::Operator;

const std::string kName(LabelSelector::kNameKey);
const std::string kNamespace(LabelSelector::kNamespaceKey);

class EngineSelectionTest : public testing::Test {
 protected:
  EngineSelectionTest() { world_.Start(); }
  ~EngineSelectionTest() override { EXPECT_THAT(world_.problems, IsEmpty()); }

  PoolConfig Selecting(const LabelSelector::Expression& expression) {
    PoolConfig pool = PoolOf("p", {"10.0.0.1-10.0.0.9"});
    pool.service_selector = LabelSelector({expression});
    return pool;
  }

  Disk disk_;
  World world_{&disk_};
};

TEST_F(EngineSelectionTest, TheNameOfASelectorCannotBeForged) {
  world_.Add(Selecting({kName, Operator::kIn, {"web"}}));
  world_.Add(ServiceOf("tenant/web"));
  world_.Add(ServiceOf("tenant/evil", {{kName, "web"}}));
  EXPECT_EQ(world_.AddressesOf("tenant/web"), "10.0.0.1");
  EXPECT_EQ(world_.ReasonOf("tenant/evil"), "selector-mismatch");
}

// Also where the selector is not answered from an index, and where a forged label would help by
// being absent.
TEST_F(EngineSelectionTest, ForgedKeysDoNotMatchWhateverTheOperator) {
  const struct {
    const char* claim;
    LabelSelector::Expression expression;
    std::string reason;
  } cases[] = {
      {"In", {kNamespace, Operator::kIn, {"good"}}, "selector-mismatch"},
      {"NotIn", {kNamespace, Operator::kNotIn, {"evil"}}, "selector-mismatch"},
      {"name NotIn", {kName, Operator::kNotIn, {"thief"}}, "selector-mismatch"},
      {"DoesNotExist", {kNamespace, Operator::kDoesNotExist, {}}, "selector-mismatch"},
      {"Exists, which is true of every Service", {kNamespace, Operator::kExists, {}}, "assigned"},
  };
  for (const auto& c : cases) {
    Disk disk;
    World world(&disk);
    world.Start();
    world.Add(Selecting(c.expression));
    world.Add(ServiceOf("evil/thief", {{kNamespace, "good"}, {kName, "honest"}}));
    EXPECT_EQ(world.ReasonOf("evil/thief"), c.reason) << c.claim;
  }
}

TEST_F(EngineSelectionTest, ANamespaceIsLetInWhenItIsListedOrItsLabelsMatch) {
  world_.Send(NamespaceChanged{"gold", Labels{{"tier", "gold"}}});
  PoolConfig pool = PoolOf("p", {"10.0.0.1-10.0.0.9"});
  pool.namespaces = {"listed"};
  pool.namespace_selectors = {LabelSelector({{"tier", Operator::kIn, {"gold"}}}),
                              LabelSelector({{"team", Operator::kExists, {}}})};
  world_.Add(pool);
  for (const char* key : {"listed/a", "gold/a", "other/a"}) world_.Add(ServiceOf(key));
  EXPECT_EQ(world_.AddressesOf("listed/a"), "10.0.0.1");
  EXPECT_EQ(world_.AddressesOf("gold/a"), "10.0.0.2");
  EXPECT_EQ(world_.ReasonOf("other/a"), "namespace-mismatch");
  EXPECT_THAT(world_.StatusOf("other/a")->message,
              HasSubstr("namespace \"other\" is not in the pool's namespaces [listed] and has no "
                        "labels that meet the pool's namespace selectors"));
  world_.Send(NamespaceChanged{"other", Labels{{"team", "x"}}});
  EXPECT_EQ(world_.AddressesOf("other/a"), "10.0.0.3");
}

// Closed: a pool that asks for labels is for nobody of whose labels nothing is known.
TEST_F(EngineSelectionTest, NamespacesAreClosedWhenNothingMatches) {
  PoolConfig pool = PoolOf("p", {"10.0.0.1-10.0.0.9"});
  pool.namespace_selectors = {LabelSelector({{"tier", Operator::kIn, {"gold"}}})};
  world_.Add(pool);
  world_.Add(ServiceOf("nobody/a", {{"tier", "gold"}}));  // its own label is not its namespace's
  ServiceRequest exact = ServiceOf("nobody/exact");
  exact.requested_addresses = {"10.0.0.5"};
  world_.Add(exact);
  ServiceRequest by_pool = ServiceOf("nobody/by-pool");
  by_pool.requested_pool = "p";
  world_.Add(by_pool);
  for (const char* key : {"nobody/a", "nobody/exact", "nobody/by-pool"}) {
    EXPECT_EQ(world_.AddressesOf(key), "") << key;
    EXPECT_EQ(world_.ReasonOf(key), "namespace-mismatch") << key;
  }
}

// Labels of a namespace come from elsewhere; what they make illegal stays until somebody decides.
TEST_F(EngineSelectionTest, ANamespaceThatLosesItsLabelKeepsWhatItHasUntilRenumberingIsAllowed) {
  Settings settings = world_.settings;
  settings.allow_renumber = false;
  world_.Set(settings);
  world_.Send(NamespaceChanged{"gold", Labels{{"tier", "gold"}}});
  PoolConfig pool = PoolOf("p", {"10.0.0.1-10.0.0.9"});
  pool.namespace_selectors = {LabelSelector({{"tier", Operator::kIn, {"gold"}}})};
  world_.Add(pool);
  world_.Add(ServiceOf("gold/a"));
  world_.Send(NamespaceRemoved{"gold"});
  EXPECT_EQ(world_.AddressesOf("gold/a"), "10.0.0.1");
  EXPECT_EQ(world_.ReasonOf("gold/a"), "address-stranded");
  settings.allow_renumber = true;
  world_.Set(settings);
  EXPECT_EQ(world_.AddressesOf("gold/a"), "");
  EXPECT_EQ(world_.ReasonOf("gold/a"), "namespace-mismatch");
}

}  // namespace
}  // namespace portolan::ipam
