// Address pickers through the whole service: shared objects, other processes, settings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/base/store/store.h"
#include "services/ipam-service/shell/testing_service.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;

std::string Runfile(const std::string& path) {
  return absl::StrCat(getenv("TEST_SRCDIR"), "/", getenv("TEST_WORKSPACE"), "/", path);
}

config::v1alpha1::Plugin PickerNamed(const std::string& name) {
  config::v1alpha1::Plugin plugin;
  plugin.set_extension_point("address-picker");
  plugin.set_name(name);
  return plugin;
}

config::v1alpha1::Plugin SettingsOf(const std::string& name, const std::string& settings) {
  config::v1alpha1::Plugin plugin = PickerNamed(name);
  plugin.set_settings(settings);
  return plugin;
}

config::v1alpha1::Pool ServedBy(const std::string& picker, const std::string& first,
                                const std::string& last, uint32_t prefix_length) {
  config::v1alpha1::Pool pool = PoolOf("p", first, last, prefix_length);
  pool.set_address_picker(picker);
  return pool;
}

TEST_F(ServiceTest, APickerInASharedObjectChooses) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  config::v1alpha1::Plugin plugin = PickerNamed("top");
  plugin.set_path(Runfile("plugins/examples/highest_free/highest_free.so"));
  process.Add(plugin);
  process.Add(ServedBy("top", "20.0.10.0", "20.0.10.255", 24));
  process.AddService("default/web");
  process.Sync();
  process.WaitForAddresses("default/web", "20.0.10.254");
}

TEST_F(ServiceTest, ASharedObjectThatIsMissingIsNamedAndWaitedFor) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  config::v1alpha1::Plugin plugin = PickerNamed("top");
  plugin.set_path("/nowhere/top.so");
  process.Add(plugin);
  process.Add(ServedBy("top", "20.0.10.0", "20.0.10.255", 24));
  process.AddService("default/web");
  process.Sync();
  process.WaitForReason("default/web", "picker-failed");
  EXPECT_THAT(process.StatusOf("default/web").message(), HasSubstr("/nowhere/top.so"));
  plugin.set_path(Runfile("plugins/examples/highest_free/highest_free.so"));
  process.Add(plugin);
  process.WaitForAddresses("default/web", "20.0.10.254");
}

TEST_F(ServiceTest, ACoolDownOutlivesAChangeOfProcessAndEndsByItself) {
  const config::v1alpha1::Pool pool = ServedBy("longest-unused", "20.0.10.1", "20.0.10.1", 0);
  {
    Process process(dir_);
    ASSERT_TRUE(process.Start().ok());
    process.Add(SettingsOf("longest-unused", R"({"cool-down": 3600})"));
    process.Add(pool);
    process.AddService("default/first");
    process.Sync();
    process.WaitForAddresses("default/first", "20.0.10.1");
    process.AddService("default/waits");
    process.WaitForReason("default/waits", "pool-exhausted");
    process.RemoveService("default/first");
    process.WaitForReason("default/waits", "cooling-down");
  }
  Process again(dir_);
  ASSERT_TRUE(again.Start().ok());
  again.Add(SettingsOf("longest-unused", R"({"cool-down": 3600})"));
  again.Add(pool);
  again.AddService("default/waits");
  again.Sync();
  again.WaitForReason("default/waits", "cooling-down");
  again.Add(SettingsOf("longest-unused", R"({"cool-down": 1})"));
  again.WaitForAddresses("default/waits", "20.0.10.1");
}

TEST_F(ServiceTest, SettingsOfABuiltInPickerThatDoNotFitAreNamed) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  process.Add(SettingsOf("longest-unused", R"({"cooldown": 60})"));
  process.Add(ServedBy("longest-unused", "20.0.10.1", "20.0.10.1", 0));
  process.AddService("default/web");
  process.Sync();
  process.WaitForReason("default/web", "picker-failed");
  EXPECT_THAT(process.StatusOf("default/web").message(),
              HasSubstr(R"(there is no "cooldown", only "cool-down")"));
  process.Add(SettingsOf("longest-unused", R"({"cool-down": 60})"));
  process.WaitForAddresses("default/web", "20.0.10.1");
}

TEST_F(ServiceTest, TheSeedOfRandomIsASetting) {
  const auto chosen = [this](const std::string& settings) {
    Process process(dir_, std::make_unique<store::MemoryStore>());
    EXPECT_TRUE(process.Start().ok());
    process.Add(SettingsOf("random", settings));
    process.Add(ServedBy("random", "20.0.0.0", "20.0.255.255", 16));
    process.AddService("default/web");
    process.Sync();
    process.WaitFor("an address", [&] { return !process.AddressesOf("default/web").empty(); });
    return process.AddressesOf("default/web");
  };
  EXPECT_EQ(chosen(R"({"seed": 1})"), chosen(R"({"seed": 1})"));
  EXPECT_NE(chosen(R"({"seed": 1})"), chosen(R"({"seed": 2})"));
}

// The example plugin as a process of its own.
class SpreadProcess {
 public:
  SpreadProcess() {
    int out[2];
    EXPECT_EQ(pipe(out), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], 1);
      const std::string binary = Runfile("plugins/examples/spread/spread_picker");
      execl(binary.c_str(), binary.c_str(), endpoint_.c_str(), nullptr);
      _exit(127);
    }
    close(out[1]);
    char first_line[64];
    EXPECT_GT(read(out[0], first_line, sizeof(first_line)), 0) << "it says when it serves";
    close(out[0]);
  }
  ~SpreadProcess() { Kill(); }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  const std::string& endpoint() const { return endpoint_; }

 private:
  const std::string endpoint_ = absl::StrCat("unix-abstract:portolan-spread-", getpid());
  pid_t pid_ = 0;
};

TEST_F(ServiceTest, APickerInAnotherProcessChoosesAndItsDeathFollowsTheFailPolicy) {
  SpreadProcess spread;
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  config::v1alpha1::Plugin plugin = PickerNamed("spread");
  plugin.set_endpoint(spread.endpoint());
  plugin.set_deadline_ms(10'000);
  process.Add(plugin);
  config::v1alpha1::Pool pool = ServedBy("spread", "20.0.10.0", "20.0.10.3", 0);
  config::v1alpha1::AddressBlock* block = pool.add_blocks();
  *block = pool.blocks(0);
  block->set_id("c");
  block->set_first("20.0.10.100");
  block->set_last("20.0.10.101");
  process.Add(pool);
  process.AddService("default/web");
  process.AddService("default/a");
  process.Sync();
  // Which of the two ranges, the names decide.
  process.WaitFor("both to be served", [&] {
    return !process.AddressesOf("default/web").empty() && !process.AddressesOf("default/a").empty();
  });
  EXPECT_NE(process.AddressesOf("default/web"), process.AddressesOf("default/a"));

  spread.Kill();
  process.AddService("default/after");
  process.WaitForReason("default/after", "picker-failed");
  EXPECT_THAT(process.StatusOf("default/after").message(), HasSubstr(spread.endpoint()));
  plugin.set_fail_open(true);
  process.Add(plugin);
  process.WaitFor("the lowest free address",
                  [&] { return !process.AddressesOf("default/after").empty(); });
}

}  // namespace
}  // namespace portolan::ipam
