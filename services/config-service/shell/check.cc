#include "services/config-service/shell/check.h"

#include <memory>
#include <utility>

#include "services/base/status/status_macros.h"
#include "services/config-service/core/validate.h"
#include "services/config-service/shell/files.h"
#include "services/config-service/shell/model.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {

absl::StatusOr<std::vector<Problem>> CheckFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, SystemFiles()->Read(path));
  ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Model::Create());
  Prepared prepared = model->Replace(text, yang::Format::kGuess, path);
  std::vector<Problem> problems = prepared.candidate.has_value()
                                      ? Validate(prepared.candidate->snapshot)
                                      : std::move(prepared.problems);
  AddLines(text, path, &problems);
  for (Problem& problem : problems) {
    if (problem.source.empty()) problem.source = path;
  }
  return problems;
}

}  // namespace portolan::config
