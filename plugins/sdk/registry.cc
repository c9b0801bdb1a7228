#include "plugins/sdk/registry.h"

#include "absl/strings/str_join.h"

namespace portolan::plugin {

absl::Status Registry::Register(std::unique_ptr<Factory> factory) {
  std::pair<std::string, std::string> key(factory->extension_point(), factory->name());
  if (factories_.contains(key)) {
    return absl::AlreadyExistsError(absl::StrCat(key.first, " \"", key.second,
                                                 "\" is registered twice; give one of the two "
                                                 "plugins another name"));
  }
  factories_.emplace(std::move(key), std::move(factory));
  return absl::OkStatus();
}

const Factory* Registry::Find(absl::string_view extension_point, absl::string_view name) const {
  auto it = factories_.find({std::string(extension_point), std::string(name)});
  return it == factories_.end() ? nullptr : it->second.get();
}

std::vector<std::string> Registry::Names(absl::string_view extension_point) const {
  std::vector<std::string> names;
  for (const auto& [key, factory] : factories_) {
    if (key.first == extension_point) names.push_back(key.second);
  }
  return names;
}

std::vector<std::string> Registry::YangModules() const {
  std::vector<std::string> modules;
  for (const auto& [id, factory] : factories_) {
    if (!factory->yang_module().empty()) modules.emplace_back(factory->yang_module());
  }
  return modules;
}

absl::StatusOr<std::unique_ptr<Stage>> Registry::CreateAny(absl::string_view extension_point,
                                                           absl::string_view name,
                                                           absl::string_view settings) const {
  const Factory* factory = Find(extension_point, name);
  if (factory == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("there is no ", extension_point, " \"", name,
                     "\"; there are: ", absl::StrJoin(Names(extension_point), ", ")));
  }
  return factory->Create(settings);
}

}  // namespace portolan::plugin
