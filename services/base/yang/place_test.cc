#include "services/base/yang/place.h"

#include <gtest/gtest.h>

#include <string>

namespace portolan::yang {
namespace {

constexpr char kText[] = R"({
  "shop:shop": {
    "note": "a \"quoted\" } ] , : text",
    "shelf": [
      {"name": "a", "book": ["x", "y"]},
      {
        "book": [
          "x",
          "it's"
        ],
        "width": 7,
        "name": "it's \u0062",
        "hook": [{"id": 1},
                 {"id": 2, "colour": "red"}]
      }
    ]
  },
  "shop:yard": {}
}
)";

TEST(LineOf, FindsNodesByPath) {
  const std::string shelf = "/shop:shop/shelf[name=\"it's b\"]";
  const struct {
    std::string path;
    int line;
  } cases[] = {
      {"/shop:shop", 2},
      {"/shop:shop/note", 3},
      {"/shop:shop/shelf[name='a']", 5},
      {"/shop:shop/shelf[name='a']/book[.='y']", 5},
      {shelf, 6},
      {shelf + "/width", 11},
      {shelf + "/book[.=\"it's\"]", 9},
      {shelf + "/hook[id='2']/colour", 14},
      {shelf + "/hook[id='2'][colour='shop:red']", 14},
      {"/shop:yard", 18},
  };
  for (const auto& c : cases) EXPECT_EQ(LineOf(kText, c.path), c.line) << c.path;
}

TEST(LineOf, OfAMissingLeafIsItsEntry) {
  EXPECT_EQ(LineOf(kText, "/shop:shop/shelf[name='a']/width"), 5);
  EXPECT_EQ(LineOf(kText, "/shop:yard/size"), 18);
}

TEST(LineOf, IsZeroForWhatIsElsewhere) {
  for (const char* path : {"", "/", "shop", "/mall:mall", "/shop:shop/shelf[name='z']/width",
                           "/shop:shop/shelf[name='", "/shop:shop[", "/shop:shop/desk/leg"}) {
    EXPECT_EQ(LineOf(kText, path), 0) << path;
  }
  EXPECT_EQ(LineOf("<shop/>", "/shop:shop"), 0);
  EXPECT_EQ(LineOf("", "/shop:shop"), 0);
}

TEST(LineOf, EndsOnTextsThatAreCutShort) {
  const std::string whole = kText;
  for (size_t size = 0; size < whole.size(); ++size) {
    LineOf(whole.substr(0, size), "/shop:shop/shelf[name=\"it's b\"]/hook[id='2']/colour");
  }
}

}  // namespace
}  // namespace portolan::yang
