#include "services/config-service/shell/netconf/settings.h"

#include "absl/strings/numbers.h"
#include "services/config-service/shell/netconf/arguments.h"

namespace portolan::config {
namespace {

uint32_t Number(yang::Node parent, absl::string_view child) {
  uint32_t number = 0;
  return absl::SimpleAtoi(TextOf(parent, child).value_or(""), &number) ? number : 0;
}

void ReadSsh(yang::Node ssh, NetconfSettings* settings) {
  settings->pam_service = TextOf(ssh, "pam-service").value_or("");
  for (const yang::Node& entry : ssh.Children("listen")) {
    const std::string name = *TextOf(entry, "name");
    settings->ssh[name] = {name, TextOf(entry, "address").value_or(""),
                           static_cast<uint16_t>(Number(entry, "port"))};
  }
  for (const yang::Node& entry : ssh.Children("user")) {
    User& user = settings->users[*TextOf(entry, "name")];
    user.password_hash = TextOf(entry, "password-hash").value_or("");
    for (const yang::Node& key : entry.Children("authorized-key")) user.keys.push_back(key.value());
  }
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
  ReadSsh(netconf.Child("ssh"), &settings);
  return settings;
}

}  // namespace portolan::config
