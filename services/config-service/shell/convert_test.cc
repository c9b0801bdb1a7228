#include "services/config-service/shell/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "services/config-service/core/diff.h"
#include "services/config-service/core/validate.h"
#include "services/config-service/shell/from_yang.h"
#include "services/config-service/shell/model.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kTestData[] = "services/config-service/testdata/";

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_TRUE(in) << path;
  return text.str();
}

const Model& TheModel() {
  static const auto model = Model::Create().value();
  return *model;
}

Configuration Load(const std::string& text) {
  Prepared prepared = TheModel().Replace(text, yang::Format::kGuess, "test");
  EXPECT_TRUE(prepared.candidate.has_value()) << ToText(prepared.problems);
  return *std::move(prepared.candidate);
}

Configuration EveryLeaf() { return Load(ReadFile(std::string(kTestData) + "every-leaf.json")); }

// The messages of one entry.
std::vector<std::unique_ptr<google::protobuf::Message>> Messages(const Change& change) {
  std::vector<std::unique_ptr<google::protobuf::Message>> messages;
  std::visit(
      [&]<typename T>(const T& object) {
        if constexpr (std::is_same_v<T, Service>) {
          messages.emplace_back(
              std::make_unique<intent::v1alpha1::ServiceIntent>(ToIntent(object, 7)));
          messages.emplace_back(
              std::make_unique<intent::v1alpha1::BackendSet>(ToBackends(object, 7)));
        } else {
          auto proto = ToProto(object);
          messages.emplace_back(std::make_unique<decltype(proto)>(std::move(proto)));
        }
      },
      change.object);
  return messages;
}

void NoteSetFields(const google::protobuf::Message& message, std::set<std::string>* set) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const auto* field : fields) {
    set->insert(field->full_name());
    if (field->message_type() == nullptr || field->is_map()) continue;
    if (field->is_repeated()) {
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        NoteSetFields(message.GetReflection()->GetRepeatedMessage(message, field, i), set);
      }
    } else {
      NoteSetFields(message.GetReflection()->GetMessage(message, field), set);
    }
  }
}

TEST(Convert, EveryLeafReachesItsField) {
  const Configuration candidate = EveryLeaf();
  EXPECT_THAT(Validate(candidate.snapshot()), IsEmpty());
  google::protobuf::TextFormat::Printer printer;
  std::string text;
  for (const Change& change : Diff(Snapshot(), candidate.snapshot())) {
    for (const auto& message : Messages(change)) {
      std::string body;
      ASSERT_TRUE(printer.PrintToString(*message, &body));
      text += "# " + message->GetDescriptor()->name() + " " + change.key + "\n" + body;
    }
  }
  // To accept a wanted change, copy this file over the golden one.
  std::ofstream(std::string(std::getenv("TEST_TMPDIR")) + "/every-leaf.txtpb") << text;
  EXPECT_EQ(text, ReadFile(std::string(kTestData) + "every-leaf.txtpb"));
}

TEST(Convert, EveryFieldOfTheMessagesIsFilled) {
  std::set<std::string> set;
  std::set<const google::protobuf::Descriptor*> types;
  for (const Change& change : Diff(Snapshot(), EveryLeaf().snapshot())) {
    for (const auto& message : Messages(change)) {
      NoteSetFields(*message, &set);
      types.insert(message->GetDescriptor());
    }
  }
  EXPECT_EQ(types.size(), 17u);
  // `enabled` of the stage and of the peer: false there, true in the defaults test.
  // `allow_renumber` is no leaf: the commit sets it, see service_test.
  const std::set<std::string> elsewhere = {"portolan.config.v1alpha1.BgpPeer.enabled",
                                           "portolan.config.v1alpha1.IpamSettings.allow_renumber",
                                           "portolan.config.v1alpha1.Pool.auto_assign",
                                           "portolan.config.v1alpha1.Pool.allow_first_last"};
  for (const auto* type : types) {
    for (int i = 0; i < type->field_count(); ++i) {
      const std::string name = type->field(i)->full_name();
      EXPECT_TRUE(set.count(name) > 0 || elsewhere.count(name) > 0) << name;
    }
  }
}

void CollectLeaves(const yang::Node& first, std::vector<std::string>* paths) {
  for (yang::Node node = first; node; node = node.next_sibling()) {
    if (node.is_default()) continue;
    if (node.first_child()) {
      CollectLeaves(node.first_child(), paths);
    } else {
      paths->push_back(node.path());
    }
  }
}

TEST(FromYang, NoLeafCanBeRemovedUnnoticed) {
  const Configuration candidate = EveryLeaf();
  const yang::Tree tree = candidate.ToTree();
  std::vector<std::string> paths;
  for (const char* top : {"system", "ipam", "l2", "bgp", "datapath", "pipeline"}) {
    CollectLeaves(tree.Top(std::string("portolan-") + top, top).first_child(), &paths);
  }
  CollectLeaves(tree.Top("portolan-service", "services").first_child(), &paths);
  int removed = 0;
  for (const std::string& path : paths) {
    const Prepared prepared = TheModel().Delete(candidate, path);
    if (!prepared.candidate.has_value()) continue;  // a key, or needed
    ++removed;
    EXPECT_NE(prepared.candidate->snapshot(), candidate.snapshot()) << path;
  }
  EXPECT_GT(removed, 60) << "of " << paths.size();
}

TEST(FromYang, BothFormatsAndTheOrderOfEntriesGiveTheSameValues) {
  const Configuration candidate = EveryLeaf();
  const Configuration xml =
      Load(candidate.ToTree().Print(yang::Format::kXml, yang::Defaults::kExplicit));
  EXPECT_EQ(xml.snapshot(), candidate.snapshot());
  const Configuration all =
      Load(candidate.ToTree().Print(yang::Format::kJson, yang::Defaults::kAll));
  EXPECT_EQ(all.snapshot(), candidate.snapshot());

  const Configuration one = Load(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p",
      "namespace": ["a", "b"], "blocks": {"block": [{"id": "1", "cidr": "20.0.0.0/24"},
      {"id": "2", "cidr": "20.0.1.0/24"}]}}]}}})");
  const Configuration other = Load(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p",
      "namespace": ["b", "a"], "blocks": {"block": [{"id": "2", "cidr": "20.0.1.0/24"},
      {"id": "1", "cidr": "20.0.0.0/24"}]}}]}}})");
  EXPECT_EQ(one.snapshot(), other.snapshot());
}

TEST(FromYang, DefaultsComeFromTheModel) {
  const Configuration candidate = Load(R"({
    "portolan-ipam:ipam": {"pools": {"pool": [{"name": "p"}]}},
    "portolan-bgp:bgp": {"instances": {"instance": [{"name": "i", "local-as": 1,
        "peers": {"peer": [{"name": "x", "address": "10.0.0.1", "remote-as": 2}]}}]}},
    "portolan-service:services": {"service": [{"namespace": "a", "name": "b",
        "port": [{"name": "http", "port": 80}], "backend": [{"id": "1", "address": "10.0.0.2"}]}]},
    "portolan-pipeline:pipeline": {"stages": {"stage": [{"name": "l2"}]}}})");
  const Snapshot& snapshot = candidate.snapshot();
  const Pool& pool = snapshot.pools.at("p");
  EXPECT_TRUE(pool.auto_assign);
  EXPECT_TRUE(pool.allow_first_last);
  EXPECT_FALSE(pool.disabled);
  EXPECT_FALSE(pool.service_selector.has_value());
  const BgpPeer& peer = snapshot.bgp_peers.at("i/x");
  EXPECT_EQ(peer.port, 179u);
  EXPECT_EQ(peer.hold_time_s, 90u);
  EXPECT_TRUE(peer.enabled);
  const Service& service = *snapshot.services.at("a/b");
  EXPECT_EQ(service.ports[0].protocol, Protocol::kTcp);
  EXPECT_EQ(service.ports[0].target_port, 80u);
  EXPECT_EQ(service.backends[0].weight, 1u);
  EXPECT_TRUE(snapshot.pipeline_stages.at("l2").enabled);
}

TEST(FromYang, WhatNoServiceReadsYetIsNamedAsSuch) {
  EXPECT_THAT(
      EveryLeaf().snapshot().not_in_force,
      ElementsAre("/portolan-bgp:bgp/instances/instance[name='main']/peers/peer[name='tor']/"
                  "bfd-profile",
                  "/portolan-bfd:bfd/profiles/profile[name='fast']",
                  "/portolan-router:router-integration"));
  EXPECT_THAT(TheModel().Empty().snapshot().not_in_force, IsEmpty());
}

TEST(FromYang, AReferenceToABfdProfileThatIsNotThereIsRefused) {
  const Prepared prepared = TheModel().Merge(
      TheModel().Empty(), R"({"portolan-bgp:bgp": {"instances": {"instance": [{"name": "i",
          "local-as": 1, "peers": {"peer": [{"name": "x", "address": "10.0.0.1", "remote-as": 2,
          "bfd-profile": "none"}]}}]}}})",
      yang::Format::kJson, "");
  ASSERT_FALSE(prepared.candidate.has_value());
  EXPECT_EQ(prepared.problems.at(0).path,
            "/portolan-bgp:bgp/instances/instance[name='i']/peers/peer[name='x']/bfd-profile");
}

TEST(FromYang, NothingConfiguredStillHasSettings) {
  const Snapshot snapshot = TheModel().Empty().snapshot();
  EXPECT_EQ(snapshot.ipam_settings.at("settings").address_picker, "lowest-free");
  EXPECT_GT(snapshot.l2_settings.at("settings").heartbeat_interval_ms, 0u);
  EXPECT_GT(snapshot.datapath_settings.at("settings").max_flows, 0u);
  EXPECT_EQ(Diff(Snapshot(), snapshot).size(), 3u);
}

}  // namespace
}  // namespace portolan::config
