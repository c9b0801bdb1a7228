// Differences between two configurations as lines for people, on standard output:
// "~ PATH: OLD -> NEW", "+ PATH: NEW", "- PATH: OLD".
#pragma once

#include "api/proto/config/v1alpha1/config.pb.h"

namespace portolan::cli {

void PrintDifferences(const config::v1alpha1::EditResponse& response);
void PrintDifferences(const config::v1alpha1::Commit& commit);

}  // namespace portolan::cli
