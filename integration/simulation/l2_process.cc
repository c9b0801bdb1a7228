#include "integration/simulation/l2_process.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/builtin/builtin.h"

namespace portolan::simulation {
namespace {

constexpr char kInterface[] = "lan";

l2::Elections BuiltinElections() {
  const plugin::Registry registry = plugin::NewBuiltinRegistry();
  l2::Elections elections;
  for (const std::string& name : registry.Names(plugin::OwnerElection::kExtensionPoint)) {
    elections[name] = registry.Create<plugin::OwnerElection>(name, "").value();
  }
  return elections;
}

l2::Allocation AllocationOf(const ipam::Allocation& allocation) {
  l2::Allocation result{.generation = allocation.generation,
                        .labels = allocation.labels.ToLabels()};
  for (const ipam::Grant& grant : allocation.grants) {
    result.grants.push_back({grant.address, grant.pool});
  }
  return result;
}

}  // namespace

L2Process::L2Process(const Surroundings& around, const std::string& node, uint8_t number,
                     const Wire* wire, Configuration* configuration,
                     Stream<ipam::Allocation>* allocations, Stream<Carried>* carried, Segment* lan)
    : Process(around, absl::StrCat("l2@", node)),
      node_(node),
      interface_{
          .index = 2,
          .mac = {{0x02, 0, 0, 0, 0, number}},
          .up = true,
          .ethernet = true,
          .addresses = {net::IpAddress::FromValue(net::Family::kIpv4, 0xac120000u + number)}},
      wire_(wire),
      configuration_(configuration),
      allocations_(allocations),
      carried_(carried),
      lan_(lan) {}

void L2Process::OnStart() {
  engine_ = std::make_unique<l2::Engine>(
      l2::Engine::Options{.node = node_, .life = rng().Next(), .elections = BuiltinElections()});
  streams_ = synced_ = 0;
  Handle(l2::InterfaceChanged{kInterface, interface_});
  ReadInputs();
}

void L2Process::OnKill() {
  engine_.reset();
  lan_->Detach(node_);
  owned_.clear();
  statuses_.clear();
  told_.clear();
}

void L2Process::ReadInputs() {
  const auto follow = [this](auto* stream, auto changed, auto removed) {
    using V = typename decltype(stream->values())::mapped_type;
    ++streams_;
    auto counted = std::make_shared<bool>(false);
    Read<V>(wire_, stream,
            {.on_upsert = [this, changed](const std::string& key,
                                          const V& value) { Handle(changed(key, value)); },
             .on_remove = [this, removed](const std::string& key) { Handle(removed(key)); },
             .on_synced =
                 [this, counted] {
                   if (!std::exchange(*counted, true)) Synced();
                 }});
  };
  follow(
      allocations_,
      [](const std::string& key, const ipam::Allocation& allocation) {
        return l2::AllocationChanged{key, AllocationOf(allocation)};
      },
      [](const std::string& key) {
        return l2::AllocationChanged{key, std::nullopt};
      });
  follow(
      &configuration_->policies,
      [](const std::string& key, const l2::Policy& policy) {
        return l2::PolicyChanged{key, policy};
      },
      [](const std::string& key) {
        return l2::PolicyChanged{key, std::nullopt};
      });
  follow(
      &configuration_->nodes,
      [](const std::string& key, const Labels& labels) {
        return l2::NodeChanged{key, labels};
      },
      [](const std::string& key) {
        return l2::NodeChanged{key, std::nullopt};
      });
  follow(
      &configuration_->l2_settings,
      [](const std::string&, const l2::Settings& settings) {
        return l2::SettingsChanged{settings};
      },
      [](const std::string&) { return l2::SettingsChanged{std::nullopt}; });
  Read<Carried>(&local_, carried_,
                {.on_upsert =
                     [this](const std::string& key, const Carried& carried) {
                       told_[key] = carried;
                       Handle(l2::GateChanged{key, carried});
                     },
                 .on_remove =
                     [this](const std::string& key) {
                       told_.erase(key);
                       Handle(l2::GateChanged{key, {}});
                     },
                 .on_synced = [] {}});
}

void L2Process::Synced() {
  if (++synced_ < streams_) return;
  Log("has read its inputs");
  Handle(l2::Synced{});
}

void L2Process::Handle(const l2::Event& event) {
  for (const l2::Effect& effect : engine_->Handle(event, now())) {
    std::visit([this](const auto& value) { Execute(value); }, effect);
  }
  CheckGate();
}

void L2Process::Execute(const l2::OpenLink&) {
  lan_->Attach(node_, interface_.mac, [this](const l2::Frame& frame) {
    Do([this, frame] { Handle(l2::FrameReceived{kInterface, frame}); });
  });
  After(absl::ZeroDuration(), [this] { Handle(l2::LinkOpened{kInterface}); });
}

void L2Process::Execute(const l2::CloseLink&) { lan_->Detach(node_); }

void L2Process::Execute(const l2::SendFrame& effect) {
  if (now() < effect.expires) {
    const auto* arp = std::get_if<l2::ArpFrame>(&effect.frame);
    const auto* advertisement = std::get_if<l2::NeighborAdvertisement>(&effect.frame);
    if (arp != nullptr && arp->sender_ip != arp->target_ip && !arp->sender_ip.IsUnspecified()) {
      on_answer(arp->sender_ip);
    }
    if (advertisement != nullptr && advertisement->solicited) on_answer(advertisement->target);
    return lan_->Send(node_, effect.frame);
  }
  if (!std::holds_alternative<l2::Heartbeat>(effect.frame)) return;
  After(absl::ZeroDuration(), [this] { Handle(l2::HeartbeatLost{kInterface}); });
}

void L2Process::Execute(const l2::PublishAnnouncement& effect) {
  const bool owner = effect.announcement.has_value() && effect.announcement->owner;
  if (owner == owned_.contains(effect.address)) return;
  Log(absl::StrCat(owner ? "owns " : "gives up ", effect.address.ToString()));
  if (owner) {
    owned_[effect.address] = effect.announcement->service;
  } else {
    owned_.erase(effect.address);
  }
}

void L2Process::Execute(const l2::PublishStatus& effect) {
  if (effect.kind != "service") return;
  if (effect.status.has_value()) {
    statuses_[effect.key] = *effect.status;
  } else {
    statuses_.erase(effect.key);
  }
}

void L2Process::Execute(const l2::ArmTimer& effect) {
  timer_.Arm(
      effect.at, now(), [this](absl::Duration delay, auto task) { After(delay, task); },
      [this] { Handle(l2::TimerFired{}); });
}

void L2Process::CheckGate() {
  for (const auto& [address, service] : owned_) {
    auto told = told_.find(service);
    if (told != told_.end() && told->second.contains(address)) continue;
    around_.journal->Violation(absl::StrCat(name(), " answers for ", address.ToString(), " of ",
                                            service, ", which its datapath does not carry"));
  }
}

}  // namespace portolan::simulation
