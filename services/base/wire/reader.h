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
// All callbacks come on the loop's thread. Reconnects by itself with backoff and resumes; after a
// new snapshot, keys that are gone are reported removed at the sync mark, never before it. While
// the publisher is away nothing is reported: what was known stays (fail static).
//
// Created and destroyed on the loop's thread (or before Run()); the destructor waits for the RPC.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

struct RawHandlers {
  std::function<void(const std::string& key, const google::protobuf::Any& value)> on_upsert;
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

template <typename M>
struct Handlers {
  std::function<void(const std::string& key, const M& value)> on_upsert;
  std::function<void(const std::string& key)> on_remove;
  std::function<void()> on_synced = [] {};
  std::function<void(bool)> on_connected = [](bool) {};
};

template <typename M>
class TypedReader {
 public:
  TypedReader(Loop* loop, const Channels& channels, Handlers<M> handlers)
      : reader_(loop, channels, M::descriptor()->full_name(),
                RawHandlers{
                    .on_upsert =
                        [upsert = std::move(handlers.on_upsert)](
                            const std::string& key, const google::protobuf::Any& value) {
                          M message;
                          if (value.UnpackTo(&message)) upsert(key, message);
                        },
                    .on_remove = std::move(handlers.on_remove),
                    .on_synced = std::move(handlers.on_synced),
                    .on_connected = std::move(handlers.on_connected),
                }) {}

 private:
  Reader reader_;
};

}  // namespace portolan::wire
