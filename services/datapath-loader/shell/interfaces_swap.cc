// What an operator asks of Interfaces: other programs, and whether one can be carried.
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/interfaces.h"

namespace portolan::datapath {
namespace {

absl::Status InInterface(const std::string& name, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("interface ", name, ": ", std::string(status.message())));
}

}  // namespace

absl::StatusOr<int> Interfaces::Swap(int tc_program, int xdp_program) {
  const absl::Status status = SwapEach(tc_program, xdp_program);
  if (status.ok()) return attached();
  // Back to those that were there; what was not reached yet gets what it has.
  const absl::Status back = SwapEach(objects_.tc_program(), objects_.xdp_program());
  return absl::FailedPreconditionError(absl::StrCat(
      std::string(status.message()),
      back.ok() ? "; the programs that were there go on everywhere"
                : absl::StrCat("; and it could not be undone: ", std::string(back.message()),
                               "; restart datapath-loader")));
}

absl::Status Interfaces::SwapEach(int tc_program, int xdp_program) {
  for (auto& [name, carried] : carried_) {
    RETURN_IF_ERROR(InInterface(name, carried.tc->Update(tc_program)));
  }
  RETURN_IF_ERROR(chain_.SetOurs(xdp_program));
  return PutEntries(xdp_program);
}

absl::Status Interfaces::PutEntries(int ours) {
  for (auto& [name, carried] : carried_) {
    if (!carried.xdp.has_value()) continue;
    RETURN_IF_ERROR(InInterface(name, carried.xdp->Update(EntryFor(ours))));
  }
  return absl::OkStatus();
}

absl::Status Interfaces::SetChainSlot(uint32_t slot, const std::string& path) {
  const int ours = objects_.xdp_program();
  if (path.empty()) {
    // The root goes on with ours for as long as it takes.
    RETURN_IF_ERROR(chain_.Clear(slot));
    return PutEntries(ours);
  }
  RETURN_IF_ERROR(chain_.SetOurs(ours));
  RETURN_IF_ERROR(chain_.Fill(slot, path));
  const absl::Status put = PutEntries(ours);
  if (put.ok()) return put;
  chain_.Clear(slot).IgnoreError();
  PutEntries(ours).IgnoreError();
  return put;
}

absl::Status Interfaces::MayCarry(const std::string& name, const std::string& mode) {
  const uint32_t ifindex = InterfaceIndex(name);
  if (ifindex == 0) {
    return absl::NotFoundError(absl::StrCat("interface: \"", name, "\" does not exist"));
  }
  if (!MacAddressOf(name).has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "interface: \"", name, "\" is not Ethernet, and the programs read Ethernet frames"));
  }
  const auto carried = carried_.find(name);
  const bool has_xdp = carried != carried_.end() && carried->second.xdp.has_value();
  if (mode != "xdp" || has_xdp) return absl::OkStatus();
  const absl::Status obstacle = ObstacleToXdp(name, ifindex);
  if (obstacle.ok()) return obstacle;
  return absl::FailedPreconditionError(absl::StrCat("mode: interface ", name, ": ",
                                                    std::string(obstacle.message()),
                                                    "; mode auto or tc carries it all the same"));
}

absl::Status Interfaces::ObstacleToXdp(const std::string& name, uint32_t ifindex) {
  if (!objects_.xdp_error().ok()) return objects_.xdp_error();
  const std::optional<XdpFeatures> features = features_.Ask(ifindex);
  if (features.has_value() && !features->native) {
    return absl::UnimplementedError(absl::StrCat("native XDP: driver ", DriverOf(name), " cannot"));
  }
  return Attachment::OtherXdp(ifindex);
}

}  // namespace portolan::datapath
