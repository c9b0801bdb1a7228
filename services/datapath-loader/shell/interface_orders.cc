#include "services/datapath-loader/shell/interface_orders.h"

namespace portolan::datapath {

std::map<std::string, WantedInterface> Merge(std::map<std::string, WantedInterface> wanted,
                                             const InterfaceOrders& orders) {
  for (auto& [name, interface] : wanted) interface.configured = interface.mode;
  for (const auto& [name, order] : orders) {
    if (order.detached) {
      const auto found = wanted.find(name);
      if (found != wanted.end()) found->second.origin = Origin::kDetach;
      continue;
    }
    WantedInterface& interface = wanted[name];
    interface.origin = Origin::kAttach;
    interface.mode = order.mode;
    interface.inside = order.inside;
  }
  return wanted;
}

}  // namespace portolan::datapath
