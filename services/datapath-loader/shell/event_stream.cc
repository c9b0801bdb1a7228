#include "services/datapath-loader/shell/event_stream.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/directory.h"
#include "services/datapath-loader/shell/drop_reason.h"

namespace portolan::datapath {
namespace {

constexpr uint32_t kDropSample = 64;
// More come in the next turn, so that other calls are answered under a flood.
constexpr int kEventsPerTurn = 4096;

int64_t MonotonicNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

const char* KindName(uint8_t kind) {
  switch (kind) {
    case PORTOLAN_EVENT_NEW:
      return "new";
    case PORTOLAN_EVENT_CARRIED:
      return "carried";
    default:
      return "drop";
  }
}

}  // namespace

EventStream::EventStream(Loop* loop, const Clock* clock, const LiveMaps& maps,
                         const ServiceNames& names, std::function<void(TraceWish)> on_wish)
    : loop_(loop), clock_(clock), maps_(maps), names_(names), on_wish_(std::move(on_wish)) {}

EventStream::~EventStream() {
  for (const Entry& entry : watchers_) {
    entry.watcher->End(absl::UnavailableError("the datapath is not loaded any more"));
  }
  Close();
}

absl::Status EventStream::Watch(const v1alpha1::WatchEventsRequest& request,
                                std::shared_ptr<EventWatcher> watcher) {
  if (!request.service().empty() && names_.FrontendsOf(request.service()).empty()) {
    return absl::NotFoundError(absl::StrCat("service: this node carries no Service \"",
                                            request.service(), "\"; see `portolan get services`"));
  }
  if (ring_ == nullptr) RETURN_IF_ERROR(Open());
  const uint32_t sample = request.drop_sample() == 0 ? kDropSample : request.drop_sample();
  watchers_.push_back({request.service(), sample, std::move(watcher)});
  Refresh();
  return absl::OkStatus();
}

void EventStream::Refresh() {
  watchers_.remove_if([](const Entry& entry) { return entry.watcher->has_ended(); });
  TraceWish wish;
  for (const Entry& entry : watchers_) {
    for (const uint32_t id : names_.FrontendsOf(entry.service)) wish.frontends.insert(id);
    wish.drop_sample =
        wish.drop_sample == 0 ? entry.drop_sample : std::min(wish.drop_sample, entry.drop_sample);
  }
  if (watchers_.empty()) Close();
  if (wish == wish_) return;
  wish_ = wish;
  on_wish_(std::move(wish));
}

absl::Status EventStream::Open() {
  ring_ = ring_buffer__new(maps_.map("events"), OnSample, this, nullptr);
  if (ring_ == nullptr) {
    return absl::UnavailableError(absl::StrCat("map events: ", strerror(errno)));
  }
  // What was left behind by earlier watchers.
  discards_ = true;
  budget_ = PORTOLAN_EVENT_BYTES;
  ring_buffer__consume(ring_);
  discards_ = false;
  watch_ = loop_->Watch(ring_buffer__epoll_fd(ring_), Loop::kReadable, [this](int) { Consume(); });
  return absl::OkStatus();
}

void EventStream::Close() {
  if (ring_ == nullptr) return;
  loop_->Unwatch(watch_);
  ring_buffer__free(ring_);
  ring_ = nullptr;
}

void EventStream::Consume() {
  budget_ = kEventsPerTurn;
  ring_buffer__consume(ring_);
}

int EventStream::OnSample(void* self, void* data, size_t size) {
  auto* stream = static_cast<EventStream*>(self);
  if (!stream->discards_ && size >= sizeof(portolan_event)) {
    stream->Deliver(*static_cast<const portolan_event*>(data));
  }
  return --stream->budget_ > 0 ? 0 : -EAGAIN;
}

void EventStream::Deliver(const portolan_event& event) {
  const std::string service = names_.ServiceOf(event.frontend);
  const v1alpha1::Event message = ToProto(event, service);
  for (const Entry& entry : watchers_) {
    const bool concerns =
        entry.service.empty() ? event.kind == PORTOLAN_EVENT_DROP : entry.service == service;
    if (concerns) entry.watcher->Put(message);
  }
}

v1alpha1::Event EventStream::ToProto(const portolan_event& event,
                                     const std::string& service) const {
  const bool ipv6 = event.family == PORTOLAN_FAMILY_IPV6;
  v1alpha1::Event message;
  message.set_time_unix_ns(absl::ToUnixNanos(clock_->Now()) - MonotonicNanoseconds() +
                           static_cast<int64_t>(event.time_ns));
  message.set_kind(KindName(event.kind));
  message.set_service(service);
  message.set_protocol(ProtocolName(event.protocol));
  message.set_source_address(AddressOf(event.saddr, ipv6).ToString());
  message.set_source_port(ntohs(event.sport));
  message.set_destination_address(AddressOf(event.daddr, ipv6).ToString());
  message.set_destination_port(ntohs(event.dport));
  message.set_backend(BackendOf(event.backend));
  message.set_length(event.length);
  char name[IF_NAMESIZE];
  if (if_indextoname(event.ifindex, name) != nullptr) message.set_interface(name);
  if (event.kind == PORTOLAN_EVENT_DROP) {
    const auto [drop, meaning] = NameOf(static_cast<portolan_drop>(event.reason));
    message.set_drop(drop);
    message.set_drop_message(meaning);
  }
  return message;
}

std::string EventStream::BackendOf(uint32_t id) const {
  portolan_backend backend{};
  if (id == 0 || bpf_map_lookup_elem(maps_.map("backends"), &id, &backend) != 0) return "";
  return EndpointOf(backend);
}

}  // namespace portolan::datapath
