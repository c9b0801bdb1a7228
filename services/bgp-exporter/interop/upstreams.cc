// Plays everything that bgp-exporter reads from, and reads what it publishes; for interop tests.
//
//   upstreams RUN_DIR
//
// Serves RUN_DIR/{config-service,ipam-service,datapath-loader}.sock. Takes lines on standard input,
// answers each with one line ("ok" or an error):
//   set TYPE KEY JSON      TYPE is a message name without its package, e.g. BgpPeer
//   remove TYPE KEY
//   sync                   every table is complete
//   reset PEER MESSAGE     orders to the exporter; without a message ("-") a soft reset
//   drain SECONDS
//   undrain
// except for this one, which answers with one line a row and then "ok":
//   get TYPE               what RUN_DIR/bgp-exporter.sock publishes: KEY JSON
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/bgp/v1alpha1/bgp.pb.h"
#include "api/proto/bgp/v1alpha1/control.grpc.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "api/proto/stream/v1alpha1/stream.grpc.pb.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/server.h"

namespace portolan::bgp {
namespace {

using google::protobuf::Message;

struct Table {
  wire::Writer writer;
  std::unique_ptr<Message> prototype;
};

class Upstreams {
 public:
  explicit Upstreams(std::string run_dir) : run_dir_(std::move(run_dir)) {
    Add<config::v1alpha1::BgpInstance>(config_);
    Add<config::v1alpha1::BgpPeer>(config_);
    Add<config::v1alpha1::BgpAdvertisement>(config_);
    Add<config::v1alpha1::Node>(config_);
    Add<config::v1alpha1::PipelineStage>(config_);
    Add<allocation::v1alpha1::Allocation>(allocation_);
    Add<status::v1alpha1::ObjectStatus>(datapath_);
  }
  ~Upstreams() {
    for (wire::Hub* hub : {&config_, &allocation_, &datapath_}) hub->Shutdown();
  }

  bool Serve() {
    return Serve("config-service", config_) && Serve("ipam-service", allocation_) &&
           Serve("datapath-loader", datapath_);
  }

  void Obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, type, key;
    words >> verb >> type >> key;
    if (verb == "sync") {
      for (auto& [name, table] : tables_) table.writer.MarkSynced();
      std::cout << "ok" << std::endl;
    } else if (verb == "get") {
      Get(type);
    } else if (verb == "reset") {
      Reset(type, key);
    } else if (verb == "drain") {
      Drain(type);
    } else if (verb == "undrain") {
      Undrain();
    } else if (const auto table = tables_.find(type); table == tables_.end()) {
      std::cout << "no table " << type << std::endl;
    } else if (verb == "remove") {
      table->second.writer.Remove(key);
      std::cout << "ok" << std::endl;
    } else {
      std::string json;
      std::getline(words, json);
      const std::unique_ptr<Message> message(table->second.prototype->New());
      const auto status = google::protobuf::util::JsonStringToMessage(json, message.get());
      if (status.ok()) table->second.writer.Upsert(key, *message);
      std::cout << (status.ok() ? "ok" : status.ToString()) << std::endl;
    }
  }

 private:
  template <typename M>
  void Add(wire::Hub& hub) {
    tables_.emplace(M::descriptor()->name(), Table{hub.NewWriter<M>(), std::make_unique<M>()});
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

  // Prints "ok", or the error.
  template <typename Response, typename Call>
  void Order(Call call) {
    const auto channel = wire::Connect("unix:" + run_dir_ + "/bgp-exporter.sock");
    const auto stub = v1alpha1::BgpControl::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    Response response;
    const grpc::Status status = call(*stub, &context, &response);
    std::cout << (status.ok() ? "ok" : status.error_message()) << std::endl;
  }

  void Reset(const std::string& peer, const std::string& message) {
    v1alpha1::ResetPeerRequest request;
    request.set_peer(peer);
    request.set_soft(message == "-");
    if (message != "-") request.set_message(message);
    Order<v1alpha1::ResetPeerResponse>([&](auto& stub, auto* context, auto* response) {
      return stub.ResetPeer(context, request, response);
    });
  }

  void Drain(const std::string& seconds) {
    v1alpha1::DrainRequest request;
    request.set_hold_time_s(static_cast<uint32_t>(std::stoul(seconds)));
    Order<v1alpha1::DrainResponse>([&](auto& stub, auto* context, auto* response) {
      return stub.Drain(context, request, response);
    });
  }

  void Undrain() {
    Order<v1alpha1::UndrainResponse>([&](auto& stub, auto* context, auto* response) {
      return stub.Undrain(context, v1alpha1::UndrainRequest(), response);
    });
  }

  void Get(const std::string& type) {
    const std::map<std::string, std::string> names = {
        {"PeerState", v1alpha1::PeerState::descriptor()->full_name()},
        {"Route", v1alpha1::Route::descriptor()->full_name()},
        {"ObjectStatus", status::v1alpha1::ObjectStatus::descriptor()->full_name()},
    };
    const auto channel = wire::Connect("unix:" + run_dir_ + "/bgp-exporter.sock");
    const auto stub = stream::v1alpha1::Stream::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    stream::v1alpha1::WatchRequest request;
    request.set_type(names.at(type));
    request.set_snapshot_only(true);
    const auto reader = stub->Watch(&context, request);
    stream::v1alpha1::WatchResponse response;
    while (reader->Read(&response)) {
      for (const stream::v1alpha1::Change& change : response.changes()) Print(type, change);
    }
    const grpc::Status status = reader->Finish();
    std::cout << (status.ok() ? "ok" : status.error_message()) << std::endl;
  }

  static void Print(const std::string& type, const stream::v1alpha1::Change& change) {
    if (!change.has_value()) return;
    std::unique_ptr<Message> message;
    if (type == "PeerState") message = std::make_unique<v1alpha1::PeerState>();
    if (type == "Route") message = std::make_unique<v1alpha1::Route>();
    if (type == "ObjectStatus") message = std::make_unique<status::v1alpha1::ObjectStatus>();
    std::string json;
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    if (change.value().UnpackTo(message.get()) &&
        google::protobuf::util::MessageToJsonString(*message, &json, options).ok()) {
      std::cout << change.key() << " " << json << "\n";
    }
  }

  const std::string run_dir_;
  wire::Hub config_;
  wire::Hub allocation_;
  wire::Hub datapath_;
  std::map<std::string, Table> tables_;
  std::vector<std::unique_ptr<wire::Server>> servers_;
};

}  // namespace
}  // namespace portolan::bgp

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: upstreams RUN_DIR" << std::endl;
    return 2;
  }
  portolan::bgp::Upstreams upstreams(argv[1]);
  if (!upstreams.Serve()) return 1;
  std::cout << "ok" << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) upstreams.Obey(line);
  return 0;
}
