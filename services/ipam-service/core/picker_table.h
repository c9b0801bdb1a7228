// The address pickers by name: built-in ones, and those that the configuration puts over them.
// Single-threaded.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "plugins/sdk/address_picker.h"

namespace portolan::ipam {

class PickerTable {
 public:
  using Stage = std::shared_ptr<const plugin::AddressPicker>;
  struct Picker {
    std::string name;
    Stage stage;  // null: `error` says why
    absl::Status error;
    bool fail_open = false;
  };
  static constexpr char kFallback[] = "lowest-free";

  // `builtin` must hold kFallback.
  explicit PickerTable(std::map<std::string, Stage> builtin);

  void Set(Picker picker);
  // What it hid comes back.
  void Remove(const std::string& name);
  // For pools that name none; empty: kFallback.
  void SetDefault(std::string name) { default_ = std::move(name); }

  // The name of the picker that a pool with this leaf uses.
  const std::string& NameFor(const std::string& address_picker) const;
  // Null: there is none of this name (yet).
  const Picker* Find(const std::string& name) const;
  // What the picker of such a pool wants to be remembered. Of one that does not work: nothing.
  plugin::History HistoryFor(const std::string& address_picker) const;
  const plugin::AddressPicker& fallback() const { return *builtin_.at(kFallback); }

 private:
  const std::map<std::string, Stage> builtin_;
  const std::string fallback_name_ = kFallback;
  std::map<std::string, Picker> pickers_;
  std::string default_;
};

}  // namespace portolan::ipam
