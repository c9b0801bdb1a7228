#include "plugins/sdk/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portolan::plugin {
namespace {

class Greeter : public Stage {
 public:
  static constexpr char kExtensionPoint[] = "greeter";
  explicit Greeter(std::string word) : word_(std::move(word)) {}
  const std::string& word() const { return word_; }

 private:
  const std::string word_;
};

class Other : public Stage {
 public:
  static constexpr char kExtensionPoint[] = "greeter";
};

std::unique_ptr<Factory> GreeterFactory(const std::string& name) {
  return std::make_unique<FunctionFactory<Greeter>>(
      name, [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<Greeter>> {
        if (settings == "bad") return absl::InvalidArgumentError("settings: bad");
        return std::make_unique<Greeter>(std::string(settings));
      });
}

TEST(Registry, MakesAStageOutOfSettings) {
  Registry registry;
  ASSERT_TRUE(registry.Register(GreeterFactory("formal")).ok());
  auto stage = registry.Create<Greeter>("formal", "good day");
  ASSERT_TRUE(stage.ok()) << stage.status();
  EXPECT_EQ((*stage)->word(), "good day");
}

TEST(Registry, KnowsTheModulesThatItsFactoriesBring) {
  Registry registry;
  ASSERT_TRUE(registry.Register(GreeterFactory("plain")).ok());
  ASSERT_TRUE(registry
                  .Register(std::make_unique<FunctionFactory<Greeter>>(
                      "modelled", [](absl::string_view) { return std::make_unique<Greeter>("x"); },
                      "module greeter {}"))
                  .ok());
  EXPECT_THAT(registry.YangModules(), ::testing::ElementsAre("module greeter {}"));
}

TEST(Registry, NamesAreSortedPerExtensionPoint) {
  Registry registry;
  ASSERT_TRUE(registry.Register(GreeterFactory("b")).ok());
  ASSERT_TRUE(registry.Register(GreeterFactory("a")).ok());
  EXPECT_THAT(registry.Names("greeter"), testing::ElementsAre("a", "b"));
  EXPECT_THAT(registry.Names("address-picker"), testing::IsEmpty());
}

TEST(Registry, ASecondFactoryOfTheSameNameIsRefused) {
  Registry registry;
  ASSERT_TRUE(registry.Register(GreeterFactory("a")).ok());
  EXPECT_EQ(registry.Register(GreeterFactory("a")).code(), absl::StatusCode::kAlreadyExists);
}

TEST(Registry, AnUnknownNameListsWhatThereIs) {
  Registry registry;
  ASSERT_TRUE(registry.Register(GreeterFactory("a")).ok());
  absl::Status status = registry.Create<Greeter>("c", "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "there is no greeter \"c\"; there are: a");
}

TEST(Registry, BadSettingsAreTheFactorysOwnError) {
  Registry registry;
  ASSERT_TRUE(registry.Register(GreeterFactory("a")).ok());
  EXPECT_EQ(registry.Create<Greeter>("a", "bad").status().message(), "settings: bad");
}

TEST(Registry, AStageOfAnotherKindIsOurBugAndSaysSo) {
  Registry registry;
  ASSERT_TRUE(registry.Register(GreeterFactory("a")).ok());
  EXPECT_EQ(registry.Create<Other>("a", "").status().code(), absl::StatusCode::kInternal);
}

TEST(ExpectNoSettings, TakesOnlyNothing) {
  EXPECT_TRUE(ExpectNoSettings("x", "").ok());
  EXPECT_TRUE(ExpectNoSettings("x", " { } \n").ok());
  EXPECT_FALSE(ExpectNoSettings("x", "{\"a\":1}").ok());
  EXPECT_FALSE(ExpectNoSettings("x", "{").ok());
}

}  // namespace
}  // namespace portolan::plugin
