#include "integration/simulation/bgp_process.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/message.h"

namespace portolan::simulation {
namespace {

constexpr absl::Duration kKeepAlive = absl::Seconds(25);

bgp::AllocationInput AllocationOf(const ipam::Allocation& allocation) {
  bgp::AllocationInput result{.key = allocation.key,
                              .generation = allocation.generation,
                              .labels = allocation.labels.ToLabels()};
  for (const ipam::Grant& grant : allocation.grants) {
    result.grants.push_back({grant.address, grant.pool});
  }
  return result;
}

bgp::Open RouterOpen() {
  return {.as_number = 65000,
          .hold_time_s = 90,
          .router_id = 0x0a000002,
          .families = std::vector<net::Family>{net::Family::kIpv4, net::Family::kIpv6},
          .four_octet_as = true,
          .route_refresh = true,
          .graceful_restart = std::nullopt};
}

}  // namespace

BgpProcess::BgpProcess(const Surroundings& around, const std::string& node, const Wire* wire,
                       Configuration* configuration, Stream<ipam::Allocation>* allocations,
                       Stream<Carried>* carried)
    : Process(around, absl::StrCat("bgp@", node)),
      node_(node),
      wire_(wire),
      configuration_(configuration),
      allocations_(allocations),
      carried_(carried) {}

void BgpProcess::OnStart() {
  engine_ = std::make_unique<bgp::Engine>(
      bgp::Engine::Options{.node = node_,
                           .restarted = std::exchange(started_before_, true),
                           .forwarding_kept = true,
                           .seed = rng().Next()},
      now());
  ReadInputs();
  Handle(bgp::InputSynced{bgp::Input::kStages});
}

void BgpProcess::OnKill() {
  engine_.reset();
  advertised_.clear();
  told_.clear();
  connection_ = 0;
}

void BgpProcess::SetRouterUp(bool up) {
  router_up_ = up;
  if (up || connection_ == 0) return;
  const bgp::ConnectionId lost = std::exchange(connection_, 0);
  Do([this, lost] { Handle(bgp::Disconnected{lost, "reset by peer"}); });
}

void BgpProcess::ReadInputs() {
  const auto follow = [this](const Wire* wire, auto* stream, bgp::Input input, auto changed,
                             auto removed) {
    using V = typename decltype(stream->values())::mapped_type;
    Read<V>(wire, stream,
            {.on_upsert = [this, changed](const std::string& key,
                                          const V& value) { Handle(changed(key, value)); },
             .on_remove = [this, removed](const std::string& key) { Handle(removed(key)); },
             .on_synced = [this, input] { Handle(bgp::InputSynced{input}); }});
  };
  follow(
      wire_, &configuration_->bgp_instances, bgp::Input::kInstances,
      [](const std::string&, const auto& config) { return bgp::InstanceChanged{config}; },
      [](const std::string& key) { return bgp::InstanceRemoved{key}; });
  follow(
      wire_, &configuration_->bgp_peers, bgp::Input::kPeers,
      [](const std::string&, const auto& config) { return bgp::PeerChanged{config}; },
      [](const std::string& key) { return bgp::PeerRemoved{key}; });
  follow(
      wire_, &configuration_->bgp_advertisements, bgp::Input::kAdvertisements,
      [](const std::string&, const auto& config) { return bgp::AdvertisementChanged{config}; },
      [](const std::string& key) { return bgp::AdvertisementRemoved{key}; });
  follow(
      wire_, &configuration_->nodes, bgp::Input::kNodes,
      [](const std::string& key, const Labels& labels) {
        return bgp::NodeChanged{{.name = key, .labels = labels, .ipv4_address = std::nullopt}};
      },
      [](const std::string& key) { return bgp::NodeRemoved{key}; });
  follow(
      wire_, allocations_, bgp::Input::kAllocations,
      [](const std::string&, const ipam::Allocation& allocation) {
        return bgp::AllocationChanged{AllocationOf(allocation)};
      },
      [](const std::string& key) { return bgp::AllocationRemoved{key}; });
  follow(
      &local_, carried_, bgp::Input::kDatapath,
      [this](const std::string& key, const Carried& carried) {
        told_[key] = carried;
        return bgp::DatapathChanged{{.key = key, .addresses = carried, .message = ""}};
      },
      [this](const std::string& key) {
        told_.erase(key);
        return bgp::DatapathRemoved{key};
      });
}

void BgpProcess::Handle(const bgp::Event& event) {
  for (const bgp::Effect& effect : engine_->Handle(event, now())) {
    std::visit([this](const auto& value) { Execute(value); }, effect);
  }
}

void BgpProcess::Check() {
  for (const auto& [address, service] : advertised_) {
    auto told = told_.find(service);
    if (told != told_.end() && told->second.contains(address)) continue;
    around_.journal->Violation(absl::StrCat(name(), " advertises ", address.ToString(), " of ",
                                            service, ", which its datapath does not carry"));
  }
}

// ---- effects ----

void BgpProcess::Execute(const bgp::Connect& effect) {
  After(absl::Milliseconds(rng().Below(20)), [this, id = effect.connection] {
    if (!router_up_) return Handle(bgp::Disconnected{id, "connection refused"});
    connection_ = id;
    const auto address = [](absl::string_view text) { return *net::IpAddress::Parse(text); };
    Handle(bgp::Connected{id, {address("10.0.0.1"), {address("10.0.0.1"), address("fd00::1")}}});
  });
}

void BgpProcess::Execute(const bgp::Send& effect) {
  if (effect.connection != connection_) return;  // the router has closed it
  bgp::Octets rest = bgp::AsOctets(effect.octets);
  while (!rest.empty()) {
    const auto frame = bgp::NextFrame(rest);
    if (!frame.has_value() || !std::holds_alternative<bgp::Frame>(*frame)) {
      return around_.journal->Violation(name() + " sends what is no BGP message");
    }
    const auto& whole = std::get<bgp::Frame>(*frame);
    const auto message = bgp::Decode(whole, /*four_octet_as=*/true);
    if (!std::holds_alternative<bgp::Message>(message)) {
      return around_.journal->Violation(name() + " sends a message that cannot be read");
    }
    Hear(effect.connection, std::get<bgp::Message>(message));
    rest.remove_prefix(whole.size);
  }
}

void BgpProcess::Execute(const bgp::Close& effect) {
  if (effect.connection == connection_) connection_ = 0;
}

void BgpProcess::Execute(const bgp::PublishRoute& effect) {
  const net::IpAddress address = effect.view.prefix.first();
  if (!advertised_.contains(address)) Log("advertises " + address.ToString());
  advertised_[address] = effect.view.service;
}

void BgpProcess::Execute(const bgp::RemoveRoute& effect) {
  Log("withdraws " + effect.prefix.first().ToString());
  advertised_.erase(effect.prefix.first());
}

void BgpProcess::Execute(const bgp::ArmTimer& effect) {
  timer_.Arm(
      effect.at, now(), [this](absl::Duration delay, auto task) { After(delay, task); },
      [this] {
        Handle(bgp::Tick{});
        Check();
      });
}

// ---- the router ----

void BgpProcess::Hear(bgp::ConnectionId connection, const bgp::Message& message) {
  if (std::holds_alternative<bgp::Open>(message)) {
    Say(connection, bgp::EncodeOpen(RouterOpen()));
    KeepAlive(connection);
  } else if (const auto* update = std::get_if<bgp::Update>(&message)) {
    if (update->treat_as_withdraw.empty()) return;
    around_.journal->Violation(name() + " sends a malformed UPDATE: " + update->treat_as_withdraw);
  }
}

void BgpProcess::Say(bgp::ConnectionId connection, const std::string& octets) {
  After(absl::Milliseconds(1 + rng().Below(5)), [this, connection, octets] {
    if (connection == connection_) Handle(bgp::Received{connection, octets});
  });
}

void BgpProcess::KeepAlive(bgp::ConnectionId connection) {
  Say(connection, bgp::EncodeKeepalive());
  After(kKeepAlive, [this, connection] {
    if (connection == connection_) KeepAlive(connection);
  });
}

}  // namespace portolan::simulation
