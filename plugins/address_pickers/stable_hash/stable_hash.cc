#include "plugins/address_pickers/stable_hash/stable_hash.h"

#include <cstdint>
#include <optional>

#include "absl/numeric/int128.h"
#include "plugins/sdk/address_picker.h"
#include "services/base/rng/rng.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

absl::uint128 Hash(absl::string_view text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3u;
  Rng mixer(hash);
  const uint64_t high = mixer.Next();
  return absl::MakeUint128(high, mixer.Next());
}

// The address at `offset` modulo the number of usable addresses.
net::IpAddress PlaceOf(absl::Span<const net::Range> usable, absl::uint128 offset) {
  absl::uint128 last_index = 0;  // of the concatenation of all ranges; the whole space fits
  for (size_t i = 0; i < usable.size(); ++i) {
    last_index += usable[i].SizeMinusOne() + (i == 0 ? 0 : 1);
  }
  if (last_index != absl::Uint128Max()) offset %= last_index + 1;
  for (const net::Range& range : usable) {
    if (offset <= range.SizeMinusOne()) {
      return net::IpAddress::FromValue(range.family(), range.first().value() + offset);
    }
    offset -= range.SizeMinusOne() + 1;
  }
  return usable.back().last();
}

class StableHash : public AddressPicker {
 public:
  PickResult Pick(const PickRequest& request) const override {
    const absl::Span<const net::Range> usable = request.free->usable();
    std::optional<net::Range> free =
        request.free->FirstFree(PlaceOf(usable, Hash(request.service, request.seed)));
    if (!free.has_value()) free = request.free->FirstFree(usable.front().first());
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
