// What the configuration says about the NETCONF server itself: /portolan-system:system/netconf as
// values. A pure function, any thread.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/base/netconf/server.h"
#include "services/base/yang/tree.h"
#include "services/config-service/shell/netconf/users.h"

namespace portolan::config {

struct NetconfSettings {
  bool unix_socket = true;
  std::string unix_group;  // empty: none
  absl::Duration hello_timeout;
  absl::Duration idle_timeout;  // zero: none
  size_t max_message = 0;       // octets
  std::vector<netconf::TcpEndpoint> listen;
  std::optional<netconf::TlsIdentity> tls;
  std::map<std::string, netconf::CallHomeClient> call_home;
  std::string pam_service;  // empty: none
  std::map<std::string, User> users;
  // Somebody may come, or is called.
  bool IsServed() const { return unix_socket || !listen.empty() || !call_home.empty(); }
};

// `tree` is valid.
NetconfSettings NetconfSettingsOf(const yang::Tree& tree);

}  // namespace portolan::config
