// A config-service as a process of its own and a reader of its streams, for tests.
//
// Process owns a loop on its own thread, a hub, a server on DIRECTORY/s.sock and the service, which
// looks for ipam-service on DIRECTORY/i.sock and asks itself for its state. World reads on the
// caller's thread, in Until().
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/clock/clock.h"
#include "services/base/wire/reader.h"
#include "services/base/wire/server.h"
#include "services/config-service/shell/fake_files.h"
#include "services/config-service/shell/service.h"

namespace portolan::config {

// Lends a FakeFiles that outlives the process under test.
class LentFiles : public Files {
 public:
  explicit LentFiles(FakeFiles* files) : files_(files) {}
  absl::StatusOr<std::string> Read(const std::string& path) override { return files_->Read(path); }
  absl::Status Write(const std::string& path, const std::string& text) override {
    return files_->Write(path, text);
  }
  absl::Status Link(const std::string& from, const std::string& to) override {
    return files_->Link(from, to);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    return files_->List(directory);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return files_->Rename(from, to);
  }
  absl::Status SyncDirectory(const std::string& directory) override {
    return files_->SyncDirectory(directory);
  }
  absl::Status Remove(const std::string& path) override { return files_->Remove(path); }

 private:
  FakeFiles* const files_;
};

// One life of a config-service process: its own loop thread, hub, server and socket.
class Process {
 public:
  // `peers`: processes of the node that can be asked about edits.
  Process(const std::string& directory, const std::string& file, FakeFiles* files,
          std::vector<process::Peer> peers = {})
      : loop_(NewLoop()), log_("config", Log::Level::kError) {
    const process::Context context{"a",   directory,      directory, loop_.get(),
                                   &hub_, &SystemClock(), &log_};
    service_ = std::make_unique<ConfigService>(
        context, Options{.file = file}, Model::Create().value(),
        files == nullptr ? SystemFiles() : std::make_unique<LentFiles>(files));
    std::vector<grpc::Service*> rpcs = service_->rpcs();
    rpcs.push_back(hub_.service());
    const std::string address = absl::StrCat("unix:", directory, "/s.sock");
    auto server = wire::Server::Start(address, rpcs);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    peers.push_back({"config-service", wire::Connect(address)});
    started = service_->Start(
        {.allocation = wire::Connect("unix:" + directory + "/i.sock"), .peers = std::move(peers)});
    thread_ = std::thread([this] { loop_->Run(); });
    channel = wire::Connect(address);
    stub = v1alpha1::Config::NewStub(channel);
  }

  ~Process() {
    hub_.Shutdown();
    server_.reset();
    loop_->Post([this] {
      service_.reset();
      loop_->Stop();
    });
    thread_.join();
  }

  // What a NETCONF server in this process would use.
  Datastores& datastores() { return *service_->datastores(); }
  Access& access() { return *service_->access(); }

  void Reload() {
    absl::Notification done;
    loop_->Post([&] {
      service_->Reload();
      done.Notify();
    });
    done.WaitForNotification();
  }

  v1alpha1::EditResponse Edit(v1alpha1::EditOperation operation, const std::string& data,
                              bool dry_run = false, bool allow_renumber = false) {
    v1alpha1::EditRequest request;
    request.set_operation(operation);
    (operation == v1alpha1::EDIT_OPERATION_DELETE ? *request.mutable_path()
                                                  : *request.mutable_data()) = data;
    request.set_source_name("edit");
    request.set_allow_renumber(allow_renumber);
    return Send(request, dry_run);
  }
  v1alpha1::EditResponse Send(const v1alpha1::EditRequest& request, bool dry_run = false) {
    v1alpha1::EditResponse response;
    grpc::ClientContext context;
    const grpc::Status status = dry_run ? stub->Check(&context, request, &response)
                                        : stub->Apply(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1alpha1::EditResponse Merge(const std::string& data) {
    return Edit(v1alpha1::EDIT_OPERATION_MERGE, data);
  }
  v1alpha1::EditResponse Replace(const std::string& data) {
    return Edit(v1alpha1::EDIT_OPERATION_REPLACE, data);
  }
  v1alpha1::EditResponse Delete(const std::string& path) {
    return Edit(v1alpha1::EDIT_OPERATION_DELETE, path);
  }

  v1alpha1::EditResponse EndTrial(bool keep, const std::string& persist_id = "") {
    v1alpha1::TrialRequest request;
    request.set_persist_id(persist_id);
    request.mutable_author()->set_user("ann");
    v1alpha1::EditResponse response;
    grpc::ClientContext context;
    const grpc::Status status = keep ? stub->Confirm(&context, request, &response)
                                     : stub->Cancel(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  v1alpha1::HistoryResponse History() {
    v1alpha1::HistoryResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub->History(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  v1alpha1::GetResponse Get(const std::string& path = "", bool secrets = false) {
    v1alpha1::GetRequest request;
    request.set_path(path);
    request.set_secrets(secrets);
    v1alpha1::GetResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub->Get(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  absl::Status started;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1alpha1::Config::Stub> stub;

 private:
  std::unique_ptr<Loop> loop_;
  const Log log_;
  wire::Hub hub_;
  std::unique_ptr<ConfigService> service_;
  std::unique_ptr<wire::Server> server_;
  std::thread thread_;
};

// Another service that reads the streams.
class World {
 public:
  explicit World(const Process& process) : loop_(NewLoop()) {
    Follow(process, &pools);
    Follow(process, &settings);
    Follow(process, &quotas);
    Follow(process, &namespaces);
    Follow(process, &intents);
    Follow(process, &backends);
    Follow(process, &statuses);
  }

  // Runs until `wish` holds; false after ten seconds.
  bool Until(std::function<bool()> wish) {
    wish_ = [wish = std::move(wish), this] { return synced_ == readers_.size() && wish(); };
    bool timed_out = false;
    const Loop::TimerId timer = loop_->RunAfter(absl::Seconds(10), [&] {
      timed_out = true;
      loop_->Stop();
    });
    if (!wish_()) loop_->Run();
    loop_->Cancel(timer);
    wish_ = nullptr;
    return !timed_out;
  }

  std::map<std::string, v1alpha1::Pool> pools;
  std::map<std::string, v1alpha1::IpamSettings> settings;
  std::map<std::string, v1alpha1::Quota> quotas;
  std::map<std::string, intent::v1alpha1::Namespace> namespaces;
  std::map<std::string, intent::v1alpha1::ServiceIntent> intents;
  std::map<std::string, intent::v1alpha1::BackendSet> backends;
  std::map<std::string, status::v1alpha1::ObjectStatus> statuses;

 private:
  void Check() {
    if (wish_ && wish_()) loop_->Stop();
  }

  template <typename M>
  void Follow(const Process& process, std::map<std::string, M>* table) {
    readers_.push_back(std::make_shared<wire::TypedReader<M>>(
        loop_.get(), process.channel,
        wire::Handlers<M>{
            .on_upsert = [this, table](const std::string& key,
                                       const M& value) { (*table)[key] = value, Check(); },
            .on_remove = [this, table](const std::string& key) { table->erase(key), Check(); },
            .on_synced = [this] { ++synced_, Check(); },
        }));
  }

  std::unique_ptr<Loop> loop_;
  std::function<bool()> wish_;
  size_t synced_ = 0;
  std::vector<std::shared_ptr<void>> readers_;
};

}  // namespace portolan::config
