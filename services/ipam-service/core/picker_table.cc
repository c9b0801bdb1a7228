#include "services/ipam-service/core/picker_table.h"

namespace portolan::ipam {

PickerTable::PickerTable(std::map<std::string, Stage> builtin) : builtin_(std::move(builtin)) {
  for (const auto& [name, stage] : builtin_) pickers_.emplace(name, Picker{name, stage, {}, false});
}

void PickerTable::Set(Picker picker) {
  std::string name = picker.name;
  pickers_.insert_or_assign(std::move(name), std::move(picker));
}

void PickerTable::Remove(const std::string& name) {
  pickers_.erase(name);
  auto hidden = builtin_.find(name);
  if (hidden != builtin_.end()) pickers_.emplace(name, Picker{name, hidden->second, {}, false});
}

const std::string& PickerTable::NameFor(const std::string& address_picker) const {
  if (!address_picker.empty()) return address_picker;
  return default_.empty() ? fallback_name_ : default_;
}

const PickerTable::Picker* PickerTable::Find(const std::string& name) const {
  auto it = pickers_.find(name);
  return it == pickers_.end() ? nullptr : &it->second;
}

plugin::History PickerTable::HistoryFor(const std::string& address_picker) const {
  const Picker* picker = Find(NameFor(address_picker));
  if (picker == nullptr || picker->stage == nullptr || !picker->stage->history().kept) return {};
  return picker->stage->history();
}

}  // namespace portolan::ipam
