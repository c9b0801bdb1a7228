// The programmer's half that hears the kernel's answers.
#include <algorithm>
#include <utility>

#include "services/datapath-loader/core/programmer.h"

namespace portolan::datapath {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kMaxBackoff = absl::Seconds(30);

}  // namespace

void Programmer::Report(const MapBatch& batch, const std::vector<absl::Status>& results,
                        absl::Time now) {
  std::map<GroupName, std::set<uint32_t>> retired;
  for (size_t i = 0; i < batch.size(); i++) {
    const auto* retire = std::get_if<RetireBackend>(&batch[i].change);
    if (results[i].ok() && retire != nullptr) {
      backend_ids_.Free(retire->id, now + kGrace);
      retired[{batch[i].service, batch[i].group}].insert(retire->id);
    } else if (results[i].ok()) {
      Acknowledge(batch[i], now);
    } else if (!absl::IsAborted(results[i])) {
      Fail(batch[i].service, results[i], now);
    }
  }
  for (const auto& [name, ids] : retired) {
    const auto group = groups_.find(name);
    if (group == groups_.end()) continue;
    std::erase_if(group->second.backends,
                  [&gone = ids](const auto& item) { return gone.contains(item.second.id.id); });
  }
}

void Programmer::Acknowledge(const MapOp& op, absl::Time now) {
  const GroupName name{op.service, op.group};
  const auto found = groups_.find(name);
  if (found == groups_.end()) return;
  Group& group = found->second;
  if (const auto* backend = std::get_if<WriteBackend>(&op.change)) {
    const BackendEntry& entry = backend->entry;
    const auto slot = group.backends.find(NameOf({.address = entry.address,
                                                  .port = entry.port,
                                                  .source = entry.source,
                                                  .delivery = entry.delivery}));
    if (slot != group.backends.end()) {
      slot->second.written = true;
      slot->second.rests = entry.rests;
      slot->second.source = entry.source;
    }
  } else if (const auto* written = std::get_if<WriteTable>(&op.change)) {
    for (Table& table : group.tables) {
      if (table.offset == written->offset) table.written = true;
    }
  } else if (const auto* open = std::get_if<OpenFrontend>(&op.change)) {
    for (const FrontendKey& key : group.frontends) {
      if (frontends_[key].id.id == open->id) frontends_[key].opened = true;
    }
  } else if (const auto* frontend = std::get_if<WriteFrontend>(&op.change)) {
    Written(group, *frontend);
  } else if (const auto* remove = std::get_if<DeleteFrontend>(&op.change)) {
    FrontendSlot& slot = frontends_[remove->key];
    slot.published.reset();
    GiveBack(remove->key, slot);
  } else if (const auto* close = std::get_if<CloseFrontend>(&op.change)) {
    Closed(group, close->id, now);
  } else if (const auto* source = std::get_if<WriteSource>(&op.change)) {
    group.sources[source->prefix] = source->allowed;
  } else if (const auto* gone = std::get_if<DeleteSource>(&op.change)) {
    group.sources.erase(gone->prefix);
  }
}

void Programmer::Written(Group& group, const WriteFrontend& write) {
  FrontendSlot& slot = frontends_[write.key];
  slot.published = write.entry;
  GiveBack(write.key, slot);
  const std::vector<uint32_t> replaced = std::exchange(slot.replaced, {});
  group.closing.insert(group.closing.end(), replaced.begin(), replaced.end());
}

// The kernel no longer sends the key to the lender's backends.
void Programmer::GiveBack(const FrontendKey& key, FrontendSlot& slot) {
  if (!slot.lender.has_value()) return;
  groups_[*slot.lender].lent.erase(key);
  slot.lender.reset();
}

void Programmer::Closed(Group& group, uint32_t id, absl::Time now) {
  frontend_ids_.Free(id, now + kGrace);
  std::erase(group.closing, id);
  std::erase_if(group.frontends, [&](const FrontendKey& key) {
    std::erase(frontends_[key].replaced, id);
    if (frontends_[key].id.id != id) return false;
    frontends_.erase(key);
    return true;
  });
}

void Programmer::Fail(const std::string& service, const absl::Status& status, absl::Time now) {
  Failure& failure = failures_[service];
  failure.status = status;
  failure.backoff = failure.backoff == absl::ZeroDuration()
                        ? kFirstBackoff
                        : std::min(failure.backoff * 2, kMaxBackoff);
  failure.retry_at = now + failure.backoff;
  dirty_.insert(service);
}

absl::Time Programmer::NextRetry() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [service, failure] : failures_) next = std::min(next, failure.retry_at);
  return next;
}

absl::Status Programmer::StatusOf(const std::string& service) const {
  const auto failure = failures_.find(service);
  return failure == failures_.end() ? absl::OkStatus() : failure->second.status;
}

uint32_t Programmer::IdOf(const std::string& service, const std::string& group,
                          const WantedBackend& backend) const {
  const auto found = groups_.find({service, group});
  if (found == groups_.end()) return 0;
  const auto slot = found->second.backends.find(NameOf(backend));
  return slot == found->second.backends.end() || !slot->second.written ? 0 : slot->second.id.id;
}

std::map<FrontendKey, FrontendEntry> Programmer::Published(const std::string& service) const {
  std::map<FrontendKey, FrontendEntry> published;
  for (const GroupName& name : GroupsOf(service)) {
    const Group& group = groups_.at(name);
    for (const FrontendKey& key : group.frontends) {
      if (!group.wanted.frontends.contains(key)) continue;
      const FrontendSlot& slot = frontends_.at(key);
      // An entry of the previous owner is not ours.
      if (slot.published.has_value() && slot.published->id == slot.id.id) {
        published[key] = *slot.published;
      }
    }
  }
  return published;
}

}  // namespace portolan::datapath
