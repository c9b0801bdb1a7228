// An ipam-service that holds addresses and answers Plan, on a socket of its own. Tests only.
//
// Services hold addresses; a plan moves each one that no block of the proposed pools holds, to the
// first address of the first pool, which those who wait get too. It can go away and come back, be
// of an older version that does not know the question, or hang: then questions wait until it goes
// on or the caller gives up.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "services/base/net/prefix.h"
#include "services/base/wire/server.h"

namespace portolan::config {

class FakeIpam {
 public:
  explicit FakeIpam(std::string address) : address_(std::move(address)), rpc_(this) { ComeBack(); }

  void GoAway() { server_.reset(); }
  void ComeBack() { Serve({&rpc_}); }
  // It is there, and does not know Plan.
  void BeOld() {
    GoAway();
    Serve({&other_});
  }
  void Hang(bool hang) {
    absl::MutexLock lock(&mutex_);
    hanging_ = hang;
  }
  void Hold(const std::string& service, const std::string& address) {
    absl::MutexLock lock(&mutex_);
    held_[service] = address;
  }

  void LetWait(const std::string& service) {
    absl::MutexLock lock(&mutex_);
    waiting_services_.push_back(service);
  }

  // Questions so far.
  std::vector<ipam::v1alpha1::PlanRequest> asked() {
    absl::MutexLock lock(&mutex_);
    return asked_;
  }
  // Until so many questions hang; false after ten seconds.
  bool WaitForHanging(int count) {
    absl::MutexLock lock(&mutex_);
    wanted_ = count;
    return mutex_.AwaitWithTimeout(
        absl::Condition(
            +[](FakeIpam* self) { return self->waiting_ >= self->wanted_; }, this),
        absl::Seconds(10));
  }

 private:
  class Rpc : public ipam::v1alpha1::Ipam::Service {
   public:
    explicit Rpc(FakeIpam* ipam) : ipam_(ipam) {}
    grpc::Status Plan(grpc::ServerContext* context, const ipam::v1alpha1::PlanRequest* request,
                      ipam::v1alpha1::PlanResponse* response) override {
      return ipam_->Plan(*context, *request, response);
    }

   private:
    FakeIpam* const ipam_;
  };

  void Serve(const std::vector<grpc::Service*>& services) {
    auto server = wire::Server::Start(address_, services);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  grpc::Status Plan(const grpc::ServerContext& context, const ipam::v1alpha1::PlanRequest& request,
                    ipam::v1alpha1::PlanResponse* response) {
    absl::MutexLock lock(&mutex_);
    asked_.push_back(request);
    ++waiting_;
    while (hanging_ && !context.IsCancelled()) {
      mutex_.AwaitWithTimeout(absl::Condition(
                                  +[](bool* hanging) { return !*hanging; }, &hanging_),
                              absl::Milliseconds(5));
    }
    --waiting_;
    for (const auto& [service, address] : held_) {
      if (IsIn(request, address)) continue;
      config::v1alpha1::AddressMove* move = response->add_moves();
      move->set_service(service);
      move->set_address(address);
      move->set_pool("primary");
      move->set_reason("not-in-pool");
      move->set_message("no pool holds it");
      if (request.pools_size() == 0 || request.pools(0).blocks_size() == 0) continue;
      move->set_new_address(request.pools(0).blocks(0).first());
      move->set_new_pool(request.pools(0).name());
    }
    for (const std::string& service : waiting_services_) {
      if (request.pools_size() == 0 || request.pools(0).blocks_size() == 0) continue;
      config::v1alpha1::AddressGain* gain = response->add_gains();
      gain->set_service(service);
      gain->set_address(request.pools(0).blocks(0).first());
      gain->set_pool(request.pools(0).name());
    }
    return grpc::Status::OK;
  }

  static bool IsIn(const ipam::v1alpha1::PlanRequest& request, const std::string& address) {
    for (const config::v1alpha1::Pool& pool : request.pools()) {
      for (const config::v1alpha1::AddressBlock& block : pool.blocks()) {
        const auto range = net::Range::Of(net::IpAddress::Parse(block.first()).value(),
                                          net::IpAddress::Parse(block.last()).value());
        if (range->Contains(net::IpAddress::Parse(address).value())) return true;
      }
    }
    return false;
  }

  const std::string address_;
  absl::Mutex mutex_;
  bool hanging_ = false;
  int waiting_ = 0;
  int wanted_ = 0;
  std::map<std::string, std::string> held_;  // address by service
  std::vector<std::string> waiting_services_;
  std::vector<ipam::v1alpha1::PlanRequest> asked_;
  Rpc rpc_;
  ipam::v1alpha1::Ipam::Service other_;   // answers UNIMPLEMENTED
  std::unique_ptr<wire::Server> server_;  // last: it calls rpc_
};

}  // namespace portolan::config
