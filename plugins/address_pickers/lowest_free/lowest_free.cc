#include "plugins/address_pickers/lowest_free/lowest_free.h"

#include <optional>

#include "plugins/sdk/address_picker.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

class LowestFree : public AddressPicker {
 public:
  PickResult Pick(const PickRequest& request) const override {
    std::optional<net::Range> free =
        request.free->FirstFree(request.free->usable().front().first());
    if (!free.has_value()) return PickResult::Declined("nothing is free");
    return PickResult::Address(free->first());
  }
};

}  // namespace

std::unique_ptr<Factory> NewLowestFreeFactory() {
  return std::make_unique<FunctionFactory<AddressPicker>>(
      "lowest-free",
      [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<AddressPicker>> {
        RETURN_IF_ERROR(ExpectNoSettings("lowest-free", settings));
        return std::make_unique<LowestFree>();
      });
}

}  // namespace portolan::plugin
