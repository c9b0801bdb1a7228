// Address pickers that live in a shared object (api/abi/address_picker.h), as factories.
//
// The object is loaded once, with all symbols resolved, and never unloaded. It runs in this
// process: only load what you trust. Loading blocks on the disk; the factory and its stages do
// not. A stage may be used from any thread: calls into it are serialised.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "plugins/sdk/factory.h"

namespace portolan::plugin {

// The factory's name is `name`, whatever the object calls itself.
// NOT_FOUND: the file is missing, cannot be loaded, or does not export the symbol.
// FAILED_PRECONDITION: another ABI version, or a struct that is too small.
absl::StatusOr<std::unique_ptr<Factory>> LoadAddressPicker(const std::string& name,
                                                           const std::string& path);

}  // namespace portolan::plugin
