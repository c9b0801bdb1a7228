// ipam-service in the terms of Prometheus: names, help texts, labels. Pure functions.
//
// Labels are pools, families, reasons and outcomes; never a Service.
#pragma once

#include <cstdint>

#include "services/base/metrics/histogram.h"
#include "services/base/metrics/page.h"
#include "services/ipam-service/core/figures.h"
#include "services/ipam-service/shell/journal.h"

namespace portolan::ipam {

// What the shell itself counts since its start.
struct ShellFigures {
  uint64_t plans_harmless = 0;     // nobody would lose an address
  uint64_t plans_moving = 0;       // somebody would
  uint64_t plans_unavailable = 0;  // not started yet
  uint64_t explanations = 0;
  // Seconds from when a Service asked for a new address until it was durable and published.
  metrics::Histogram published_after{metrics::kSeconds};
};

void CollectMetrics(const EngineFigures& figures, metrics::Page& page);
void CollectMetrics(const ShellFigures& figures, metrics::Page& page);
void CollectMetrics(const JournalFigures& figures, metrics::Page& page);

}  // namespace portolan::ipam
