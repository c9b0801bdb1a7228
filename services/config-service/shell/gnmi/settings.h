// What the configuration says about gNMI itself: /portolan-system:system/gnmi as values. A pure
// function, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "services/base/yang/tree.h"

namespace portolan::config {

struct GnmiListen {
  std::string address;
  uint16_t port = 0;
  friend bool operator==(const GnmiListen&, const GnmiListen&) = default;
};

struct GnmiSettings {
  bool enabled = false;
  // Files in PEM format; empty where nothing listens.
  std::string certificate_file;
  std::string key_file;
  std::string client_ca_file;
  std::map<std::string, GnmiListen> listen;  // by name; empty unless it is enabled
};

// `rest`: of a valid configuration, all but services.
GnmiSettings GnmiSettingsOf(const yang::Tree& rest);

}  // namespace portolan::config
