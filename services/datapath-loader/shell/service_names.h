// Whose frontends are which: what only the engine knows and the maps do not say.
// Owned by the control thread, fed with copies of what the loop publishes. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/datapath-loader/core/engine.h"

namespace portolan::datapath {

class ServiceNames {
 public:
  void Learn(const FrontendView& view);
  void Forget(const FrontendKey& key);

  std::string ServiceOf(const FrontendKey& key) const;  // empty: nobody's
  std::string ServiceOf(uint32_t frontend_id) const;
  std::vector<uint32_t> FrontendsOf(const std::string& service) const;  // ids; none: not known

 private:
  std::map<FrontendKey, FrontendView> views_;
  std::map<uint32_t, FrontendKey> keys_;  // by id
  std::map<std::string, std::map<FrontendKey, uint32_t>> services_;
};

}  // namespace portolan::datapath
