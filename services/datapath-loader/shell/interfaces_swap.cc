// Interfaces::Swap().
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/interfaces.h"

namespace portolan::datapath {

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
    const auto update = [&name = name](Attachment& attachment, int program) {
      const absl::Status status = attachment.Update(program);
      if (status.ok()) return absl::OkStatus();
      return absl::Status(status.code(),
                          absl::StrCat("interface ", name, ": ", std::string(status.message())));
    };
    RETURN_IF_ERROR(update(*carried.tc, tc_program));
    if (carried.xdp.has_value()) RETURN_IF_ERROR(update(*carried.xdp, xdp_program));
  }
  return absl::OkStatus();
}

}  // namespace portolan::datapath
