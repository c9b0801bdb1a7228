// When addresses were given up, and by whom: what pickers that keep a history (plugins/sdk) learn.
//
// An entry stays while somebody else holds the address, and is replaced when that one gives it up.
// At most kMaxReleases entries: beyond that those are forgotten first that were given up longest
// ago, so their addresses count as never used. Stamps grow strictly, whatever the clock does, so
// their order is the order in which addresses were given up, also after a restart.
//
// Owned by the engine; single-threaded, pure. The journal is the caller's business.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

struct Release {
  std::string service;  // that held it last
  int64_t released_unix_ms = 0;
  absl::Time released_at;  // the same moment on the steady clock
};

class ReleaseTable {
 public:
  static constexpr size_t kMaxReleases = 131'072;
  // So many at once, so that not every further release has to forget one.
  static constexpr size_t kForgottenAtOnce = 1'024;

  // A row of the journal. One that is stamped in the future was given up just now.
  void Load(const ReleaseRow& row, Moment now);
  // The address was given up.
  void Note(const net::IpAddress& address, absl::string_view service, Moment now);
  void Forget(const net::IpAddress& address);

  // Null: nobody remembers. Valid until the entry changes.
  const Release* Find(const net::IpAddress& address) const;
  void ForEachIn(const net::Range& range,
                 absl::FunctionRef<void(const net::IpAddress&, const Release&)> visit) const;
  ReleaseRow RowOf(const net::IpAddress& address) const;  // of an entry
  size_t size() const { return releases_.size(); }
  // What is to be forgotten now, longest ago first; empty while there is room.
  std::vector<net::IpAddress> Surplus() const;

 private:
  void Set(const net::IpAddress& address, Release release);

  absl::btree_map<net::IpAddress, Release> releases_;
  absl::btree_set<std::pair<int64_t, net::IpAddress>> by_stamp_;
  int64_t last_stamp_ = 0;
};

}  // namespace portolan::ipam
