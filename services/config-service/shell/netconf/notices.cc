#include "services/config-service/shell/netconf/notices.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/base/yang/filter.h"
#include "services/config-service/shell/netconf/arguments.h"

namespace portolan::config {
namespace {

using netconf::Reply;

constexpr size_t kMaxEvents = 1000;

std::optional<absl::Time> TimeOf(yang::Node input, absl::string_view child) {
  const std::optional<std::string> text = TextOf(input, child);
  absl::Time time;
  std::string error;
  if (!text.has_value() || !absl::ParseTime(absl::RFC3339_full, *text, &time, &error)) {
    return std::nullopt;
  }
  return time;
}

std::string Of5277(const char* name) {
  return absl::StrCat("<", name, " xmlns=\"urn:ietf:params:xml:ns:netmod:notification\"/>");
}

}  // namespace

Notices::Notices(std::shared_ptr<const yang::Context> context, Gate* gate, const Clock* clock)
    : context_(std::move(context)),
      gate_(gate),
      clock_(clock),
      thread_([this] { EndSubscriptions(); }) {}

Notices::~Notices() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void Notices::SetServer(netconf::Server* server) {
  absl::MutexLock lock(&mutex_);
  server_ = server;
}

std::optional<Reply> Notices::Handle(const netconf::SessionInfo& session,
                                     const netconf::Request& request) {
  if (request.module != "notifications" || request.operation != "create-subscription") {
    return std::nullopt;
  }
  return Subscribe(session, request.input);
}

Reply Notices::Subscribe(const netconf::SessionInfo& session, yang::Node input) {
  const std::string stream = TextOf(input, "stream").value_or("NETCONF");
  if (stream != "NETCONF") {
    return Refuse("invalid-value",
                  absl::StrCat("there is no stream ", stream, "; the only one is NETCONF"));
  }
  Subscription subscription;
  subscription.session = session;
  subscription.start = TimeOf(input, "startTime");
  const std::optional<absl::Time> stop = TimeOf(input, "stopTime");
  if (stop.has_value() && !subscription.start.has_value()) {
    return Refuse("missing-element", "stopTime goes with startTime only");
  }
  if (subscription.start.has_value() && *subscription.start > clock_->WallNow()) {
    return Refuse("bad-element", "startTime is in the future");
  }
  if (stop.has_value() && *stop <= *subscription.start) {
    return Refuse("bad-element", "stopTime is not after startTime");
  }
  subscription.stop = stop.value_or(absl::InfiniteFuture());
  if (const yang::Node filter = input.Child("filter"); filter) {
    subscription.filter = yang::CopyOf(context_, filter);
  }
  absl::MutexLock lock(&mutex_);
  if (subscriptions_.count(session.id) != 0) {
    return Refuse("operation-failed", "this session has a subscription already");
  }
  const auto it = subscriptions_.emplace(session.id, std::move(subscription)).first;
  if (it->second.start.has_value()) Replay(it->second);
  changed_ = true;
  Reply reply = Reply::Ok();
  reply.subscribes = true;
  return reply;
}

void Notices::OnClosed(uint32_t session) {
  absl::MutexLock lock(&mutex_);
  subscriptions_.erase(session);
}

bool Notices::Wants(const Subscription& subscription, const Event& event) const {
  if (!gate_->MayReceive(subscription.session, event.module, event.name) ||
      !gate_->MayRead(subscription.session, event.place)) {
    return false;
  }
  if (!subscription.filter.has_value()) return true;
  const absl::StatusOr<yang::Tree> tree = yang::ParseNotification(context_, event.xml);
  if (!tree.ok()) return false;
  const yang::Node filter = subscription.filter->first();
  if (yang::Attribute(filter, "ietf-netconf:type") == "xpath") {
    const auto selected = tree->Select(yang::Attribute(filter, "ietf-netconf:select"));
    return selected.ok() && selected->first();
  }
  return static_cast<bool>(yang::SubtreeFilter(*tree, filter).first());
}

void Notices::Send(const Subscription& subscription, const Event& event) {
  // A session that is gone hears nothing, and that is all.
  server_->Notify(subscription.session.id, event.time, event.xml).IgnoreError();
}

void Notices::Replay(const Subscription& subscription) {
  for (const Event& event : log_) {
    if (event.time < *subscription.start || event.time > subscription.stop) continue;
    if (Wants(subscription, event)) Send(subscription, event);
  }
  Send(subscription,
       {clock_->WallNow(), "nc-notifications", "replayComplete", Of5277("replayComplete"), ""});
}

void Notices::Tell(const std::string& module, const std::string& name, const std::string& xml,
                   const std::string& place) {
  absl::MutexLock lock(&mutex_);
  log_.push_back({clock_->WallNow(), module, name, xml, place});
  if (log_.size() > kMaxEvents) log_.pop_front();
  if (server_ == nullptr) return;
  for (const auto& [session, subscription] : subscriptions_) {
    if (log_.back().time <= subscription.stop && Wants(subscription, log_.back())) {
      Send(subscription, log_.back());
    }
  }
}

void Notices::EndSubscriptions() {
  absl::MutexLock lock(&mutex_);
  while (!stop_) {
    changed_ = false;
    const absl::Time now = clock_->WallNow();
    absl::Time next = absl::InfiniteFuture();
    for (auto it = subscriptions_.begin(); it != subscriptions_.end();) {
      if (it->second.stop > now) {
        next = std::min(next, (it++)->second.stop);
        continue;
      }
      if (server_ != nullptr) {
        Send(it->second,
             {now, "nc-notifications", "notificationComplete", Of5277("notificationComplete"), ""});
      }
      it = subscriptions_.erase(it);
    }
    const auto due = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stop_ || changed_; };
    mutex_.AwaitWithTimeout(absl::Condition(&due), next - now);
  }
}

}  // namespace portolan::config
