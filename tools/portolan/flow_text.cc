#include "tools/portolan/flow_text.h"

#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::cli {
namespace {

using datapath::v1alpha1::Flow;
using nlohmann::json;

absl::Status Unreadable(size_t row, const char* field) {
  return absl::InvalidArgumentError(absl::StrCat(
      "row ", row + 1, ": ", field,
      " is missing or cannot be read; import what `portolan datapath flows -o json` has printed"));
}

const std::string* TextOf(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get_ptr<const std::string*>()
                                                     : nullptr;
}

bool ParseEndpoint(const json& object, const char* field, std::string* address, uint32_t* port) {
  const std::string* text = TextOf(object, field);
  const size_t colon = text == nullptr ? std::string::npos : text->rfind(':');
  if (colon == std::string::npos || !absl::SimpleAtoi(text->substr(colon + 1), port)) return false;
  *address = text->substr(0, colon);
  if (address->size() > 2 && address->front() == '[' && address->back() == ']') {
    *address = address->substr(1, address->size() - 2);
  }
  return true;
}

absl::StatusOr<Flow> ParseFlow(const json& object, size_t row) {
  if (!object.is_object()) return Unreadable(row, "it");
  Flow flow;
  const auto endpoint = [&](const char* field, std::string* address, auto set_port) {
    uint32_t port = 0;
    if (!ParseEndpoint(object, field, address, &port)) return false;
    set_port(port);
    return true;
  };
  if (!endpoint("frontend", flow.mutable_frontend_address(),
                [&](uint32_t port) { flow.set_frontend_port(port); })) {
    return Unreadable(row, "frontend");
  }
  if (!endpoint("client", flow.mutable_client_address(),
                [&](uint32_t port) { flow.set_client_port(port); })) {
    return Unreadable(row, "client");
  }
  if (!endpoint("backend", flow.mutable_backend_address(),
                [&](uint32_t port) { flow.set_backend_port(port); })) {
    return Unreadable(row, "backend");
  }
  if (!endpoint("source", flow.mutable_source_address(),
                [&](uint32_t port) { flow.set_source_port(port); })) {
    return Unreadable(row, "source");
  }
  const std::string* protocol = TextOf(object, "protocol");
  if (protocol == nullptr) return Unreadable(row, "protocol");
  flow.set_protocol(*protocol);
  const std::string* service = TextOf(object, "service");
  if (service != nullptr) flow.set_service(*service);
  const std::string* idle = TextOf(object, "idle-s");
  uint32_t idle_s = 0;
  if (idle == nullptr || !absl::SimpleAtoi(*idle, &idle_s)) return Unreadable(row, "idle-s");
  flow.set_idle_s(idle_s);
  const auto marks = object.find("marks");
  if (marks == object.end() || !marks->is_array()) return Unreadable(row, "marks");
  for (const json& mark : *marks) {
    if (mark == "client-closed") {
      flow.set_client_closed(true);
    } else if (mark == "backend-closed") {
      flow.set_backend_closed(true);
    } else if (mark == "reset") {
      flow.set_reset(true);
    } else if (mark == "one-way") {
      flow.set_one_way(true);
    } else {
      return Unreadable(row, "marks");
    }
  }
  return flow;
}

}  // namespace

std::string Endpoint(const std::string& address, uint32_t port) {
  const bool ipv6 = address.find(':') != std::string::npos;
  return absl::StrCat(ipv6 ? "[" : "", address, ipv6 ? "]:" : ":", port);
}

Printer FlowPrinter() {
  return Printer(
      {"SERVICE", "PROTOCOL", "CLIENT", "FRONTEND", "BACKEND", "SOURCE", "MARKS[]", "IDLE S"});
}

void AddFlow(const Flow& flow, Printer& printer) {
  Cell marks;
  if (flow.client_closed()) marks.emplace_back("client-closed");
  if (flow.backend_closed()) marks.emplace_back("backend-closed");
  if (flow.reset()) marks.emplace_back("reset");
  if (flow.one_way()) marks.emplace_back("one-way");
  printer.Add({CellOf(flow.service()),
               {flow.protocol()},
               {Endpoint(flow.client_address(), flow.client_port())},
               {Endpoint(flow.frontend_address(), flow.frontend_port())},
               {Endpoint(flow.backend_address(), flow.backend_port())},
               {Endpoint(flow.source_address(), flow.source_port())},
               marks,
               {absl::StrCat(flow.idle_s())}});
}

absl::StatusOr<std::vector<Flow>> ParseFlows(const std::string& text) {
  const json rows = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!rows.is_array()) {
    return absl::InvalidArgumentError(
        "this is no JSON array of flows; import what `portolan datapath flows -o json` has "
        "printed");
  }
  std::vector<Flow> flows;
  flows.reserve(rows.size());
  for (size_t row = 0; row < rows.size(); ++row) {
    ASSIGN_OR_RETURN(Flow flow, ParseFlow(rows[row], row));
    flows.push_back(std::move(flow));
  }
  return flows;
}

absl::StatusOr<std::string> ParseHex(const std::string& text) {
  std::string digits;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c))) continue;
    if (!std::isxdigit(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(
          absl::StrCat("PACKET: \"", std::string(1, c),
                       "\" is no hexadecimal digit; give the whole frame, for "
                       "instance from `tcpdump -xx`, without offsets"));
    }
    digits.push_back(c);
  }
  if (digits.empty() || digits.size() % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("PACKET: ", digits.size(), " hexadecimal digits are no whole bytes"));
  }
  return absl::HexStringToBytes(digits);
}

std::string Hex(const std::string& bytes) { return absl::BytesToHexString(bytes); }

}  // namespace portolan::cli
