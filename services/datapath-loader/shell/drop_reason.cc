#include "services/datapath-loader/shell/drop_reason.h"

namespace portolan::datapath {

std::pair<const char*, const char*> NameOf(portolan_drop reason) {
  switch (reason) {
    case PORTOLAN_DROP_NO_PORT:
      return {"no-port", "no source port was free towards a backend of another node"};
    case PORTOLAN_DROP_NO_ROUTE:
      return {"no-route", "a flow to a backend of another node had no route"};
    case PORTOLAN_DROP_TOO_BIG:
      return {"too-big", "larger than the way to a backend of another node can carry"};
    case PORTOLAN_DROP_UNSERVED:
      return {"unserved", "to an address of a service, and nothing is served on that port"};
    case PORTOLAN_DROP_NO_BACKEND:
      return {"no-backend", "no backend of the service takes new flows"};
    case PORTOLAN_DROP_FRAGMENT:
      return {"fragment", "the first fragment of the packet was not seen, or not carried"};
    case PORTOLAN_DROP_STRAY:
      return {"stray-error", "an ICMP error about no flow that is known"};
    case PORTOLAN_DROP_SOURCE:
      return {"source", "the service does not let this source in"};
    case PORTOLAN_DROP_NOT_ON_LINK:
      return {"not-on-link", "the backend of a direct-return service is behind a router"};
    case PORTOLAN_DROP_CONGESTED:
      return {"congested", "out of a tunnel that met congestion, and the flow knows no ECN"};
    case PORTOLAN_DROP_HEADERS:
      return {"extension-headers", "IPv6 extension headers that are too many, or a source route"};
    default:
      return {"no-memory", "the kernel had no memory for a flow or a packet's headers"};
  }
}

}  // namespace portolan::datapath
