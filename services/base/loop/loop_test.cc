#include "services/base/loop/loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <thread>
#include <vector>

namespace portolan {
namespace {

TEST(LoopTest, RunsPostsOfOtherThreadsInOrderOnItsOwnThread) {
  auto loop = NewLoop();
  std::vector<int> order;
  std::thread::id ran_on;
  std::thread poster([&] {
    for (int i = 0; i < 100; ++i) loop->Post([&order, i] { order.push_back(i); });
    loop->Post([&] {
      ran_on = std::this_thread::get_id();
      loop->Stop();
    });
  });
  loop->Run();
  poster.join();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(LoopTest, FiresTimersByDelayAndNotWhenCancelled) {
  auto loop = NewLoop();
  std::vector<int> fired;
  loop->RunAfter(absl::Milliseconds(20), [&] {
    fired.push_back(2);
    loop->Stop();
  });
  loop->RunAfter(absl::Milliseconds(1), [&] { fired.push_back(1); });
  const Loop::TimerId cancelled =
      loop->RunAfter(absl::Milliseconds(5), [&] { fired.push_back(99); });
  loop->Cancel(cancelled);
  loop->Cancel(cancelled);
  loop->Run();
  EXPECT_EQ(fired, (std::vector<int>{1, 2}));
}

TEST(LoopTest, ReportsReadableUntilUnwatchedEvenFromItsOwnCallback) {
  auto loop = NewLoop();
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  ASSERT_EQ(write(pipe_fds[1], "x", 1), 1);
  int calls = 0;
  Loop::FdId watch = 0;
  watch = loop->Watch(pipe_fds[0], Loop::kReadable, [&](int events) {
    EXPECT_EQ(events, Loop::kReadable);
    if (++calls == 3) {
      loop->Unwatch(watch);
      loop->RunAfter(absl::Milliseconds(5), [&] { loop->Stop(); });
    }
  });
  loop->Run();
  EXPECT_EQ(calls, 3);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST(LoopTest, StopBeforeRunReturnsAtOnceAndRunWorksAgain) {
  auto loop = NewLoop();
  loop->Stop();
  loop->Run();
  bool ran = false;
  loop->Post([&] {
    ran = true;
    loop->Stop();
  });
  loop->Run();
  EXPECT_TRUE(ran);
}

TEST(LoopTest, DropsWhatIsPendingWhenDestroyed) {
  auto token = std::make_shared<int>(1);
  {
    auto loop = NewLoop();
    loop->RunAfter(absl::Hours(1), [token] { FAIL() << *token; });
    loop->Post([token] { FAIL() << *token; });
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace portolan
