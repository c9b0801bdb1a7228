#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/yang/modules.h"
#include "services/base/yang/context.h"
#include "services/base/yang/tree.h"

namespace portolan::yang {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kTestModule[] = R"(
module shop {
  yang-version 1.1;
  namespace "urn:shop";
  prefix s;
  revision 2026-01-02;
  identity colour;
  identity red { base colour; }
  container shop {
    leaf open { type boolean; default "true"; }
    list shelf {
      key "name";
      must "count(book) < 3" { error-message "a shelf
        holds two books"; error-app-tag "shelf-full"; }
      leaf name { type string; }
      leaf width { type uint8 { range "1..100"; } mandatory true; description "Width of the
        shelf."; }
      leaf-list book { type string; ordered-by user; }
      leaf colour { type identityref { base colour; } }
      leaf next { type leafref { path "../../shelf/name"; } }
      choice hold { mandatory true; leaf nail { type empty; } case glue {
        leaf brand { type string; mandatory true; } leaf litres { type uint8; } } }
      list hook { key "id"; min-elements 1; leaf id { type uint8; } }
    }
  }
  container yard { leaf size { type uint8; default "7"; } }
}
)";

std::shared_ptr<const Context> Shop() {
  static const auto context = Context::FromTexts({{"shop", kTestModule}}).value();
  return context;
}

std::string Shelf(const std::string& rest) {
  return R"({"shop:shop": {"shelf": [{"name": "a", "width": 5, "nail": [null], "hook": [{"id": 1}])" +
         rest + "}]}}";
}

Tree ParseOrDie(const std::string& text) {
  std::vector<Finding> findings;
  std::optional<Tree> tree = Tree::Parse(Shop(), text, Format::kGuess, &findings);
  EXPECT_TRUE(tree.has_value()) << text << findings.front().message;
  return *std::move(tree);
}

// All findings of parsing, or else of validating.
std::vector<Finding> Problems(const std::string& text) {
  std::vector<Finding> findings;
  std::optional<Tree> tree = Tree::Parse(Shop(), text, Format::kGuess, &findings);
  return tree.has_value() ? tree->Validate() : findings;
}

TEST(Context, NamesModuleAndReasonWhenItDoesNotCompile) {
  const auto context =
      Context::FromTexts({{"x", "module x { namespace \"urn:x\"; prefix x;\nfoo; }"}});
  EXPECT_EQ(context.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(context.status().message()),
              AllOf(HasSubstr("module x"), HasSubstr("foo")));
}

TEST(Context, KnowsRevisions) {
  EXPECT_EQ(Shop()->Revision("shop"), "2026-01-02");
  EXPECT_EQ(Shop()->Revision("mall"), "");
}

TEST(Tree, RefusesWithPathLineRuleAndMessage) {
  struct Case {
    std::string text, path, rule, message;
    int line;
  };
  const std::string shelf = "/shop:shop/shelf[name='a']";
  const std::vector<Case> cases = {
      {"", "", "syntax", "empty", 0},
      {" \n", "", "syntax", "empty", 0},
      {std::string("{\0}", 3), "", "syntax", "zero byte", 0},
      {"{\n\"shop:shop\": {\n", "", "syntax", "not JSON", 3},
      {"{} {}", "", "syntax", "not JSON", 1},
      {"[]", "", "syntax", "array", 1},
      {std::string(200, '['), "", "syntax", "deep", 0},
      {"{\"shop:yard\": {}, \"shop:yard\": {}}", "", "duplicate", "shop:yard", 0},
      {"{\"mall:shop\": {}}", "", "unknown-node", "mall", 1},
      {Shelf(",\n\"wdth\": 1"), shelf, "unknown-node", "wdth", 2},
      {Shelf(",\n\"book\": \"x\""), shelf, "syntax", "book", 2},
      {Shelf(",\n\"colour\": \"blue\""), shelf + "/colour", "type", "blue", 2},
      {"<shop xmlns='urn:shop'>\n<shelf>\n</shop>", "/shop:shop/shelf", "syntax", "shelf", 3},
      {"<shop xmlns='urn:shop'/><shop xmlns='urn:shop'/>", "/shop:shop", "duplicate", "shop", 0},
      {"<!DOCTYPE a [<!ENTITY b 'c'>]><shop xmlns='urn:shop'/>", "", "syntax", "not supported", 1},
      {Shelf(", \"next\": \"z\""), shelf + "/next", "instance-required",
       "there is no shelf with the name \"z\"", 0},
      {Shelf(", \"book\": [\"x\", \"y\", \"z\"]"), shelf, "shelf-full", "a shelf holds two books",
       0},
      {"{\"shop:shop\": {\"shelf\": [{\"width\": 4}]}}", "/shop:shop/shelf", "missing-key", "name",
       1},
  };
  for (const Case& c : cases) {
    const std::vector<Finding> findings = Problems(c.text);
    ASSERT_EQ(findings.size(), 1u) << c.text;
    EXPECT_EQ(findings[0].rule, c.rule) << c.text;
    EXPECT_EQ(findings[0].path, c.path) << c.text;
    EXPECT_THAT(findings[0].message, HasSubstr(c.message)) << c.text;
    EXPECT_EQ(findings[0].line, c.line) << c.text << findings[0].message;
  }
}

TEST(Tree, NamesEveryEntryThatLacksSomething) {
  const std::string text = R"({"shop:shop": {"shelf": [
    {"name": "a", "nail": [null], "hook": [{"id": 1}]},
    {"name": "b", "nail": [null], "hook": [{"id": 1}], "width": 1},
    {"name": "c", "nail": [null], "hook": [{"id": 1}]}]}})";
  EXPECT_THAT(Problems(text),
              ElementsAre(AllOf(Field(&Finding::path, "/shop:shop/shelf[name='a']/width"),
                                Field(&Finding::rule, "mandatory"),
                                Field(&Finding::expected, "Width of the shelf.")),
                          Field(&Finding::path, "/shop:shop/shelf[name='c']/width")));
}

TEST(Tree, NamesTheEntryWhoseChoiceIsMissingDoubleOrHalf) {
  const std::string head = R"({"shop:shop": {"shelf": [
    {"name": "ok", "width": 1, "hook": [{"id": 1}], "brand": "x"},
    {"name": "b", "width": 1, "hook": [{"id": 1}])";
  const std::vector<std::vector<std::string>> cases = {
      {"", "", "missing-choice"},
      {", \"nail\": [null], \"brand\": \"x\"", "", "choice"},
      {", \"litres\": 1", "/brand", "mandatory"},
  };
  for (const auto& c : cases) {
    const std::vector<Finding> findings = Problems(head + c[0] + "}]}}");
    ASSERT_EQ(findings.size(), 1u) << c[0];
    EXPECT_EQ(findings[0].path, "/shop:shop/shelf[name='b']" + c[1]);
    EXPECT_EQ(findings[0].rule, c[2]);
  }
}

TEST(Tree, NamesTheEntryWithTooFewElements) {
  const auto findings =
      Problems(R"({"shop:shop": {"shelf": [{"name": "a", "width": 5, "nail": [null]}]}})");
  EXPECT_THAT(findings, ElementsAre(AllOf(Field(&Finding::path, "/shop:shop/shelf[name='a']/hook"),
                                          Field(&Finding::rule, "too-few-elements"))));
}

TEST(Tree, PathOfAFindingKeepsQuotesOfKeys) {
  const auto findings =
      Problems(R"({"shop:shop": {"shelf": [{"name": "it's, [line] number 3.", "width": 0}]}})");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].path, "/shop:shop/shelf[name=\"it's, [line] number 3.\"]/width");
  EXPECT_EQ(findings[0].expected, "Width of the shelf.");
}

TEST(Tree, DeprecatedLeavesAreTakenAndValidatedAsOthers) {
  const auto context =
      Context::FromTexts({{"m", R"(module m { yang-version 1.1; namespace "urn:m"; prefix m;
          leaf old { type uint8; status deprecated; } })"}});
  ASSERT_TRUE(context.ok()) << context.status();
  std::vector<Finding> findings;
  auto tree = Tree::Parse(*context, R"({"m:old": 7})", Format::kJson, &findings);
  ASSERT_TRUE(tree.has_value());
  EXPECT_THAT(tree->Validate(), IsEmpty());
  EXPECT_EQ(tree->Top("m", "old").value(), "7");
  EXPECT_FALSE(Tree::Parse(*context, R"({"m:old": 700})", Format::kJson, &findings).has_value());
}

TEST(Tree, FillsDefaultsInAndTellsThemApart) {
  Tree tree(Shop());
  EXPECT_THAT(tree.Validate(), IsEmpty());
  const Node open = tree.Top("shop", "shop").Child("open");
  ASSERT_TRUE(open);
  EXPECT_EQ(open.value(), "true");
  EXPECT_TRUE(open.is_default());
  EXPECT_FALSE(tree.Top("shop", "mall"));
  EXPECT_EQ(tree.Print(Format::kJson, Defaults::kExplicit), "{}\n");
  EXPECT_THAT(tree.Print(Format::kJson, Defaults::kAll), HasSubstr("\"size\": 7"));
}

TEST(Tree, WalksListsInOrder) {
  Tree tree = ParseOrDie(Shelf(R"(, "colour": "red", "book": ["z", "a"])"));
  EXPECT_THAT(tree.Validate(), IsEmpty());
  const std::vector<Node> shelves = tree.Top("shop", "shop").Children("shelf");
  ASSERT_EQ(shelves.size(), 1u);
  std::vector<std::string> books;
  for (const Node& book : shelves[0].Children("book")) books.push_back(book.value());
  EXPECT_THAT(books, ElementsAre("z", "a"));
  EXPECT_EQ(shelves[0].Child("colour").value(), "shop:red");
  EXPECT_EQ(shelves[0].Child("book").path(), "/shop:shop/shelf[name='a']/book[.='z']");
  EXPECT_FALSE(shelves[0].Child("brand"));
}

TEST(Tree, PrintedAndParsedAgainIsTheSameInBothFormats) {
  Tree tree = ParseOrDie(Shelf(R"(, "colour": "red", "book": ["<&>\"", "ü"])"));
  EXPECT_THAT(tree.Validate(), IsEmpty());
  const std::string json = tree.Print(Format::kJson, Defaults::kExplicit);
  Tree again = ParseOrDie(tree.Print(Format::kXml, Defaults::kExplicit));
  EXPECT_THAT(again.Validate(), IsEmpty());
  EXPECT_EQ(again.Print(Format::kJson, Defaults::kExplicit), json);
}

TEST(Tree, MergeOverridesLeavesAddsEntriesAndSwitchesCases) {
  Tree tree = ParseOrDie(Shelf(""));
  EXPECT_THAT(tree.Validate(), IsEmpty());
  const Tree edit = ParseOrDie(R"({"shop:shop": {"open": false, "shelf": [
    {"name": "a", "brand": "uhu"}, {"name": "b", "width": 9, "nail": [null], "hook": [{"id": 2}]}]}})");
  ASSERT_TRUE(tree.Merge(edit).ok());
  EXPECT_THAT(tree.Validate(), IsEmpty());
  const Node shop = tree.Top("shop", "shop");
  EXPECT_EQ(shop.Child("open").value(), "false");
  ASSERT_EQ(shop.Children("shelf").size(), 2u);
  const Node first = shop.Children("shelf")[0];
  EXPECT_EQ(first.Child("brand").value(), "uhu");
  EXPECT_FALSE(first.Child("nail"));
  EXPECT_EQ(first.Child("width").value(), "5");
}

TEST(Tree, DuplicateIsIndependent) {
  Tree tree = ParseOrDie(Shelf(""));
  EXPECT_THAT(tree.Validate(), IsEmpty());
  Tree copy = tree.Duplicate();
  EXPECT_THAT(copy.Delete("/shop:shop/shelf"), IsEmpty());
  EXPECT_EQ(copy.Print(Format::kJson, Defaults::kExplicit), "{}\n");
  EXPECT_THAT(tree.Print(Format::kJson, Defaults::kExplicit), HasSubstr("shelf"));
}

TEST(Tree, DeletesWhatThePathSelectsAndSaysWhenThatIsNothing) {
  const auto rule_of = [](Tree tree, const std::string& path) {
    EXPECT_THAT(tree.Validate(), IsEmpty());
    const std::vector<Finding> findings = tree.Delete(path);
    return findings.empty() ? tree.Print(Format::kJson, Defaults::kExplicit) : findings[0].rule;
  };
  const std::string text = Shelf(R"(, "book": ["z", "a"])");
  EXPECT_THAT(rule_of(ParseOrDie(text), "/shop:shop/shelf[name='a']/book[.='z']"),
              AllOf(HasSubstr("\"a\"\n"), ::testing::Not(HasSubstr("\"z\""))));
  EXPECT_EQ(rule_of(ParseOrDie(text), "/shop:shop | /shop:shop/shelf"), "{}\n");
  EXPECT_EQ(rule_of(ParseOrDie(text), "/shop:shop/shelf[name='b']"), "data-missing");
  EXPECT_EQ(rule_of(ParseOrDie(text), "/shop:yard/size"), "data-missing");
  EXPECT_EQ(rule_of(ParseOrDie(text), "/shop:shop/shelf/name"), "xpath");
  EXPECT_EQ(rule_of(ParseOrDie(text), "/shop:shop/["), "xpath");
  EXPECT_EQ(rule_of(ParseOrDie(text), ""), "xpath");
}

TEST(Tree, SelectsSubtreesWithTheirKeys) {
  Tree tree = ParseOrDie(Shelf(R"(, "book": ["z", "a"])"));
  EXPECT_THAT(tree.Validate(), IsEmpty());
  const auto selected = tree.Select("/shop:shop/shelf/book");
  ASSERT_TRUE(selected.ok()) << selected.status();
  EXPECT_EQ(selected->Print(Format::kXml, Defaults::kExplicit),
            "<shop xmlns=\"urn:shop\">\n  <shelf>\n    <name>a</name>\n    <book>z</book>\n"
            "    <book>a</book>\n  </shelf>\n</shop>\n");
  EXPECT_EQ(tree.Select("/shop:shop/[").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(tree.Select("/shop:yard/nothing")->Print(Format::kJson, Defaults::kExplicit), "{}\n");
}

}  // namespace
}  // namespace portolan::yang
