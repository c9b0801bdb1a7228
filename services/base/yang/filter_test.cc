#include "services/base/yang/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libyang/libyang.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace portolan::yang {
namespace {

constexpr char kFleet[] = R"(
module fleet {
  yang-version 1.1;
  namespace "urn:fleet";
  prefix f;
  container harbours {
    list harbour { key "name"; leaf name { type string; } leaf depth { type uint8; } }
  }
  container fleet {
    container log { config false; leaf lines { type uint32; } }
    leaf flag { type string; }
    list ship {
      key "owner name";
      leaf owner { type string; }
      leaf name { type string; }
      leaf masts { type uint8; }
    }
  }
  rpc ask { input { anydata filter; } }
}
)";

const ListPath kShips = {"fleet", "fleet", "ship", {"owner", "name"}};

std::shared_ptr<const Context> Fleet() {
  static const auto context = Context::FromTexts({{"fleet", kFleet}}).value();
  return context;
}

Tree Data() {
  std::vector<Finding> findings;
  std::optional<Tree> tree = Tree::Parse(Fleet(), R"({
      "fleet:harbours": {"harbour": [{"name": "kiel", "depth": 9}, {"name": "bremen"}]},
      "fleet:fleet": {"flag": "red", "ship": [
        {"owner": "ann", "name": "gull", "masts": 2}, {"owner": "ann", "name": "tern"},
        {"owner": "bob", "name": "gull", "masts": 3}]}})",
                                         Format::kJson, &findings);
  EXPECT_TRUE(tree.has_value());
  return *std::move(tree);
}

// A request whose filter holds `xml`.
class Request {
 public:
  explicit Request(const std::string& xml) : tree_(Fleet()) {
    const std::string text =
        absl::StrCat("<ask xmlns='urn:fleet'><filter>", xml, "</filter></ask>");
    ly_in* in = nullptr;
    lyd_node* root = nullptr;
    ly_in_new_memory(text.c_str(), &in);
    EXPECT_EQ(
        lyd_parse_op(Fleet()->handle(), nullptr, in, LYD_XML, LYD_TYPE_RPC_YANG, &root, nullptr),
        LY_SUCCESS);
    ly_in_free(in, 0);
    tree_ = Tree::Adopt(Fleet(), root);
  }
  Node filter() const { return tree_.Top("fleet", "ask").Child("filter"); }

 private:
  Tree tree_;
};

struct Row {
  const char* name;
  const char* filter;
  const char* selected;  // XML without line breaks and spaces
  bool everything;       // of the scope
  bool rest;
  std::set<std::string> keys;
};

std::string Squeezed(const std::string& text) {
  std::string squeezed;
  for (const char c : text) {
    if (c != '\n' && c != ' ') squeezed += c;
  }
  return squeezed;
}

class SubtreeFilters : public testing::TestWithParam<Row> {};

TEST_P(SubtreeFilters, SelectWhatTheRfcSays) {
  const Request request(GetParam().filter);
  EXPECT_EQ(
      Squeezed(SubtreeFilter(Data(), request.filter()).Print(Format::kXml, Defaults::kExplicit)),
      GetParam().selected);
}

TEST_P(SubtreeFilters, FindTheSameInThePartThatTheyCanSelectFrom) {
  const Request request(GetParam().filter);
  const Touched scope = TouchedByFilter(request.filter(), kShips);
  EXPECT_EQ(scope.everything, GetParam().everything);
  EXPECT_EQ(scope.rest, GetParam().rest);
  EXPECT_EQ(scope.keys, GetParam().keys);
  Tree rest = Data();
  const std::vector<Tree> ships = TakeEntries(kShips, &rest);
  Tree part = scope.everything || scope.rest ? rest.Duplicate() : Tree(Fleet());
  std::vector<const Tree*> wanted;
  for (const Tree& ship : ships) {
    if (scope.everything || scope.keys.count(KeyOf(ship, kShips)) > 0) wanted.push_back(&ship);
  }
  AddEntries(wanted, kShips, &part);
  EXPECT_EQ(
      Squeezed(SubtreeFilter(part, request.filter()).Print(Format::kXml, Defaults::kExplicit)),
      GetParam().selected);
}

#define FLEET "<fleetxmlns=\"urn:fleet\">"
INSTANTIATE_TEST_SUITE_P(
    Filter, SubtreeFilters,
    testing::Values(
        Row{"Nothing", "", "", false, false, {}},
        Row{"Unknown", "<other xmlns='urn:fleet'/>", "", false, true, {}},
        Row{"Container",
            "<harbours xmlns='urn:fleet'/>",
            "<harboursxmlns=\"urn:fleet\"><harbour><name>kiel</name><depth>9</depth></harbour>"
            "<harbour><name>bremen</name></harbour></harbours>",
            false,
            true,
            {}},
        Row{"OneEntry",
            "<fleet xmlns='urn:fleet'><ship><owner>ann</owner><name>gull</name></ship></fleet>",
            FLEET "<ship><owner>ann</owner><name>gull</name><masts>2</masts></ship></fleet>",
            false,
            false,
            {"ann/gull"}},
        Row{"OneLeafOfAnEntry",
            "<fleet xmlns='urn:fleet'><ship><name> gull </name><owner>bob</owner><masts/></ship>"
            "</fleet>",
            FLEET "<ship><owner>bob</owner><name>gull</name><masts>3</masts></ship></fleet>",
            false,
            false,
            {"bob/gull"}},
        Row{"NoSuchEntry",
            "<fleet xmlns='urn:fleet'><ship><owner>eve</owner><name>gull</name></ship></fleet>",
            "",
            false,
            false,
            {"eve/gull"}},
        Row{"HalfAKey",
            "<fleet xmlns='urn:fleet'><ship><owner>bob</owner></ship></fleet>",
            FLEET "<ship><owner>bob</owner><name>gull</name><masts>3</masts></ship></fleet>",
            true,
            false,
            {}},
        Row{"NamesOfAll",
            "<fleet xmlns='urn:fleet'><ship><owner/></ship></fleet>",
            FLEET
            "<ship><owner>ann</owner><name>gull</name></ship><ship><owner>ann</owner>"
            "<name>tern</name></ship><ship><owner>bob</owner><name>gull</name></ship></fleet>",
            true,
            false,
            {}},
        Row{"BesideTheEntries",
            "<fleet xmlns='urn:fleet'><flag/></fleet>",
            FLEET "<flag>red</flag></fleet>",
            false,
            true,
            {}},
        Row{"EntryAndRest",
            "<fleet xmlns='urn:fleet'><flag/><ship><owner>ann</owner><name>tern</name></ship>"
            "</fleet>",
            FLEET "<flag>red</flag><ship><owner>ann</owner><name>tern</name></ship></fleet>",
            false,
            true,
            {"ann/tern"}}),
    [](const testing::TestParamInfo<Row>& row) { return row.param.name; });

TEST(CanSelect, FindsTheKindsBelowAPath) {
  const struct {
    const char* xpath;
    bool configuration;
    bool state;
  } table[] = {{"/", true, true},
               {"/fleet:fleet", true, true},
               {"/fleet:fleet/log", false, true},
               {"/fleet:fleet/log/lines", false, true},
               {"/fleet:fleet/ship[owner='ann'][name='gull']", true, false},
               {"/fleet:harbours", true, false},
               {"/fleet:fleet/*", true, true},
               {"/fleet:fleet/ship/*", true, false},
               {"//*", true, true},
               {"/fleet:nothing", false, false},
               {"/fleet:fleet[", false, false}};
  for (const auto& row : table) {
    EXPECT_EQ(CanSelect(*Fleet(), row.xpath, Kind::kConfiguration), row.configuration) << row.xpath;
    EXPECT_EQ(CanSelect(*Fleet(), row.xpath, Kind::kState), row.state) << row.xpath;
  }
}

}  // namespace
}  // namespace portolan::yang
