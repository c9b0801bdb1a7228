#include "services/ipam-service/shell/testing_mortal_etcd.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "services/base/clock/clock.h"
#include "services/base/store/etcd_client.h"
#include "services/base/store/etcd_election.h"
#include "services/base/store/etcd_store.h"
#include "services/ipam-service/shell/testing_relay.h"

namespace portolan::ipam {
namespace {

constexpr char kLeaderKey[] = "kill/leader";
constexpr char kRows[] = "kill/row/";
constexpr absl::Duration kTtl = absl::Minutes(5);  // nobody waits for it

void ExpireLeader(store::EtcdClient& client) {
  etcdserverpb::TxnRequest request;
  request.add_success()->mutable_request_delete_range()->set_key(kLeaderKey);
  client.Txn(request).value();
}

// A store with the election that it rests on. Only what is written goes through the relay.
class LeadingStore : public store::Store {
 public:
  explicit LeadingStore(int port) : relay_(port) {
    const store::EtcdOptions direct = {.endpoints = {absl::StrCat("127.0.0.1:", port)}};
    auto client = store::EtcdClient::New(direct).value();
    ExpireLeader(*client);
    election_ = std::make_unique<store::Election>(
        std::move(client), store::Election::Options{.key = kLeaderKey, .name = "one", .ttl = kTtl},
        &SystemClock(),
        store::Election::Handlers{.on_elected =
                                      [this](std::shared_ptr<store::Leadership> won) {
                                        leadership_ = std::move(won);
                                        elected_.Notify();
                                      },
                                  .on_lost = [](const absl::Status&) {},
                                  .on_waiting = [](const std::string&) {}});
    elected_.WaitForNotification();
    store_ = store::NewEtcdStore(store::EtcdClient::New({.endpoints = {relay_.endpoint()}}).value(),
                                 kRows, leadership_);
  }

  absl::Status Commit(const store::Batch& batch) override { return store_->Commit(batch); }
  absl::StatusOr<std::vector<store::Row>> List(absl::string_view prefix) const override {
    return store_->List(prefix);
  }
  size_t max_rows() const override { return store_->max_rows(); }

  // Every transaction of the store names the leader's key, and nothing else does.
  void DieInside() { relay_.DieAfterSending(kLeaderKey); }

 private:
  Relay relay_;
  absl::Notification elected_;
  std::shared_ptr<store::Leadership> leadership_;
  std::unique_ptr<store::Election> election_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace

MortalParts OpenMortalEtcd(int port) {
  auto store = std::make_unique<LeadingStore>(port);
  LeadingStore* const leading = store.get();
  return {std::move(store), [leading] { leading->DieInside(); }};
}

}  // namespace portolan::ipam
