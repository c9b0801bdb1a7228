// What YANG found wrong, as problems that say what to do, and problems as text. Pure functions, any
// thread. The remedies lean on the descriptions in api/yang.
#pragma once

#include <string>
#include <vector>

#include "services/base/yang/context.h"
#include "services/base/yang/finding.h"
#include "services/config-service/core/problem.h"

namespace portolan::config {

// `source` names the text, e.g. a file; empty: none. The line is appended where it is known.
Problem ToProblem(const yang::Finding& finding, const std::string& source,
                  const yang::Context& context);

// Appends the line to the sources of the first ten problems that have none, where `text`, which is
// that of `source`, has their path.
void AddLines(const std::string& text, const std::string& source, std::vector<Problem>* problems);

// "home.json:12: /portolan-ipam:ipam/...: message [rule]; remedy: ...", one line.
std::string ToText(const Problem& problem);

// Up to ten problems, one line each, and how many more there are.
std::string ToText(const std::vector<Problem>& problems);

}  // namespace portolan::config
