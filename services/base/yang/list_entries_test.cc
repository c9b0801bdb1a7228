#include "services/base/yang/list_entries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/yang/modules.h"
#include "services/base/yang/compare.h"
#include "services/base/yang/edit_config.h"

namespace portolan::yang {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kFleet[] = R"(
module fleet {
  yang-version 1.1;
  namespace "urn:fleet";
  prefix f;
  container harbours {
    list harbour { key "name"; leaf name { type string; } }
  }
  container fleet {
    leaf flag { type string; default "red"; }
    leaf size { type uint8; }
    list owner { key "name"; leaf name { type string; } }
    list ship {
      key "owner name";
      leaf owner { type string; }
      leaf name { type string; }
      leaf home { type leafref { path "/harbours/harbour/name"; } }
      leaf masts { type uint8; default "2"; }
    }
  }
}
)";

const ListPath kShips = {"fleet", "fleet", "ship", {"owner", "name"}};

std::shared_ptr<const Context> Fleet() {
  static const auto context = [] {
    std::vector<ModuleText> modules = {{"fleet", kFleet}};
    for (size_t i = 0; i < api::kYangModuleCount; ++i) {
      if (std::string(api::kYangModules[i].name) == "ietf-netconf") {
        modules.push_back({api::kYangModules[i].name, api::kYangModules[i].text});
      }
    }
    return Context::FromTexts(std::move(modules)).value();
  }();
  return context;
}

Tree Load(const std::string& json) {
  std::vector<Finding> findings;
  std::optional<Tree> tree = Tree::Parse(Fleet(), json, Format::kJson, &findings);
  EXPECT_TRUE(tree.has_value());
  EXPECT_THAT(tree->Validate(), IsEmpty());
  return *std::move(tree);
}

constexpr char kTwoShips[] = R"({
    "fleet:harbours": {"harbour": [{"name": "kiel"}]},
    "fleet:fleet": {"owner": [{"name": "ann"}], "ship": [
        {"owner": "ann", "name": "gull", "home": "kiel"},
        {"owner": "bob", "name": "tern", "masts": 3}]}})";

std::string Text(const Tree& tree) { return tree.Print(Format::kJson, Defaults::kAll); }

std::string Joined(const JsonAround& around, const std::vector<Tree>& entries) {
  std::string text = around.before;
  for (const Tree& entry : entries) {
    absl::StrAppend(&text, EntryToJson(entry, kShips), &entry == &entries.back() ? "" : ",");
  }
  return entries.empty() ? around.without : text + around.after;
}

TEST(ListEntriesTest, TreesThatWereTakenApartAreTheSameTogether) {
  const Tree whole = Load(kTwoShips);
  Tree rest = whole.Duplicate();
  const std::vector<Tree> ships = TakeEntries(kShips, &rest);
  ASSERT_THAT(ships, SizeIs(2));
  EXPECT_EQ(KeyOf(ships[0], kShips), "ann/gull");
  EXPECT_EQ(KeyOf(ships[1], kShips), "bob/tern");
  EXPECT_THAT(rest.Top("fleet", "fleet").Children("ship"), IsEmpty());
  EXPECT_EQ(ships[1].Top("fleet", "fleet").Child("ship").path(),
            "/fleet:fleet/ship[owner='bob'][name='tern']");
  AddEntries({&ships[0], &ships[1]}, kShips, &rest);
  EXPECT_EQ(Text(rest), Text(whole));
  EXPECT_THAT(rest.Validate(), IsEmpty());
}

TEST(ListEntriesTest, EntriesAreAddedWhereThereIsNoContainer) {
  Tree rest = Load(kTwoShips);
  const std::vector<Tree> ships = TakeEntries(kShips, &rest);
  Tree none(Fleet());
  AddEntries({&ships[1]}, kShips, &none);
  EXPECT_EQ(Text(none), Text(ships[1]));
  EXPECT_THAT(TakeEntries({"fleet", "harbours", "ship", {}}, &none), IsEmpty());
}

TEST(ListEntriesTest, PrintedPartsAreTheWhole) {
  for (const char* json :
       {kTwoShips, "{}", R"({"fleet:fleet": {"ship": [{"owner": "a", "name": "\"]}"}]}})",
        R"({"fleet:fleet": {"owner": [{"name": "a"}]}})",
        R"({"fleet:harbours": {"harbour": [{"name": "kiel"}]}})",
        R"({"fleet:fleet": {"flag": "red", "ship": [{"owner": "a", "name": "b"}]}})"}) {
    const Tree whole = Load(json);
    Tree rest = whole.Duplicate();
    std::vector<Tree> ships = TakeEntries(kShips, &rest);
    const std::string before = Text(rest);
    const std::string text = Joined(PrintAround(kShips, &rest), ships);
    EXPECT_EQ(Text(rest), before) << "printing changed it";
    EXPECT_EQ(Text(Load(text)), Text(whole)) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

TEST(ListEntriesTest, ReferencesAreTheSameForTheSameTarget) {
  Tree rest = Load(R"({"fleet:harbours": {"harbour": [{"name": "kiel"}, {"name": "bremen"}]},
      "fleet:fleet": {"ship": [{"owner": "a", "name": "1", "home": "kiel"},
      {"owner": "a", "name": "2", "home": "kiel"}, {"owner": "a", "name": "3", "home": "bremen"},
      {"owner": "a", "name": "kiel"}]}})");
  const std::vector<Tree> ships = TakeEntries(kShips, &rest);
  ASSERT_THAT(References(ships[0]), SizeIs(1));
  EXPECT_EQ(References(ships[0]), References(ships[1]));
  EXPECT_NE(References(ships[0]), References(ships[2]));
  EXPECT_THAT(References(ships[3]), IsEmpty());
}

struct Scope {
  const char* edit;
  bool everything;
  bool rest;
  std::vector<std::string> keys;
};

class Edits : public testing::TestWithParam<Scope> {};

TEST_P(Edits, TouchWhatTheyName) {
  std::vector<Finding> findings;
  const std::optional<Tree> edit =
      ParseEdit(Fleet(), absl::StrCat("<", GetParam().edit, "</fleet>"), Format::kXml, &findings);
  ASSERT_TRUE(edit.has_value());
  const Touched touched = TouchedBy(*edit, kShips);
  EXPECT_EQ(touched.everything, GetParam().everything);
  EXPECT_EQ(touched.rest, GetParam().rest);
  EXPECT_THAT(touched.keys, testing::ElementsAreArray(GetParam().keys));
}

#define FLEET "fleet xmlns='urn:fleet' xmlns:nc='urn:ietf:params:xml:ns:netconf:base:1.0'"
#define GULL "<owner>ann</owner><name>gull</name>"
INSTANTIATE_TEST_SUITE_P(
    ListEntries, Edits,
    testing::Values(
        Scope{FLEET "><ship>" GULL "<masts>1</masts></ship>", false, false, {"ann/gull"}},
        Scope{FLEET "><ship nc:operation='delete'>" GULL "</ship>", false, false, {"ann/gull"}},
        Scope{FLEET "><ship>" GULL "<masts nc:operation='delete'/></ship>",
              false,
              false,
              {"ann/gull"}},
        Scope{FLEET " nc:operation='merge'><ship>" GULL "</ship>", false, false, {"ann/gull"}},
        Scope{FLEET "><owner><name>eve</name></owner><ship>" GULL "</ship>",
              false,
              true,
              {"ann/gull"}},
        Scope{FLEET "><flag>blue</flag>", false, true, {}},
        Scope{FLEET "><size nc:operation='delete'/>", true, false, {}},
        Scope{FLEET " nc:operation='replace'><ship>" GULL "</ship>", true, false, {"ann/gull"}},
        Scope{FLEET " nc:operation='remove'>", true, false, {}}));

}  // namespace
}  // namespace portolan::yang
