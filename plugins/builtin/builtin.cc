#include "plugins/builtin/builtin.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "plugins/address_pickers/longest_unused/longest_unused.h"
#include "plugins/address_pickers/lowest_free/lowest_free.h"
#include "plugins/address_pickers/random/random.h"
#include "plugins/address_pickers/stable_hash/stable_hash.h"
#include "plugins/health_checks/grpc/grpc.h"
#include "plugins/health_checks/http/http.h"
#include "plugins/health_checks/tcp/tcp.h"
#include "plugins/health_checks/udp/udp.h"
#include "plugins/owner_elections/rendezvous/rendezvous.h"
#include "plugins/pool_selectors/label/label.h"

namespace portolan::plugin {
namespace {

void Add(Registry& registry, std::unique_ptr<Factory> factory) {
  absl::Status status = registry.Register(std::move(factory));
  if (status.ok()) return;
  std::fprintf(stderr, "plugins/builtin: %s\n", std::string(status.message()).c_str());
  std::abort();  // two lines of the list below have one name
}

}  // namespace

Registry NewBuiltinRegistry() {
  Registry registry;
  Add(registry, NewLowestFreeFactory());
  Add(registry, NewStableHashFactory());
  Add(registry, NewRandomFactory());
  Add(registry, NewLongestUnusedFactory());
  Add(registry, NewLabelFactory());
  Add(registry, NewRendezvousFactory());
  Add(registry, NewTcpCheckFactory());
  Add(registry, NewHttpCheckFactory());
  Add(registry, NewGrpcCheckFactory());
  Add(registry, NewUdpCheckFactory());
  return registry;
}

}  // namespace portolan::plugin
