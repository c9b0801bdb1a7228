#include "services/config-service/shell/netconf/notice_text.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/base/yang/filter.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {
namespace {

using Leaves = std::vector<std::pair<const char*, std::string>>;

// One of each, with all that it can say.
std::vector<Notice> Notices() {
  const Leaves place = {
      {"node", "a"}, {"interface", "eth0"}, {"address", "2001:db8::1"}, {"service", "n/s"}};
  const Leaves peer = {{"node", "a"},
                       {"instance", "i"},
                       {"peer", "tor"},
                       {"address", "192.0.2.2"},
                       {"remote-as", "4200000001"}};
  const auto with = [](Leaves leaves, const Leaves& more) {
    leaves.insert(leaves.end(), more.begin(), more.end());
    return leaves;
  };
  return {
      {"portolan-events",
       "address-assigned",
       {{"service", "n/s"}, {"address", "192.0.2.1"}, {"pool", "p"}, {"adopted", "true"}}},
      {"portolan-events",
       "address-released",
       {{"service", "n/s"}, {"address", "192.0.2.1"}, {"pool", "p"}}},
      {"portolan-events",
       "pool-nearly-full",
       {{"pool", "p"}, {"family", "ipv4"}, {"used", "9"}, {"available", "1"}, {"threshold", "90"}}},
      {"portolan-events", "pool-exhausted", {{"pool", "p"}, {"family", "ipv6"}, {"used", "9"}}},
      {"portolan-events",
       "pool-relieved",
       {{"pool", "p"}, {"family", "ipv4"}, {"used", "1"}, {"available", "9"}}},
      {"portolan-events",
       "pool-conflict",
       {{"pool", "p"}, {"conflicts-with", "q"}, {"message", "<a> & b"}}},
      {"portolan-events", "pool-conflict-ended", {{"pool", "p"}}},
      {"portolan-events", "ownership-gained", with(place, {{"mac", "02:00:00:00:00:01"}})},
      {"portolan-events", "ownership-lost", with(place, {{"owner", "b"}})},
      {"portolan-events", "address-conflict", with(place, {{"rival", "02:00:00:00:00:66"}})},
      {"portolan-events", "address-conflict-ended", place},
      {"portolan-events", "peer-established", with(peer, {{"hold-time", "90"}})},
      {"portolan-events", "peer-backward-transition",
       with(peer, {{"state", "idle"}, {"reason", "Cease: \x01shutdown"}})},
  };
}

TEST(NoticeText, EveryNoticeFitsItsModule) {
  const auto context = Model::Create().value()->context();
  for (const Notice& notice : Notices()) {
    const auto tree = yang::ParseNotification(context, ToXml(notice));
    ASSERT_TRUE(tree.ok()) << ToXml(notice) << ": " << tree.status();
    EXPECT_EQ(tree->first().module(), notice.module);
    for (const auto& [leaf, value] : notice.leaves) {
      EXPECT_TRUE(tree->first().Child(leaf)) << notice.name << " " << leaf;
    }
  }
}

TEST(NoticeText, EveryNoticeOfTheModulesIsTold) {
  const auto context = Model::Create().value()->context();
  std::set<std::string> told;
  for (const Notice& notice : Notices())
    told.insert(std::string(notice.module) + ":" + notice.name);
  for (const char* module : {"portolan-events"}) {
    const std::string source = context->Source(module, "").value();
    const std::string statement = "\n  notification ";
    for (size_t at = source.find(statement); at != std::string::npos;
         at = source.find(statement, at + 1)) {
      const size_t begin = at + statement.size();
      const std::string name = source.substr(begin, source.find(' ', begin) - begin);
      EXPECT_EQ(told.count(std::string(module) + ":" + name), 1u) << name;
    }
  }
}

TEST(NoticeText, EveryNoticeIsAboutAnEntryOfTheState) {
  const auto context = Model::Create().value()->context();
  for (const Notice& notice : Notices()) {
    const std::string place = PlaceOf(notice);
    const auto tree = yang::ParseState(context, place, yang::Format::kJson);
    ASSERT_TRUE(tree.ok()) << notice.name << " " << place << ": " << tree.status();
    EXPECT_TRUE(tree->first().first_child().first_child().first_child().is_key()) << place;
  }
}

TEST(NoticeText, WhatAPeerSaysIsXml) {
  const Notice notice = {"portolan-events", "peer-backward-transition", {{"reason", "<\x02&>"}}};
  EXPECT_EQ(
      ToXml(notice),
      "<peer-backward-transition xmlns=\"urn:portolan:yang:portolan-events\"><reason>&lt; &amp;"
      "&gt;</reason></peer-backward-transition>");
}

}  // namespace
}  // namespace portolan::config
