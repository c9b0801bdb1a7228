// Follows one stream of another service (or of this process) for ever.
//
//   TypedReader<Pool> pools(loop, channel, {
//       .on_upsert = [&](const std::string& key, const Pool& pool) {...},
//       .on_remove = [&](const std::string& key) {...},
//       .on_synced = [&] {...}});
//
// With several publishers it asks all of them and follows the one that speaks: whoever answers with
// the highest term, and of those with the same term the first in the list. When that one is gone,
// another one that answers takes over. What a lower term still says is dropped, so a deposed
// publisher that does not know it yet misleads nobody.
//
// Messages are decoded on gRPC's threads while the loop is busy with what came before, at most two
// responses ahead. All other callbacks come on the loop's thread. Reconnects by itself with backoff
// and resumes; after a new snapshot, keys that are gone are reported removed at the sync mark,
// never before it. While the publisher is away nothing is reported: what was known stays (fail
// static).
//
// Created and destroyed on the loop's thread (or before Run()); the destructor waits for the RPC.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/proto/stream/v1alpha1/stream.pb.h"
#include "google/protobuf/any.pb.h"
#include "services/base/loop/loop.h"

namespace grpc {
class Channel;
}

namespace portolan::wire {

// Where one stream can be read: publishers of which one is followed at a time, the preferred first.
class Channels {
 public:
  Channels() = default;
  // One channel is a list of one.  NOLINTNEXTLINE(google-explicit-constructor)
  Channels(std::shared_ptr<grpc::Channel> only) : all_({std::move(only)}) {}
  explicit Channels(std::vector<std::shared_ptr<grpc::Channel>> all) : all_(std::move(all)) {}
  const std::vector<std::shared_ptr<grpc::Channel>>& all() const { return all_; }

 private:
  std::vector<std::shared_ptr<grpc::Channel>> all_;
};

// The decoded values of one response, by the place of their change in it.
class Values {
 public:
  virtual ~Values() = default;
  // Null: removed, or it cannot be read. Of the type that on_upsert() expects; may be moved from.
  virtual void* At(size_t index) = 0;
};

struct RawHandlers {
  // Called on gRPC's threads.
  std::function<std::unique_ptr<Values>(const stream::v1alpha1::WatchResponse&)> decode;
  std::function<void(const std::string& key, void* value)> on_upsert;
  std::function<void(const std::string& key)> on_remove;
  std::function<void()> on_synced;         // once per snapshot or resume
  std::function<void(bool)> on_connected;  // optional: publisher reached / lost
};

class Reader {
 public:
  Reader(Loop* loop, const Channels& channels, std::string type, RawHandlers handlers);
  ~Reader();

 private:
  class State;
  std::shared_ptr<State> state_;
};

template <typename M, typename V = M>
struct Handlers {
  // What to make of a message, when V is another type than M. Pure; called on gRPC's threads.
  V (*convert)(const M& message) = nullptr;
  std::function<void(const std::string& key, V&& value)> on_upsert;
  std::function<void(const std::string& key)> on_remove;
  std::function<void()> on_synced = [] {};
  std::function<void(bool)> on_connected = [](bool) {};
};

// Messages of type M, reported as V.
template <typename M, typename V = M>
class TypedReader {
 public:
  TypedReader(Loop* loop, const Channels& channels, Handlers<M, V> handlers)
      : reader_(
            loop, channels, M::descriptor()->full_name(),
            RawHandlers{
                .decode = [convert =
                               handlers.convert](const auto& response) -> std::unique_ptr<Values> {
                  return std::make_unique<ValuesOf>(response, convert);
                },
                .on_upsert = [upsert = std::move(handlers.on_upsert)](
                                 const std::string& key,
                                 void* value) { upsert(key, std::move(*static_cast<V*>(value))); },
                .on_remove = std::move(handlers.on_remove),
                .on_synced = std::move(handlers.on_synced),
                .on_connected = std::move(handlers.on_connected),
            }) {}

 private:
  class ValuesOf : public Values {
   public:
    ValuesOf(const stream::v1alpha1::WatchResponse& response, V (*convert)(const M&))
        : values_(static_cast<size_t>(response.changes_size())) {
      M message;
      for (size_t i = 0; i < values_.size(); ++i) {
        const google::protobuf::Any& any = response.changes(static_cast<int>(i)).value();
        if (!any.Is<M>()) continue;
        if constexpr (std::is_same_v<M, V>) {
          if (!values_[i].emplace().ParseFromString(any.value())) values_[i].reset();
        } else if (message.ParseFromString(any.value())) {
          values_[i] = convert(message);
        }
      }
    }
    void* At(size_t index) override {
      return values_[index].has_value() ? &*values_[index] : nullptr;
    }

   private:
    std::vector<std::optional<V>> values_;
  };

  Reader reader_;
};

}  // namespace portolan::wire
