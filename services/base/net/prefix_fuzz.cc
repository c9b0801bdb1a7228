// Fuzz target: any text, read as an address, a prefix and a hardware address. What is accepted is
// written in the canonical form, which reads back as the same value.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "services/base/net/ip_address.h"
#include "services/base/net/mac_address.h"
#include "services/base/net/prefix.h"

namespace {

template <typename T>
void CheckReadsBack(absl::string_view text) {
  const absl::StatusOr<T> value = T::Parse(text);
  if (!value.ok()) return;
  const std::string canonical = value->ToString();
  const absl::StatusOr<T> again = T::Parse(canonical);
  if (!again.ok() || *again != *value || again->ToString() != canonical) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  CheckReadsBack<portolan::net::IpAddress>(text);
  CheckReadsBack<portolan::net::Prefix>(text);
  CheckReadsBack<portolan::net::MacAddress>(text);
  return 0;
}
