// What operators have ordered about interfaces by RPC, beside the configuration: the order counts.
// Pure; values.
#pragma once

#include <map>
#include <string>

#include "services/datapath-loader/shell/interfaces.h"

namespace portolan::datapath {

struct InterfaceOrder {
  bool detached = false;  // the datapath stays away; the rest does not matter then
  std::string mode = "auto";
  bool inside = false;
  friend bool operator==(const InterfaceOrder&, const InterfaceOrder&) = default;
};
using InterfaceOrders = std::map<std::string, InterfaceOrder>;  // by name

// An interface that is neither configured nor to be attached is left out.
std::map<std::string, WantedInterface> Merge(std::map<std::string, WantedInterface> configured,
                                             const InterfaceOrders& orders);

}  // namespace portolan::datapath
