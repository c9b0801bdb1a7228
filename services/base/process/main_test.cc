#include "services/base/process/main.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace portolan::process {
namespace {

// Sends its own process a signal as soon as it runs, and remembers that it was asked to reload.
class SignallingService : public Service {
 public:
  SignallingService(const Context& context, std::vector<int> signals)
      : context_(context), signals_(std::move(signals)) {}
  absl::Status Start(const Upstreams&) override {
    context_.loop->Post([this] {
      for (const int signal : signals_) kill(getpid(), signal);
    });
    return absl::OkStatus();
  }
  void Reload() override {
    dprintf(STDERR_FILENO, "reloaded\n");
    kill(getpid(), SIGTERM);
  }

 private:
  const Context context_;
  const std::vector<int> signals_;
};

class MainTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "portolan-main-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // Main() takes over a process's signals, so each call gets a process of its own. Returns the
  // exit code; what it said is in `said_`.
  int Call(std::vector<std::string> arguments, const Factory& factory,
           const std::function<void(CLI::App&)>& add_flags = nullptr) {
    arguments.insert(arguments.begin(), "test-service");
    const std::string log = directory_ + "/log";
    const pid_t child = fork();
    if (child == 0) {
      if (freopen(log.c_str(), "w", stderr) == nullptr) _exit(99);
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      _exit(Main(static_cast<int>(argv.size()), argv.data(), "test-service", factory, add_flags));
    }
    int status = 0;
    waitpid(child, &status, 0);
    said_.resize(std::filesystem::file_size(log));
    FILE* file = fopen(log.c_str(), "r");
    said_.resize(fread(said_.data(), 1, said_.size(), file));
    fclose(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::vector<std::string> Directories() const {
    return {"--run-dir", directory_ + "/run", "--state-dir", directory_ + "/state"};
  }

  static Factory Signalling(std::vector<int> signals) {
    return [signals](const Context& context) -> absl::StatusOr<std::unique_ptr<Service>> {
      return std::make_unique<SignallingService>(context, signals);
    };
  }

  std::string directory_;
  std::string said_;
};

TEST_F(MainTest, EndsInOrderOnSigtermAndLeavesNoSocket) {
  EXPECT_EQ(Call(Directories(), Signalling({SIGTERM})), 0) << said_;
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/run/test-service.sock"));
  struct stat info = {};
  ASSERT_EQ(stat((directory_ + "/state").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0007, 0u) << "the state directory is nobody else's business";
}

TEST_F(MainTest, SighupReloadsAndDoesNotEnd) {
  EXPECT_EQ(Call(Directories(), Signalling({SIGHUP})), 0) << said_;
  EXPECT_NE(said_.find("reloaded"), std::string::npos);
}

TEST_F(MainTest, AServiceThatCannotBeMadeIsExitCodeOneWithItsReason) {
  const int code =
      Call(Directories(), [](const Context&) -> absl::StatusOr<std::unique_ptr<Service>> {
        return absl::FailedPreconditionError("no root; use sudo");
      });
  EXPECT_EQ(code, 1);
  EXPECT_NE(said_.find("test-service: no root; use sudo"), std::string::npos) << said_;
}

TEST_F(MainTest, AnUnknownFlagIsExitCodeTwo) {
  EXPECT_EQ(Call({"--no-such-flag"}, Signalling({SIGTERM})), 2);
}

TEST_F(MainTest, AServicesOwnFlagsAreReadBeforeItIsMade) {
  std::string color;
  const auto factory = [&](const Context&) -> absl::StatusOr<std::unique_ptr<Service>> {
    return absl::UnknownError(absl::StrCat("color is ", color));
  };
  std::vector<std::string> arguments = Directories();
  arguments.insert(arguments.end(), {"--color", "green"});
  EXPECT_EQ(Call(arguments, factory, [&](CLI::App& app) { app.add_option("--color", color); }), 1);
  EXPECT_NE(said_.find("color is green"), std::string::npos) << said_;
}

TEST_F(MainTest, ARunDirectoryThatCannotBeMadeNamesItAndTheRemedy) {
  FILE* file = fopen((directory_ + "/file").c_str(), "w");
  fclose(file);
  EXPECT_EQ(Call({"--run-dir", directory_ + "/file/run"}, Signalling({SIGTERM})), 1);
  EXPECT_NE(said_.find(directory_ + "/file/run"), std::string::npos) << said_;
  EXPECT_NE(said_.find("choose another path"), std::string::npos) << said_;
}

}  // namespace
}  // namespace portolan::process
