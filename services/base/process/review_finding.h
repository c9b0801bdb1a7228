// What the core of a service says of an edit, on its way to whoever asked (review.v1alpha1).
// Pure; any thread.
#pragma once

#include "api/proto/review/v1alpha1/review.pb.h"

namespace portolan::process {

// `Finding` is the core's: path, rule, message and remedy.
template <typename Finding>
void AddFinding(const Finding& finding, review::v1alpha1::Severity severity,
                review::v1alpha1::ReviewResponse* response) {
  review::v1alpha1::Finding* proto = response->add_findings();
  proto->set_severity(severity);
  proto->set_path(finding.path);
  proto->set_rule(finding.rule);
  proto->set_message(finding.message);
  proto->set_remedy(finding.remedy);
}

}  // namespace portolan::process
