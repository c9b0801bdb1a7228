#include "services/datapath-loader/shell/service_names.h"

#include <gtest/gtest.h>

namespace portolan::datapath {
namespace {

FrontendKey Key(uint16_t port) { return {*net::IpAddress::Parse("20.0.10.1"), port, kTcp}; }

TEST(ServiceNamesTest, AnIdThatWentToAnotherFrontendIsNotForgottenWithTheFirst) {
  ServiceNames names;
  names.Learn({.key = Key(80), .service = "ns/old", .id = 1, .backends = 1});
  names.Learn({.key = Key(81), .service = "ns/new", .id = 1, .backends = 1});
  names.Forget(Key(80));
  EXPECT_EQ(names.ServiceOf(1), "ns/new");
  EXPECT_EQ(names.ServiceOf(Key(80)), "");
  EXPECT_TRUE(names.FrontendsOf("ns/old").empty());
  EXPECT_EQ(names.FrontendsOf("ns/new"), std::vector<uint32_t>{1});
}

TEST(ServiceNamesTest, AFrontendThatChangesItsServiceHasOne) {
  ServiceNames names;
  names.Learn({.key = Key(80), .service = "ns/a", .id = 1, .backends = 1});
  names.Learn({.key = Key(80), .service = "ns/b", .id = 2, .backends = 1});
  EXPECT_EQ(names.ServiceOf(Key(80)), "ns/b");
  EXPECT_EQ(names.ServiceOf(1), "");
  EXPECT_TRUE(names.FrontendsOf("ns/a").empty());
  names.Forget(Key(80));
  names.Forget(Key(80));
  EXPECT_TRUE(names.FrontendsOf("ns/b").empty());
}

}  // namespace
}  // namespace portolan::datapath
