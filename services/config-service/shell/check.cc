#include "services/config-service/shell/check.h"

#include <memory>
#include <utility>

#include "services/base/status/status_macros.h"
#include "services/config-service/core/validate.h"
#include "services/config-service/shell/files.h"
#include "services/config-service/shell/model.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {

absl::StatusOr<FileCheck> CheckFile(const std::string& path,
                                    const std::vector<PluginModule>& plugins) {
  ASSIGN_OR_RETURN(const std::string text, SystemFiles()->Read(path));
  FileCheck check;
  std::vector<std::string> refused;
  ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Model::Create(plugins, &refused));
  Prepared prepared = model->Replace(text, yang::Format::kGuess, path);
  check.problems = prepared.candidate.has_value() ? Validate(prepared.candidate->snapshot())
                                                  : std::move(prepared.problems);
  if (check.problems.empty()) check.warnings = Warnings(prepared.candidate->snapshot());
  check.warnings.insert(check.warnings.begin(), refused.begin(), refused.end());
  AddLines(text, path, &check.problems);
  for (Problem& problem : check.problems) {
    if (problem.source.empty()) problem.source = path;
  }
  return check;
}

}  // namespace portolan::config
