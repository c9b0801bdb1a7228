#include "services/datapath-loader/shell/layout.h"

#include <arpa/inet.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::datapath {
namespace {

// Offset of a table without slots.
constexpr uint32_t kNowhere = UINT32_MAX;

void PutAddress(const net::IpAddress& address, __be32 words[4]) {
  const std::string bytes = address.ToBytes();
  memset(words, 0, 16);
  memcpy(words, bytes.data(), bytes.size());
}

absl::StatusOr<net::IpAddress> GetAddress(uint8_t family, const __be32 words[4]) {
  if (family != PORTOLAN_FAMILY_IPV4 && family != PORTOLAN_FAMILY_IPV6) {
    return absl::InvalidArgumentError(absl::StrCat("no such family: ", family));
  }
  const size_t size = family == PORTOLAN_FAMILY_IPV4 ? 4 : 16;
  return net::IpAddress::FromBytes(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(words), size));
}

uint8_t FamilyOf(const net::IpAddress& address) {
  return address.is_ipv4() ? PORTOLAN_FAMILY_IPV4 : PORTOLAN_FAMILY_IPV6;
}

uint16_t FlagsOf(Delivery delivery) {
  switch (delivery) {
    case Delivery::kDestinationNat:
      return 0;
    case Delivery::kFullNat:
      return PORTOLAN_BACKEND_SNAT;
    case Delivery::kDirectReturn:
      return PORTOLAN_BACKEND_DSR;
    case Delivery::kTunnel:
      return PORTOLAN_BACKEND_TUNNEL;
  }
  return 0;
}

Delivery DeliveryOf(uint16_t flags) {
  if (flags & PORTOLAN_BACKEND_SNAT) return Delivery::kFullNat;
  if (flags & PORTOLAN_BACKEND_DSR) return Delivery::kDirectReturn;
  return flags & PORTOLAN_BACKEND_TUNNEL ? Delivery::kTunnel : Delivery::kDestinationNat;
}

}  // namespace

portolan_frontend_key ToKernel(const FrontendKey& key) {
  portolan_frontend_key kernel{};
  PutAddress(key.address, kernel.address);
  kernel.port = htons(key.port);
  kernel.protocol = key.protocol;
  kernel.family = FamilyOf(key.address);
  return kernel;
}

portolan_frontend ToKernel(const FrontendEntry& entry) {
  portolan_frontend kernel{};
  kernel.id = entry.id;
  kernel.group = entry.group;
  kernel.table_offset = entry.table_offset;
  kernel.table_size = entry.table_size;
  kernel.backends = entry.backends;
  kernel.epoch = entry.epoch;
  if (entry.restricted) kernel.flags |= PORTOLAN_FRONTEND_SOURCES;
  if (entry.silent) kernel.flags |= PORTOLAN_FRONTEND_SILENT;
  kernel.affinity_s = entry.affinity_s;
  kernel.internal_offset = entry.internal_offset;
  kernel.internal_size = entry.internal_size;
  // The programs tell two tables apart by their offsets.
  if (entry.table_size == 0 && entry.internal_size > 0) kernel.table_offset = kNowhere;
  if (entry.internal_size == 0 && entry.table_size > 0) kernel.internal_offset = kNowhere;
  return kernel;
}

portolan_frontend_info InfoOf(const FrontendEntry& entry) {
  portolan_frontend_info kernel{};
  kernel.epoch = entry.epoch;
  kernel.flags = PORTOLAN_FRONTEND_ALIVE | ToKernel(entry).flags;
  kernel.group = entry.group;
  kernel.idle_s = entry.idle_s;
  return kernel;
}

portolan_source_key ToKernel(uint32_t group, const net::Prefix& prefix) {
  portolan_source_key kernel{};
  kernel.prefix_length = PORTOLAN_SOURCE_FIXED_BITS + prefix.length();
  kernel.group = group;
  kernel.family = FamilyOf(prefix.first());
  PutAddress(prefix.first(), kernel.address);
  return kernel;
}

portolan_address_key ToKernel(const net::IpAddress& address) {
  portolan_address_key kernel{};
  PutAddress(address, kernel.address);
  kernel.family = FamilyOf(address);
  return kernel;
}

portolan_backend ToKernel(const BackendEntry& entry) {
  portolan_backend kernel{};
  kernel.epoch = entry.epoch;
  kernel.flags = PORTOLAN_BACKEND_ALIVE;
  kernel.port = htons(entry.port);
  kernel.family = FamilyOf(entry.address);
  kernel.protocol = entry.protocol;
  kernel.group = entry.group;
  PutAddress(entry.address, kernel.address);
  if (entry.rests) kernel.flags |= PORTOLAN_BACKEND_RESTS;
  kernel.flags |= FlagsOf(entry.delivery);
  if (entry.source.has_value()) PutAddress(*entry.source, kernel.source);
  return kernel;
}

absl::StatusOr<FrontendKey> FromKernel(const portolan_frontend_key& kernel) {
  FrontendKey key;
  ASSIGN_OR_RETURN(key.address, GetAddress(kernel.family, kernel.address));
  key.port = ntohs(kernel.port);
  key.protocol = kernel.protocol;
  return key;
}

FrontendEntry FromKernel(const portolan_frontend& kernel, const portolan_frontend_info& info) {
  return {.id = kernel.id,
          .epoch = kernel.epoch,
          .group = kernel.group,
          .table_offset = kernel.table_size > 0 ? kernel.table_offset : 0,
          .table_size = kernel.table_size,
          .backends = kernel.backends,
          .restricted = (kernel.flags & PORTOLAN_FRONTEND_SOURCES) != 0,
          .affinity_s = kernel.affinity_s,
          .internal_offset = kernel.internal_size > 0 ? kernel.internal_offset : 0,
          .internal_size = kernel.internal_size,
          .idle_s = info.idle_s,
          .silent = (kernel.flags & PORTOLAN_FRONTEND_SILENT) != 0};
}

absl::StatusOr<BackendEntry> FromKernel(const portolan_backend& kernel) {
  BackendEntry entry;
  entry.epoch = kernel.epoch;
  entry.group = kernel.group;
  ASSIGN_OR_RETURN(entry.address, GetAddress(kernel.family, kernel.address));
  entry.port = ntohs(kernel.port);
  entry.protocol = kernel.protocol;
  entry.rests = (kernel.flags & PORTOLAN_BACKEND_RESTS) != 0;
  entry.delivery = DeliveryOf(kernel.flags);
  if (kernel.source[0] | kernel.source[1] | kernel.source[2] | kernel.source[3]) {
    ASSIGN_OR_RETURN(entry.source, GetAddress(kernel.family, kernel.source));
  }
  return entry;
}

absl::StatusOr<net::IpAddress> FromKernel(const portolan_address_key& key) {
  return GetAddress(key.family, key.address);
}

absl::StatusOr<net::Prefix> FromKernel(const portolan_source_key& key) {
  ASSIGN_OR_RETURN(const net::IpAddress address, GetAddress(key.family, key.address));
  const int length = static_cast<int>(key.prefix_length) - PORTOLAN_SOURCE_FIXED_BITS;
  if (length < 0 || length > net::FamilyBits(address.family())) {
    return absl::InvalidArgumentError(absl::StrCat("no such prefix length: ", length));
  }
  return net::Prefix::Of(address, length);
}

uint32_t FilterIndex(const net::IpAddress& address) {
  __be32 words[4];
  PutAddress(address, words);
  return address.is_ipv4() ? portolan_filter_index4(words[0]) : portolan_filter_index6(words);
}

}  // namespace portolan::datapath
