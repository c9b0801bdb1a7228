// What a Page holds, in the terms of prometheus-cpp. Private to this room, so that nobody else sees
// that library. Owned by its Page; as thread-safe as a plain struct.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "services/base/metrics/page.h"

namespace portolan::metrics {

struct Page::Families {
  std::vector<prometheus::MetricFamily> list;  // in the order of their coming
};

}  // namespace portolan::metrics
