#include "plugins/address_pickers/random/random.h"

#include <cstdint>
#include <optional>

#include "absl/numeric/bits.h"
#include "absl/numeric/int128.h"
#include "plugins/address_pickers/random/random_module.h"
#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/key_hash.h"
#include "plugins/sdk/settings.h"
#include "plugins/sdk/usable_index.h"
#include "services/base/rng/rng.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

// A throw hits a free address with the share of the pool that is free. When all of them miss, less
// than about one address in kThrows is free, and so there are few fragments to read.
constexpr int kThrows = 256;

// Uniform from 0 to `last`.
absl::uint128 UpTo(absl::uint128 last, Rng& rng) {
  const uint64_t high = absl::Uint128High64(last);
  const int bits = high != 0 ? 64 + absl::bit_width(high)
                             : static_cast<int>(absl::bit_width(absl::Uint128Low64(last)));
  const absl::uint128 mask = bits == 128 ? absl::Uint128Max() : (absl::uint128{1} << bits) - 1;
  for (;;) {  // at least every other one fits
    const uint64_t upper = bits > 64 ? rng.Next() : 0;
    const absl::uint128 value = absl::MakeUint128(upper, rng.Next()) & mask;
    if (value <= last) return value;
  }
}

// Calls `visit` with the free ranges, lowest first, until it says false.
template <typename Visit>
void ForEachFree(const FreeSpace& free, Visit visit) {
  std::optional<net::IpAddress> from = free.usable().front().first();
  while (from.has_value()) {
    const std::optional<net::Range> range = free.FirstFree(*from);
    if (!range.has_value() || !visit(*range)) return;
    from = range->last().Next();
  }
}

// The free address number `number`, which is there.
net::IpAddress FreeAt(const FreeSpace& free, absl::uint128 number) {
  net::IpAddress found;
  ForEachFree(free, [&](const net::Range& range) {
    if (number <= range.SizeMinusOne()) {
      found = net::IpAddress::FromValue(range.family(), range.first().value() + number);
      return false;
    }
    number -= range.SizeMinusOne() + 1;
    return true;
  });
  return found;
}

class Random : public AddressPicker {
 public:
  explicit Random(std::optional<uint64_t> seed) : seed_(seed) {}

  // Throwing at the usable addresses until one is free is uniform over the free ones, and so is a
  // free one by its number: whichever of the two ends it, none is preferred.
  PickResult Pick(const PickRequest& request) const override {
    const FreeSpace& free = *request.free;
    Rng rng(KeyHash(request.service, seed_.value_or(request.seed)));
    const UsableIndex usable(free.usable());
    for (int i = 0; i < kThrows; ++i) {
      const net::IpAddress address = usable.At(UpTo(usable.last(), rng));
      const std::optional<net::Range> next = free.FirstFree(address);
      if (next.has_value() && next->first() == address) return PickResult::Address(address);
    }
    std::optional<absl::uint128> last;  // the number of the highest free address
    ForEachFree(free, [&last](const net::Range& range) {
      last = last.has_value() ? *last + range.SizeMinusOne() + 1 : range.SizeMinusOne();
      return true;
    });
    if (!last.has_value()) return PickResult::Declined("nothing is free");
    return PickResult::Address(FreeAt(free, UpTo(*last, rng)));
  }

 private:
  const std::optional<uint64_t> seed_;
};

}  // namespace

std::unique_ptr<Factory> NewRandomFactory() {
  return std::make_unique<FunctionFactory<AddressPicker>>(
      "random",
      [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<AddressPicker>> {
        std::optional<uint64_t> seed;
        RETURN_IF_ERROR(ReadSettings("random", settings, {{"seed", &seed}}));
        return std::make_unique<Random>(seed);
      },
      kRandomModule);
}

}  // namespace portolan::plugin
