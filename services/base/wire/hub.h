// What a process publishes: one table per message type, read over portolan.stream.v1alpha1.
//
// A table keeps the latest value of each key and the order of changes; each reader only holds a
// position in that order. So a slow reader costs nothing and skips to the latest value, and a
// reader that comes back resumes. Removed keys are remembered (bounded) so that a resumed reader
// hears of them; one that was away too long gets a new snapshot.
//
// Hub and Writer are thread-safe. A Writer must not outlive its Hub.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/message.h"

namespace grpc {
class Service;
}

namespace portolan::wire {

class StreamTable;
struct StreamFigures;

// One component's part of a table. Several writers of one type share the table (their keys must
// differ); readers hear "synced" only when every writer has said so.
class Writer {
 public:
  Writer(Writer&& other) noexcept : table_(std::exchange(other.table_, nullptr)), id_(other.id_) {}
  Writer& operator=(Writer&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(id_, other.id_);
    return *this;
  }
  // A writer that is gone holds nobody's "synced" up; its keys stay.
  ~Writer();

  // A value equal to the current one changes nothing.
  void Upsert(absl::string_view key, const google::protobuf::Message& value);
  void Remove(absl::string_view key);
  // The writer's first complete picture is in. Later calls are harmless.
  void MarkSynced();

  // For a publisher of which several exist and one speaks, and that is its table's only writer.
  // Close() forgets everything and ends the readers' streams; until Open() they are refused with
  // UNAVAILABLE and `why`. `term` grows from one speaker to the next: readers believe the highest.
  void Close(absl::string_view why);
  void Open(uint64_t term);

 private:
  friend class Hub;
  Writer(StreamTable* table, int id) : table_(table), id_(id) {}
  StreamTable* table_;
  int id_;
};

class Hub {
 public:
  Hub();
  ~Hub();  // readers' streams end

  // Create all writers before the first reader comes, else "synced" may be said too early.
  template <typename M>
  Writer NewWriter() {
    return NewWriter(M::descriptor()->full_name());
  }

  // The gRPC service to register with a Server. Owned by the hub.
  grpc::Service* service();
  // Ends every stream, now and later, so that a server can shut down.
  void Shutdown();
  // Of every type (stream_table.h), in the order of their names.
  std::vector<StreamFigures> Figures() const;

 private:
  class StreamService;
  Writer NewWriter(const std::string& type);
  StreamTable* Find(const std::string& type);

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::unique_ptr<StreamTable>> tables_;
  std::unique_ptr<StreamService> service_;
};

}  // namespace portolan::wire
