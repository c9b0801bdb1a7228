// Address pickers: defaults, plugins that answer at once, plugins that answer later, and failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FunctionPicker : public plugin::AddressPicker {
 public:
  using Function = std::function<plugin::PickResult(const plugin::PickRequest&)>;
  explicit FunctionPicker(Function function) : function_(std::move(function)) {}
  plugin::PickResult Pick(const plugin::PickRequest& request) const override {
    return function_(request);
  }

 private:
  const Function function_;
};

class EnginePickerTest : public testing::Test {
 protected:
  EnginePickerTest() { world_.Start(); }
  ~EnginePickerTest() override { EXPECT_THAT(world_.problems, IsEmpty()); }

  void SetPicker(FunctionPicker::Function function, bool fail_open) {
    world_.Send(PickerChanged{.name = "mine",
                              .stage = std::make_shared<FunctionPicker>(std::move(function)),
                              .fail_open = fail_open});
  }
  void SetRemotePicker(bool fail_open) {
    world_.Send(PickerChanged{.name = "mine",
                              .stage = std::make_shared<plugin::DeferringPicker>(),
                              .fail_open = fail_open});
  }
  PoolConfig MyPool() {
    PoolConfig pool = PoolOf("p", {"10.0.0.0/24"});
    pool.address_picker = "mine";
    return pool;
  }

  Disk disk_;
  World world_{&disk_};
};

TEST_F(EnginePickerTest, TheDefaultIsLowestFreeAndSettingsChangeIt) {
  world_.Add(PoolOf("p", {"10.0.0.0/24"}));
  world_.Add(ServiceOf("default/a"));
  EXPECT_EQ(world_.AddressesOf("default/a"), "10.0.0.1");
  world_.Send(SettingsChanged{"stable-hash"});
  world_.Add(ServiceOf("default/b"));
  const std::string hashed = world_.AddressesOf("default/b");
  EXPECT_NE(hashed, "10.0.0.2");
  world_.RemoveService("default/b");
  world_.Add(ServiceOf("default/c"));
  world_.Add(ServiceOf("default/b"));
  EXPECT_EQ(world_.AddressesOf("default/b"), hashed);
}

TEST_F(EnginePickerTest, APluginMayChooseFromTheTop) {
  SetPicker(
      [](const plugin::PickRequest& request) {
        return plugin::PickResult::Address(
            request.free->LastFree(request.free->usable().back().last())->last());
      },
      false);
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/a"));
  world_.Add(ServiceOf("default/b"));
  EXPECT_EQ(world_.AddressesOf("default/a"), "10.0.0.254");
  EXPECT_EQ(world_.AddressesOf("default/b"), "10.0.0.253");
}

TEST_F(EnginePickerTest, ADecliningPickerLeavesTheNextPoolToServe) {
  SetPicker([](const auto&) { return plugin::PickResult::Declined("not for you"); }, false);
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/web"));
  EXPECT_EQ(world_.ReasonOf("default/web"), "picker-declined");
  EXPECT_THAT(world_.StatusOf("default/web")->message, HasSubstr("not for you"));
  world_.Add(PoolOf("q", {"10.0.1.0/24"}));
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.1.1");
}

TEST_F(EnginePickerTest, AnAddressThatIsNotFreeIsAFailureOfThePicker) {
  const auto outside = [](const auto&) {
    return plugin::PickResult::Address(Address("192.0.2.1"));
  };
  SetPicker(outside, /*fail_open=*/false);
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/web"));
  EXPECT_EQ(world_.AddressesOf("default/web"), "");
  EXPECT_EQ(world_.ReasonOf("default/web"), "picker-failed");
  EXPECT_THAT(world_.StatusOf("default/web")->message,
              HasSubstr("it chose 192.0.2.1, which is not free"));
  SetPicker(outside, /*fail_open=*/true);
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.1");
}

TEST_F(EnginePickerTest, AnUnknownPickerIsWaitedFor) {
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/web"));
  EXPECT_EQ(world_.ReasonOf("default/web"), "picker-unknown");
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(world_.PoolStatusOf("p")->reason, "picker-unknown");
  SetPicker([](const auto&) { return plugin::PickResult::Address(Address("10.0.0.7")); }, false);
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.7");
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(world_.PoolStatusOf("p")->reason, "active");
}

TEST_F(EnginePickerTest, APickerThatCannotBeLoadedFailsAsDeclared) {
  world_.Send(PickerChanged{.name = "mine", .error = absl::NotFoundError("no such file")});
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/web"));
  EXPECT_EQ(world_.ReasonOf("default/web"), "picker-failed");
  EXPECT_THAT(world_.StatusOf("default/web")->message, HasSubstr("no such file"));
  world_.Send(PickerChanged{
      .name = "mine", .error = absl::NotFoundError("no such file"), .fail_open = true});
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.1");
}

TEST_F(EnginePickerTest, ARemovedPluginUncoversTheBuiltInOfItsName) {
  world_.Send(PickerChanged{.name = "lowest-free",
                            .stage = std::make_shared<FunctionPicker>([](const auto&) {
                              return plugin::PickResult::Address(Address("10.0.0.99"));
                            })});
  world_.Add(PoolOf("p", {"10.0.0.0/24"}));
  world_.Add(ServiceOf("default/a"));
  world_.Send(PickerRemoved{"lowest-free"});
  world_.Add(ServiceOf("default/b"));
  EXPECT_EQ(world_.AddressesOf("default/a"), "10.0.0.99");
  EXPECT_EQ(world_.AddressesOf("default/b"), "10.0.0.1");
}

// ---- pickers in another process ----

TEST_F(EnginePickerTest, ADeferredPickIsAskedOnceAndTheAnswerAssigns) {
  SetRemotePicker(false);
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/web"));
  world_.Add(ServiceOf("default/web", {{"touched", "again"}}));
  ASSERT_THAT(world_.asked, SizeIs(1));
  EXPECT_EQ(world_.asked[0].picker, "mine");
  EXPECT_EQ(world_.asked[0].service, "default/web");
  EXPECT_EQ(world_.asked[0].pool, "p");
  EXPECT_THAT(world_.asked[0].free, SizeIs(1));
  EXPECT_EQ(world_.ReasonOf("default/web"), "picker-asked");
  world_.Send(PickAnswered{.ask = world_.asked[0].ask, .address = Address("10.0.0.42")});
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.42");
  world_.Send(PickAnswered{.ask = world_.asked[0].ask, .address = Address("10.0.0.43")});
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.42");
}

TEST_F(EnginePickerTest, FailOpenFallsBackToTheLowestFreeAddress) {
  SetRemotePicker(/*fail_open=*/true);
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/web"));
  world_.Send(PickAnswered{.ask = world_.asked.at(0).ask,
                           .address = absl::DeadlineExceededError("no answer in 100ms")});
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.1");
}

TEST_F(EnginePickerTest, FailClosedWaitsWithTheReasonAndAsksAgain) {
  SetRemotePicker(/*fail_open=*/false);
  world_.Add(MyPool());
  world_.Add(PoolOf("q", {"10.0.1.0/24"}));
  world_.Add(ServiceOf("default/web"));
  world_.Send(PickAnswered{.ask = world_.asked.at(0).ask,
                           .address = absl::DeadlineExceededError("no answer in 100ms")});
  EXPECT_EQ(world_.AddressesOf("default/web"), "");
  EXPECT_EQ(world_.ReasonOf("default/web"), "picker-failed");
  EXPECT_THAT(world_.StatusOf("default/web")->message, HasSubstr("no answer in 100ms"));
  ASSERT_THAT(world_.asked, SizeIs(1));
  world_.Advance(absl::Seconds(1));
  ASSERT_THAT(world_.asked, SizeIs(2));
  world_.Send(PickAnswered{.ask = world_.asked[1].ask, .address = Address("10.0.0.9")});
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.9");
}

TEST_F(EnginePickerTest, ARemoteDeclineGoesOnToTheNextPool) {
  SetRemotePicker(false);
  world_.Add(MyPool());
  world_.Add(PoolOf("q", {"10.0.1.0/24"}));
  world_.Add(ServiceOf("default/web"));
  world_.Send(
      PickAnswered{.ask = world_.asked.at(0).ask, .address = std::nullopt, .message = "no thanks"});
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.1.1");
}

TEST_F(EnginePickerTest, AnAnswerThatSomebodyElseTookMeanwhileIsAskedAgain) {
  SetRemotePicker(false);
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/web"));
  ServiceRequest fast = ServiceOf("default/fast");
  fast.requested_addresses = {"10.0.0.5"};
  world_.Add(fast);
  world_.Send(PickAnswered{.ask = world_.asked.at(0).ask, .address = Address("10.0.0.5")});
  ASSERT_THAT(world_.asked, SizeIs(2));
  world_.Send(PickAnswered{.ask = world_.asked[1].ask, .address = Address("10.0.0.6")});
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.6");
}

TEST_F(EnginePickerTest, AStubbornPickerIsNotAskedForEver) {
  SetRemotePicker(false);
  world_.Add(MyPool());
  ServiceRequest holder = ServiceOf("default/holder");
  holder.requested_addresses = {"10.0.0.5"};
  world_.Add(holder);
  world_.Add(ServiceOf("default/web"));
  for (size_t i = 0; i < world_.asked.size() && i < 100; ++i) {
    world_.Send(PickAnswered{.ask = world_.asked[i].ask, .address = Address("10.0.0.5")});
  }
  EXPECT_LT(world_.asked.size(), 20u);
  EXPECT_EQ(world_.ReasonOf("default/web"), "picker-failed");
}

TEST_F(EnginePickerTest, AnswersForServicesAndPoolsThatAreGoneAreIgnored) {
  SetRemotePicker(false);
  world_.Add(MyPool());
  world_.Add(ServiceOf("default/gone"));
  world_.Add(ServiceOf("default/web"));
  ASSERT_THAT(world_.asked, SizeIs(2));
  world_.RemoveService("default/gone");
  world_.RemovePool("p");
  world_.Send(PickAnswered{.ask = world_.asked[0].ask, .address = Address("10.0.0.1")});
  world_.Send(PickAnswered{.ask = world_.asked[1].ask, .address = Address("10.0.0.2")});
  EXPECT_TRUE(disk_.rows.empty());
  EXPECT_EQ(world_.ReasonOf("default/web"), "no-pool");
}

}  // namespace
}  // namespace portolan::ipam
