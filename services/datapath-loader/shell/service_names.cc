#include "services/datapath-loader/shell/service_names.h"

namespace portolan::datapath {

void ServiceNames::Learn(const FrontendView& view) {
  Forget(view.key);
  views_[view.key] = view;
  keys_[view.id] = view.key;
  services_[view.service][view.key] = view.id;
}

void ServiceNames::Forget(const FrontendKey& key) {
  const auto view = views_.find(key);
  if (view == views_.end()) return;
  const auto known = keys_.find(view->second.id);
  if (known != keys_.end() && known->second == key) keys_.erase(known);
  const auto service = services_.find(view->second.service);
  service->second.erase(key);
  if (service->second.empty()) services_.erase(service);
  views_.erase(view);
}

std::string ServiceNames::ServiceOf(const FrontendKey& key) const {
  const auto view = views_.find(key);
  return view == views_.end() ? "" : view->second.service;
}

std::string ServiceNames::ServiceOf(uint32_t frontend_id) const {
  const auto key = keys_.find(frontend_id);
  return key == keys_.end() ? "" : ServiceOf(key->second);
}

std::vector<uint32_t> ServiceNames::FrontendsOf(const std::string& service) const {
  std::vector<uint32_t> ids;
  const auto frontends = services_.find(service);
  if (frontends == services_.end()) return ids;
  for (const auto& [key, id] : frontends->second) ids.push_back(id);
  return ids;
}

}  // namespace portolan::datapath
