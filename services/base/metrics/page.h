// The metrics of a moment, as a service fills them in for one scrape. Not thread-safe.
//
// Names follow Prometheus: "portolan_" first, the unit last, "_total" on counters (checked; a wrong
// one is our bug and crashes). Labels have few values: pools, families, reasons; the key of a
// Service only where whoever fills them in bounds their number. Numbers become doubles: counts above 2^53 are approximate.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/base/metrics/histogram.h"

namespace portolan::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Page {
 public:
  Page();
  ~Page();
  Page(Page&&) noexcept;
  Page& operator=(Page&&) noexcept;

  // Entries of one name become one family, whoever adds them; the first help text stands.
  void AddCounter(absl::string_view name, absl::string_view help, Labels labels, double value);
  void AddGauge(absl::string_view name, absl::string_view help, Labels labels, double value);
  void AddHistogram(absl::string_view name, absl::string_view help, Labels labels,
                    const Histogram& histogram);

  // Takes over what the other one holds.
  void Merge(Page other);
  // The Prometheus text format, version 0.0.4.
  std::string ToText() const;

 private:
  friend class Exporter;
  struct Families;
  std::unique_ptr<Families> families_;  // never null but after a move
};

}  // namespace portolan::metrics
