// A file in the state directory that exists while the exporter runs: whoever finds it at the start
// knows that the life before ended without order (kill -9, power), so that routers may still hold
// its routes (RFC 4724, restarting side).
//
// It holds the kernel's boot id: after a reboot the datapath's state is gone, and routes must not
// be kept on its account. Blocking file calls of a few octets, at start and stop only. Not
// thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace portolan::bgp {

struct LastLife {
  bool ended_without_order = false;
  bool same_boot = false;  // and the kernel, with what is pinned in it, has been up ever since
};

class RunMarker {
 public:
  explicit RunMarker(const std::string& state_dir);

  // Reads what the last life left and sets the mark of this one. An error says that the mark could
  // not be set and why; `last` is filled all the same.
  absl::Status Set(LastLife& last);
  // The end is in order.
  void Clear();

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

}  // namespace portolan::bgp
