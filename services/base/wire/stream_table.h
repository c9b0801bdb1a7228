// One published type: the latest value of each key, in the order of change. The heart of Hub.
//
// A change is serialized once, when it is made; what a reader is sent is a copy of such bytes.
//
// Thread-safe. Wakers are called without any lock of the table held, on the writing thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/stream/v1alpha1/stream.pb.h"
#include "google/protobuf/message.h"

namespace portolan::wire {

// What happened to one type since the start.
struct StreamFigures {
  std::string type;        // full name of the message
  uint64_t revisions = 0;  // changes
  size_t entries = 0;      // keys that have a value now
  int readers = 0;         // that follow it now
  uint64_t responses = 0;
  uint64_t sent_bytes = 0;  // of the responses, serialized
};

// Somebody who waits for the next change.
class Waker {
 public:
  virtual ~Waker() = default;
  virtual void Wake() = 0;
};

// Where a reader stands. A value type that belongs to one reader.
struct Position {
  uint64_t revision = 0;
  bool reset_due = true;  // the reader holds nothing that we know of
  bool synced_sent = false;
  uint64_t life = 0;   // of the table
  bool ended = false;  // the table was closed since: read no more
  // What was read last were several changes, and all that there were: more are likely to follow.
  bool crowded = false;
};

class StreamTable {
 public:
  // How many removed keys are remembered for readers that come back.
  static constexpr size_t kMaxTombstones = 100'000;
  // A response is closed when it holds this much, so that one never gets too large to send.
  static constexpr size_t kMaxResponseBytes = 256 * 1024;

  // `epoch` names this life of the table; `max_tombstones` is lower in tests only.
  explicit StreamTable(std::string epoch, size_t max_tombstones = kMaxTombstones)
      : epoch_(std::move(epoch)), max_tombstones_(max_tombstones) {}

  int AddWriter();
  // What it wrote stays; it holds nobody's "synced" up, in no life of the table.
  void RemoveWriter(int writer);
  // Forgets everything and ends every reader; until Open() there are none. For the only writer.
  void Close(std::string why);
  void Open(uint64_t term);
  // Why there are no readers; nothing: there may be.
  std::optional<std::string> closed() const;
  void Upsert(absl::string_view key, const google::protobuf::Message& value);
  void Remove(absl::string_view key);
  void MarkSynced(int writer);

  // Where a reader that asks for this request begins: resumed, or from the start.
  Position Begin(const stream::v1alpha1::WatchRequest& request) const;
  // Fills `response` with a serialized WatchResponse of what comes after `position`, and moves it.
  // False: nothing new; then `waker` is called once at the next change, or the position has ended.
  bool Read(Position& position, std::string& response, std::weak_ptr<Waker> waker);

  // A reader came, one went.
  void CountReader(int change);
  // Without the type, which the hub knows.
  StreamFigures Figures() const;

 private:
  struct Entry {
    uint64_t revision = 0;
    bool removed = false;
    // A serialized WatchResponse of this one change: several in a row are one of all of them.
    std::string bytes;
    size_t value_size = 0;  // the value's own bytes are the last in `bytes`

    absl::string_view value() const {
      return absl::string_view(bytes).substr(bytes.size() - value_size);
    }
  };
  // At stable addresses, so that the orders can point to them.
  using Entries = absl::node_hash_map<std::string, Entry>;

  // `value` is serialized; null: the key is removed.
  void Commit(Entries::value_type& slot, const std::string* value,
              std::vector<std::weak_ptr<Waker>>& to_wake) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CheckSynced(std::vector<std::weak_ptr<Waker>>& to_wake)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string Epoch() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetOldTombstones() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string epoch_;  // of the first life; those after add their number
  const size_t max_tombstones_;
  mutable absl::Mutex mutex_;
  std::string type_url_ ABSL_GUARDED_BY(mutex_);
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  using Order = absl::btree_map<uint64_t, const Entries::value_type*>;
  Order order_ ABSL_GUARDED_BY(mutex_);       // by revision
  Order tombstones_ ABSL_GUARDED_BY(mutex_);  // the removed among them
  uint64_t life_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t term_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<std::string> closed_ ABSL_GUARDED_BY(mutex_);
  uint64_t head_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t forgotten_ ABSL_GUARDED_BY(mutex_) = 0;  // revision of the newest forgotten tombstone
  int next_writer_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<int, bool> writers_synced_ ABSL_GUARDED_BY(mutex_);
  bool synced_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::weak_ptr<Waker>> waiting_ ABSL_GUARDED_BY(mutex_);
  int readers_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t responses_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t sent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace portolan::wire
