// What every plugin is: a stage of a decision.
//
// A stage is const and pure: the same input gives the same proposal, it keeps no state between
// calls and does no I/O; the engine that asks decides and writes. So a stage may be called from any
// thread and lives as long as its owner wants. (One kind, health_check.h, does I/O: a shell asks
// it.) Each kind of stage is an extension point with a header of its own in this directory
// (address_picker.h, pool_selector.h, ...).
//
// Every such class S has `static constexpr char kExtensionPoint[]`, the name that the configuration
// uses (leaf /system/plugins/plugin/extension-point).
#pragma once

namespace portolan::plugin {

class Stage {
 public:
  virtual ~Stage() = default;
};

}  // namespace portolan::plugin
