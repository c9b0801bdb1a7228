#include "services/config-service/shell/gnmi/path.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

namespace portolan::config {
namespace {

using ::testing::HasSubstr;

template <typename M>
M Parse(const std::string& text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

::gnmi::Path Path(const std::string& text) { return Parse<::gnmi::Path>(text); }

TEST(GnmiPath, GoesOnWhereThePrefixEnds) {
  EXPECT_EQ(*ToXPath(Path("elem { name: 'm:a' }"),
                     Path("elem { name: 'b' key { key: 'k' value: 'v' } } elem { name: 'c' }")),
            "/m:a/b[k='v']/c");
}

TEST(GnmiPath, WithoutElementsIsEverything) { EXPECT_EQ(*ToXPath({}, {}), "/"); }

TEST(GnmiPath, WildcardsStandForNamesKeysAndDepth) {
  EXPECT_EQ(*ToXPath({}, Path("elem { name: 'm:a' } elem { name: '*' }")), "/m:a/*");
  EXPECT_EQ(*ToXPath({}, Path("elem { name: 'm:a' key { key: 'k' value: '*' } }")), "/m:a");
  EXPECT_EQ(*ToXPath({}, Path("elem { name: 'm:a' } elem { name: '...' } elem { name: 'c' }")),
            "/m:a//c");
  EXPECT_EQ(*ToXPath({}, Path("elem { name: 'm:a' } elem { name: '...' }")), "/m:a//*");
}

TEST(GnmiPath, AQuoteInAKeyIsQuotedWithTheOtherKind) {
  EXPECT_EQ(*ToXPath({}, Path(R"(elem { name: 'm:a' key { key: 'k' value: "it's" } })")),
            "/m:a[k=\"it's\"]");
}

TEST(GnmiPath, RefusesWhatWouldBeMoreThanAPath) {
  for (const char* text : {"elem { name: 'a' }", "elem { name: 'm:a | //b' }", "elem { name: '' }",
                           "elem { name: 'm:a' } elem { name: '..[1]' }",
                           "elem { name: 'm:a' key { key: 'k or b' value: 'v' } }",
                           R"(elem { name: 'm:a' key { key: 'k' value: "'\"" } })"}) {
    EXPECT_EQ(ToXPath({}, Path(text)).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(GnmiPath, ADocumentHoldsTheValueAtItsPathAndTheKeysOfTheWay) {
  EXPECT_EQ(*ToDocument(Path("elem { name: 'm:a' }"),
                        Path("elem { name: 'b' key { key: 'k' value: 'v' } } elem { name: 'c' }"),
                        Parse<::gnmi::TypedValue>("json_ietf_val: '[1, 2]'")),
            R"({"m:a":{"b":[{"c":[1,2],"k":"v"}]}})");
  EXPECT_EQ(*ToDocument({}, Path("elem { name: 'm:b' key { key: 'k' value: 'v' } }"),
                        Parse<::gnmi::TypedValue>("json_val: '{\"c\": true}'")),
            R"({"m:b":[{"c":true,"k":"v"}]})");
  EXPECT_EQ(*ToDocument({}, {}, Parse<::gnmi::TypedValue>("json_ietf_val: '{\"m:a\": {}}'")),
            R"({"m:a":{}})");
}

TEST(GnmiPath, PlainScalarsAreValues) {
  const auto leaf = [](const std::string& value) {
    return *ToDocument({}, Path("elem { name: 'm:a' }"), Parse<::gnmi::TypedValue>(value));
  };
  EXPECT_EQ(leaf("string_val: 'x'"), R"({"m:a":"x"})");
  EXPECT_EQ(leaf("ascii_val: 'x'"), R"({"m:a":"x"})");
  EXPECT_EQ(leaf("int_val: -1"), R"({"m:a":-1})");
  EXPECT_EQ(leaf("uint_val: 1"), R"({"m:a":1})");
  EXPECT_EQ(leaf("bool_val: true"), R"({"m:a":true})");
  EXPECT_EQ(leaf("leaflist_val { element { string_val: 'x' } element { string_val: 'y' } }"),
            R"({"m:a":["x","y"]})");
}

TEST(GnmiPath, ADocumentHasNoWildcardAndNoBrokenValue) {
  const auto refused = [](const std::string& path, const std::string& value) {
    const auto document = ToDocument({}, Path(path), Parse<::gnmi::TypedValue>(value));
    EXPECT_EQ(document.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(document.status().message());
  };
  EXPECT_THAT(refused("elem { name: '*' }", "int_val: 1"), HasSubstr("no wildcard"));
  EXPECT_THAT(refused("elem { name: 'm:a' key { key: 'k' value: '*' } }", "json_val: '{}'"),
              HasSubstr("no wildcard"));
  EXPECT_THAT(refused("elem { name: 'm:a' key { key: 'k' value: 'v' } }", "int_val: 1"),
              HasSubstr("is an object"));
  EXPECT_THAT(refused("elem { name: 'm:a' }", "json_ietf_val: '{'"), HasSubstr("not JSON"));
  EXPECT_THAT(refused("elem { name: 'm:a' }", "double_val: 1"), HasSubstr("JSON_IETF"));
  EXPECT_THAT(refused("", "int_val: 1"), HasSubstr("of everything is an object"));
}

}  // namespace
}  // namespace portolan::config
