#include "services/base/yang/edit_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/yang/modules.h"

namespace portolan::yang {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kShop[] = R"(
module shop {
  yang-version 1.1;
  namespace "urn:shop";
  prefix s;
  container shop {
    leaf sign { type string; default "open"; }
    container yard { presence "there is one"; leaf size { type uint8; } }
    container cellar { leaf depth { type uint8; } }
    list shelf {
      key "name";
      ordered-by user;
      leaf name { type string; }
      leaf width { type uint8; }
      leaf-list book { type string; ordered-by user; }
      list drawer { key "id"; leaf id { type uint8; } leaf full { type boolean; } }
    }
    choice door { leaf wood { type string; } leaf glass { type string; } }
  }
}
)";

std::shared_ptr<const Context> Shop() {
  static const auto context = [] {
    std::vector<ModuleText> modules = {{"shop", kShop}};
    for (size_t i = 0; i < api::kYangModuleCount; ++i) {
      if (std::string(api::kYangModules[i].name) == "ietf-netconf") {
        modules.push_back({api::kYangModules[i].name, api::kYangModules[i].text});
      }
    }
    return Context::FromTexts(std::move(modules)).value();
  }();
  return context;
}

std::string InShop(const std::string& content, const std::string& attributes = "") {
  return absl::StrCat("<shop xmlns='urn:shop' xmlns:nc='urn:ietf:params:xml:ns:netconf:base:1.0'",
                      attributes.empty() ? "" : " ", attributes, ">", content, "</shop>");
}

struct Outcome {
  std::string shop;  // canonical XML without the frame
  std::optional<Finding> failed;
};

Outcome Apply(const std::string& before, const std::string& edit,
              Operation default_operation = Operation::kMerge) {
  std::vector<Finding> findings;
  Tree tree(Shop());
  if (!before.empty()) tree = *Tree::Parse(Shop(), InShop(before), Format::kXml, &findings);
  EXPECT_THAT(tree.Validate(), IsEmpty());
  const auto parsed = ParseEdit(Shop(), edit, Format::kXml, &findings);
  EXPECT_TRUE(parsed.has_value()) << findings[0].message;
  Outcome outcome;
  outcome.failed = ApplyEdit(*parsed, default_operation, &tree);
  if (outcome.failed.has_value()) return outcome;
  EXPECT_THAT(tree.Validate(), IsEmpty());
  const std::string xml = tree.Print(Format::kXml, Defaults::kExplicit);
  for (size_t i = xml.find('>') + 1; i < xml.size(); ++i) {
    if (xml.compare(i, 7, "</shop>") == 0) break;
    if (xml[i] != '\n' && xml[i] != ' ') outcome.shop += xml[i];
  }
  return outcome;
}

std::string TagOf(const Outcome& outcome) {
  return outcome.failed.has_value() ? outcome.failed->rule : "";
}

constexpr char kShelf[] = "<shelf><name>a</name><width>1</width><book>x</book></shelf>";

TEST(EditConfig, MergeChangesWhatItNamesAndAddsWhatIsNew) {
  EXPECT_EQ(Apply(kShelf, InShop("<shelf><name>a</name><width>2</width><book>y</book></shelf>"
                                 "<sign>shut</sign>"))
                .shop,
            "<sign>shut</sign><shelf><name>a</name><width>2</width><book>x</book><book>y</book>"
            "</shelf>");
}

TEST(EditConfig, MergeIntoNothingCreates) { EXPECT_EQ(Apply("", InShop(kShelf)).shop, kShelf); }

TEST(EditConfig, MergeOfADefaultMakesItGiven) {
  EXPECT_EQ(Apply(kShelf, InShop("<sign>open</sign>")).shop,
            absl::StrCat("<sign>open</sign>", kShelf));
}

TEST(EditConfig, ReplaceOfAnEntryLeavesItsPlaceAndForgetsTheRest) {
  EXPECT_EQ(Apply("<shelf><name>a</name><width>1</width></shelf><shelf><name>b</name></shelf>",
                  InShop("<shelf nc:operation='replace'><name>a</name><book>z</book></shelf>"))
                .shop,
            "<shelf><name>a</name><book>z</book></shelf><shelf><name>b</name></shelf>");
}

TEST(EditConfig, CreateOfWhatExistsSaysWhere) {
  const Outcome outcome =
      Apply(kShelf, InShop("<shelf nc:operation='create'><name>a</name></shelf>"));
  EXPECT_EQ(TagOf(outcome), "data-exists");
  EXPECT_EQ(outcome.failed->path, "/shop:shop/shelf[name='a']");
  EXPECT_EQ(TagOf(Apply(kShelf, InShop("<shelf nc:operation='create'><name>b</name></shelf>"))),
            "");
}

TEST(EditConfig, CreateBelowTellsAnExistingLeaf) {
  const Outcome outcome =
      Apply(kShelf, InShop("<shelf><name>a</name><width nc:operation='create'>7</width></shelf>"));
  EXPECT_EQ(TagOf(outcome), "data-exists");
  EXPECT_EQ(outcome.failed->path, "/shop:shop/shelf[name='a']/width");
}

TEST(EditConfig, DefaultsDoNotExistForCreateAndDelete) {
  EXPECT_EQ(Apply(kShelf, InShop("<sign nc:operation='create'>open</sign>")).shop,
            absl::StrCat("<sign>open</sign>", kShelf));
  EXPECT_EQ(TagOf(Apply(kShelf, InShop("<sign nc:operation='delete'/>"))), "data-missing");
}

TEST(EditConfig, DeleteOfWhatIsMissingSaysWhere) {
  const Outcome outcome =
      Apply(kShelf, InShop("<shelf nc:operation='delete'><name>q</name></shelf>"));
  EXPECT_EQ(TagOf(outcome), "data-missing");
  EXPECT_EQ(outcome.failed->path, "/shop:shop/shelf[name='q']");
}

TEST(EditConfig, DeleteTakesASubtreeAnEntryOrAValue) {
  EXPECT_EQ(Apply("<sign>a</sign><shelf><name>a</name></shelf>",
                  InShop("<shelf nc:operation='delete'><name>a</name></shelf>"))
                .shop,
            "<sign>a</sign>");
  EXPECT_EQ(Apply("<shelf><name>a</name><book>x</book><book>y</book></shelf>",
                  InShop("<shelf><name>a</name><book nc:operation='delete'>x</book></shelf>"))
                .shop,
            "<shelf><name>a</name><book>y</book></shelf>");
  EXPECT_EQ(Apply(kShelf, InShop("", "nc:operation='delete'")).shop, "");
}

TEST(EditConfig, RemoveIsSilentAboutWhatIsMissing) {
  EXPECT_EQ(Apply(kShelf, InShop("<shelf nc:operation='remove'><name>q</name></shelf>")).shop,
            kShelf);
  EXPECT_EQ(Apply("<sign>a</sign><yard/>", InShop("<yard nc:operation='remove'/>")).shop,
            "<sign>a</sign>");
}

TEST(EditConfig, OperationsOfOneEditStandAtAnyDepth) {
  EXPECT_EQ(Apply("<shelf><name>a</name><drawer><id>1</id></drawer><drawer><id>2</id></drawer>"
                  "</shelf>",
                  InShop("<shelf><name>a</name><drawer nc:operation='delete'><id>1</id></drawer>"
                         "<drawer nc:operation='create'><id>3</id><full>true</full></drawer>"
                         "</shelf><shelf nc:operation='create'><name>b</name></shelf>"))
                .shop,
            "<shelf><name>a</name><drawer><id>2</id></drawer><drawer><id>3</id><full>true</full>"
            "</drawer></shelf><shelf><name>b</name></shelf>");
}

TEST(EditConfig, OperationInsideAReplacedSubtreeSeesItEmpty) {
  EXPECT_EQ(TagOf(Apply(kShelf, InShop("<shelf nc:operation='replace'><name>a</name>"
                                       "<width nc:operation='delete'/></shelf>"))),
            "data-missing");
}

TEST(EditConfig, DefaultNoneTouchesOnlyWhatHasAnOperation) {
  EXPECT_EQ(
      Apply(kShelf, InShop("<shelf><name>a</name><width nc:operation='merge'>9</width></shelf>"),
            Operation::kNone)
          .shop,
      "<shelf><name>a</name><width>9</width><book>x</book></shelf>");
  EXPECT_EQ(
      Apply(kShelf, InShop("<shelf><name>a</name><width>9</width></shelf>"), Operation::kNone).shop,
      kShelf);
}

TEST(EditConfig, DefaultNoneNeedsTheWayToExist) {
  EXPECT_EQ(TagOf(Apply(kShelf,
                        InShop("<shelf><name>q</name><width nc:operation='merge'>9</width>"
                               "</shelf>"),
                        Operation::kNone)),
            "data-missing");
  // A container without presence is no data of its own.
  EXPECT_EQ(
      Apply("", InShop("<cellar><depth nc:operation='merge'>9</depth></cellar>"), Operation::kNone)
          .shop,
      "<cellar><depth>9</depth></cellar>");
}

TEST(EditConfig, DefaultReplaceReplacesEverything) {
  EXPECT_EQ(
      Apply(absl::StrCat("<sign>a</sign>", kShelf), InShop("<yard/>"), Operation::kReplace).shop,
      "<yard/>");
}

TEST(EditConfig, AnotherCaseOfAChoiceTakesThePlace) {
  EXPECT_EQ(Apply("<wood>oak</wood>", InShop("<glass>clear</glass>")).shop, "<glass>clear</glass>");
}

// How clients delete a leaf: <width nc:operation="delete"/> is no number.
TEST(EditConfig, LeafIsDeletedWithoutItsValue) {
  const std::string edit = InShop("<shelf><name>a</name><width nc:operation='delete'/></shelf>");
  EXPECT_EQ(Apply(kShelf, edit).shop, "<shelf><name>a</name><book>x</book></shelf>");
  const Outcome missing = Apply("<shelf><name>a</name></shelf>", edit);
  EXPECT_EQ(TagOf(missing), "data-missing");
  EXPECT_EQ(missing.failed->path, "/shop:shop/shelf[name='a']/width");
  EXPECT_EQ(TagOf(Apply("<shelf><name>a</name></shelf>",
                        InShop("<shelf><name>a</name><width nc:operation='remove'/></shelf>"))),
            "");
}

TEST(EditConfig, OtherNodesThatDoNotParseAreRefused) {
  for (const char* bad :
       {"<width/>", "<width nc:operation='merge'/>", "<colour nc:operation='delete'/>",
        "<width nc:operation='delete'>x</width>",
        "<width nc:operation='delete'/><colour>red</colour>"}) {
    std::vector<Finding> findings;
    EXPECT_FALSE(ParseEdit(Shop(), InShop(absl::StrCat("<shelf><name>a</name>", bad, "</shelf>")),
                           Format::kXml, &findings)
                     .has_value())
        << bad;
    EXPECT_THAT(findings, Not(IsEmpty())) << bad;
  }
}

TEST(EditConfig, KeyHasNoOperationOfItsOwn) {
  EXPECT_EQ(TagOf(Apply(kShelf, InShop("<shelf><name nc:operation='delete'>a</name></shelf>"))),
            "bad-attribute");
}

TEST(EditConfig, InsertIsRefusedAndNotIgnored) {
  EXPECT_EQ(TagOf(Apply(kShelf, InShop("<shelf xmlns:y='urn:ietf:params:xml:ns:yang:1' "
                                       "y:insert='first'><name>b</name></shelf>"))),
            "bad-attribute");
}

TEST(EditConfig, UnknownOperationIsNotParsed) {
  std::vector<Finding> findings;
  EXPECT_FALSE(ParseEdit(Shop(), InShop("<sign nc:operation='paint'/>"), Format::kXml, &findings)
                   .has_value());
  EXPECT_THAT(findings, Not(IsEmpty()));
}

// A text that is no edit of NETCONF must not seem to delete.
TEST(EditConfig, OperationInOtherTextsIsRefused) {
  std::vector<Finding> findings;
  EXPECT_FALSE(Tree::Parse(Shop(), InShop("<sign nc:operation='delete'/>"), Format::kXml, &findings)
                   .has_value());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].rule, "attribute");
  EXPECT_THAT(findings[0].message, HasSubstr("operation"));
}

}  // namespace
}  // namespace portolan::yang
