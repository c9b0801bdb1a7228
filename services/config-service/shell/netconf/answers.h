// What services answer, as the outputs of our rpcs and actions (portolan-service, portolan-ipam,
// portolan-datapath). Pure functions, any thread. What is empty is left out.
#pragma once

#include <vector>

#include "api/proto/datapath/v1alpha1/control.pb.h"
#include "api/proto/ipam/v1alpha1/ipam.pb.h"
#include "services/base/netconf/message.h"
#include "services/config-service/shell/datastores.h"

namespace portolan::config {

using Elements = std::vector<netconf::Element>;

Elements ToOutput(const ipam::v1alpha1::ExplainResponse& response);
Elements ToOutput(const Datastores::Forecast& forecast);

// `number`: of the event, from 1.
netconf::Element ToElement(const datapath::v1alpha1::Event& event, size_t number);

}  // namespace portolan::config
