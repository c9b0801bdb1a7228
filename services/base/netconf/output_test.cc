#include "services/base/netconf/output.h"

#include <gtest/gtest.h>
#include <libyang/libyang.h>

#include <cstdlib>

#include "services/base/yang/testing_operation.h"

namespace portolan::netconf {
namespace {

constexpr char kModule[] = R"(module m {
  yang-version 1.1; namespace "urn:m"; prefix m;
  container top {
    action act {
      input { leaf question { type string; } }
      output {
        leaf number { type uint8; }
        leaf-list word { type string; ordered-by user; }
        container inner { leaf text { type string; } }
        list pair { key "a b"; leaf a { type string; } leaf b { type string; } leaf c { type string; } }
        list four { key "a b c d"; leaf a { type string; } leaf b { type string; }
                    leaf c { type string; } leaf d { type string; } }
      }
    }
  }
})";

class OutputTest : public testing::Test {
 protected:
  // The answer as XML; "!" and the reason when it does not fit.
  std::string Print(const std::vector<Element>& elements) {
    std::string why;
    lyd_node* const output = ToOutput(call_.node.handle(), elements, &why);
    if (output == nullptr) return "!" + why;
    char* text = nullptr;
    lyd_print_mem(&text, output, LYD_XML, LYD_PRINT_SHRINK);
    const std::string result = text == nullptr ? "" : text;
    std::free(text);
    lyd_free_all(output);
    return result;
  }

  const yang::Call call_ = yang::ParseOperation(yang::Context::FromTexts({{"m", kModule}}).value(),
                                                R"({"m:top": {"act": {"question": "?"}}})")
                               .value();
};

TEST_F(OutputTest, HoldsTheAnswerAndNoArgument) {
  EXPECT_EQ(Print({{"number", "7", {}}, {"word", "x", {}}, {"word", "<y>", {}}}),
            "<act xmlns=\"urn:m\"><number>7</number><word>x</word><word>&lt;y&gt;</word></act>");
  EXPECT_EQ(Print({}), "<act xmlns=\"urn:m\"/>");
}

TEST_F(OutputTest, HoldsContainersAndListEntries) {
  EXPECT_EQ(Print({{"inner", "", {{"text", "t", {}}}},
                   {"pair", "", {{"a", "1'\"", {}}, {"b", "2", {}}, {"c", "3", {}}}}}),
            "<act "
            "xmlns=\"urn:m\"><inner><text>t</text></inner><pair><a>1'\"</a><b>2</b><c>3</c></"
            "pair></act>");
}

TEST_F(OutputTest, AValueThatDoesNotFitIsNamed) {
  EXPECT_EQ(Print({{"number", "256", {}}}), "!number \"256\"");
  EXPECT_EQ(Print({{"inner", "", {{"text", "t", {}}, {"other", "o", {}}}}}), "!other \"o\"");
  EXPECT_EQ(Print({{"question", "an argument", {}}}), "!question \"an argument\"");
}

TEST_F(OutputTest, AnEntryWithoutItsKeysInFrontDoesNotFit) {
  EXPECT_EQ(Print({{"pair", "", {{"a", "1", {}}}}}), "!pair \"\"");
  EXPECT_EQ(Print({{"pair", "", {{"b", "2", {}}, {"a", "1", {}}}}}), "!pair \"\"");
  EXPECT_EQ(Print({{"four", "", {{"a", "", {}}, {"b", "", {}}, {"c", "", {}}, {"d", "", {}}}}}),
            "!four \"\"");
}

TEST_F(OutputTest, WhatDidNotFitIsForgottenByTheNextAnswer) {
  Print({{"number", "256", {}}});
  EXPECT_EQ(Print({{"number", "1", {}}}), "<act xmlns=\"urn:m\"><number>1</number></act>");
}

}  // namespace
}  // namespace portolan::netconf
