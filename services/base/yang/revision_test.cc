#include "services/base/yang/revision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace portolan::yang {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::shared_ptr<const Context> Shop(const std::string& body, const std::string& revision) {
  const auto context = Context::FromTexts(
      {{"shop", absl::StrCat("module shop { yang-version 1.1; namespace \"urn:shop\"; prefix s; ",
                             revision.empty() ? "" : absl::StrCat("revision ", revision, ";"), body,
                             "}")}});
  EXPECT_TRUE(context.ok()) << context.status();
  return *context;
}

std::vector<std::string> Changes(const std::string& released, const std::string& current) {
  return IncompatibleChanges(*Shop(released, ""), *Shop(current, ""));
}

struct Row {
  const char* name;
  const char* released;
  const char* current;
  const char* change;  // in the one complaint; empty: it may be
};

class RevisionTest : public ::testing::TestWithParam<Row> {};

TEST_P(RevisionTest, Holds) {
  const std::vector<std::string> changes = Changes(GetParam().released, GetParam().current);
  if (*GetParam().change == '\0') {
    EXPECT_THAT(changes, IsEmpty());
  } else {
    EXPECT_THAT(changes, ElementsAre(HasSubstr(GetParam().change)));
  }
}

const Row kRefused[] = {
    {"ANodeIsGone", "leaf a { type string; }", "", "/shop:a: is gone"},
    {"ADeprecatedNodeIsGone", "leaf a { type string; status deprecated; }", "", "/shop:a: is gone"},
    {"ANodeIsAnotherKind", "leaf a { type string; }", "leaf-list a { type string; }",
     "another kind"},
    {"ANewLeafIsMandatory", "", "leaf a { type string; mandatory true; }", "new and mandatory"},
    {"ANewListNeedsElements", "", "list l { key k; min-elements 1; leaf k { type string; } }",
     "new and mandatory"},
    {"ALeafBecomesMandatory", "container c { presence p; leaf a { type string; } }",
     "container c { presence p; leaf a { type string; mandatory true; } }", "mandatory now"},
    {"ATypeIsAnother", "leaf a { type string; }", "leaf a { type int8; }", "another one"},
    {"ARangeIsNarrower", "leaf a { type int8 { range '-5..5'; } }",
     "leaf a { type int8 { range '-4..5'; } }", "range is narrower"},
    {"ARangeIsNew", "leaf a { type uint8; }", "leaf a { type uint8 { range '0..9'; } }",
     "range is narrower"},
    {"ARangeHasAHole", "leaf a { type uint8 { range '0..9'; } }",
     "leaf a { type uint8 { range '0..4 | 6..9'; } }", "range is narrower"},
    {"ALengthIsNarrower", "leaf a { type string { length '1..9'; } }",
     "leaf a { type string { length '1..8'; } }", "length is narrower"},
    {"APatternIsNew", "leaf a { type string; }", "leaf a { type string { pattern 'x+'; } }",
     "the pattern x+ is new"},
    {"APatternIsInverted", "leaf a { type string { pattern 'x+'; } }",
     "leaf a { type string { pattern 'x+' { modifier invert-match; } } }", "the pattern"},
    {"AnEnumIsGone", "leaf a { type enumeration { enum x; enum y; } }",
     "leaf a { type enumeration { enum x; } }", "the value y is gone"},
    {"AnEnumHasAnotherNumber", "leaf a { type enumeration { enum x; enum y; } }",
     "leaf a { type enumeration { enum x; enum y { value 7; } } }", "another number"},
    {"ABitIsGone", "leaf a { type bits { bit x; bit y; } }", "leaf a { type bits { bit x; } }",
     "the value y is gone"},
    {"FractionDigitsChanged", "leaf a { type decimal64 { fraction-digits 2; } }",
     "leaf a { type decimal64 { fraction-digits 3; } }", "fraction-digits"},
    {"AUnionLosesAMember", "leaf a { type union { type int8; type string; type empty; } }",
     "leaf a { type union { type int8; type string; } }", "other members"},
    {"AMemberIsNarrower", "leaf a { type union { type int8; type string; } }",
     "leaf a { type union { type int8; type string { length '1'; } } }", "length is narrower"},
    {"AnIdentityHasOtherBases", "identity x; identity y; leaf a { type identityref { base x; } }",
     "identity x; identity y; leaf a { type identityref { base y; } }", "other bases"},
    {"ALeafrefLeadsElsewhere",
     "leaf x { type string; } leaf y { type string; } leaf a { type leafref { path '/x'; } }",
     "leaf x { type string; } leaf y { type string; } leaf a { type leafref { path '/y'; } }",
     "leads elsewhere"},
    {"ALeafrefRequiresAnInstance",
     "leaf x { type string; } leaf a { type leafref { path '/x'; require-instance false; } }",
     "leaf x { type string; } leaf a { type leafref { path '/x'; } }", "requires an instance"},
    {"ADefaultChanged", "leaf a { type int8; default 1; }", "leaf a { type int8; default 2; }",
     "the default changed from 1 to 2"},
    {"ADefaultIsGone", "leaf a { type int8; default 1; }", "leaf a { type int8; }",
     "the default 1 is gone"},
    {"ADefaultOfALeafListChanged", "leaf-list a { type int8; default 1; }",
     "leaf-list a { type int8; default 1; default 2; }", "the defaults changed"},
    {"ADefaultCaseChanged", "choice c { default x; leaf x { type empty; } leaf y { type empty; } }",
     "choice c { default y; leaf x { type empty; } leaf y { type empty; } }", "default case"},
    {"UnitsChanged", "leaf a { type int8; units s; }", "leaf a { type int8; units ms; }",
     "units changed from s to ms"},
    {"KeysChanged", "list l { key k; leaf k { type int8; } leaf j { type int8; } }",
     "list l { key 'k j'; leaf k { type int8; } leaf j { type int8; } }", "the keys changed"},
    {"AListHasToBeUnique", "list l { key k; leaf k { type int8; } leaf j { type int8; } }",
     "list l { key k; unique j; leaf k { type int8; } leaf j { type int8; } }", "has to be unique"},
    {"FewerElements", "leaf-list a { type int8; }", "leaf-list a { type int8; max-elements 3; }",
     "takes fewer"},
    {"AMustIsNew", "leaf a { type int8; }", "leaf a { type int8; must '. > 1'; }",
     "new condition: must . > 1"},
    {"AWhenIsNew", "leaf b { type int8; } leaf a { type int8; }",
     "leaf b { type int8; } leaf a { type int8; when '../b'; }", "new condition: when ../b"},
    {"ConfigurationBecomesState", "leaf a { type int8; }", "leaf a { config false; type int8; }",
     "no configuration any more"},
    {"PresenceChanged", "container c;", "container c { presence p; }", "its presence"},
    {"TheOrderIsAnothers", "leaf-list a { type int8; }",
     "leaf-list a { type int8; ordered-by user; }", "ordered by somebody else"},
    {"ObsoleteAtOnce", "leaf a { type int8; }", "leaf a { type int8; status obsolete; }",
     "was not deprecated for a release"},
    {"AnRpcIsGone", "rpc r;", "", "/shop:r: is gone"},
    {"AnInputIsMandatory", "rpc r { input { leaf a { type int8; } } }",
     "rpc r { input { leaf a { type int8; } leaf b { type int8; mandatory true; } } }",
     "new and mandatory"},
    {"AnOutputIsGone", "rpc r { output { leaf a { type int8; } leaf b { type int8; } } }",
     "rpc r { output { leaf a { type int8; } } }", "is gone"},
    {"ANotificationIsGone", "notification n;", "", "/shop:n: is gone"},
    {"AnActionIsGone", "container c { action r; }", "container c;", "is gone"},
    {"AnIdentityIsGone", "identity x;", "", "shop: the identity x is gone"},
    {"AFeatureIsGone", "feature x;", "", "shop: the feature x is gone"},
    {"ATypedefIsGone", "typedef x { type int8; }", "", "shop: the typedef x is gone"},
    {"ANodeMovedOutOfItsCase", "choice c { case x { leaf a { type int8; } } case y; }",
     "choice c { case x; case y { leaf a { type int8; } } }", "is gone"},
};

const Row kPermitted[] = {
    {"Nothing", "leaf a { type int8; }", "leaf a { type int8; }", ""},
    {"ANewLeaf", "leaf a { type int8; }", "leaf a { type int8; } leaf b { type int8; }", ""},
    {"ANewListWithMandatoryLeaves", "",
     "list l { key k; leaf k { type int8; } leaf m { type int8; mandatory true; } }", ""},
    {"AWiderRange", "leaf a { type int8 { range '1..5'; } }",
     "leaf a { type int8 { range '0..5 | 9'; } }", ""},
    {"NoRangeAnyMore", "leaf a { type int8 { range '1..5'; } }", "leaf a { type int8; }", ""},
    {"ANewEnum", "leaf a { type enumeration { enum x; } }",
     "leaf a { type enumeration { enum x; enum y; } }", ""},
    {"NoPatternAnyMore", "leaf a { type string { pattern x; } }", "leaf a { type string; }", ""},
    {"ATypedefInPlaceOfAType", "leaf a { type int8; }",
     "typedef t { type int8; } leaf a { type t; }", ""},
    {"AGroupingInPlaceOfNodes", "leaf a { type int8; }",
     "grouping g { leaf a { type int8; } } uses g;", ""},
    {"ADefaultWhereThereWasNone", "leaf a { type int8; }", "leaf a { type int8; default 1; }", ""},
    {"UnitsWhereThereWereNone", "leaf a { type int8; }", "leaf a { type int8; units s; }", ""},
    {"NoLongerMandatory", "container c { presence p; leaf a { type int8; mandatory true; } }",
     "container c { presence p; leaf a { type int8; } }", ""},
    {"AMustIsDropped", "leaf a { type int8; must '. > 1'; }", "leaf a { type int8; }", ""},
    {"StateBecomesConfiguration", "leaf a { config false; type int8; }", "leaf a { type int8; }",
     ""},
    {"Deprecated", "leaf a { type int8; }", "leaf a { type int8; status deprecated; }", ""},
    {"DeprecatedBecomesObsolete", "leaf a { type int8; status deprecated; }",
     "leaf a { type int8; status obsolete; }", ""},
    {"ANewCase", "choice c { leaf x { type int8; } }",
     "choice c { leaf x { type int8; } leaf y { type int8; } }", ""},
    {"MoreElements", "leaf-list a { type int8; max-elements 3; }", "leaf-list a { type int8; }",
     ""},
};

const auto kName = [](const auto& row) { return std::string(row.param.name); };
INSTANTIATE_TEST_SUITE_P(Refuses, RevisionTest, ::testing::ValuesIn(kRefused), kName);
INSTANTIATE_TEST_SUITE_P(Permits, RevisionTest, ::testing::ValuesIn(kPermitted), kName);

TEST(Revision, RefusesAnOlderOneAndOneWithoutAModule) {
  EXPECT_THAT(IncompatibleChanges(*Shop("", "2026-02-01"), *Shop("", "2026-01-01")),
              ElementsAre(HasSubstr("is older than the released one")));
  const auto mall =
      Context::FromTexts({{"mall", "module mall { namespace \"urn:mall\"; prefix m; }"}});
  EXPECT_THAT(IncompatibleChanges(*Shop("", ""), **mall), ElementsAre("shop: the module is gone"));
}

TEST(Revision, RefusesAnotherNamespace) {
  const auto other =
      Context::FromTexts({{"shop", "module shop { namespace \"urn:other\"; prefix s; }"}});
  EXPECT_THAT(IncompatibleChanges(*Shop("", ""), **other),
              ElementsAre("shop: the namespace changed"));
}

}  // namespace
}  // namespace portolan::yang
