#include "services/base/netconf/elements.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace portolan::netconf {
namespace {

// However the text is cut.
bool Passes(absl::string_view text) {
  bool passes[2] = {};
  for (const size_t piece : {size_t{1}, text.size() + 1}) {
    ElementScan scan;
    for (size_t at = 0; at < text.size(); at += piece) scan.Feed(text.substr(at, piece));
    passes[piece == 1] = !scan.finding().has_value();
  }
  EXPECT_EQ(passes[0], passes[1]) << text;
  return passes[0];
}

TEST(ElementsTest, ElementWithoutANamespaceBeforeOneWithIsFound) {
  for (const char* text : {
           "<a xmlns=''/><a xmlns='urn:x'/>",
           "<r xmlns='urn:x'><a xmlns=\"\"/><b/><a/></r>",
           "<r xmlns='urn:x'><a xmlns='' ></a ><!-- <a> --><a/></r>",
           "<r><a/><a xmlns='urn:x'/></r>",
           "<r><a/><a xmlns=''/></r>",
           "<r xmlns='urn:x'><a xmlns=''/><a xmlns=''/></r>",
           "<r xmlns=''><a/><a/></r>",
           "<x:r xmlns:x='urn:x'><a/><x:a/></x:r>",
           "<r xmlns='urn:x'><y:a/><a/></r>",
           "<r xmlns='urn:x'><a/><a xmlns=''/><a/></r>",
           "<r xmlns='urn:x'><b c='>'/><a xmlns = ''/><![CDATA[<]]><?p <?><a/></r>",
           "<r xmlns='urn:x'><a xmlns=''><a xmlns=''/><a xmlns='urn:x'/></a></r>",
       }) {
    EXPECT_FALSE(Passes(text)) << text;
  }
}

TEST(ElementsTest, OthersPass) {
  for (const char* text : {
           "<r xmlns='urn:x'><a/><a/></r>",
           "<r><a/><a/></r>",
           "<r xmlns='urn:x'><a/><a xmlns=''/></r>",
           "<r xmlns='urn:x'><a xmlns=''/><b/></r>",
           "<r xmlns='urn:x'><b><a xmlns=''/></b><b><a/></b></r>",
           "<r xmlns='urn:x'><a xmlns=''><a xmlns='urn:x'/></a></r>",
           "<x:r xmlns:x='urn:x'><x:a><a/></x:a><x:a/></x:r>",
           "<r xmlns='urn:x'><!-- <a xmlns=''/> --><a/></r>",
           "<r xmlns='urn:x'><![CDATA[<a xmlns=''/>]]><a/></r>",
           "<r xmlns='urn:x'><b c=\"<a xmlns=''/>",
           "<!DOCTYPE r [<!ENTITY e ''>]><a xmlns=''/><a xmlns='urn:x'/>",
           "<r></r></r><a xmlns=''/><a xmlns='urn:x'/>",
       }) {
    EXPECT_TRUE(Passes(text)) << text;
  }
}

TEST(ElementsTest, WhatCannotBeReadIsFound) {
  EXPECT_FALSE(Passes("<a b='1' b='2'>"));
  EXPECT_FALSE(Passes("<a b=1>"));
  EXPECT_FALSE(Passes(absl::StrCat("<a b='", std::string(ElementScan::kMaxTag, 'x'), "'>")));
}

TEST(ElementsTest, LooksAsDeepAsLibyangDoes) {
  const auto nested = [](size_t depth) {
    std::string text;
    for (size_t i = 0; i < depth; ++i) text += "<x>";
    return text + "<a/><a xmlns='urn:x'/>";
  };
  EXPECT_FALSE(Passes(nested(ElementScan::kMaxDepth)));
  EXPECT_TRUE(Passes(nested(1000 * ElementScan::kMaxDepth)));
}

}  // namespace
}  // namespace portolan::netconf
