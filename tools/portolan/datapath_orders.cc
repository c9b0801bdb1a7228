// What changes one node's datapath beside the configuration: attach, detach, apply.
#include <google/protobuf/util/json_util.h>

#include <iostream>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/datapath_call.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/service_story.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
namespace {

using datapath::v1alpha1::ApplyRequest;
using datapath::v1alpha1::ApplyResponse;
using datapath::v1alpha1::AttachRequest;
using datapath::v1alpha1::AttachResponse;
using datapath::v1alpha1::ChainSlot;
using datapath::v1alpha1::DetachRequest;
using datapath::v1alpha1::DetachResponse;
using datapath::v1alpha1::ListChainResponse;
using datapath::v1alpha1::SetChainSlotRequest;
using datapath::v1alpha1::SetChainSlotResponse;
using status::v1alpha1::ObjectStatus;

absl::StatusOr<ApplyRequest> ReadRequest(const std::string& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadAll(file));
  ApplyRequest request;
  const auto status = google::protobuf::util::JsonStringToMessage(text, &request);
  if (status.ok()) return request;
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": ", std::string(status.message()),
                   "; it is the JSON of datapath.v1alpha1.ApplyRequest"));
}

absl::StatusOr<ApplyResponse> Apply(const Places& places, const std::string& file) {
  ASSIGN_OR_RETURN(const ApplyRequest request, ReadRequest(file));
  ASSIGN_OR_RETURN(const auto stub, OpenDatapath(places));
  return Call<ApplyResponse>([&](grpc::ClientContext* context, ApplyResponse* out) {
    return stub->Apply(context, request, out);
  });
}

int PrintChain(const google::protobuf::RepeatedPtrField<ChainSlot>& slots, Output output) {
  Printer printer({"SLOT", "PLACE", "PROGRAM", "NAME"});
  for (const ChainSlot& slot : slots) {
    const char* place = slot.slot() < 3 ? "before" : slot.slot() == 3 ? "ours" : "behind";
    printer.Add({{absl::StrCat(slot.slot())},
                 {place},
                 {absl::StrCat(slot.program())},
                 CellOf(slot.name())});
  }
  printer.Print(std::cout, output);
  return kOk;
}

}  // namespace

int DatapathChain(const Places& places, Output output) {
  const auto stub = OpenDatapath(places);
  if (!stub.ok()) return Fail(stub.status());
  const auto response =
      Call<ListChainResponse>([&](grpc::ClientContext* context, ListChainResponse* out) {
        return (*stub)->ListChain(context, {}, out);
      });
  if (!response.ok()) return Fail(response.status());
  PrintChain(response->slots(), output);
  if (output == Output::kTable) {
    std::cout << "programs that go on are loaded with the map " << response->map() << std::endl;
  }
  return kOk;
}

int DatapathSetChainSlot(const Places& places, uint32_t slot, const std::string& program) {
  const auto stub = OpenDatapath(places);
  if (!stub.ok()) return Fail(stub.status());
  SetChainSlotRequest request;
  request.set_slot(slot);
  request.set_program(program);
  const auto response =
      Call<SetChainSlotResponse>([&](grpc::ClientContext* context, SetChainSlotResponse* out) {
        return (*stub)->SetChainSlot(context, request, out);
      });
  return response.ok() ? PrintChain(response->slots(), Output::kTable) : Fail(response.status());
}

int DatapathAttach(const Places& places, const std::string& interface, const std::string& mode,
                   bool inside) {
  const auto stub = OpenDatapath(places);
  if (!stub.ok()) return Fail(stub.status());
  AttachRequest request;
  request.set_interface(interface);
  request.set_mode(mode);
  request.set_inside(inside);
  const auto response =
      Call<AttachResponse>([&](grpc::ClientContext* context, AttachResponse* out) {
        return (*stub)->Attach(context, request, out);
      });
  if (!response.ok()) return Fail(response.status());
  std::cout << interface << " "
            << (response->mode().empty() ? "is not attached" : "is attached by " + response->mode())
            << ": " << response->message() << std::endl;
  return response->mode().empty() ? kNotSatisfied : kOk;
}

int DatapathDetach(const Places& places, const std::string& interface) {
  const auto stub = OpenDatapath(places);
  if (!stub.ok()) return Fail(stub.status());
  DetachRequest request;
  request.set_interface(interface);
  const auto response =
      Call<DetachResponse>([&](grpc::ClientContext* context, DetachResponse* out) {
        return (*stub)->Detach(context, request, out);
      });
  if (!response.ok()) return Fail(response.status());
  std::cout << interface << (response->detached() ? " is detached" : " was not attached");
  if (!response->configured().empty()) {
    std::cout << "; the mode " << response->configured()
              << " of the configuration does not count until portolan datapath attach "
              << interface << " --mode configured";
  }
  std::cout << std::endl;
  return kOk;
}

int DatapathApply(const Places& places, const std::string& file, Output output) {
  const auto response = Apply(places, file);
  if (!response.ok()) return Fail(response.status());
  Printer printer({"SERVICE", "STATE", "ADDRESSES[]", "REASON", "MESSAGE", "REMEDY"});
  bool satisfied = true;
  for (const ObjectStatus& status : response->services()) {
    satisfied = satisfied && status.state() == status::v1alpha1::STATE_READY;
    printer.Add({{status.key()},
                 {StateName(status.state())},
                 Cell(status.addresses().begin(), status.addresses().end()),
                 CellOf(status.reason()),
                 CellOf(status.message()),
                 CellOf(status.remedy())});
  }
  printer.Print(std::cout, output);
  if (output == Output::kTable) {
    std::cout << (response->changed() ? "applied" : "nothing has changed") << std::endl;
  }
  return satisfied ? kOk : kNotSatisfied;
}

}  // namespace portolan::cli
