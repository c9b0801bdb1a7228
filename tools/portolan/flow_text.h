// Flows and packets as text: what the commands of the datapath print and read again. Pure.
// There and back gives the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/proto/datapath/v1alpha1/control.pb.h"
#include "tools/portolan/printer.h"

namespace portolan::cli {

// "10.0.0.1:80", "[2001:db8::1]:80"
std::string Endpoint(const std::string& address, uint32_t port);

// Flows as `portolan datapath flows -o json` prints them: an array of objects. INVALID_ARGUMENT
// names the row and the field that cannot be read.
Printer FlowPrinter();
void AddFlow(const datapath::v1alpha1::Flow& flow, Printer& printer);
absl::StatusOr<std::vector<datapath::v1alpha1::Flow>> ParseFlows(const std::string& json);

// Hexadecimal digits, blanks and line ends between them ignored.
absl::StatusOr<std::string> ParseHex(const std::string& text);
std::string Hex(const std::string& bytes);

}  // namespace portolan::cli
