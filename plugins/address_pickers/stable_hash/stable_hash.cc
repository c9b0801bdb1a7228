#include "plugins/address_pickers/stable_hash/stable_hash.h"

#include <cstdint>
#include <optional>

#include "absl/numeric/int128.h"
#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/key_hash.h"
#include "plugins/sdk/usable_index.h"
#include "services/base/rng/rng.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

// The address at a place that the key decides, taken or not.
net::IpAddress PlaceOf(const PickRequest& request) {
  Rng mixer(KeyHash(request.service, request.seed));
  const uint64_t high = mixer.Next();
  absl::uint128 number = absl::MakeUint128(high, mixer.Next());
  const UsableIndex usable(request.free->usable());
  if (usable.last() != absl::Uint128Max()) number %= usable.last() + 1;
  return usable.At(number);
}

class StableHash : public AddressPicker {
 public:
  PickResult Pick(const PickRequest& request) const override {
    std::optional<net::Range> free = request.free->FirstFree(PlaceOf(request));
    if (!free.has_value()) {
      free = request.free->FirstFree(request.free->usable().front().first());
    }
    if (!free.has_value()) return PickResult::Declined("nothing is free");
    return PickResult::Address(free->first());
  }
};

}  // namespace

std::unique_ptr<Factory> NewStableHashFactory() {
  return std::make_unique<FunctionFactory<AddressPicker>>(
      "stable-hash",
      [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<AddressPicker>> {
        RETURN_IF_ERROR(ExpectNoSettings("stable-hash", settings));
        return std::make_unique<StableHash>();
      });
}

}  // namespace portolan::plugin
