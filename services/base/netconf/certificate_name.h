// Who the owner of a certificate is in NETCONF (RFC 7589, section 7; RFC 7407, cert-to-name).
// Private to this room; a pure function, any thread.
#pragma once

#include <openssl/x509.h>

#include <optional>
#include <string>
#include <vector>

#include "services/base/netconf/server.h"

namespace portolan::netconf {

// `chain`: that was verified, the peer's certificate first, trusted ones last. Nothing: no entry
// fits, or those that fit find no name.
std::optional<std::string> NameOf(const std::vector<X509*>& chain,
                                  const std::vector<CertificateMap>& maps);

}  // namespace portolan::netconf
