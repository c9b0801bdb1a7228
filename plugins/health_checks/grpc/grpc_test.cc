// Against a real gRPC server.
#include "plugins/health_checks/grpc/grpc.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "api/proto/health/v1/health.grpc.pb.h"
#include "plugins/sdk/testing_health_check.h"

namespace portolan::plugin {
namespace {

namespace pb = ::grpc::health::v1;

// "" serves, "ill" does not, others are not known.
class Server : public pb::Health::Service {
 public:
  Server() {
    ::grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", ::grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ::grpc::Status Check(::grpc::ServerContext*, const pb::HealthCheckRequest* request,
                       pb::HealthCheckResponse* response) override {
    if (!request->service().empty() && request->service() != "ill") {
      return {::grpc::StatusCode::NOT_FOUND, "no such service"};
    }
    response->set_status(request->service().empty() ? pb::HealthCheckResponse::SERVING
                                                    : pb::HealthCheckResponse::NOT_SERVING);
    return ::grpc::Status::OK;
  }
  uint16_t port() const { return port_; }

 private:
  int port_ = 0;
  std::unique_ptr<::grpc::Server> server_;
};

absl::Status Ask(uint16_t port, const std::string& service) {
  HealthTarget target = Loopback(port);
  target.service_name = service;
  return AskOnce(*NewGrpcCheckFactory(), target);
}

TEST(GrpcCheckTest, ServingIsHealth) {
  const Server server;
  EXPECT_TRUE(Ask(server.port(), "").ok()) << Ask(server.port(), "");
}

TEST(GrpcCheckTest, NotServingAndUnknownAreNot) {
  const Server server;
  EXPECT_EQ(Ask(server.port(), "ill").message(), "the server says that it does not serve");
  EXPECT_EQ(Ask(server.port(), "nobody").message(), "no such service");
}

TEST(GrpcCheckTest, AServerThatIsGoneIsNotHealthy) {
  uint16_t port = 0;
  { port = Server().port(); }
  EXPECT_EQ(Ask(port, "").code(), absl::StatusCode::kUnavailable);
}

TEST(GrpcCheckTest, OneThatIsGivenUpSaysNothing) {
  const Server server;
  const auto loop = NewLoop();
  const auto stage = *NewGrpcCheckFactory()->Create("");
  auto attempt = dynamic_cast<const HealthCheck&>(*stage).Begin(
      loop.get(), Loopback(server.port()), [](const absl::Status&) { ADD_FAILURE(); });
  attempt.reset();
  loop->RunAfter(absl::Milliseconds(100), [&] { loop->Stop(); });
  loop->Run();
}

}  // namespace
}  // namespace portolan::plugin
