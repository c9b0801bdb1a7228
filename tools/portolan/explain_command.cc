#include <iostream>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "services/base/status/status_macros.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/tables.h"
#include "tools/portolan/time_text.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
namespace {

using ipam::v1alpha1::ExplainResponse;
using ipam::v1alpha1::SlotExplanation;
using status::v1alpha1::ObjectStatus;

// NAMESPACE/NAME as it is; a plain NAME by search.
absl::StatusOr<std::string> FindKey(const Tables& tables, const std::string& service) {
  if (tables.intents.contains(service) || tables.allocations.contains(service)) return service;
  std::vector<std::string> found;
  for (const auto& [key, intent] : tables.intents) {
    if (absl::EndsWith(key, absl::StrCat("/", service))) found.push_back(key);
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no Service ", service, " is declared; see `portolan get services`"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      service, " is ambiguous: ", absl::StrJoin(found, ", "), "; give NAMESPACE/NAME"));
}

std::string Ports(const intent::v1alpha1::ServiceIntent& intent) {
  return absl::StrJoin(intent.ports(), ", ", [](std::string* out, const auto& port) {
    const std::string protocol = intent::v1alpha1::Protocol_Name(port.protocol());
    absl::StrAppend(out, port.port(), "/",
                    absl::AsciiStrToLower(absl::StripPrefix(protocol, "PROTOCOL_")));
  });
}

void PrintStep(std::ostream& out, const ObjectStatus& step) {
  out << "  " << step.component();
  if (!step.node().empty()) out << " on " << step.node();
  out << ": " << StateName(step.state());
  if (!step.reason().empty()) out << " (" << step.reason() << ")";
  out << '\n';
  if (!step.message().empty()) out << "      " << step.message() << '\n';
  for (const auto& finding : step.findings()) {
    out << "      - " << finding.subject() << ": " << finding.reason();
    if (!finding.message().empty()) out << ": " << finding.message();
    out << '\n';
  }
  if (!step.remedy().empty()) out << "      remedy: " << step.remedy() << '\n';
}

void PrintSlot(std::ostream& out, const SlotExplanation& slot) {
  out << "      - " << slot.wish() << ": " << slot.outcome();
  if (!slot.address().empty() && !absl::EndsWith(slot.wish(), slot.address())) {
    out << " " << slot.address();
  }
  if (slot.since_unix_ms() != 0) out << ", since " << PointInTime(slot.since_unix_ms());
  if (slot.shared_with_size() > 0) {
    out << ", shared with " << absl::StrJoin(slot.shared_with(), ", ");
  }
  out << '\n';
  for (const ipam::v1alpha1::Considered& considered : slot.considered()) {
    out << "          " << considered.reason() << ": " << considered.message() << '\n';
    if (!considered.remedy().empty())
      out << "              remedy: " << considered.remedy() << '\n';
  }
}

void PrintAddressing(std::ostream& out, const absl::StatusOr<ExplainResponse>& addressing) {
  if (!addressing.ok()) {
    out << "  addressing: not known: " << addressing.status().message() << '\n';
    return;
  }
  out << "  addressing, pools in the order of serving:\n";
  for (const SlotExplanation& slot : addressing->slots()) PrintSlot(out, slot);
}

void PrintText(std::ostream& out, const Tables& tables, const ServiceStory& story,
               const absl::StatusOr<ExplainResponse>& addressing) {
  out << "Service " << story.key << ": " << story.state << '\n';
  if (const auto it = tables.intents.find(story.key); it != tables.intents.end()) {
    std::vector<std::string> labels;
    for (const auto& [key, value] : std::map<std::string, std::string>(it->second.labels().begin(),
                                                                       it->second.labels().end())) {
      labels.push_back(absl::StrCat(key, "=", value));
    }
    out << "  intent: ports " << Ports(it->second) << "; labels "
        << (labels.empty() ? "none" : absl::StrJoin(labels, ",")) << "; " << story.backends
        << " backends; generation " << it->second.generation() << '\n';
  }
  if (!story.addresses.empty()) {
    out << "  addresses: " << absl::StrJoin(story.addresses, ", ") << '\n';
  }
  PrintAddressing(out, addressing);
  for (const ObjectStatus& step : story.steps) PrintStep(out, step);
  if (!story.announced_by.empty()) {
    out << "  answered on the LAN by: " << absl::StrJoin(story.announced_by, ", ") << '\n';
  }
  if (!story.bgp_peers.empty()) {
    out << "  advertised (node>peer): " << absl::StrJoin(story.bgp_peers, ", ") << '\n';
  }
  if (!story.why.empty()) out << "  so: " << story.why << '\n';
  if (!story.remedy.empty()) out << "  do: " << story.remedy << '\n';
}

nlohmann::ordered_json ToJson(const SlotExplanation& slot) {
  nlohmann::ordered_json json;
  json["wish"] = slot.wish();
  json["address"] = slot.address();
  json["outcome"] = slot.outcome();
  json["since-unix-ms"] = slot.since_unix_ms();
  json["shared-with"] =
      std::vector<std::string>(slot.shared_with().begin(), slot.shared_with().end());
  json["considered"] = nlohmann::ordered_json::array();
  for (const ipam::v1alpha1::Considered& considered : slot.considered()) {
    json["considered"].push_back({{"pool", considered.pool()},
                                  {"reason", considered.reason()},
                                  {"message", considered.message()},
                                  {"remedy", considered.remedy()}});
  }
  return json;
}

void PrintJson(std::ostream& out, const ServiceStory& story,
               const absl::StatusOr<ExplainResponse>& addressing) {
  nlohmann::ordered_json json;
  json["service"] = story.key;
  json["state"] = story.state;
  json["why"] = story.why;
  json["remedy"] = story.remedy;
  json["addresses"] = story.addresses;
  json["announced-by"] = story.announced_by;
  json["bgp-peers"] = story.bgp_peers;
  json["backends"] = story.backends;
  json["addressing"] = nlohmann::ordered_json::array();
  if (addressing.ok()) {
    for (const SlotExplanation& slot : addressing->slots()) {
      json["addressing"].push_back(ToJson(slot));
    }
  } else {
    json["addressing-unknown"] = std::string(addressing.status().message());
  }
  json["steps"] = nlohmann::ordered_json::array();
  for (const ObjectStatus& step : story.steps) {
    nlohmann::ordered_json entry;
    entry["component"] = step.component();
    entry["node"] = step.node();
    entry["state"] = StateName(step.state());
    entry["reason"] = step.reason();
    entry["message"] = step.message();
    entry["remedy"] = step.remedy();
    entry["findings"] = nlohmann::ordered_json::array();
    for (const auto& finding : step.findings()) {
      entry["findings"].push_back({{"subject", finding.subject()},
                                   {"reason", finding.reason()},
                                   {"message", finding.message()}});
    }
    json["steps"].push_back(std::move(entry));
  }
  out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

absl::StatusOr<ExplainResponse> Ask(const Client& client, const std::string& key) {
  ASSIGN_OR_RETURN(const auto channel, client.IpamChannel());
  const auto stub = ipam::v1alpha1::Ipam::NewStub(channel);
  ipam::v1alpha1::ExplainRequest request;
  request.set_service(key);
  return Call<ExplainResponse>([&](grpc::ClientContext* context, ExplainResponse* response) {
    return stub->Explain(context, request, response);
  });
}

}  // namespace

int ExplainService(const Places& places, const std::string& service, Output output) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const absl::StatusOr<Tables> tables = ReadTables(*client);
  if (!tables.ok()) return Fail(tables.status());
  const absl::StatusOr<std::string> key = FindKey(*tables, service);
  if (!key.ok()) return Fail(key.status());
  const ServiceStory story = TellStory(*tables, *key);
  const absl::StatusOr<ExplainResponse> addressing = Ask(*client, *key);
  if (output == Output::kJson) {
    PrintJson(std::cout, story, addressing);
  } else {
    PrintText(std::cout, *tables, story, addressing);
  }
  return story.state == "ready" ? kOk : kNotSatisfied;
}

}  // namespace portolan::cli
