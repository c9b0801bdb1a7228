#include "services/base/metrics/exporter.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"

namespace portolan::metrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A loop on a thread of its own.
class RunningLoop {
 public:
  RunningLoop() : thread_([this] { loop_->Run(); }) {}
  ~RunningLoop() { Stop(); }
  void Stop() {
    loop_->Stop();
    if (thread_.joinable()) thread_.join();
  }
  Loop* get() { return loop_.get(); }
  void RunAndWait(std::function<void()> call) {
    absl::Notification done;
    loop_->Post([&] {
      call();
      done.Notify();
    });
    done.WaitForNotification();
  }

 private:
  const std::unique_ptr<Loop> loop_ = NewLoop();
  std::thread thread_;
};

// What a GET gets from a server of this machine, headers included.
std::string Get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string text;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
    EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t size; (size = read(fd, buffer, sizeof(buffer))) > 0;) {
      text.append(buffer, static_cast<size_t>(size));
    }
  }
  close(fd);
  return text;
}

Exporter::Collect Says(const std::string& name, double value) {
  return [name, value](Page& page) { page.AddGauge(name, "Help.", {}, value); };
}

TEST(Exporter, AScrapeAsksEveryServiceOnItsOwnLoop) {
  RunningLoop one, two;
  Exporter exporter(&SystemClock());
  std::optional<std::thread::id> asked_on, lives_on;
  two.RunAndWait([&] { lives_on = std::this_thread::get_id(); });
  const auto a = exporter.Add("a", one.get(), Says("portolan_a", 1));
  const auto b = exporter.Add("b", two.get(), [&](Page& page) {
    asked_on = std::this_thread::get_id();
    page.AddGauge("portolan_b", "Help.", {}, 2);
  });
  const auto c = exporter.Add("c", nullptr, Says("portolan_c", 3));
  const absl::StatusOr<int> port = exporter.Listen("127.0.0.1", 0);
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_THAT(Get(*port, "/metrics"),
              AllOf(HasSubstr("200 OK"), HasSubstr("text/plain"), HasSubstr("\nportolan_a 1\n"),
                    HasSubstr("\nportolan_b 2\n"), HasSubstr("\nportolan_c 3\n"),
                    HasSubstr("portolan_loop_answers{service=\"a\"} 1"),
                    HasSubstr("portolan_loop_delay_seconds{service=\"b\"}")));
  EXPECT_EQ(asked_on, lives_on);
  EXPECT_THAT(Get(*port, "/etc/passwd"), HasSubstr("404"));
  exporter.Close();
  EXPECT_EQ(Get(*port, "/metrics"), "");
  one.Stop();
  two.Stop();
}

TEST(Exporter, ASourceThatIsGoneIsNotAskedAnyMore) {
  RunningLoop loop;
  Exporter exporter(&SystemClock());
  auto source = exporter.Add("a", loop.get(), Says("portolan_a", 1));
  EXPECT_THAT(exporter.Scrape().ToText(), HasSubstr("portolan_a 1"));
  loop.RunAndWait([&] { source.reset(); });
  EXPECT_EQ(exporter.Scrape().ToText(), "");
}

TEST(Exporter, AnOccupiedPortIsAnErrorThatNamesItAndNothingIsServed) {
  Exporter first(&SystemClock()), second(&SystemClock());
  const absl::StatusOr<int> port = first.Listen("127.0.0.1", 0);
  ASSERT_TRUE(port.ok()) << port.status();
  const absl::Status refused = second.Listen("127.0.0.1", *port).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr(absl::StrCat("127.0.0.1:", *port)), HasSubstr("in use")));
  first.Close();
  EXPECT_TRUE(second.Listen("127.0.0.1", *port).ok());
}

TEST(Exporter, AnAddressThatTheMachineDoesNotHaveIsAnError) {
  Exporter exporter(&SystemClock());
  EXPECT_EQ(exporter.Listen("192.0.2.1", 0).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Exporter, ALoopThatDoesNotAnswerDoesNotHoldUpTheClosing) {
  const std::unique_ptr<Loop> stuck = NewLoop();  // never runs
  Exporter exporter(&SystemClock());
  const auto source = exporter.Add("stuck", stuck.get(), Says("portolan_a", 1));
  const auto other = exporter.Add("fine", nullptr, Says("portolan_b", 2));
  const absl::StatusOr<int> port = exporter.Listen("127.0.0.1", 0);
  ASSERT_TRUE(port.ok()) << port.status();
  absl::Notification asked;
  const auto witness = exporter.Add("witness", nullptr, [&](Page&) { asked.Notify(); });
  std::string text;
  std::thread scraper([&] { text = Get(*port, "/metrics"); });
  asked.WaitForNotification();
  const absl::Time before = SystemClock().Now();
  exporter.Close();
  EXPECT_LT(SystemClock().Now() - before, Exporter::kPatience);
  scraper.join();
  EXPECT_THAT(text, AllOf(HasSubstr("portolan_b 2"), Not(HasSubstr("portolan_a 1")),
                          HasSubstr("portolan_loop_answers{service=\"stuck\"} 0")));
}

}  // namespace
}  // namespace portolan::metrics
