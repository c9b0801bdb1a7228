#include "services/base/metrics/page.h"

#include <prometheus/check_names.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>

#include "absl/base/internal/raw_logging.h"
#include "absl/strings/match.h"
#include "services/base/metrics/families.h"

namespace portolan::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily& FamilyOf(std::vector<MetricFamily>& families, absl::string_view name,
                       absl::string_view help, MetricType type) {
  const auto found = std::find_if(families.begin(), families.end(),
                                  [&](const MetricFamily& family) { return family.name == name; });
  if (found != families.end()) {
    ABSL_RAW_CHECK(found->type == type, "one metric, two types");
    return *found;
  }
  ABSL_RAW_CHECK(
      absl::StartsWith(name, "portolan_") && prometheus::CheckMetricName(std::string(name)),
      "not the name of a metric of ours");
  ABSL_RAW_CHECK(absl::EndsWith(name, "_total") == (type == MetricType::Counter),
                 "_total is for counters, all of them and nothing else");
  return families.emplace_back(MetricFamily{std::string(name), std::string(help), type, {}});
}

ClientMetric& Add(std::vector<MetricFamily>& families, absl::string_view name,
                  absl::string_view help, MetricType type, Labels labels) {
  ClientMetric& metric = FamilyOf(families, name, help, type).metric.emplace_back();
  for (auto& [label, value] : labels) metric.label.push_back({label, std::move(value)});
  return metric;
}

}  // namespace

Page::Page() : families_(std::make_unique<Families>()) {}
Page::~Page() = default;
Page::Page(Page&&) noexcept = default;
Page& Page::operator=(Page&&) noexcept = default;

void Page::AddCounter(absl::string_view name, absl::string_view help, Labels labels, double value) {
  Add(families_->list, name, help, MetricType::Counter, std::move(labels)).counter.value = value;
}

void Page::AddGauge(absl::string_view name, absl::string_view help, Labels labels, double value) {
  Add(families_->list, name, help, MetricType::Gauge, std::move(labels)).gauge.value = value;
}

void Page::AddHistogram(absl::string_view name, absl::string_view help, Labels labels,
                        const Histogram& histogram) {
  ClientMetric::Histogram& out =
      Add(families_->list, name, help, MetricType::Histogram, std::move(labels)).histogram;
  out.sample_sum = histogram.sum();
  for (size_t i = 0; i < histogram.counts().size(); ++i) {
    out.sample_count += histogram.counts()[i];
    // The text format adds the bucket of everything by itself.
    if (i < histogram.bounds().size()) {
      out.bucket.push_back({out.sample_count, histogram.bounds()[i]});
    }
  }
}

void Page::Merge(Page other) {
  for (MetricFamily& family : other.families_->list) {
    std::vector<ClientMetric>& metrics =
        FamilyOf(families_->list, family.name, family.help, family.type).metric;
    std::move(family.metric.begin(), family.metric.end(), std::back_inserter(metrics));
  }
}

std::string Page::ToText() const {
  return prometheus::TextSerializer().Serializer::Serialize(families_->list);
}

}  // namespace portolan::metrics
