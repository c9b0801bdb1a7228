// Settings of plugins as YANG has them: modules that come with plugins, beside ours.
#include "services/config-service/shell/plugin_modules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/builtin/builtin.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kExample[] = "plugins/examples/highest_free/";

std::vector<PluginModule> Modules() {
  std::vector<std::string> problems;
  std::vector<PluginModule> modules = BuiltinModules(plugin::NewBuiltinRegistry().YangModules());
  for (PluginModule& module : ReadPluginModules(kExample, &problems)) {
    modules.push_back(std::move(module));
  }
  EXPECT_THAT(problems, IsEmpty());
  return modules;
}

const Model& TheModel() {
  static const auto* const model =
      new std::shared_ptr<const Model>(Model::Create(Modules(), nullptr).value());
  return **model;
}

Prepared Load(const std::string& plugin) {
  return TheModel().Replace(
      absl::StrCat(R"({"portolan-system:system": {"plugins": {"plugin": [)", plugin, "]}}}"),
      yang::Format::kJson, "");
}

std::string SettingsOf(const std::string& plugin) {
  const Prepared prepared = Load(plugin);
  EXPECT_TRUE(prepared.candidate.has_value()) << prepared.problems.front().message;
  return prepared.candidate.value().snapshot().plugins.begin()->second.settings;
}

TEST(PluginModules, SettingsAsNodesReachThePluginAsJson) {
  EXPECT_EQ(SettingsOf(R"({"extension-point": "address-picker", "name": "longest-unused",
      "portolan-picker-longest-unused:longest-unused": {"cool-down": 300}})"),
            R"({"cool-down":300})");
  EXPECT_EQ(SettingsOf(R"({"extension-point": "address-picker", "name": "random",
      "portolan-picker-random:random": {"seed": "18446744073709551615"}})"),
            R"({"seed":"18446744073709551615"})");
  // Of a shared object, with what holds by default.
  EXPECT_EQ(SettingsOf(R"({"extension-point": "address-picker", "name": "highest-free",
      "path": "/x.so", "portolan-picker-highest-free:highest-free": {}})"),
            R"({"skip":0})");
}

TEST(PluginModules, SettingsAsTextStayAsTheyAre) {
  EXPECT_EQ(SettingsOf(R"({"extension-point": "address-picker", "name": "random",
      "settings": "{\"seed\": 7}"})"),
            R"({"seed": 7})");
}

TEST(PluginModules, AWrongSettingIsRefusedWithItsPath) {
  const struct {
    const char* plugin;
    const char* path;
    const char* message;
  } kCases[] = {
      {R"({"extension-point": "address-picker", "name": "longest-unused",
           "portolan-picker-longest-unused:longest-unused": {"cool-down": 31536001}})",
       "longest-unused", "the cool-down is 0 to 31536000 seconds"},
      {R"({"extension-point": "address-picker", "name": "highest-free", "path": "/x.so",
           "portolan-picker-highest-free:highest-free": {"skip": 65536}})",
       "highest-free", "skip is 0 to 65535"},
      {R"({"extension-point": "address-picker", "name": "random",
           "portolan-picker-random:random": {"sed": "1"}})",
       "random", "sed"},
      // Of another picker.
      {R"({"extension-point": "address-picker", "name": "lowest-free", "path": "/x.so",
           "portolan-picker-random:random": {"seed": "1"}})",
       "random", "not satisfied"},
      {R"({"extension-point": "address-picker", "name": "random", "settings": "{\"seed\": 7}",
           "portolan-picker-random:random": {"seed": "1"}})",
       "random", "not as both"},
  };
  for (const auto& c : kCases) {
    const Prepared prepared = Load(c.plugin);
    ASSERT_FALSE(prepared.candidate.has_value()) << c.plugin;
    EXPECT_THAT(prepared.problems.front().path, HasSubstr(c.path)) << c.plugin;
    EXPECT_THAT(prepared.problems.front().message, HasSubstr(c.message)) << c.plugin;
  }
}

TEST(PluginModules, TheyAreListedAndTheirTextCanBeHad) {
  const yang::Context& context = *TheModel().context();
  EXPECT_EQ(context.Revision("portolan-picker-highest-free"), "2026-11-27");
  EXPECT_THAT(context.Source("portolan-picker-random", "").value_or(""), HasSubstr("leaf seed"));
}

TEST(PluginModules, OneThatDoesNotCompileIsLeftOutAndTheOthersStay) {
  std::vector<PluginModule> modules = Modules();
  modules.insert(modules.begin(), {"/a/bad.yang", "module bad { nonsense; }"});
  modules.push_back({"/a/none.yang", "not even that"});
  modules.push_back({"/a/ours.yang", "module portolan-ipam { namespace \"x\"; prefix x; }"});
  std::vector<std::string> refused;
  const auto model = Model::Create(modules, &refused);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->context()->Revision("portolan-picker-random"), "2026-11-27");
  EXPECT_THAT(refused, UnorderedElementsAre(HasSubstr("/a/bad.yang"), HasSubstr("/a/none.yang"),
                                            HasSubstr("/a/ours.yang")));
}

TEST(PluginModules, ADirectoryThatIsNotThereHasNone) {
  std::vector<std::string> problems;
  EXPECT_THAT(ReadPluginModules("/nowhere/at/all", &problems), IsEmpty());
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_THAT(ReadPluginModules("/proc/self/cmdline", &problems), IsEmpty());
  EXPECT_THAT(problems, ElementsAre(HasSubstr("/proc/self/cmdline")));
}

}  // namespace
}  // namespace portolan::config
