// Extension point "owner-election": which node answers for an address on a LAN?
//
// Every node asks its own copy with the same candidates and must come to the same order, so an
// election is a pure function of its two arguments: no state, no clock, nothing of this machine.
// The first of the answer owns the address; the rest are who would follow. A good election moves
// few addresses when one candidate comes or goes. Any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "plugins/sdk/stage.h"

namespace portolan::plugin {

class OwnerElection : public Stage {
 public:
  static constexpr char kExtensionPoint[] = "owner-election";
  // `key` is the address, text form. `candidates` are node names, sorted, without repetition. The
  // answer holds some of them, each once, best first; empty: nobody shall own it.
  virtual std::vector<std::string> Order(absl::string_view key,
                                         absl::Span<const std::string> candidates) const = 0;
};

}  // namespace portolan::plugin
