// Messages of the streams <-> values of the core. Pure. What cannot be understood in a message is
// left out and named in `problems` (for the log): config-service and ipam-service have validated
// it, so that is a sender of another make.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "bpf/include/datapath_maps.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/core/types.h"
#include "services/datapath-loader/shell/health_checker.h"
#include "services/datapath-loader/shell/interfaces.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/objects.h"

namespace portolan::datapath {

using Problems = std::vector<std::string>;

Service FromProto(const intent::v1alpha1::ServiceIntent& message, Problems& problems);
// Absent: nobody is asked.
std::optional<HealthPlan> HealthPlanOf(const intent::v1alpha1::ServiceIntent& message);
BackendSet FromProto(const intent::v1alpha1::BackendSet& message, Problems& problems);
Allocation FromProto(const allocation::v1alpha1::Allocation& message, Problems& problems);
Node FromProto(const config::v1alpha1::Node& message, Problems& problems);
// The three readers of DatapathSettings. A default instance gives the defaults of the YANG module.
Settings EngineSettings(const config::v1alpha1::DatapathSettings& message);
ProgramSettings ToProgramSettings(const config::v1alpha1::DatapathSettings& message);
Sizes ToSizes(const config::v1alpha1::DatapathSettings& message);
// What holds while there is no DatapathSettings at all.
config::v1alpha1::DatapathSettings DefaultSettings();

// Is the interface for this node?
bool Concerns(const config::v1alpha1::DatapathInterface& message, const std::string& node);

status::v1alpha1::ObjectStatus ToProto(const ServiceStatus& status, const std::string& node);
status::v1alpha1::ObjectStatus ToStatus(const InterfaceReport& report, const std::string& node);
datapath::v1alpha1::InterfaceState ToState(const InterfaceReport& report, const std::string& node);
datapath::v1alpha1::FrontendState ToProto(const FrontendView& view, const portolan_counter& counter,
                                          const std::string& node);

datapath::v1alpha1::BackendState ToProto(const std::string& service, const BackendView& view,
                                         const portolan_counter& counter, const std::string& node);

// "datapath/NODE/KIND/KEY"
std::string StatusKey(const status::v1alpha1::ObjectStatus& status);
// "NODE/SERVICE/PROTOCOL/PORT/FAMILY/BACKEND"
std::string BackendStateKey(const std::string& service, const BackendView& view,
                            const std::string& node);
// "NODE/ADDRESS/PROTOCOL/PORT"
std::string FrontendStateKey(const FrontendKey& key, const std::string& node);

}  // namespace portolan::datapath
