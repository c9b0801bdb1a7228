#include "services/base/process/metrics_endpoint.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/wire/stream_table.h"

namespace portolan::process {
namespace {

using Wanted = config::v1alpha1::MetricsEndpoint;
using status::v1alpha1::ObjectStatus;

constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxBackoff = absl::Seconds(30);

// What the process publishes, stream by stream.
void CollectStreams(const wire::Hub& hub, metrics::Page& page) {
  for (const wire::StreamFigures& stream : hub.Figures()) {
    const metrics::Labels labels = {{"type", stream.type}};
    page.AddGauge("portolan_stream_readers", "Readers that follow the stream now.", labels,
                  static_cast<double>(stream.readers));
    page.AddGauge("portolan_stream_entries", "Keys that are published now.", labels,
                  static_cast<double>(stream.entries));
    page.AddCounter("portolan_stream_revisions_total", "Changes since the start.", labels,
                    static_cast<double>(stream.revisions));
    page.AddCounter("portolan_stream_responses_total", "Messages to readers.", labels,
                    static_cast<double>(stream.responses));
    page.AddCounter("portolan_stream_sent_bytes_total", "Bytes of these messages.", labels,
                    static_cast<double>(stream.sent_bytes));
  }
}

std::string PlaceOf(const Wanted& wanted) {
  return absl::StrCat("port ", wanted.port(), " of ", wanted.address());
}

}  // namespace

MetricsEndpoint::MetricsEndpoint(const Context& context, std::string process)
    : context_(context),
      process_(std::move(process)),
      statuses_(context.hub->NewWriter<ObjectStatus>()),
      streams_(context.metrics->Add(process_, nullptr, [hub = context.hub](metrics::Page& page) {
        CollectStreams(*hub, page);
      })) {
  // Nobody may wait for the word of an endpoint.
  statuses_.MarkSynced();
}

MetricsEndpoint::~MetricsEndpoint() {
  reader_.reset();
  context_.loop->Cancel(retry_);
  context_.metrics->Close();
}

void MetricsEndpoint::Start(const wire::Channels& config) {
  reader_.emplace(context_.loop, config,
                  wire::Handlers<Wanted>{
                      .on_upsert =
                          [this](const std::string& key, const Wanted& wanted) {
                            if (key == process_) Want(wanted);
                          },
                      .on_remove =
                          [this](const std::string& key) {
                            if (key == process_) Want(std::nullopt);
                          },
                  });
}

void MetricsEndpoint::Want(std::optional<Wanted> wanted) {
  const bool same = wanted.has_value() && wanted_.has_value() &&
                    wanted->address() == wanted_->address() && wanted->port() == wanted_->port();
  if (same) return;  // told again after a reconnect
  wanted_ = std::move(wanted);
  backoff_ = absl::ZeroDuration();
  context_.loop->Cancel(std::exchange(retry_, 0));
  if (wanted_.has_value()) return Listen();
  context_.metrics->Close();
  context_.log->Info("metrics are not served");
  statuses_.Remove(absl::StrCat("metrics/", context_.node, "/endpoint/", process_));
}

void MetricsEndpoint::Listen() {
  const absl::StatusOr<int> port =
      context_.metrics->Listen(wanted_->address(), static_cast<int>(wanted_->port()));
  Report(port);
  if (port.ok()) return;
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kMaxBackoff);
  retry_ = context_.loop->RunAfter(backoff_, [this] {
    retry_ = 0;
    Listen();
  });
}

void MetricsEndpoint::Report(const absl::StatusOr<int>& port) {
  ObjectStatus status;
  status.set_component("metrics");
  status.set_node(context_.node);
  status.set_kind("endpoint");
  status.set_key(process_);
  if (port.ok()) {
    status.set_state(status::v1alpha1::STATE_READY);
    status.set_reason("listening");
    status.set_message(absl::StrCat("metrics endpoint \"", process_, "\" listens on port ", *port,
                                    " of ", wanted_->address()));
    context_.log->Info("metrics are served",
                       {{"address", wanted_->address()}, {"port", absl::StrCat(*port)}});
  } else {
    status.set_state(status::v1alpha1::STATE_FAILED);
    status.set_reason("not-listening");
    status.set_message(absl::StrCat("metrics endpoint \"", process_, "\" cannot listen on ",
                                    PlaceOf(*wanted_), ": ", std::string(port.status().message())));
    status.set_remedy(
        absl::StrCat("change address or port of /portolan-system:system/metrics/endpoint[process='",
                     process_, "'], or stop who has the port; it is tried again by itself"));
    if (backoff_ == absl::ZeroDuration()) {
      context_.log->Error("metrics are not served",
                          {{"error", status.message()}, {"remedy", status.remedy()}});
    }
  }
  statuses_.Upsert(absl::StrCat("metrics/", context_.node, "/endpoint/", process_), status);
}

}  // namespace portolan::process
