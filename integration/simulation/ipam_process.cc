#include "integration/simulation/ipam_process.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "plugins/builtin/builtin.h"
#include "services/ipam-service/shell/convert.h"

namespace portolan::simulation {
namespace {

ipam::Engine::Options BuiltinOptions(uint64_t seed) {
  const plugin::Registry registry = plugin::NewBuiltinRegistry();
  ipam::Engine::Options options;
  options.seed = seed;
  for (const std::string& name : registry.Names(plugin::PoolSelector::kExtensionPoint)) {
    options.selectors.push_back(registry.Create<plugin::PoolSelector>(name, "").value());
  }
  for (const std::string& name : registry.Names(plugin::AddressPicker::kExtensionPoint)) {
    options.pickers[name] = registry.Create<plugin::AddressPicker>(name, "").value();
  }
  return options;
}

// "longest-unused" with settings.
ipam::PickerChanged CoolDownPicker() {
  const plugin::Registry registry = plugin::NewBuiltinRegistry();
  return {
      .name = "longest-unused",
      .stage =
          registry.Create<plugin::AddressPicker>("longest-unused", R"({"cool-down": 2})").value()};
}

ipam::ServiceRequest RequestOf(const std::string& key, const Intent& intent) {
  return {.key = key,
          .generation = intent.generation,
          .labels = intent.labels,
          .families = intent.families,
          .family_policy = intent.family_policy};
}

std::string TextOf(const std::vector<ipam::Grant>& grants) {
  return absl::StrJoin(grants, ",", [](std::string* out, const ipam::Grant& grant) {
    absl::StrAppend(out, grant.address.ToString());
  });
}

}  // namespace

IpamProcess::IpamProcess(const Surroundings& around, Configuration* configuration)
    : Process(around, "ipam"), configuration_(configuration) {
  allocations_.End();
}

void IpamProcess::OnStart() {
  engine_ = std::make_unique<ipam::Engine>(BuiltinOptions(/*seed=*/1));
  allocations_.Begin();
  After(absl::Milliseconds(rng().Below(30)), [this] { Handle(Durable()); });
  ReadConfiguration();
}

ipam::JournalLoaded IpamProcess::Durable() const {
  return *ipam::FromRows(*disk_.List(ipam::kAddressPrefix), *disk_.List(ipam::kPoolPrefix),
                         *disk_.List(ipam::kReleasePrefix));
}

void IpamProcess::OnKill() {
  engine_.reset();
  allocations_.End();
  writes_.clear();
  writing_ = false;
  pools_.clear();
  services_.clear();
  messages_.clear();
}

void IpamProcess::ReadConfiguration() {
  Read<ipam::PoolConfig>(&wire_, &configuration_->pools,
                         {.on_upsert =
                              [this](const std::string& key, const ipam::PoolConfig& pool) {
                                pools_[key] = pool;
                                InputsChanged();
                                Handle(ipam::PoolChanged{pool});
                              },
                          .on_remove =
                              [this](const std::string& key) {
                                pools_.erase(key);
                                InputsChanged();
                                Handle(ipam::PoolRemoved{key});
                              },
                          .on_synced = [this] { Handle(ipam::Synced{ipam::Source::kPools}); }});
  Read<Intent>(&wire_, &configuration_->services,
               {.on_upsert =
                    [this](const std::string& key, const Intent& intent) {
                      services_[key] = RequestOf(key, intent);
                      InputsChanged();
                      Handle(ipam::ServiceChanged{services_[key]});
                    },
                .on_remove =
                    [this](const std::string& key) {
                      services_.erase(key);
                      InputsChanged();
                      Handle(ipam::ServiceRemoved{key});
                    },
                .on_synced = [this] { Handle(ipam::Synced{ipam::Source::kServices}); }});
  Handle(CoolDownPicker());
  // Edits of pools may move addresses, as if every commit had allowed it.
  Handle(ipam::SettingsChanged{{.allow_renumber = true}});
  for (ipam::Source source : {ipam::Source::kSettings, ipam::Source::kPickers,
                              ipam::Source::kQuotas, ipam::Source::kNamespaces}) {
    Handle(ipam::Synced{source});
  }
}

void IpamProcess::Handle(const ipam::Event& event) {
  const ipam::Moment moment{now(), now()};
  for (const ipam::Effect& effect : engine_->Handle(event, moment)) {
    std::visit([this](const auto& value) { Execute(value); }, effect);
  }
}

// ---- effects ----

void IpamProcess::Execute(const ipam::JournalCommit& effect) {
  writes_.push_back(effect);
  if (!writing_) WriteNext();
}

// Killed before the write: it never happens. Killed after it: it is durable, and nobody was told.
void IpamProcess::WriteNext() {
  writing_ = !writes_.empty();
  if (!writing_) return;
  const auto delay = [this] {
    return absl::Microseconds(rng().Below(longest_write / absl::Microseconds(1) + 1));
  };
  After(delay(), [this, delay] {
    const ipam::JournalCommit commit = writes_.front();
    writes_.pop_front();
    absl::Status status = write_failure_;
    if (status.ok()) {
      status = disk_.Commit(ipam::ToBatch(commit));
    } else if (absl::IsUnavailable(status) && rng().Below(2) == 0) {
      disk_.Commit(ipam::ToBatch(commit)).IgnoreError();
      Log("writes, but the outcome is unknown");
    }
    After(delay(), [this, done = ipam::JournalDone{commit.batch, status}] {
      Handle(done);
      WriteNext();
    });
  });
}

void IpamProcess::Execute(const ipam::PublishAllocation& effect) {
  const ipam::Allocation& allocation = effect.allocation;
  Log(absl::StrCat("publishes ", allocation.key, ": ", TextOf(allocation.grants)));
  Check(allocation.key, allocation.grants);
  allocations_.Upsert(allocation.key, allocation);
}

void IpamProcess::Execute(const ipam::WithdrawAllocation& effect) {
  Log(absl::StrCat("withdraws ", effect.key));
  Check(effect.key, {});
  allocations_.Remove(effect.key);
}

void IpamProcess::Execute(const ipam::PublishStatus& effect) {
  if (effect.report.kind != ipam::ObjectKind::kService) return;
  messages_[effect.report.key] = effect.report.message;
}

std::string IpamProcess::MessageOf(const std::string& service) const {
  auto message = messages_.find(service);
  return message == messages_.end() ? "nothing" : message->second;
}

void IpamProcess::Execute(const ipam::ArmTimer& effect) {
  timer_.Arm(
      effect.at, now(), [this](absl::Duration delay, auto task) { After(delay, task); },
      [this] { Handle(ipam::Tick{}); });
}

// Everything that was promised before a restart is back by now.
void IpamProcess::Execute(const ipam::MarkSynced&) {
  Log("is synced");
  std::set<std::string> missing;
  for (const auto& [key, promise] : promises_) {
    if (allocations_.Find(key.first) == nullptr) missing.insert(key.first);
  }
  for (const std::string& service : missing) Check(service, {});
  allocations_.MarkSynced();
}

// ---- promises ----

bool IpamProcess::Legal(const std::string& service, const net::IpAddress& address) const {
  auto request = services_.find(service);
  if (request == services_.end()) return false;
  const std::vector<net::Family>& families = request->second.families;
  if (std::find(families.begin(), families.end(), address.family()) == families.end()) {
    return false;
  }
  return std::any_of(pools_.begin(), pools_.end(), [&](const auto& entry) {
    const ipam::PoolConfig& pool = entry.second;
    return pool.service_selector.FirstMismatch(service, request->second.labels).empty() &&
           std::any_of(pool.blocks.begin(), pool.blocks.end(),
                       [&](const ipam::Block& block) { return block.range.Contains(address); });
  });
}

// While it reads its first snapshots nothing can be said: it has not seen everything yet.
void IpamProcess::InputsChanged() {
  if (!allocations_.synced()) return;
  for (auto& [key, promise] : promises_) {
    if (!Legal(key.first, key.second)) promise.was_illegal = true;
  }
}

void IpamProcess::Check(const std::string& service, const std::vector<ipam::Grant>& grants) {
  const auto violation = [&](const net::IpAddress& address, absl::string_view what) {
    around_.journal->Violation(
        absl::StrCat("ipam: ", address.ToString(), " of ", service, " ", what));
  };
  const ipam::JournalLoaded durable = Durable();
  std::set<net::IpAddress> granted;
  for (const ipam::Grant& grant : grants) {
    granted.insert(grant.address);
    if (std::none_of(durable.rows.begin(), durable.rows.end(), [&](const ipam::JournalRow& row) {
          return row.address == grant.address && row.service == service;
        })) {
      violation(grant.address, "is published and not durable");
    }
    for (const auto& [other, allocation] : allocations_.values()) {
      if (other == service) continue;
      for (const ipam::Grant& taken : allocation.grants) {
        if (taken.address == grant.address) violation(grant.address, "is also of " + other);
      }
    }
  }
  std::erase_if(promises_, [&](const auto& entry) {
    const auto& [key, promise] = entry;
    if (key.first != service || granted.contains(key.second)) return false;
    if (!promise.was_illegal && Legal(service, key.second)) {
      violation(key.second, "was taken away although it was legal all the time");
    }
    return true;
  });
  for (const net::IpAddress& address : granted) promises_.try_emplace({service, address});
}

}  // namespace portolan::simulation
