#include "services/ipam-service/core/address_count.h"

#include <algorithm>

namespace portolan::ipam {

AddressCount AddressCount::Minus(const AddressCount& other) const {
  AddressCount result = *this;
  if (other.whole_) return AddressCount();
  result.Subtract(other.low_);
  return result;
}

double AddressCount::ToDouble() const { return whole_ ? 0x1p128 : static_cast<double>(low_); }

std::string AddressCount::ToString() const {
  if (whole_) return "340282366920938463463374607431768211456";
  if (low_ == 0) return "0";
  std::string digits;
  for (absl::uint128 rest = low_; rest != 0; rest /= 10) {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
  }
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace portolan::ipam
