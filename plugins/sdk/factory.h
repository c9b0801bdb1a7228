// Makes the stages of one kind and name out of settings.
//
// Settings are JSON text, parsed once, here, into const members of the stage; "" and "{}" mean the
// defaults. Create() is INVALID_ARGUMENT when the settings do not fit and names the field. A
// factory is immutable and may be used from any thread. A factory may bring a YANG module for its
// settings: then they can be configured as nodes, and what does not fit is refused by the commit.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "plugins/sdk/stage.h"

namespace portolan::plugin {

class Factory {
 public:
  virtual ~Factory() = default;
  virtual const std::string& extension_point() const = 0;  // "address-picker"
  virtual const std::string& name() const = 0;             // "lowest-free"
  // Text of a module that augments /portolan-system:system/plugins/plugin, as plugins/README.md
  // says; empty: the settings are JSON that only Create() checks. Lives as long as the factory.
  virtual absl::string_view yang_module() const { return ""; }
  // The stage is of the class that belongs to extension_point().
  virtual absl::StatusOr<std::unique_ptr<Stage>> Create(absl::string_view settings) const = 0;
};

// A factory of S out of a function.
template <typename S>
class FunctionFactory : public Factory {
 public:
  using Function = std::function<absl::StatusOr<std::unique_ptr<S>>(absl::string_view settings)>;

  // `yang_module` is constant text.
  FunctionFactory(std::string name, Function create, absl::string_view yang_module = "")
      : extension_point_(S::kExtensionPoint),
        name_(std::move(name)),
        create_(std::move(create)),
        yang_module_(yang_module) {}

  const std::string& extension_point() const override { return extension_point_; }
  const std::string& name() const override { return name_; }
  absl::string_view yang_module() const override { return yang_module_; }
  absl::StatusOr<std::unique_ptr<Stage>> Create(absl::string_view settings) const override {
    absl::StatusOr<std::unique_ptr<S>> stage = create_(settings);
    if (!stage.ok()) return stage.status();
    return std::unique_ptr<Stage>(*std::move(stage));
  }

 private:
  const std::string extension_point_;
  const std::string name_;
  const Function create_;
  const absl::string_view yang_module_;
};

// OK for "", "{}" and white space; else INVALID_ARGUMENT. For stages that have no settings.
absl::Status ExpectNoSettings(absl::string_view stage, absl::string_view settings);

}  // namespace portolan::plugin
