#include "services/config-service/shell/gnmi/listeners.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::config {
namespace {

std::string PlaceOf(const GnmiListen& listen) {
  return absl::StrContains(listen.address, ':')
             ? absl::StrCat("[", listen.address, "]:", listen.port)
             : absl::StrCat(listen.address, ":", listen.port);
}

}  // namespace

GnmiListeners::GnmiListeners(grpc::Service* service, Files* files, Report report, Forget forget)
    : service_(service), files_(files), report_(std::move(report)), forget_(std::move(forget)) {}

GnmiListeners::~GnmiListeners() {
  for (auto& [name, endpoint] : endpoints_) Close(endpoint);
}

void GnmiListeners::Close(Endpoint& endpoint) {
  if (endpoint.server == nullptr) return;
  endpoint.server->Shutdown(std::chrono::system_clock::now());
  endpoint.server->Wait();
  endpoint.server.reset();
}

absl::Status GnmiListeners::Open(const std::string& name, const Key& key) {
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = key.client_ca;
  options.pem_key_cert_pairs.push_back({key.key, key.certificate});
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(64 << 20);
  // Another process must not share the port unnoticed.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(PlaceOf(key.listen), grpc::SslServerCredentials(options), &port);
  builder.RegisterService(service_);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", PlaceOf(key.listen),
                     ": the address is not there, the port is taken, or a file is not PEM"));
  }
  endpoints_[name].server = std::move(server);
  return absl::OkStatus();
}

void GnmiListeners::Apply(const GnmiSettings& settings) {
  Key files;
  const auto read = [&](const std::string& path, std::string* text) -> absl::Status {
    absl::StatusOr<std::string> content = files_->Read(path);
    if (!content.ok()) {
      return Annotate(content.status(), absl::StrCat("the file ", path, " cannot be read"));
    }
    *text = *std::move(content);
    return absl::OkStatus();
  };
  absl::Status readable;
  if (!settings.listen.empty()) {
    readable.Update(read(settings.certificate_file, &files.certificate));
    readable.Update(read(settings.key_file, &files.key));
    readable.Update(read(settings.client_ca_file, &files.client_ca));
  }
  for (auto it = endpoints_.begin(); it != endpoints_.end();) {
    const auto wanted = settings.listen.find(it->first);
    Key key = files;
    if (wanted != settings.listen.end()) key.listen = wanted->second;
    if (wanted != settings.listen.end() && it->second.server != nullptr && it->second.key == key) {
      ++it;
      continue;
    }
    Close(it->second);
    if (wanted == settings.listen.end()) forget_(it->first);
    it = endpoints_.erase(it);
  }
  for (const auto& [name, listen] : settings.listen) {
    if (endpoints_.contains(name)) continue;
    Key key = files;
    key.listen = listen;
    endpoints_[name].key = key;
    const absl::Status status = readable.ok() ? Open(name, key) : readable;
    report_(name, status, PlaceOf(listen));
  }
}

}  // namespace portolan::config
