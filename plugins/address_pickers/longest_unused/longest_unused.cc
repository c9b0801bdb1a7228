#include "plugins/address_pickers/longest_unused/longest_unused.h"

#include <cstdint>
#include <optional>

#include "plugins/address_pickers/longest_unused/longest_unused_module.h"
#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/settings.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

constexpr uint64_t kMaxCoolDownS = 365 * 24 * 60 * 60;

class LongestUnused : public AddressPicker {
 public:
  explicit LongestUnused(absl::Duration cool_down) : cool_down_(cool_down) {}

  History history() const override { return {.kept = true, .cool_down = cool_down_}; }

  PickResult Pick(const PickRequest& request) const override {
    std::optional<net::IpAddress> address = request.free->LowestUnused();
    if (!address.has_value()) address = request.free->LongestReleased();
    if (!address.has_value()) return PickResult::Declined("nothing is free");
    return PickResult::Address(*address);
  }

 private:
  const absl::Duration cool_down_;
};

}  // namespace

std::unique_ptr<Factory> NewLongestUnusedFactory() {
  return std::make_unique<FunctionFactory<AddressPicker>>(
      "longest-unused",
      [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<AddressPicker>> {
        std::optional<uint64_t> cool_down_s;
        RETURN_IF_ERROR(
            ReadSettings("longest-unused", settings, {{"cool-down", &cool_down_s, kMaxCoolDownS}}));
        return std::make_unique<LongestUnused>(absl::Seconds(cool_down_s.value_or(0)));
      },
      kLongestUnusedModule);
}

}  // namespace portolan::plugin
