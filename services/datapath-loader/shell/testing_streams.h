// What a hub publishes at the moment, for tests: a reader in the same process, asked anew each
// time. Owns a server over the hub, which it outlives not. One thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>

#include "services/base/loop/loop.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/reader.h"
#include "services/base/wire/server.h"

namespace portolan::datapath {

class TestingStreams {
 public:
  explicit TestingStreams(wire::Hub& hub)
      : hub_(hub), server_(wire::Server::Start("", {hub.service()}).value()) {}
  ~TestingStreams() {
    hub_.Shutdown();
    server_.reset();
  }

  // By key. The writers must have said "synced".
  template <typename M>
  std::map<std::string, M> Get() {
    std::map<std::string, M> rows;
    const std::unique_ptr<Loop> loop = NewLoop();
    wire::Handlers<M> handlers;
    handlers.on_upsert = [&](const std::string& key, const M& row) { rows[key] = row; };
    handlers.on_remove = [&](const std::string& key) { rows.erase(key); };
    handlers.on_synced = [&] { loop->Stop(); };
    const wire::TypedReader<M> reader(loop.get(), server_->InProcessChannel(), std::move(handlers));
    loop->Run();
    return rows;
  }

 private:
  wire::Hub& hub_;
  std::unique_ptr<wire::Server> server_;
};

}  // namespace portolan::datapath
