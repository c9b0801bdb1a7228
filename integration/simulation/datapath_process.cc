#include "integration/simulation/datapath_process.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"

namespace portolan::simulation {
namespace {

constexpr datapath::Limits kLimits = {
    .frontends = 256, .backends = 256, .table_slots = 65536, .chunk_slots = 16};

datapath::Allocation AllocationOf(const ipam::Allocation& allocation) {
  datapath::Allocation result{.key = allocation.key, .generation = allocation.generation};
  for (const ipam::Grant& grant : allocation.grants) {
    result.grants.push_back({grant.address, grant.since_unix_ms});
  }
  return result;
}

}  // namespace

DatapathProcess::DatapathProcess(const Surroundings& around, const std::string& node,
                                 const Wire* wire, Configuration* configuration,
                                 Stream<ipam::Allocation>* allocations)
    : Process(around, absl::StrCat("datapath@", node)),
      node_(node),
      wire_(wire),
      configuration_(configuration),
      allocations_(allocations),
      kernel_(kLimits) {
  carried_.End();
}

void DatapathProcess::OnStart() {
  engine_ = std::make_unique<datapath::Engine>(node_);
  carried_.Begin();
  streams_ = synced_ = 0;
  ReadInputs();
  After(absl::Milliseconds(rng().Below(50)), [this] {
    Handle(datapath::HostChanged{
        .attached_interfaces = 1, .ipv4_forwarding = true, .ipv6_forwarding = true});
    Handle(datapath::KernelReady{kLimits, kernel_.image()});
  });
}

void DatapathProcess::OnKill() {
  engine_.reset();
  carried_.End();
  if (batch_ == nullptr) return;
  const auto batch = std::exchange(batch_, nullptr);
  Apply({batch->begin(), batch->begin() + rng().Below(batch->size() + 1)});
}

std::vector<absl::Status> DatapathProcess::Apply(const datapath::MapBatch& batch) {
  std::vector<absl::Status> results = kernel_.Execute(batch);
  forwards_.clear();
  for (const auto& [key, entry] : kernel_.image().frontends) forwards_.insert(key.address);
  return results;
}

void DatapathProcess::RefuseAll(bool refuse) {
  kernel_.refuse = nullptr;
  if (!refuse) return;
  kernel_.refuse = [](const datapath::MapOp&) { return absl::UnavailableError("refused"); };
}

void DatapathProcess::ReadInputs() {
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
      &configuration_->services,
      [](const std::string& key, const Intent& intent) {
        return datapath::ServiceChanged{{key, intent.generation, intent.ports}};
      },
      [](const std::string& key) { return datapath::ServiceRemoved{key}; });
  follow(
      &configuration_->backends,
      [](const std::string&, const datapath::BackendSet& set) {
        return datapath::BackendsChanged{set};
      },
      [](const std::string& key) { return datapath::BackendsRemoved{key}; });
  follow(
      allocations_,
      [](const std::string&, const ipam::Allocation& allocation) {
        return datapath::AllocationChanged{AllocationOf(allocation)};
      },
      [](const std::string& key) { return datapath::AllocationRemoved{key}; });
}

void DatapathProcess::Synced() {
  if (++synced_ < streams_) return;
  Log("has read its inputs");
  Handle(datapath::InputsSynced{});
  carried_.MarkSynced();
}

void DatapathProcess::Handle(const datapath::Event& event) {
  for (const datapath::Effect& effect : engine_->Handle(event, now())) {
    std::visit([this](const auto& value) { Execute(value); }, effect);
  }
}

void DatapathProcess::Execute(const datapath::ApplyBatch& effect) {
  batch_ = effect.batch;
  After(absl::Microseconds(rng().Below(10000)), [this] {
    const auto batch = std::exchange(batch_, nullptr);
    Handle(datapath::BatchDone{Apply(*batch)});
  });
}

void DatapathProcess::Execute(const datapath::PublishStatus& effect) {
  const auto& addresses = effect.status.addresses;
  carried_.Upsert(effect.status.key, Carried(addresses.begin(), addresses.end()));
}

void DatapathProcess::Execute(const datapath::RemoveStatus& effect) { carried_.Remove(effect.key); }

void DatapathProcess::Execute(const datapath::ArmTimer& effect) {
  timer_.Arm(
      effect.at, now(), [this](absl::Duration delay, auto task) { After(delay, task); },
      [this] { Handle(datapath::TimerFired{}); });
}

}  // namespace portolan::simulation
