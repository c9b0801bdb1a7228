#include "services/config-service/shell/check.h"

#include <memory>
#include <utility>

#include "services/base/status/status_macros.h"
#include "services/config-service/core/validate.h"
#include "services/config-service/shell/files.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {

absl::StatusOr<std::vector<Problem>> CheckFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, SystemFiles()->Read(path));
  ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Model::Create());
  Prepared prepared = model->Replace(text, yang::Format::kGuess, path);
  if (!prepared.candidate.has_value()) return std::move(prepared.problems);
  std::vector<Problem> problems = Validate(prepared.candidate->snapshot);
  for (Problem& problem : problems) problem.source = path;
  return problems;
}

}  // namespace portolan::config
