#include "services/datapath-loader/shell/unavailable.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/datapath-loader/shell/capabilities.h"

namespace portolan::datapath {

KernelUnavailable Explain(const absl::Status& status, const std::string& node) {
  KernelUnavailable problem;
  problem.message = absl::StrCat("the datapath is not loaded: ", std::string(status.message()));
  const std::vector<std::string> missing = MissingPrivileges();
  if (!missing.empty()) {
    absl::StrAppend(&problem.message, " (this process lacks ", absl::StrJoin(missing, ", "), ")");
  }
  // The verifier does not say that it is for a privilege that it refuses.
  switch (missing.empty() ? status.code() : absl::StatusCode::kPermissionDenied) {
    case absl::StatusCode::kPermissionDenied:
      problem.reason = "no-privilege";
      problem.remedy = "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON and a bpffs";
      break;
    case absl::StatusCode::kFailedPrecondition:
      problem.reason = "pins-refused";
      problem.remedy = absl::StrCat(
          "start the version and the settings that the pins were made with, choose another "
          "--bpf-dir, or give them up: portolan datapath flows -o json with the version that runs, "
          "datapath-loader --detach --node ",
          node, ", start, portolan datapath import");
      break;
    case absl::StatusCode::kAborted:
      problem.reason = "self-test-failed";
      problem.remedy =
          "the programs that are on the interfaces go on; start the version that they are from "
          "again, and report this";
      break;
    case absl::StatusCode::kResourceExhausted:
      problem.reason = "no-memory";
      problem.remedy = "lower /portolan-datapath:datapath/settings/max-flows or max-backends";
      break;
    default:
      problem.reason = "kernel-refused";
      problem.remedy =
          "a kernel of 5.10 or newer with CONFIG_BPF_SYSCALL and CONFIG_BPF_JIT is needed";
      break;
  }
  return problem;
}

}  // namespace portolan::datapath
