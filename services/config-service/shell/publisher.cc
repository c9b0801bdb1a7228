#include "services/config-service/shell/publisher.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "services/config-service/shell/convert.h"

namespace portolan::config {
namespace {

template <typename... F>
struct Overload : F... {
  using F::operator()...;
};
template <typename... F>
Overload(F...) -> Overload<F...>;

std::string KeyOf(const status::v1alpha1::ObjectStatus& status) {
  return absl::StrCat(status.component(), "/", status.node(), "/", status.kind(), "/",
                      status.key());
}

}  // namespace

Publisher::Publisher(wire::Hub* hub)
    : pools_(hub->NewWriter<v1alpha1::Pool>()),
      ipam_settings_(hub->NewWriter<v1alpha1::IpamSettings>()),
      quotas_(hub->NewWriter<v1alpha1::Quota>()),
      plugins_(hub->NewWriter<v1alpha1::Plugin>()),
      nodes_(hub->NewWriter<v1alpha1::Node>()),
      l2_policies_(hub->NewWriter<v1alpha1::L2Policy>()),
      l2_settings_(hub->NewWriter<v1alpha1::L2Settings>()),
      bgp_instances_(hub->NewWriter<v1alpha1::BgpInstance>()),
      bgp_peers_(hub->NewWriter<v1alpha1::BgpPeer>()),
      bgp_advertisements_(hub->NewWriter<v1alpha1::BgpAdvertisement>()),
      datapath_interfaces_(hub->NewWriter<v1alpha1::DatapathInterface>()),
      datapath_settings_(hub->NewWriter<v1alpha1::DatapathSettings>()),
      pipeline_stages_(hub->NewWriter<v1alpha1::PipelineStage>()),
      metrics_endpoints_(hub->NewWriter<v1alpha1::MetricsEndpoint>()),
      namespaces_(hub->NewWriter<intent::v1alpha1::Namespace>()),
      intents_(hub->NewWriter<intent::v1alpha1::ServiceIntent>()),
      backend_sets_(hub->NewWriter<intent::v1alpha1::BackendSet>()),
      statuses_(hub->NewWriter<status::v1alpha1::ObjectStatus>()) {}

template <typename T>
void Publisher::Put(wire::Writer& writer, const Change& change, const T& object) {
  if (change.action == Change::Action::kRemove) {
    writer.Remove(change.key);
  } else {
    writer.Upsert(change.key, ToProto(object));
  }
}

// Backends first: who sees the intent can serve it.
void Publisher::PutService(const Change& change, const Service& service) {
  if (change.action == Change::Action::kRemove) {
    intents_.Remove(change.key);
    backend_sets_.Remove(change.key);
  } else {
    backend_sets_.Upsert(change.key, ToBackends(service, change.generation));
    intents_.Upsert(change.key, ToIntent(service, change.generation));
  }
}

void Publisher::Apply(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    std::visit(
        Overload{
            [&](const Pool& object) { Put(pools_, change, object); },
            [&](const IpamSettings& object) { Put(ipam_settings_, change, object); },
            [&](const Quota& object) { Put(quotas_, change, object); },
            [&](const Plugin& object) { Put(plugins_, change, object); },
            [&](const Node& object) { Put(nodes_, change, object); },
            [&](const L2Policy& object) { Put(l2_policies_, change, object); },
            [&](const L2Settings& object) { Put(l2_settings_, change, object); },
            [&](const BgpInstance& object) { Put(bgp_instances_, change, object); },
            [&](const BgpPeer& object) { Put(bgp_peers_, change, object); },
            [&](const BgpAdvertisement& object) { Put(bgp_advertisements_, change, object); },
            [&](const DatapathInterface& object) { Put(datapath_interfaces_, change, object); },
            [&](const DatapathSettings& object) { Put(datapath_settings_, change, object); },
            [&](const PipelineStage& object) { Put(pipeline_stages_, change, object); },
            [&](const MetricsEndpoint& object) { Put(metrics_endpoints_, change, object); },
            [&](const Namespace& object) { Put(namespaces_, change, object); },
            [&](const Service& object) { PutService(change, object); },
        },
        change.object);
  }
}

void Publisher::Report(const status::v1alpha1::ObjectStatus& status) {
  statuses_.Upsert(KeyOf(status), status);
}

void Publisher::Forget(const status::v1alpha1::ObjectStatus& status) {
  statuses_.Remove(KeyOf(status));
}

void Publisher::MarkSynced() {
  for (wire::Writer* writer :
       {&pools_, &ipam_settings_, &quotas_, &plugins_, &nodes_, &l2_policies_, &l2_settings_,
        &bgp_instances_, &bgp_peers_, &bgp_advertisements_, &datapath_interfaces_,
        &datapath_settings_, &pipeline_stages_, &metrics_endpoints_, &namespaces_, &intents_,
        &backend_sets_, &statuses_}) {
    writer->MarkSynced();
  }
}

}  // namespace portolan::config
