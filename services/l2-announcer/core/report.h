// What the announcer tells people: a status for each service and policy, in sentences.
//
// Pure functions over what the engine knows.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "services/l2-announcer/core/lan.h"
#include "services/l2-announcer/core/model.h"
#include "services/l2-announcer/core/selection.h"

namespace portolan::l2 {

using Lans = std::map<std::string, std::unique_ptr<Lan>>;

// `announce`: the stage runs. Every (interface, address) has a finding; the worst one decides.
Status ReportService(const std::string& service, const Allocation& allocation,
                     const Selection& selection, const Config& config, const Lans& lans,
                     const std::string& node, bool announce);

Status ReportPolicy(const std::string& name, const Policy& policy, const Config& config,
                    const Lans& lans, const std::string& node);

}  // namespace portolan::l2
