#include "services/base/yang/operation.h"

#include <gtest/gtest.h>

#include "services/base/yang/testing_operation.h"

namespace portolan::yang {
namespace {

constexpr char kModule[] = R"(module m {
  yang-version 1.1; namespace "urn:m"; prefix m;
  container top {
    list entry {
      key "name"; leaf name { type string; }
      container inner {
        action act {
          input {
            must "not(a) or b" { error-message "a needs b"; error-app-tag "a-needs-b"; }
            leaf a { type string; }
            leaf b { type uint8 { range "1..9"; } }
            leaf c { type uint8; default "7"; }
          }
        }
      }
    }
    action plain;
  }
  rpc call { input { leaf must-be { type string; mandatory true; } } }
})";

std::shared_ptr<const Context> TheContext() {
  static const auto context = Context::FromTexts({{"m", kModule}}).value();
  return context;
}

Call Parse(const std::string& json) { return ParseOperation(TheContext(), json).value(); }

std::string Act(const std::string& input) {
  return R"({"m:top": {"entry": [{"name": "x", "inner": {"act": {)" + input + "}}}]}}";
}

TEST(ValidateInput, FillsInWhatHoldsByDefault) {
  const Call operation = Parse(Act(""));
  EXPECT_FALSE(operation.node.Child("c"));
  EXPECT_TRUE(ValidateInput(operation.node).empty());
  ASSERT_TRUE(operation.node.Child("c"));
  EXPECT_EQ(operation.node.Child("c").value(), "7");
}

TEST(ValidateInput, ABrokenMustIsAFindingWithItsTagAndPath) {
  const Call operation = Parse(Act(R"("a": "1")"));
  const std::vector<Finding> findings = ValidateInput(operation.node);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].rule, "a-needs-b");
  EXPECT_EQ(findings[0].message, "a needs b");
  EXPECT_EQ(findings[0].path, "/m:top/entry[name='x']/inner/act");
}

TEST(ValidateInput, AMandatoryArgumentOfAnRpcIsMissed) {
  const Call operation = Parse(R"({"m:call": {}})");
  const std::vector<Finding> findings = ValidateInput(operation.node);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].rule, "mandatory");
  EXPECT_TRUE(ValidateInput(Parse(R"({"m:call": {"must-be": "here"}})").node).empty());
}

TEST(ValidateInput, LeavesNoErrorBehindForTheNextOne) {
  ASSERT_FALSE(ValidateInput(Parse(Act(R"("a": "1")")).node).empty());
  EXPECT_TRUE(ValidateInput(Parse(Act(R"("a": "1", "b": 2)")).node).empty());
}

TEST(EntryOf, IsTheNearestListEntryAboveAnAction) {
  const Call act = Parse(Act(""));
  EXPECT_EQ(EntryOf(act.node).path(), "/m:top/entry[name='x']");
  EXPECT_FALSE(EntryOf(Parse(R"({"m:top": {"plain": {}}})").node));
  EXPECT_FALSE(EntryOf(Parse(R"({"m:call": {}})").node));
}

}  // namespace
}  // namespace portolan::yang
