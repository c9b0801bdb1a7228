// gNMI over TLS: who the caller is, and what access control permits. Certificates of openssl's.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "api/proto/gnmi/gnmi.grpc.pb.h"
#include "services/config-service/shell/gnmi/path.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;

template <typename M>
M Parse(const std::string& text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

constexpr char kPriority[] =
    "elem { name: 'portolan-ipam:ipam' } elem { name: 'pools' } elem { name: 'pool' key { key: "
    "'name' value: 'a' } } elem { name: 'priority' } ";

class TlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    MakeAuthority("ca");
    MakeCertificate("ca", "server", "/CN=gnmi.test", "subjectAltName=DNS:gnmi.test");
    MakeCertificate("ca", "ann", "/CN=ann");
    MakeCertificate("ca", "bob", "/CN=bob");
    process_ = std::make_unique<Process>(directory_, "", nullptr);
    ASSERT_TRUE(process_->started.ok()) << process_->started;
    port_ = FreePort();
    Merge(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "a", "priority": 1}]}},
        "ietf-netconf-acm:nacm": {"groups": {"group": [
            {"name": "portolan-admin", "user-name": ["ann"]}]}}})");
    Merge(Listening(port_));
  }
  void TearDown() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string Path(const std::string& file) const { return absl::StrCat(directory_, "/", file); }
  void Run(const std::string& command) {
    const std::string whole = absl::StrCat("cd ", directory_, " && ", command, " 2>>openssl.log");
    ASSERT_EQ(std::system(whole.c_str()), 0) << whole;
  }
  void MakeAuthority(const std::string& name) {
    Run(
        absl::Substitute("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
                         "-nodes -days 2 -subj /CN=$0 -keyout "
                         "$0.key -out $0.pem",
                         name));
  }
  void MakeCertificate(const std::string& authority, const std::string& name,
                       const std::string& subject, const std::string& extension = "") {
    Run(
        absl::Substitute("openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                         "-subj '$0' -keyout $1.key -out $1.csr",
                         subject, name));
    Run(
        absl::Substitute("echo '$0' > $1.ext && openssl x509 -req -in $1.csr -CA $2.pem -CAkey "
                         "$2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem",
                         extension, name, authority));
  }
  std::string Read(const std::string& file) const {
    std::stringstream text;
    text << std::ifstream(Path(file)).rdbuf();
    return text.str();
  }
  std::string Listening(int port, const std::string& certificate = "server.pem") const {
    return absl::Substitute(
        R"({"portolan-system:system": {"gnmi": {"enabled": true, "portolan-gnmi:tls": {
        "certificate-file": "$0/$2", "key-file": "$0/server.key", "client-ca-file": "$0/ca.pem",
        "listen": [{"name": "l", "address": "127.0.0.1", "port": $1}]}}}})",
        directory_, port, certificate);
  }
  void Merge(const std::string& data) {
    const auto response = process_->Merge(data);
    EXPECT_TRUE(response.problems().empty()) << response.DebugString();
  }

  // Of a client with that certificate; empty: with none.
  std::unique_ptr<::gnmi::gNMI::Stub> Client(const std::string& name) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = Read("ca.pem");
    if (!name.empty()) {
      options.pem_private_key = Read(name + ".key");
      options.pem_cert_chain = Read(name + ".pem");
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("gnmi.test");
    return ::gnmi::gNMI::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", port_), grpc::SslCredentials(options), arguments));
  }
  static void SetDeadline(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  grpc::Status Get(const std::string& user, ::gnmi::GetResponse* response,
                   const std::string& rest = "") const {
    grpc::ClientContext context;
    SetDeadline(&context);
    return Client(user)->Get(&context,
                             Parse<::gnmi::GetRequest>(absl::StrCat("encoding: JSON_IETF path { ",
                                                                    kPriority, "} ", rest)),
                             response);
  }
  grpc::Status Set(const std::string& user, const std::string& request) const {
    grpc::ClientContext context;
    SetDeadline(&context);
    ::gnmi::SetResponse response;
    return Client(user)->Set(&context, Parse<::gnmi::SetRequest>(request), &response);
  }
  static std::string Priority(int value) {
    return absl::StrCat("update { path { ", kPriority, "} val { json_ietf_val: '", value, "' } }");
  }
  status::v1alpha1::ObjectStatus StatusOf(status::v1alpha1::State state) {
    World world(*process_);
    const std::string key = "gnmi/a/endpoint/l";
    EXPECT_TRUE(world.Until(
        [&] { return world.statuses.count(key) > 0 && world.statuses[key].state() == state; }));
    return world.statuses[key];
  }

  std::string directory_;
  std::unique_ptr<Process> process_;
  int port_ = 0;
};

TEST_F(TlsTest, TheCommonNameIsTheUserOfTheCommit) {
  const grpc::Status status = Set("ann", Priority(5));
  ASSERT_TRUE(status.ok()) << status.error_message();
  const v1alpha1::Commit commit = process_->History().commits(0);
  EXPECT_EQ(commit.author().user(), "ann");
  EXPECT_TRUE(commit.authenticated());
  EXPECT_THAT(commit.author().origin(), HasSubstr("gnmi from ipv4:127.0.0.1"));
  ::gnmi::GetResponse response;
  ASSERT_TRUE(Get("ann", &response).ok());
  EXPECT_EQ(response.notification(0).update(0).val().json_ietf_val(), "5");
  EXPECT_EQ(StatusOf(status::v1alpha1::STATE_READY).reason(), "listening");
}

TEST_F(TlsTest, WhoMayNotWriteIsDenied) {
  const int before = process_->History().commits_size();
  const grpc::Status status = Set("bob", Priority(5));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("access-denied"));
  EXPECT_EQ(process_->History().commits_size(), before);
  ::gnmi::GetResponse response;
  EXPECT_TRUE(Get("bob", &response).ok()) << "he may read";
}

TEST_F(TlsTest, WhatMayNotBeReadIsNotThere) {
  Merge(R"({"ietf-netconf-acm:nacm": {"groups": {"group": [{"name": "g", "user-name": ["bob"]}]},
      "rule-list": [{"name": "l", "group": ["g"], "rule": [{"name": "r", "action": "deny",
      "path": "/portolan-ipam:ipam/pools", "access-operations": "read"},
      {"name": "s", "action": "deny", "access-operations": "read",
      "path": "/portolan-system:system/portolan-state:components"}]}]}})");
  ::gnmi::GetResponse response;
  EXPECT_EQ(Get("bob", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Get("ann", &response).ok());
  const auto told = [&](const std::string& user, const std::string& path) {
    grpc::ClientContext context;
    SetDeadline(&context);
    const auto stub = Client(user);
    const auto stream = stub->Subscribe(&context);
    stream->Write(Parse<::gnmi::SubscribeRequest>(absl::StrCat(
        "subscribe { mode: ONCE encoding: JSON_IETF subscription { path { ", path, "} } }")));
    ::gnmi::SubscribeResponse update;
    int count = 0;
    while (stream->Read(&update)) count += update.update().update_size();
    EXPECT_TRUE(stream->Finish().ok());
    return count;
  };
  EXPECT_EQ(told("bob", kPriority), 0);
  EXPECT_EQ(told("ann", kPriority), 1);
  const std::string components =
      "elem { name: 'portolan-system:system' } elem { name: 'portolan-state:components' } ";
  EXPECT_EQ(told("bob", components), 0) << "state, too";
  EXPECT_GT(told("ann", components), 0);
}

TEST_F(TlsTest, WhoShowsNoCertificateOfTheAuthorityIsTurnedAway) {
  MakeAuthority("other");
  MakeCertificate("other", "eve", "/CN=ann");
  ::gnmi::GetResponse response;
  EXPECT_EQ(Get("", &response).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Get("eve", &response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, ACertificateWithoutACommonNameIsNobody) {
  MakeCertificate("ca", "nameless", "/O=portolan");
  ::gnmi::GetResponse response;
  const grpc::Status status = Get("nameless", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("common name"));
}

TEST_F(TlsTest, AFileThatIsNotThereIsToldAndTriedAgain) {
  Merge(Listening(port_, "missing.pem"));
  EXPECT_THAT(StatusOf(status::v1alpha1::STATE_FAILED).message(), HasSubstr("missing.pem"));
  ::gnmi::GetResponse response;
  EXPECT_FALSE(Get("ann", &response).ok());
  std::filesystem::copy_file(Path("server.pem"), Path("missing.pem"));
  Merge(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "b"}]}}})");
  EXPECT_TRUE(Get("ann", &response).ok());
  StatusOf(status::v1alpha1::STATE_READY);
}

TEST_F(TlsTest, ACertificateThatWasRenewedHoldsFromTheNextCommitOn) {
  ::gnmi::GetResponse response;
  ASSERT_TRUE(Get("ann", &response).ok());
  MakeAuthority("ca");
  MakeCertificate("ca", "server", "/CN=gnmi.test", "subjectAltName=DNS:gnmi.test");
  MakeCertificate("ca", "ann", "/CN=ann");
  EXPECT_FALSE(Get("ann", &response).ok());
  Merge(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "b"}]}}})");
  EXPECT_TRUE(Get("ann", &response).ok());
}

TEST_F(TlsTest, APortThatIsTakenIsTold) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  Merge(Listening(ntohs(address.sin_port)));
  EXPECT_EQ(StatusOf(status::v1alpha1::STATE_FAILED).reason(), "not-listening");
  close(fd);
}

TEST_F(TlsTest, NothingListensOnceItIsSwitchedOff) {
  ::gnmi::GetResponse response;
  ASSERT_TRUE(Get("ann", &response).ok());
  Merge(R"({"portolan-system:system": {"gnmi": {"enabled": false}}})");
  EXPECT_EQ(Get("ann", &response).error_code(), grpc::StatusCode::UNAVAILABLE);
  World world(*process_);
  EXPECT_TRUE(world.Until([&] { return world.statuses.count("gnmi/a/endpoint/l") == 0; }));
}

TEST_F(TlsTest, AnEndpointNeedsItsFiles) {
  const auto response = process_->Replace(
      R"({"portolan-system:system": {"gnmi": {"enabled": true, "portolan-gnmi:tls": {
      "listen": [{"name": "l", "address": "127.0.0.1"}]}}}})");
  ASSERT_EQ(response.problems_size(), 1);
  EXPECT_EQ(response.problems(0).rule(), "gnmi-files");
}

}  // namespace
}  // namespace portolan::config
