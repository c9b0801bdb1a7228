// One node's datapath asked directly: flows, capabilities, simulation, upgrade.
#include <iostream>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "api/proto/datapath/v1alpha1/control.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/datapath_call.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/flow_text.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
namespace {

using datapath::v1alpha1::DatapathControl;
using datapath::v1alpha1::Flow;

constexpr size_t kFlowsPerCall = 4096;

datapath::v1alpha1::FlowFilter ToProto(const FlowSelection& selection) {
  datapath::v1alpha1::FlowFilter filter;
  filter.set_service(selection.service);
  filter.set_backend(selection.backend);
  filter.set_client(selection.client);
  return filter;
}

absl::StatusOr<datapath::v1alpha1::ListFlowsResponse> ListPage(
    DatapathControl::Stub& stub, const datapath::v1alpha1::ListFlowsRequest& request) {
  return Call<datapath::v1alpha1::ListFlowsResponse>(
      [&](grpc::ClientContext* context, datapath::v1alpha1::ListFlowsResponse* response) {
        return stub.ListFlows(context, request, response);
      });
}

const char* AnswerName(datapath::v1alpha1::Capability::Answer answer) {
  switch (answer) {
    case datapath::v1alpha1::Capability::ANSWER_YES:
      return "yes";
    case datapath::v1alpha1::Capability::ANSWER_NO:
      return "no";
    default:
      return "unknown";
  }
}

absl::StatusOr<datapath::v1alpha1::ImportFlowsResponse> Import(const Places& places,
                                                               const std::string& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadAll(file));
  ASSIGN_OR_RETURN(const std::vector<Flow> flows, ParseFlows(text));
  ASSIGN_OR_RETURN(const auto stub, OpenDatapath(places));
  datapath::v1alpha1::ImportFlowsResponse all;
  for (size_t begin = 0; begin < flows.size(); begin += kFlowsPerCall) {
    datapath::v1alpha1::ImportFlowsRequest request;
    const size_t end = std::min(begin + kFlowsPerCall, flows.size());
    for (size_t i = begin; i < end; ++i) *request.add_flows() = flows[i];
    ASSIGN_OR_RETURN(const auto response, Call<datapath::v1alpha1::ImportFlowsResponse>(
                                              [&](grpc::ClientContext* context,
                                                  datapath::v1alpha1::ImportFlowsResponse* out) {
                                                return stub->ImportFlows(context, request, out);
                                              }));
    all.set_imported(all.imported() + response.imported());
    all.set_known(all.known() + response.known());
    all.mutable_refusals()->MergeFrom(response.refusals());
  }
  return all;
}

absl::StatusOr<datapath::v1alpha1::UpgradeResponse> Upgrade(const Places& places,
                                                            const std::string& tc_file,
                                                            const std::string& xdp_file) {
  datapath::v1alpha1::UpgradeRequest request;
  if (!tc_file.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_tc_object(), ReadAll(tc_file));
  }
  if (!xdp_file.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_xdp_object(), ReadAll(xdp_file));
  }
  ASSIGN_OR_RETURN(const auto stub, OpenDatapath(places));
  return Call<datapath::v1alpha1::UpgradeResponse>(
      [&](grpc::ClientContext* context, datapath::v1alpha1::UpgradeResponse* response) {
        return stub->Upgrade(context, request, response);
      });
}

absl::StatusOr<datapath::v1alpha1::SimulateResponse> Simulate(const Places& places,
                                                              const std::string& interface,
                                                              const std::string& program,
                                                              const std::string& packet) {
  std::string text = packet;
  if (packet == "-") {
    ASSIGN_OR_RETURN(text, ReadAll(packet));
  }
  datapath::v1alpha1::SimulateRequest request;
  ASSIGN_OR_RETURN(*request.mutable_packet(), ParseHex(text));
  request.set_interface(interface);
  request.set_program(program);
  ASSIGN_OR_RETURN(const auto stub, OpenDatapath(places));
  return Call<datapath::v1alpha1::SimulateResponse>(
      [&](grpc::ClientContext* context, datapath::v1alpha1::SimulateResponse* response) {
        return stub->Simulate(context, request, response);
      });
}

}  // namespace

int DatapathFlows(const Places& places, const FlowSelection& selection, Output output) {
  const auto stub = OpenDatapath(places);
  if (!stub.ok()) return Fail(stub.status());
  Printer printer = FlowPrinter();
  datapath::v1alpha1::ListFlowsRequest request;
  *request.mutable_filter() = ToProto(selection);
  do {
    const auto page = ListPage(**stub, request);
    if (!page.ok()) return Fail(page.status());
    for (const Flow& flow : page->flows()) AddFlow(flow, printer);
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  printer.Print(std::cout, output);
  return kOk;
}

int DatapathFlush(const Places& places, const FlowSelection& selection) {
  const auto stub = OpenDatapath(places);
  if (!stub.ok()) return Fail(stub.status());
  datapath::v1alpha1::FlushFlowsRequest request;
  *request.mutable_filter() = ToProto(selection);
  const auto response = Call<datapath::v1alpha1::FlushFlowsResponse>(
      [&](grpc::ClientContext* context, datapath::v1alpha1::FlushFlowsResponse* out) {
        return (*stub)->FlushFlows(context, request, out);
      });
  if (!response.ok()) return Fail(response.status());
  std::cout << response->flushed() << " flows forgotten" << std::endl;
  return kOk;
}

int DatapathImport(const Places& places, const std::string& file) {
  const auto response = Import(places, file);
  if (!response.ok()) return Fail(response.status());
  std::cout << response->imported() << " flows imported, " << response->known()
            << " were there already, " << response->refusals_size() << " refused" << std::endl;
  for (const auto& refusal : response->refusals()) {
    const Flow& flow = refusal.flow();
    std::cerr << Endpoint(flow.client_address(), flow.client_port()) << " to "
              << Endpoint(flow.frontend_address(), flow.frontend_port()) << "/" << flow.protocol()
              << ": " << refusal.message() << " [" << refusal.reason() << "]" << std::endl;
  }
  return response->refusals_size() == 0 ? kOk : kNotSatisfied;
}

int DatapathCapabilities(const Places& places, Output output) {
  const auto stub = OpenDatapath(places);
  if (!stub.ok()) return Fail(stub.status());
  const auto response = Call<datapath::v1alpha1::GetCapabilitiesResponse>(
      [&](grpc::ClientContext* context, datapath::v1alpha1::GetCapabilitiesResponse* out) {
        return (*stub)->GetCapabilities(context, {}, out);
      });
  if (!response.ok()) return Fail(response.status());
  Printer printer({"CAPABILITY", "ANSWER", "FOUND", "MATTERS"});
  for (const auto& capability : response->capabilities()) {
    printer.Add({{capability.name()},
                 {AnswerName(capability.answer())},
                 CellOf(capability.detail()),
                 {capability.matters()}});
  }
  printer.Print(std::cout, output);
  return kOk;
}

int DatapathSimulate(const Places& places, const std::string& interface, const std::string& program,
                     const std::string& packet, Output output) {
  const auto response = Simulate(places, interface, program, packet);
  if (!response.ok()) return Fail(response.status());
  Printer printer({"VERDICT", "SERVICE", "FLOW", "BACKEND", "DROP", "REASONS[]", "PACKET"});
  const Cell reasons(response->reasons().begin(), response->reasons().end());
  printer.Add({{response->verdict()},
               CellOf(response->service()),
               CellOf(response->flow()),
               CellOf(response->backend()),
               CellOf(response->drop()),
               reasons,
               {Hex(response->packet())}});
  if (output == Output::kJson) {
    printer.Print(std::cout, output);
    return kOk;
  }
  std::cout << response->verdict() << std::endl;
  for (const std::string& reason : reasons) std::cout << "  " << reason << std::endl;
  std::cout << Hex(response->packet()) << std::endl;
  return kOk;
}

int DatapathUpgrade(const Places& places, const std::string& tc_file, const std::string& xdp_file) {
  const auto response = Upgrade(places, tc_file, xdp_file);
  if (!response.ok()) return Fail(response.status());
  std::cout << "the programs of " << response->interfaces()
            << " interfaces are upgraded: " << response->message() << std::endl;
  return kOk;
}

}  // namespace portolan::cli
