// The factories that a process knows, by extension point and name.
//
// An object, built in main() (plugins/builtin lists what is linked in) and then only read; nothing
// registers itself. Reading is thread-safe; registering is not.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "plugins/sdk/factory.h"
#include "plugins/sdk/stage.h"

namespace portolan::plugin {

class Registry {
 public:
  Registry() = default;
  Registry(Registry&&) = default;
  Registry& operator=(Registry&&) = default;

  // ALREADY_EXISTS when the name is taken at this extension point.
  absl::Status Register(std::unique_ptr<Factory> factory);

  // Lives as long as the registry; null when there is none.
  const Factory* Find(absl::string_view extension_point, absl::string_view name) const;

  // Sorted.
  std::vector<std::string> Names(absl::string_view extension_point) const;

  // Texts of the YANG modules that the factories bring, in their order.
  std::vector<std::string> YangModules() const;

  // NOT_FOUND lists the names that exist; INVALID_ARGUMENT when the settings do not fit.
  template <typename S>
  absl::StatusOr<std::unique_ptr<S>> Create(absl::string_view name,
                                            absl::string_view settings) const {
    absl::StatusOr<std::unique_ptr<Stage>> stage = CreateAny(S::kExtensionPoint, name, settings);
    if (!stage.ok()) return stage.status();
    S* typed = dynamic_cast<S*>(stage->get());
    if (typed == nullptr) {
      return absl::InternalError(absl::StrCat("the factory of ", S::kExtensionPoint, " \"", name,
                                              "\" makes a stage of another kind"));
    }
    stage->release();
    return std::unique_ptr<S>(typed);
  }

 private:
  absl::StatusOr<std::unique_ptr<Stage>> CreateAny(absl::string_view extension_point,
                                                   absl::string_view name,
                                                   absl::string_view settings) const;

  std::map<std::pair<std::string, std::string>, std::unique_ptr<Factory>> factories_;
};

}  // namespace portolan::plugin
