// Plays everything that datapath-loader and l2-announcer read from, but each other, and reads what
// datapath-loader publishes; for the tests in namespaces.
//
//   upstreams RUN_DIR
//
// Serves RUN_DIR/{config-service,ipam-service}.sock. Takes lines on standard input, answers each
// with one line ("ok" or an error):
//   set TYPE KEY JSON      TYPE is a message name without its package, e.g. BackendSet
//   remove TYPE KEY
//   sync                   every table is complete
// except for this one, which answers with one line a row and then "ok":
//   get TYPE               what RUN_DIR/datapath-loader.sock publishes: KEY JSON
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/server.h"

namespace portolan::datapath {
namespace {

using google::protobuf::Message;

struct Table {
  wire::Writer writer;
  std::unique_ptr<Message> prototype;
};

class Upstreams {
 public:
  explicit Upstreams(std::string run_dir) : run_dir_(std::move(run_dir)) {
    Add<config::v1alpha1::Node>(config_);
    Add<config::v1alpha1::DatapathInterface>(config_);
    Add<config::v1alpha1::DatapathSettings>(config_);
    Add<config::v1alpha1::L2Policy>(config_);
    Add<config::v1alpha1::L2Settings>(config_);
    Add<config::v1alpha1::PipelineStage>(config_);
    Add<intent::v1alpha1::ServiceIntent>(config_);
    Add<intent::v1alpha1::BackendSet>(config_);
    Add<allocation::v1alpha1::Allocation>(allocation_);
    Publishes<v1alpha1::InterfaceState>();
    Publishes<v1alpha1::FrontendState>();
    Publishes<v1alpha1::BackendState>();
    Publishes<v1alpha1::DropState>();
    Publishes<status::v1alpha1::ObjectStatus>();
  }
  ~Upstreams() {
    config_.Shutdown();
    allocation_.Shutdown();
  }

  bool Serve() { return Serve("config-service", config_) && Serve("ipam-service", allocation_); }

  void Obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, type, key;
    words >> verb >> type >> key;
    if (verb == "get") {
      Get(type);
      return;
    }
    std::string answer = "ok";
    if (verb == "sync") {
      for (auto& [name, table] : tables_) table.writer.MarkSynced();
    } else if (const auto table = tables_.find(type); table == tables_.end()) {
      answer = "no table " + type;
    } else if (verb == "remove") {
      table->second.writer.Remove(key);
    } else {
      std::string json;
      std::getline(words, json);
      answer = Set(table->second, key, json);
    }
    std::cout << answer << std::endl;
  }

 private:
  template <typename M>
  void Add(wire::Hub& hub) {
    tables_.emplace(M::descriptor()->name(), Table{hub.NewWriter<M>(), std::make_unique<M>()});
  }
  template <typename M>
  void Publishes() {
    published_[M::descriptor()->name()] = std::make_unique<M>();
  }

  bool Serve(const std::string& name, wire::Hub& hub) {
    auto server = wire::Server::Start("unix:" + run_dir_ + "/" + name + ".sock", {hub.service()});
    if (!server.ok()) {
      std::cerr << name << ": " << server.status().message() << std::endl;
      return false;
    }
    servers_.push_back(*std::move(server));
    return true;
  }

  static std::string Set(Table& table, const std::string& key, const std::string& json) {
    const std::unique_ptr<Message> message(table.prototype->New());
    const auto status = google::protobuf::util::JsonStringToMessage(json, message.get());
    if (!status.ok()) return status.ToString();
    table.writer.Upsert(key, *message);
    return "ok";
  }

  void Get(const std::string& type) {
    const auto prototype = published_.find(type);
    if (prototype == published_.end()) {
      std::cout << "no table " << type << std::endl;
      return;
    }
    const auto channel = wire::Connect("unix:" + run_dir_ + "/datapath-loader.sock");
    const auto stub = stream::v1alpha1::Stream::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    stream::v1alpha1::WatchRequest request;
    request.set_type(prototype->second->GetDescriptor()->full_name());
    request.set_snapshot_only(true);
    const auto reader = stub->Watch(&context, request);
    stream::v1alpha1::WatchResponse response;
    while (reader->Read(&response)) {
      for (const stream::v1alpha1::Change& change : response.changes()) {
        Print(*prototype->second, change);
      }
    }
    const grpc::Status status = reader->Finish();
    std::cout << (status.ok() ? "ok" : status.error_message()) << std::endl;
  }

  static void Print(const Message& prototype, const stream::v1alpha1::Change& change) {
    if (!change.has_value()) return;
    const std::unique_ptr<Message> message(prototype.New());
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    std::string json;
    if (change.value().UnpackTo(message.get()) &&
        google::protobuf::util::MessageToJsonString(*message, &json, options).ok()) {
      std::cout << change.key() << " " << json << "\n";
    }
  }

  const std::string run_dir_;
  wire::Hub config_;
  wire::Hub allocation_;
  std::map<std::string, Table> tables_;
  std::map<std::string, std::unique_ptr<Message>> published_;
  std::vector<std::unique_ptr<wire::Server>> servers_;
};

}  // namespace
}  // namespace portolan::datapath

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: upstreams RUN_DIR" << std::endl;
    return 2;
  }
  portolan::datapath::Upstreams upstreams(argv[1]);
  if (!upstreams.Serve()) return 1;
  std::cout << "ok" << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) upstreams.Obey(line);
  return 0;
}
