#include "tools/portolan/printer.h"

#include <gtest/gtest.h>

#include <sstream>

#include "nlohmann/json.hpp"

namespace portolan::cli {
namespace {

std::string Print(const Printer& printer, Output output) {
  std::ostringstream out;
  printer.Print(out, output);
  return out.str();
}

TEST(PrinterTest, AlignsColumnsAndLeavesNoSpacesAtTheEnd) {
  Printer printer({"SERVICE", "ADDRESSES[]", "STATE"});
  printer.Add({{"tenant-a/blue"}, {"20.0.10.0", "2001:db8::"}, {"ready"}});
  printer.Add({{"b/c"}, {}, {"pending"}});
  EXPECT_EQ(Print(printer, Output::kTable),
            "SERVICE         ADDRESSES              STATE\n"
            "tenant-a/blue   20.0.10.0,2001:db8::   ready\n"
            "b/c             -                      pending\n");
}

TEST(PrinterTest, JsonHasOneShapeWhetherACellHasNoneOneOrTwoValues) {
  Printer printer({"ADDRESS", "BGP PEERS[]"});
  printer.Add({{"a/b"}, {}});
  printer.Add({{"a/c"}, {"tor"}});
  const auto json = nlohmann::json::parse(Print(printer, Output::kJson));
  EXPECT_EQ(json[0]["address"], "a/b");
  EXPECT_EQ(json[0]["bgp-peers"], nlohmann::json::array());
  EXPECT_EQ(json[1]["bgp-peers"], nlohmann::json::array({"tor"}));
}

TEST(PrinterTest, AnEmptyTableIsAHeaderAndAnEmptyArray) {
  const Printer printer({"POOL"});
  EXPECT_EQ(Print(printer, Output::kTable), "POOL\n");
  EXPECT_EQ(nlohmann::json::parse(Print(printer, Output::kJson)), nlohmann::json::array());
}

}  // namespace
}  // namespace portolan::cli
