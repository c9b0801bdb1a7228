// The watch streams between services, simulated: the same promises as services/base/wire, and all
// the liberties that a network takes within them.
//
// A Stream is a publisher's table: the latest value of each key, in the order of changes. A Reader
// gets changes late and in portions, misses intermediate values of a key but never the last one,
// hears "synced" when it has everything that existed, and after a new snapshot hears of what is
// gone at the sync mark, never before it. While the wire is cut it hears nothing.
//
// Single-threaded. A Stream outlives its readers; a Reader lives as long as its process.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "integration/simulation/scheduler.h"
#include "services/base/rng/rng.h"

namespace portolan::simulation {

// The way between two processes. Many readers may share one.
struct Wire {
  absl::Duration longest_delay = absl::Milliseconds(20);
  bool cut = false;
  uint64_t reconnects = 0;  // with a new snapshot
};

class AnyReader {
 public:
  virtual ~AnyReader() = default;
  virtual void Kick() = 0;
};

template <typename V>
class Stream {
 public:
  struct Row {
    uint64_t revision = 0;
    std::optional<V> value;  // absent: removed
  };

  void Upsert(const std::string& key, const V& value) {
    auto it = rows_.find(key);
    if (it != rows_.end() && it->second.value == value) return;
    rows_[key] = {++revision_, value};
    Kick();
  }
  void Remove(const std::string& key) {
    auto it = rows_.find(key);
    if (it == rows_.end() || !it->second.value.has_value()) return;
    it->second = {++revision_, std::nullopt};
    Kick();
  }
  void MarkSynced() {
    synced_ = true;
    Kick();
  }
  // The publisher died: its table is lost, and readers hear nothing until Begin().
  void End() {
    up_ = false;
    rows_.clear();
    synced_ = false;
  }
  void Begin() {
    up_ = true;
    ++epoch_;
    Kick();
  }
  const V* Find(const std::string& key) const {
    auto it = rows_.find(key);
    return it == rows_.end() || !it->second.value.has_value() ? nullptr : &*it->second.value;
  }
  std::map<std::string, V> values() const {
    std::map<std::string, V> values;
    for (const auto& [key, row] : rows_) {
      if (row.value.has_value()) values.emplace(key, *row.value);
    }
    return values;
  }
  bool synced() const { return synced_; }

 private:
  template <typename>
  friend class Reader;
  void Kick() {
    for (AnyReader* reader : readers_) reader->Kick();
  }

  bool up_ = true;
  uint64_t epoch_ = 1;
  uint64_t revision_ = 0;
  bool synced_ = false;
  std::map<std::string, Row> rows_;
  std::vector<AnyReader*> readers_;  // in the order of their beginning
};

template <typename V>
class Reader : public AnyReader {
 public:
  struct Handlers {
    std::function<void(const std::string&, const V&)> on_upsert;
    std::function<void(const std::string&)> on_remove;
    std::function<void()> on_synced;
  };

  Reader(Scheduler* scheduler, Rng* rng, const Wire* wire, Stream<V>* stream, Handlers handlers)
      : scheduler_(scheduler),
        rng_(rng),
        wire_(wire),
        stream_(stream),
        handlers_(std::move(handlers)) {
    stream_->readers_.push_back(this);
    Kick();
  }
  ~Reader() override { std::erase(stream_->readers_, this); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Something may have changed: looks, after a while.
  void Kick() override {
    if (std::exchange(pending_, true)) return;
    const auto longest = static_cast<uint64_t>(wire_->longest_delay / absl::Microseconds(1));
    scheduler_->After(absl::Microseconds(rng_->Below(longest + 1)), life_.Guard([this] {
      pending_ = false;
      Look();
    }));
  }

 private:
  void Look() {
    if (wire_->cut || !stream_->up_) return;  // kicked again when that ends
    if (epoch_ != stream_->epoch_ || reconnects_ != wire_->reconnects) {
      epoch_ = stream_->epoch_;
      reconnects_ = wire_->reconnects;
      revision_ = 0;
      seen_.clear();
      synced_ = false;
    }
    std::map<uint64_t, std::string> changes;  // in order
    for (const auto& [key, row] : stream_->rows_) {
      if (row.revision > revision_) changes.emplace(row.revision, key);
    }
    // A portion of them; the rest at another time.
    size_t portion = changes.size();
    if (portion > 1 && rng_->Below(4) == 0) portion = 1 + rng_->Below(portion);
    for (const auto& [revision, key] : changes) {
      if (portion-- == 0) return Kick();
      revision_ = revision;
      Deliver(key, stream_->rows_.at(key).value);
    }
    if (stream_->synced_ && !synced_) BecomeSynced();
  }

  void Deliver(const std::string& key, const std::optional<V>& value) {
    if (value.has_value()) {
      seen_.insert(key);
      known_.insert(key);
      handlers_.on_upsert(key, *value);
    } else if (known_.erase(key) > 0) {
      seen_.erase(key);
      handlers_.on_remove(key);
    }
  }

  void BecomeSynced() {
    synced_ = true;
    for (auto it = known_.begin(); it != known_.end();) {
      if (seen_.contains(*it)) {
        ++it;
        continue;
      }
      const std::string gone = *it;
      it = known_.erase(it);
      handlers_.on_remove(gone);
    }
    handlers_.on_synced();
  }

  Scheduler* scheduler_;
  Rng* rng_;
  const Wire* wire_;
  Stream<V>* stream_;
  Handlers handlers_;
  Life life_;
  bool pending_ = false;
  uint64_t epoch_ = 0;
  uint64_t reconnects_ = 0;
  uint64_t revision_ = 0;
  bool synced_ = false;
  std::set<std::string> seen_;   // since the last snapshot began
  std::set<std::string> known_;  // told to the handlers
};

}  // namespace portolan::simulation
