// Portolan's YANG modules, and what an edit makes of a configuration. No state; any thread (a draft
// that is passed in belongs to the caller).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/yang/edit_config.h"
#include "services/base/yang/tree.h"
#include "services/config-service/core/problem.h"
#include "services/config-service/shell/configuration.h"
#include "services/config-service/shell/plugin_modules.h"

namespace portolan::config {

// A configuration that passed YANG, or else at least one problem.
struct Prepared {
  std::optional<Configuration> candidate;
  std::vector<Problem> problems;
};

// A draft, or else at least one problem.
struct Edited {
  std::optional<Draft> draft;
  std::vector<Problem> problems;
};

class Model {
 public:
  // Compiles the modules that are inside the binary. An error is a bug of the build.
  static absl::StatusOr<std::shared_ptr<const Model>> Create() { return Create({}, nullptr); }
  // And those of plugins. One that does not compile with the others, or has a name that is taken,
  // is left out; `refused` gets a sentence for each.
  static absl::StatusOr<std::shared_ptr<const Model>> Create(
      const std::vector<PluginModule>& plugins, std::vector<std::string>* refused);

  // What all its trees are of.
  const std::shared_ptr<const yang::Context>& context() const { return context_; }

  // Nothing configured but the defaults.
  Configuration Empty() const;

  // Costs as much as what the draft changed, and a look at the rest.
  Prepared Validate(const Draft& draft) const;
  // `text` instead of everything. `source` names the text in problems; may be empty.
  Prepared Replace(const std::string& text, yang::Format format, const std::string& source) const;
  // `text` over `running`.
  Prepared Merge(const Configuration& running, const std::string& text, yang::Format format,
                 const std::string& source) const;
  // `running` without what `path` selects.
  Prepared Delete(const Configuration& running, const std::string& path) const;

  Edited Parse(const std::string& text, yang::Format format) const;
  // `base` after an edit whose nodes may carry operations (yang::ApplyEdit).
  Edited ApplyOperations(const Draft& base, const std::string& text, yang::Format format,
                         yang::Operation default_operation) const;

 private:
  explicit Model(std::shared_ptr<const yang::Context> context) : context_(std::move(context)) {}
  std::optional<yang::Tree> Parse(const std::string& text, yang::Format format,
                                  const std::string& source, std::vector<Problem>* problems) const;
  Prepared Validate(const Draft& draft, const std::string& source) const;
  void Report(const std::vector<yang::Finding>& findings, const std::string& source,
              std::vector<Problem>* problems) const;

  const std::shared_ptr<const yang::Context> context_;
};

}  // namespace portolan::config
