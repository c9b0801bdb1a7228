// For tests: publishes what it is told, as config-service, ipam-service and datapath-loader would.
//
//   testing_publisher SOCKET FIFO
//
// Lines of the FIFO: "put TYPE KEY JSON", "remove TYPE KEY", "synced". TYPE is one of those below.
// Prints "ready" once it listens. Runs until it is killed.
#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/server.h"

namespace {

namespace config = portolan::config::v1alpha1;

struct Table {
  portolan::wire::Writer writer;
  std::unique_ptr<google::protobuf::Message> example;
};

template <typename M>
void Add(portolan::wire::Hub& hub, std::map<std::string, Table>& tables) {
  tables.insert({M::descriptor()->name(), Table{hub.NewWriter<M>(), std::make_unique<M>()}});
}

std::string Do(std::map<std::string, Table>& tables, const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
  if (words[0] == "synced") {
    for (auto& [name, table] : tables) table.writer.MarkSynced();
    return "";
  }
  auto table = words.size() > 2 ? tables.find(words[1]) : tables.end();
  if (table == tables.end()) return "unknown command or type";
  if (words[0] == "remove") {
    table->second.writer.Remove(words[2]);
    return "";
  }
  if (words[0] != "put" || words.size() != 4) return "unknown command";
  std::unique_ptr<google::protobuf::Message> message(table->second.example->New());
  const auto parsed = google::protobuf::util::JsonStringToMessage(words[3], message.get());
  if (!parsed.ok()) return parsed.ToString();
  table->second.writer.Upsert(words[2], *message);
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: testing_publisher SOCKET FIFO" << std::endl;
    return 2;
  }
  portolan::wire::Hub hub;
  std::map<std::string, Table> tables;
  Add<portolan::allocation::v1alpha1::Allocation>(hub, tables);
  Add<portolan::status::v1alpha1::ObjectStatus>(hub, tables);
  Add<config::L2Policy>(hub, tables);
  Add<config::L2Settings>(hub, tables);
  Add<config::Node>(hub, tables);
  Add<config::PipelineStage>(hub, tables);
  auto server = portolan::wire::Server::Start(absl::StrCat("unix:", argv[1]), {hub.service()});
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  // For reading and writing, so that it does not end when a writer closes it.
  const int fifo = open(argv[2], O_RDWR | O_CLOEXEC);
  FILE* lines = fifo < 0 ? nullptr : fdopen(fifo, "r");
  if (lines == nullptr) {
    std::perror(argv[2]);
    return 1;
  }
  std::cout << "ready" << std::endl;
  char* buffer = nullptr;
  size_t capacity = 0;
  for (ssize_t size; (size = getline(&buffer, &capacity, lines)) > 0;) {
    const std::string line(buffer, size - 1);
    const std::string error = Do(tables, line);
    std::cout << (error.empty() ? "done: " : "error: " + error + ": ") << line << std::endl;
  }
  return 0;
}
