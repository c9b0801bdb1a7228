// Against Python's own HTTP server.
#include "plugins/health_checks/http/http.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "plugins/sdk/testing_health_check.h"

namespace portolan::plugin {
namespace {

constexpr char kServer[] = R"(
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/host":
            self.send_response(200 if self.headers["Host"] == "web.example" else 400)
        else:
            self.send_response(int(self.path[1:] or 200))
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
)";

class HttpCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    pid_ = fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      dup2(pipe_fds[1], 1);
      execlp("python3", "python3", "-c", kServer, nullptr);
      _exit(127);
    }
    close(pipe_fds[1]);
    FILE* output = fdopen(pipe_fds[0], "r");
    ASSERT_EQ(fscanf(output, "%hu", &port_), 1) << "python3 does not serve";
    fclose(output);
  }
  void TearDown() override { Kill(); }
  void Kill() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  absl::Status Ask(const std::string& path, const std::string& host = "") const {
    HealthTarget target = Loopback(port_);
    target.path = path;
    target.host = host;
    return AskOnce(*NewHttpCheckFactory(), target);
  }

  pid_t pid_ = -1;
  uint16_t port_ = 0;
};

TEST_F(HttpCheckTest, TwoAndThreeHundredsAreHealth) {
  for (const char* path : {"/", "/200", "/204", "/302", "/399"}) {
    EXPECT_TRUE(Ask(path).ok()) << path << " " << Ask(path);
  }
}

TEST_F(HttpCheckTest, EveryOtherStatusIsNotAndIsNamed) {
  for (const char* status : {"400", "404", "500", "503"}) {
    EXPECT_EQ(Ask(absl::StrCat("/", status)).message(),
              absl::StrCat("answered with status ", status));
  }
}

TEST_F(HttpCheckTest, TheHostIsTheOneThatIsConfigured) {
  EXPECT_TRUE(Ask("/host", "web.example").ok());
  EXPECT_FALSE(Ask("/host").ok());
}

TEST_F(HttpCheckTest, AServerThatIsGoneIsNotHealthy) {
  Kill();
  EXPECT_EQ(Ask("/").message(), "cannot connect: Connection refused");
}

}  // namespace
}  // namespace portolan::plugin
