// What happens to the ipam engine. Value types; a recorded list of events replays an incident.
// Events of one source keep their order; those of different sources may come in any order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plugins/sdk/address_picker.h"
#include "services/base/net/ip_address.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

// Once, before anything is assigned: what the journal holds.
struct JournalLoaded {
  std::vector<JournalRow> rows;
  // Rows whose value could not be read: nobody gets these addresses until the row is repaired.
  std::vector<net::IpAddress> unreadable;
  std::vector<PoolRow> pools;
  std::vector<ReleaseRow> releases;
};

// The outcome of effect JournalCommit, in the order of the effects.
struct JournalDone {
  uint64_t batch = 0;
  absl::Status status;
};

struct PoolChanged {
  PoolConfig pool;
};
struct PoolRemoved {
  std::string name;
};

struct SettingsChanged {
  Settings settings;
};

struct QuotaChanged {
  QuotaConfig quota;
};
struct QuotaRemoved {
  std::string name;
};

struct NamespaceChanged {
  std::string name;
  LabelSet labels;
};
struct NamespaceRemoved {
  std::string name;
};

// An address picker that the configuration names. It hides a built-in one of the same name.
struct PickerChanged {
  std::string name;
  std::shared_ptr<const plugin::AddressPicker> stage;  // null: `error` says why
  absl::Status error;
  bool fail_open = false;  // when it fails: true = lowest-free, false = the Service waits
};
struct PickerRemoved {
  std::string name;
};

// The answer to effect AskPicker. An error: it failed. No value: it declined.
struct PickAnswered {
  uint64_t ask = 0;
  absl::StatusOr<std::optional<net::IpAddress>> address;
  std::string message;  // why declined
};

struct ServiceChanged {
  ServiceRequest request;
};
struct ServiceRemoved {
  std::string key;
};

// This source has told everything it has. Later calls are harmless.
enum class Source : uint8_t { kPools, kSettings, kPickers, kServices, kQuotas, kNamespaces };
inline constexpr Source kSources[] = {Source::kPools,    Source::kSettings, Source::kPickers,
                                      Source::kServices, Source::kQuotas,   Source::kNamespaces};
struct Synced {
  Source source = Source::kPools;
};

// The time of effect ArmTimer has come.
struct Tick {};

using Event =
    std::variant<JournalLoaded, JournalDone, PoolChanged, PoolRemoved, SettingsChanged,
                 QuotaChanged, QuotaRemoved, NamespaceChanged, NamespaceRemoved, PickerChanged,
                 PickerRemoved, PickAnswered, ServiceChanged, ServiceRemoved, Synced, Tick>;

}  // namespace portolan::ipam
