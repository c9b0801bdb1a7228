#include "services/config-service/shell/netconf/settings.h"

#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "services/config-service/shell/netconf/arguments.h"

namespace portolan::config {
namespace {

uint32_t Number(yang::Node parent, absl::string_view child) {
  uint32_t number = 0;
  return absl::SimpleAtoi(TextOf(parent, child).value_or(""), &number) ? number : 0;
}

netconf::TcpEndpoint EndpointOf(yang::Node entry, netconf::Transport transport) {
  return {transport, *TextOf(entry, "name"), TextOf(entry, "address").value_or(""),
          static_cast<uint16_t>(Number(entry, "port"))};
}

void ReadSsh(yang::Node ssh, NetconfSettings* settings) {
  settings->pam_service = TextOf(ssh, "pam-service").value_or("");
  for (const yang::Node& entry : ssh.Children("listen")) {
    settings->listen.push_back(EndpointOf(entry, netconf::Transport::kSsh));
  }
  for (const yang::Node& entry : ssh.Children("user")) {
    User& user = settings->users[*TextOf(entry, "name")];
    user.password_hash = TextOf(entry, "password-hash").value_or("");
    for (const yang::Node& key : entry.Children("authorized-key")) user.keys.push_back(key.value());
  }
}

netconf::CertificateMap::Type MapTypeOf(absl::string_view name) {
  using Type = netconf::CertificateMap::Type;
  if (name == "san-rfc822-name") return Type::kSanMail;
  if (name == "san-dns-name") return Type::kSanDns;
  if (name == "san-ip-address") return Type::kSanAddress;
  if (name == "san-any") return Type::kSanAny;
  return name == "common-name" ? Type::kCommonName : Type::kSpecified;
}

void ReadTls(yang::Node tls, NetconfSettings* settings) {
  for (const yang::Node& entry : tls.Children("listen")) {
    settings->listen.push_back(EndpointOf(entry, netconf::Transport::kTls));
  }
  const std::optional<std::string> certificate = TextOf(tls, "certificate");
  if (!certificate.has_value()) return;
  netconf::TlsIdentity& identity = settings->tls.emplace();
  identity.certificate_path = *certificate;
  identity.private_key_path = TextOf(tls, "private-key").value_or("");
  for (const yang::Node& path : tls.Children("trusted-certificates")) {
    identity.trusted_paths.push_back(path.value());
  }
  // The list is ordered by the system, and its ids say in which order it counts.
  std::map<uint32_t, netconf::CertificateMap> maps;
  for (const yang::Node& entry : tls.Children("cert-to-name")) {
    maps[Number(entry, "id")] = {TextOf(entry, "fingerprint").value_or(""),
                                 MapTypeOf(TextOf(entry, "map-type").value_or("")),
                                 TextOf(entry, "name").value_or("")};
  }
  for (auto& [id, map] : maps) identity.maps.push_back(std::move(map));
}

netconf::CallHomeClient ClientOf(yang::Node entry) {
  using StartWith = netconf::CallHomePlan::StartWith;
  netconf::CallHomeClient client;
  for (const yang::Node& place : entry.Children("endpoint")) {
    const bool tls = TextOf(place, "transport") == "tls";
    netconf::TcpEndpoint endpoint =
        EndpointOf(place, tls ? netconf::Transport::kTls : netconf::Transport::kSsh);
    // RFC 8071, section 6.
    if (endpoint.port == 0) endpoint.port = tls ? 4335 : 4334;
    client.endpoints.push_back(std::move(endpoint));
  }
  const yang::Node strategy = entry.Child("reconnect-strategy");
  const std::string start = TextOf(strategy, "start-with").value_or("");
  client.max_wait = absl::Seconds(Number(strategy, "max-wait"));
  client.plan.endpoints = client.endpoints.size();
  client.plan.max_attempts = Number(strategy, "max-attempts");
  client.plan.start_with = start == "last-connected"     ? StartWith::kLastConnected
                           : start == "random-selection" ? StartWith::kRandomSelection
                                                         : StartWith::kFirstListed;
  if (const yang::Node periodic = entry.Child("periodic")) {
    client.plan.period = absl::Minutes(Number(periodic, "period"));
    client.idle_timeout = absl::Seconds(Number(periodic, "idle-timeout"));
  }
  return client;
}

}  // namespace

NetconfSettings NetconfSettingsOf(const yang::Tree& tree) {
  NetconfSettings settings;
  const yang::Node system = tree.Top("portolan-system", "system");
  const yang::Node netconf = system ? system.Child("netconf") : yang::Node();
  if (!netconf) return settings;
  settings.hello_timeout = absl::Seconds(Number(netconf, "hello-timeout"));
  settings.idle_timeout = absl::Seconds(Number(netconf, "idle-timeout"));
  const yang::Node local = netconf.Child("unix-socket");
  settings.unix_socket = TextOf(local, "enabled") == "true";
  settings.unix_group = TextOf(local, "group").value_or("");
  settings.max_message = size_t{Number(netconf, "max-message-size")} << 20;
  ReadSsh(netconf.Child("ssh"), &settings);
  ReadTls(netconf.Child("tls"), &settings);
  for (const yang::Node& entry : netconf.Child("call-home").Children("client")) {
    settings.call_home[*TextOf(entry, "name")] = ClientOf(entry);
  }
  return settings;
}

}  // namespace portolan::config
