// Who holds which datastore (RFC 6241, section 7.5). Pure: a table of values, owned by one thread
// or under one lock. Sessions are numbered from 1; 0 is whoever has no session (gRPC, files).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace portolan::config {

enum class Datastore : uint8_t { kRunning, kCandidate, kStartup };
inline constexpr size_t kDatastores = 3;

class LockTable {
 public:
  // 0: granted. Else the session that holds it already, which may be the same.
  uint64_t Lock(Datastore datastore, uint64_t session);
  // False: it does not hold it, and nothing changed.
  bool Unlock(Datastore datastore, uint64_t session);
  // All that it holds.
  void Release(uint64_t session);

  // 0: nobody.
  uint64_t Holder(Datastore datastore) const { return holders_[static_cast<size_t>(datastore)]; }
  // The session that keeps `session` from changing it; 0: none does.
  uint64_t HolderAgainst(Datastore datastore, uint64_t session) const;

 private:
  std::array<uint64_t, kDatastores> holders_ = {};
};

}  // namespace portolan::config
