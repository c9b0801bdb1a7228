#include "services/config-service/shell/edit.h"

#include "absl/strings/str_cat.h"

namespace portolan::config {

std::string OperationOf(const Edit& edit) {
  switch (edit.purpose) {
    case Purpose::kConfirm:
      return "confirm";
    case Purpose::kCancel:
      return absl::StrCat("cancel, back to ", edit.revision);
    case Purpose::kGoBack:
      return absl::StrCat("back to ", edit.revision);
    default:
      break;
  }
  if (edit.purpose == Purpose::kCommit) return "commit";
  switch (edit.kind) {
    case Edit::Kind::kMerge:
      return "merge";
    case Edit::Kind::kMake:
      return "set";
    case Edit::Kind::kDelete:
      return "delete";
    case Edit::Kind::kLoadFile:
      return "load";
    case Edit::Kind::kRollback:
      return absl::StrCat("rollback to ", edit.revision);
    default:
      return "replace";
  }
}

}  // namespace portolan::config
