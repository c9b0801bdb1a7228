// Values <-> wire messages. Pure functions. The messages carry what is configured and what YANG
// gives as default; an absent selector stays absent.
#pragma once

#include <cstdint>

#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/ipam/v1alpha1/ipam.pb.h"
#include "services/config-service/core/engine.h"
#include "services/config-service/core/plan.h"
#include "services/config-service/core/problem.h"
#include "services/config-service/core/snapshot.h"

namespace portolan::config {

// Blocks are expanded to first and last. The pool passed Validate().
v1alpha1::Pool ToProto(const Pool& pool);
v1alpha1::IpamSettings ToProto(const IpamSettings& settings);
v1alpha1::Quota ToProto(const Quota& quota);
v1alpha1::Plugin ToProto(const Plugin& plugin);
v1alpha1::Node ToProto(const Node& node);
v1alpha1::L2Policy ToProto(const L2Policy& policy);
v1alpha1::L2Settings ToProto(const L2Settings& settings);
v1alpha1::BgpInstance ToProto(const BgpInstance& instance);
v1alpha1::BgpPeer ToProto(const BgpPeer& peer);
v1alpha1::BgpAdvertisement ToProto(const BgpAdvertisement& advertisement);
v1alpha1::DatapathInterface ToProto(const DatapathInterface& interface);
v1alpha1::DatapathSettings ToProto(const DatapathSettings& settings);
v1alpha1::PipelineStage ToProto(const PipelineStage& stage);
v1alpha1::MetricsEndpoint ToProto(const MetricsEndpoint& endpoint);
v1alpha1::Problem ToProto(const Problem& problem);
v1alpha1::AddressMove ToProto(const AddressMove& move);
v1alpha1::AddressGain ToProto(const AddressGain& gain);
AddressPlan FromProto(const ipam::v1alpha1::PlanResponse& proto);
ipam::v1alpha1::PlanRequest ToProto(const AskPlan& ask);

intent::v1alpha1::Namespace ToProto(const Namespace& name_space);

// One service is two messages of one key and generation.
intent::v1alpha1::ServiceIntent ToIntent(const Service& service, uint64_t generation);
intent::v1alpha1::BackendSet ToBackends(const Service& service, uint64_t generation);

}  // namespace portolan::config
