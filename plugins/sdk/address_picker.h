// Extension point "address-picker": which free address of a pool does a Service get?
//
// The engine has chosen the pool and the family; a picker proposes one free address, declines (the
// engine goes on with the next pool) or defers (the answer comes later, as an event). The engine
// checks every proposal: an address that is not free counts as a failure of the picker.
// Pure; any thread. All addresses of one call have one family.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "plugins/sdk/stage.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"

namespace portolan::plugin {

// A view of what is free in one pool and family. Every call costs O(log fragments), so that a
// picker need not read the whole list. Valid during one Pick(). An address that cools down is not
// free.
class FreeSpace {
 public:
  virtual ~FreeSpace() = default;
  // What the pool may hand out at all, taken or not: lowest first, disjoint, not empty.
  virtual absl::Span<const net::Range> usable() const = 0;
  // The lowest free range at or above `from`, cut to begin there; nothing: none.
  virtual std::optional<net::Range> FirstFree(const net::IpAddress& from) const = 0;
  // The highest free range at or below `to`, cut to end there; nothing: none.
  virtual std::optional<net::Range> LastFree(const net::IpAddress& to) const = 0;

  // The past, for pickers whose history() keeps it; to others every free address is unused.
  // The lowest free address of which nobody remembers that it was in use; nothing: none.
  virtual std::optional<net::IpAddress> LowestUnused() const = 0;
  // Of the other free addresses the one that was given up longest ago; nothing: none.
  virtual std::optional<net::IpAddress> LongestReleased() const = 0;
};

struct PickRequest {
  absl::string_view service;  // "NAMESPACE/NAME"
  absl::string_view pool;
  net::Family family = net::Family::kIpv4;
  uint64_t seed = 0;                // the same for the life of an installation
  const FreeSpace* free = nullptr;  // at least one address is free
};

struct PickResult {
  enum class Verdict { kAddress, kDeclined, kDeferred };
  Verdict verdict = Verdict::kDeclined;
  net::IpAddress address;  // with kAddress
  std::string message;     // with kDeclined: why

  static PickResult Address(const net::IpAddress& address) {
    return {Verdict::kAddress, address, ""};
  }
  static PickResult Declined(std::string message) {
    return {Verdict::kDeclined, {}, std::move(message)};
  }
  static PickResult Deferred() { return {Verdict::kDeferred, {}, ""}; }
};

// What the engine remembers for a picker about the addresses of its pools.
struct History {
  bool kept = false;  // when each address was given up last, also over restarts
  // So long after it was given up an address is free for nobody but who held it and asks for it.
  absl::Duration cool_down = absl::ZeroDuration();
  friend bool operator==(const History&, const History&) = default;
};

class AddressPicker : public Stage {
 public:
  static constexpr char kExtensionPoint[] = "address-picker";
  virtual PickResult Pick(const PickRequest& request) const = 0;
  // The same for the life of the stage.
  virtual History history() const { return {}; }
};

// Stands in the core for a picker in another process: defers every time, and the shell asks.
class DeferringPicker : public AddressPicker {
 public:
  PickResult Pick(const PickRequest&) const override { return PickResult::Deferred(); }
};

}  // namespace portolan::plugin
