#include "services/config-service/shell/gnmi/settings.h"

#include "absl/strings/numbers.h"

namespace portolan::config {
namespace {

std::string Text(yang::Node parent, absl::string_view child) {
  const yang::Node node = parent ? parent.Child(child) : yang::Node();
  return node ? node.value() : "";
}

}  // namespace

GnmiSettings GnmiSettingsOf(const yang::Tree& rest) {
  GnmiSettings settings;
  const yang::Node system = rest.Top("portolan-system", "system");
  const yang::Node gnmi = system ? system.Child("gnmi") : yang::Node();
  settings.enabled = Text(gnmi, "enabled") == "true";
  const yang::Node tls = gnmi ? gnmi.Child("tls") : yang::Node();
  if (!settings.enabled || !tls) return settings;
  settings.certificate_file = Text(tls, "certificate-file");
  settings.key_file = Text(tls, "key-file");
  settings.client_ca_file = Text(tls, "client-ca-file");
  for (const yang::Node& entry : tls.Children("listen")) {
    uint32_t port = 0;
    if (!absl::SimpleAtoi(Text(entry, "port"), &port)) continue;
    settings.listen[Text(entry, "name")] = {Text(entry, "address"), static_cast<uint16_t>(port)};
  }
  return settings;
}

}  // namespace portolan::config
