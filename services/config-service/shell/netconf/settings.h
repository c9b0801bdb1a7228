// What the configuration says about the NETCONF server itself: /portolan-system:system/netconf as
// values. A pure function, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/base/yang/tree.h"
#include "services/config-service/shell/netconf/users.h"

namespace portolan::config {

struct SshListen {
  std::string name;
  std::string address;
  uint16_t port = 0;
  friend bool operator==(const SshListen&, const SshListen&) = default;
};

struct NetconfSettings {
  bool unix_socket = true;
  std::string unix_group;  // empty: none
  absl::Duration hello_timeout;
  absl::Duration idle_timeout;  // zero: none
  std::map<std::string, SshListen> ssh;
  std::string pam_service;  // empty: none
  std::map<std::string, User> users;
  // Somebody may come.
  bool IsServed() const { return unix_socket || !ssh.empty(); }
  friend bool operator==(const NetconfSettings&, const NetconfSettings&) = default;
};

// `tree` is valid.
NetconfSettings NetconfSettingsOf(const yang::Tree& tree);

}  // namespace portolan::config
