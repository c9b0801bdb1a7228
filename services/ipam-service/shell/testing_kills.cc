#include "services/ipam-service/shell/testing_kills.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"

namespace portolan::ipam {
namespace {

constexpr int kOperations = 1000;
constexpr int kMaxLives = 10 * kOperations;
constexpr int kSilenceMs = 30'000;  // of a child that hangs

// Reads lines until the child is gone. False: it hangs.
bool Listen(int pipe, Witness& witness) {
  std::string text;
  char buffer[4096];
  for (;;) {
    pollfd ready{.fd = pipe, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kSilenceMs) <= 0) return false;
    const ssize_t size = read(pipe, buffer, sizeof(buffer));
    if (size <= 0) return true;
    text.append(buffer, size);
    size_t begin = 0;
    for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
      witness.Read(text.substr(begin, end - begin));
      begin = end + 1;
    }
    text.erase(0, begin);
  }
}

}  // namespace

Kills::Kills(OpenMortal open, DeathMoment moment)
    : open_(std::move(open)), moment_(moment), operations_(OperationsOf(kOperations, 9)) {}

bool Kills::LiveOnce() {
  int ends[2];
  if (pipe(ends) != 0) abort();
  witness_.Restart();
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    Life(open_, {moment_, witness_.last_call()}, &operations_, witness_.done(), ends[1]).Run();
    _exit(0);
  }
  close(ends[1]);
  const absl::Cleanup close_pipe = [&] { close(ends[0]); };
  if (!Listen(ends[0], witness_)) {
    ADD_FAILURE() << "a life hangs after operation " << witness_.done();
    kill(child, SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  EXPECT_TRUE(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;
  return killed;
}

void Kills::Run() {
  int kills = 0;
  while (LiveOnce()) {
    ASSERT_LT(++kills, kMaxLives) << "after operation " << witness_.done();
    ASSERT_THAT(witness_.problems, testing::IsEmpty()) << "after kill " << kills;
  }
  EXPECT_TRUE(witness_.finished());
  EXPECT_FALSE(LiveOnce()) << "there was work left";
  std::cout << "calls " << witness_.calls << ", kills " << kills << ", published "
            << witness_.published << ", lost " << witness_.lost << ", two owners "
            << witness_.two_owners << "\n";
  EXPECT_THAT(witness_.problems, testing::IsEmpty());
  EXPECT_EQ(witness_.done(), operations_.size());
  size_t acknowledged = 0;
  for (const auto& [key, addresses] : witness_.acknowledged()) acknowledged += addresses.size();
  EXPECT_EQ(witness_.loaded().size(), acknowledged);
  EXPECT_GT(kills, kOperations / 2);
}

}  // namespace portolan::ipam
