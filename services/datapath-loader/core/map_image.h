// What the kernel's maps hold, and changes to it, in value types. The shell turns them into
// bpf/include/datapath_maps.h and back. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/datapath-loader/core/types.h"

namespace portolan::datapath {

struct FrontendEntry {
  uint32_t id = 0;
  uint16_t epoch = 0;
  uint32_t group = 0;
  uint32_t table_offset = 0;
  uint32_t table_size = 0;
  uint32_t backends = 0;    // different ones in the table
  bool restricted = false;  // to the sources of its group
  uint32_t affinity_s = 0;
  uint32_t internal_offset = 0;  // the table for what comes from inside
  uint32_t internal_size = 0;
  uint32_t idle_s = 0;  // 0: as the settings say
  bool silent = false;  // what it cannot serve is dropped without a word
  friend bool operator==(const FrontendEntry&, const FrontendEntry&) = default;
};

// What is done to a packet for a backend.
enum class Delivery : uint8_t { kDestinationNat, kFullNat, kDirectReturn, kTunnel };

struct BackendEntry {
  uint16_t epoch = 0;
  uint32_t group = 0;
  net::IpAddress address;
  uint16_t port = 0;
  uint8_t protocol = kTcp;
  // This node's address towards it, if known: what kFullNat translates to, the outer source of
  // kTunnel, and with kDestinationNat what the backend sees of itself as a client.
  std::optional<net::IpAddress> source;
  bool rests = false;  // takes no new flows
  Delivery delivery = Delivery::kDestinationNat;
  friend bool operator==(const BackendEntry&, const BackendEntry&) = default;
};

// Who may come to a group's restricted frontends; the longest prefix counts.
using SourceRules = std::map<net::Prefix, bool>;

// Room in the maps.
struct Limits {
  uint32_t frontends = 0;
  uint32_t backends = 0;
  uint32_t table_slots = 0;
  uint32_t chunk_slots = 16;
};

// Everything that a restart finds.
struct MapImage {
  std::map<FrontendKey, FrontendEntry> frontends;
  std::map<uint32_t, BackendEntry> backends;  // living ones, by id
  std::vector<uint16_t> frontend_epochs;      // index = id; may be shorter than the map
  std::vector<uint16_t> backend_epochs;
  // Content of the tables that `frontends` names, internal ones too, by offset.
  std::map<uint32_t, std::vector<uint32_t>> tables;
  std::map<uint32_t, SourceRules> sources;  // by group
  friend bool operator==(const MapImage&, const MapImage&) = default;
};

// ---- changes ----

struct WriteBackend {
  uint32_t id = 0;
  BackendEntry entry;
  friend bool operator==(const WriteBackend&, const WriteBackend&) = default;
};
struct WriteTable {
  uint32_t offset = 0;
  std::vector<uint32_t> slots;
  friend bool operator==(const WriteTable&, const WriteTable&) = default;
};
// Brings a frontend's id to life, with counters at 0.
struct OpenFrontend {
  uint32_t id = 0;
  uint16_t epoch = 0;
  uint32_t group = 0;
  friend bool operator==(const OpenFrontend&, const OpenFrontend&) = default;
};
struct WriteFrontend {
  FrontendKey key;
  FrontendEntry entry;
  friend bool operator==(const WriteFrontend&, const WriteFrontend&) = default;
};
struct DeleteFrontend {
  FrontendKey key;
  friend bool operator==(const DeleteFrontend&, const DeleteFrontend&) = default;
};
// Ends the flows of a frontend's id.
struct CloseFrontend {
  uint32_t id = 0;
  uint16_t next_epoch = 0;
  friend bool operator==(const CloseFrontend&, const CloseFrontend&) = default;
};
// Ends the flows of a backend's id.
struct RetireBackend {
  uint32_t id = 0;
  uint16_t next_epoch = 0;
  friend bool operator==(const RetireBackend&, const RetireBackend&) = default;
};

struct WriteSource {
  uint32_t group = 0;
  net::Prefix prefix;
  bool allowed = false;
  friend bool operator==(const WriteSource&, const WriteSource&) = default;
};
struct DeleteSource {
  uint32_t group = 0;
  net::Prefix prefix;
  friend bool operator==(const DeleteSource&, const DeleteSource&) = default;
};

using Change = std::variant<WriteBackend, WriteTable, OpenFrontend, WriteFrontend, DeleteFrontend,
                            CloseFrontend, RetireBackend, WriteSource, DeleteSource>;

struct MapOp {
  // Whose it is: after a failure the rest of this group's operations are not done (ABORTED).
  std::string service;
  std::string group;
  Change change;
  friend bool operator==(const MapOp&, const MapOp&) = default;
};

// Done in this order; every prefix leaves a datapath that works.
using MapBatch = std::vector<MapOp>;

}  // namespace portolan::datapath
