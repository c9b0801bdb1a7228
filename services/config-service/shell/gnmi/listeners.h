// The TCP endpoints of gNMI: TLS with a certificate of the server's, and clients that show one of
// theirs.
//
// Apply() opens and closes them, and waits for calls that it ends. One thread at a time. An
// endpoint that does not come up is reported and tried again with the next commit; one whose files
// have changed by then is opened anew.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "services/config-service/shell/files.h"
#include "services/config-service/shell/gnmi/settings.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace portolan::config {

class GnmiListeners {
 public:
  // What became of an endpoint. OK: it listens at `place`.
  using Report = std::function<void(const std::string& name, const absl::Status& status,
                                    const std::string& place)>;
  // It is configured no more.
  using Forget = std::function<void(const std::string& name)>;

  // Nothing is owned; `service` answers the calls and outlives this.
  GnmiListeners(grpc::Service* service, Files* files, Report report, Forget forget);
  ~GnmiListeners();

  void Apply(const GnmiSettings& settings);

 private:
  // What an endpoint was opened with: where, and the texts of its files.
  struct Key {
    GnmiListen listen;
    std::string certificate;
    std::string key;
    std::string client_ca;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Endpoint {
    Key key;
    std::unique_ptr<grpc::Server> server;
  };

  absl::Status Open(const std::string& name, const Key& key);
  static void Close(Endpoint& endpoint);

  grpc::Service* const service_;
  Files* const files_;
  const Report report_;
  const Forget forget_;
  std::map<std::string, Endpoint> endpoints_;  // without a server: it does not listen
};

}  // namespace portolan::config
