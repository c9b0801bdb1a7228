#include "services/base/store/testing_etcd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/base/internal/raw_logging.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace portolan::store {
namespace {

constexpr char kServer[] = "/usr/bin/etcd";
constexpr char kControl[] = "/usr/bin/etcdctl";
constexpr absl::Duration kPatience = absl::Seconds(30);

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ABSL_RAW_CHECK(bound, "no free port on loopback");
  close(fd);
  return ntohs(address.sin_port);
}

}  // namespace

bool TestingEtcd::IsInstalled() {
  return access(kServer, X_OK) == 0 && access(kControl, X_OK) == 0;
}

TestingEtcd::TestingEtcd(Options options) : options_(std::move(options)) {
  const char* base = getenv("TEST_TMPDIR");
  directory_ = absl::StrCat(base == nullptr ? "/tmp" : base, "/etcd.XXXXXX");
  ABSL_RAW_CHECK(mkdtemp(directory_.data()) != nullptr, "no directory for etcd");
  for (int i = 0; i < options_.members; ++i) members_.push_back({FreePort(), FreePort()});
  for (int i = 0; i < options_.members; ++i) Start(i);
  for (int i = 0; i < options_.members; ++i) AwaitHealthy(i);
}

TestingEtcd::~TestingEtcd() {
  for (size_t i = 0; i < members_.size(); ++i) Kill(static_cast<int>(i));
  std::filesystem::remove_all(directory_);
}

std::vector<std::string> TestingEtcd::endpoints() const {
  std::vector<std::string> endpoints;
  for (const Member& member : members_) {
    endpoints.push_back(absl::StrCat("127.0.0.1:", member.client_port));
  }
  return endpoints;
}

void TestingEtcd::Start(int member) {
  std::vector<std::string> cluster;
  for (size_t i = 0; i < members_.size(); ++i) {
    cluster.push_back(absl::StrCat("m", i, "=http://127.0.0.1:", members_[i].peer_port));
  }
  Member& started = members_[static_cast<size_t>(member)];
  const std::string peer = absl::StrCat("http://127.0.0.1:", started.peer_port);
  const std::string client = absl::StrCat(scheme_, "://127.0.0.1:", started.client_port);
  std::vector<std::string> arguments = {
      kServer,
      absl::StrCat("--name=m", member),
      absl::StrCat("--data-dir=", directory_, "/m", member),
      absl::StrCat("--listen-peer-urls=", peer),
      absl::StrCat("--initial-advertise-peer-urls=", peer),
      absl::StrCat("--listen-client-urls=", client),
      absl::StrCat("--advertise-client-urls=", client),
      absl::StrCat("--initial-cluster=", absl::StrJoin(cluster, ",")),
      "--heartbeat-interval=50",
      "--election-timeout=500",
      "--log-level=error",
  };
  arguments.insert(arguments.end(), options_.flags.begin(), options_.flags.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log = absl::StrCat(directory_, "/m", member, ".log");
  started.pid = fork();
  if (started.pid != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  execv(kServer, argv.data());
  _exit(127);
}

void TestingEtcd::Kill(int member) {
  Member& killed = members_[static_cast<size_t>(member)];
  if (killed.pid == 0) return;
  kill(killed.pid, SIGKILL);
  waitpid(killed.pid, nullptr, 0);
  killed.pid = 0;
}

void TestingEtcd::AwaitHealthy(int member) const {
  const std::string endpoint = endpoints()[static_cast<size_t>(member)];
  const bool healthy = Eventually(
      [&] {
        bool ok = false;
        Control(absl::StrCat("--endpoints=", scheme_, "://", endpoint, " endpoint health"), &ok);
        return ok;
      },
      kPatience);
  ABSL_RAW_CHECK(healthy, "etcd does not start");
}

int TestingEtcd::Leader() const {
  int leader = -1;
  Eventually([&] {
    for (size_t i = 0; i < members_.size() && leader < 0; ++i) {
      if (members_[i].pid == 0) continue;
      // "ENDPOINT, ID, VERSION, SIZE, IS LEADER, ..."
      const std::string status =
          Control(absl::StrCat("--endpoints=", scheme_, "://", endpoints()[i], " endpoint status"));
      const std::vector<std::string> fields = absl::StrSplit(status, ", ");
      if (fields.size() > 4 && fields[4] == "true") leader = static_cast<int>(i);
    }
    return leader >= 0;
  });
  ABSL_RAW_CHECK(leader >= 0, "etcd has no leader");
  return leader;
}

std::string TestingEtcd::Control(const std::string& arguments, bool* ok) const {
  std::string command = absl::StrCat("ETCDCTL_API=3 ", kControl, " --dial-timeout=1s ");
  if (!absl::StrContains(arguments, "--endpoints=")) {
    std::vector<std::string> urls;
    for (const std::string& endpoint : endpoints()) {
      urls.push_back(absl::StrCat(scheme_, "://", endpoint));
    }
    absl::StrAppend(&command, "--endpoints=", absl::StrJoin(urls, ","), " ");
  }
  if (!options_.ca_file.empty()) absl::StrAppend(&command, "--cacert=", options_.ca_file, " ");
  absl::StrAppend(&command, arguments, " 2>&1");
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n = 0; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) output.append(buffer, n);
  const int status = pclose(pipe);
  if (ok != nullptr) *ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return output;
}

bool Eventually(const std::function<bool()>& wish, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!wish()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace portolan::store
