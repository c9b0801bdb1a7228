// The address pickers that the configuration names: loaded, connected, asked.
//
// A Plugin with `path` is a shared object, one with `endpoint` lives in another process, one with
// neither gives settings to a built-in picker of its name. Outcomes go to the engine as events.
//
// Created, used and destroyed on the loop's thread. Loading a shared object blocks on the disk,
// once per object.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "api/proto/config/v1alpha1/config.pb.h"
#include "plugins/sdk/registry.h"
#include "plugins/sdk/remote_picker.h"
#include "services/base/loop/loop.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/event.h"

namespace portolan::ipam {

// What is linked in, with default settings. An error is a bug of the built-in list.
absl::StatusOr<Engine::Options> OptionsFrom(const plugin::Registry& registry);

class Pickers {
 public:
  using Send = std::function<void(const Event&)>;

  // `registry` outlives this object. `send` is called on the loop.
  Pickers(Loop* loop, const plugin::Registry* registry, Send send);
  ~Pickers();

  // Other extension points than "address-picker" are not ours and ignored.
  void Upsert(const std::string& key, const config::v1alpha1::Plugin& plugin);
  void Remove(const std::string& key);

  // The answer comes as PickAnswered. A picker that is gone answers with an error.
  void Ask(const AskPicker& ask);

 private:
  PickerChanged Load(const config::v1alpha1::Plugin& plugin);
  void Forget(const std::string& name);

  Loop* const loop_;
  const plugin::Registry* const registry_;
  // Shared with what is posted to the loop, which may run after this object is gone.
  const std::shared_ptr<Send> send_;
  std::map<std::string, config::v1alpha1::Plugin> known_;                 // by configuration key
  std::map<std::string, std::unique_ptr<plugin::RemotePicker>> remotes_;  // by name
};

}  // namespace portolan::ipam
