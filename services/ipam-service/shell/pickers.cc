#include "services/ipam-service/shell/pickers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "plugins/sdk/shared_object.h"
#include "services/base/status/status_macros.h"

namespace portolan::ipam {
namespace {

constexpr absl::Duration kDefaultDeadline = absl::Milliseconds(500);

absl::StatusOr<PickerTable::Stage> StageOf(absl::StatusOr<std::unique_ptr<plugin::Stage>> made) {
  RETURN_IF_ERROR(made.status());
  std::shared_ptr<plugin::Stage> stage = *std::move(made);
  return std::dynamic_pointer_cast<const plugin::AddressPicker>(stage);
}

absl::StatusOr<PickerTable::Stage> LoadObject(const config::v1alpha1::Plugin& plugin) {
  ASSIGN_OR_RETURN(std::unique_ptr<plugin::Factory> factory,
                   plugin::LoadAddressPicker(plugin.name(), plugin.path()));
  return StageOf(factory->Create(plugin.settings()));
}

absl::StatusOr<PickerTable::Stage> Configure(const plugin::Registry& registry,
                                             const config::v1alpha1::Plugin& plugin) {
  const plugin::Factory* factory =
      registry.Find(plugin::AddressPicker::kExtensionPoint, plugin.name());
  if (factory == nullptr) {
    return absl::NotFoundError(absl::StrCat("plugin \"", plugin.name(),
                                            "\" is not built in; give its path or its endpoint"));
  }
  return StageOf(factory->Create(plugin.settings()));
}

}  // namespace

absl::StatusOr<Engine::Options> OptionsFrom(const plugin::Registry& registry) {
  Engine::Options options;
  for (const std::string& name : registry.Names(plugin::PoolSelector::kExtensionPoint)) {
    ASSIGN_OR_RETURN(std::unique_ptr<plugin::PoolSelector> selector,
                     registry.Create<plugin::PoolSelector>(name, ""));
    options.selectors.push_back(std::move(selector));
  }
  for (const std::string& name : registry.Names(plugin::AddressPicker::kExtensionPoint)) {
    ASSIGN_OR_RETURN(options.pickers[name], registry.Create<plugin::AddressPicker>(name, ""));
  }
  if (!options.pickers.contains(PickerTable::kFallback)) {
    return absl::InternalError(
        absl::StrCat("the address picker \"", PickerTable::kFallback, "\" is not linked in"));
  }
  return options;
}

Pickers::Pickers(Loop* loop, const plugin::Registry* registry, Send send)
    : loop_(loop), registry_(registry), send_(std::make_shared<Send>(std::move(send))) {}

Pickers::~Pickers() {
  remotes_.clear();
  *send_ = nullptr;
}

PickerChanged Pickers::Load(const config::v1alpha1::Plugin& plugin) {
  PickerChanged changed{.name = plugin.name(), .fail_open = plugin.fail_open()};
  if (!plugin.endpoint().empty()) {
    const absl::Duration deadline =
        plugin.deadline_ms() == 0 ? kDefaultDeadline : absl::Milliseconds(plugin.deadline_ms());
    remotes_[plugin.name()] = std::make_unique<plugin::RemotePicker>(plugin.endpoint(), deadline);
    changed.stage = std::make_shared<plugin::DeferringPicker>();
    return changed;
  }
  absl::StatusOr<PickerTable::Stage> stage =
      plugin.path().empty() ? Configure(*registry_, plugin) : LoadObject(plugin);
  if (stage.ok()) {
    changed.stage = *std::move(stage);
  } else {
    changed.error = stage.status();
  }
  return changed;
}

void Pickers::Upsert(const std::string& key, const config::v1alpha1::Plugin& plugin) {
  if (plugin.extension_point() != plugin::AddressPicker::kExtensionPoint) return;
  config::v1alpha1::Plugin& known = known_[key];
  if (known.SerializeAsString() == plugin.SerializeAsString()) return;  // told again
  if (!known.name().empty() && known.name() != plugin.name()) Forget(known.name());
  known = plugin;
  remotes_.erase(plugin.name());
  (*send_)(Load(plugin));
}

void Pickers::Remove(const std::string& key) {
  auto known = known_.find(key);
  if (known == known_.end()) return;
  Forget(known->second.name());
  known_.erase(known);
}

void Pickers::Forget(const std::string& name) {
  remotes_.erase(name);
  (*send_)(PickerRemoved{name});
}

void Pickers::Ask(const AskPicker& ask) {
  const auto answer = [loop = loop_, send = send_,
                       id = ask.ask](plugin::RemotePicker::Answer answer) {
    loop->Post(
        [send, answered = PickAnswered{id, std::move(answer.address), std::move(answer.message)}] {
          if (*send) (*send)(answered);
        });
  };
  auto remote = remotes_.find(ask.picker);
  if (remote == remotes_.end()) {
    answer({absl::UnavailableError(absl::StrCat("plugin \"", ask.picker, "\" is gone")), ""});
    return;
  }
  remote->second->Pick({ask.service, ask.pool, ask.free}, answer);
}

}  // namespace portolan::ipam
