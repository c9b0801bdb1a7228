// A kernel in memory for tests: executes batches, refuses on demand, and checks after every single
// operation that the datapath would work at that very moment.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "services/datapath-loader/core/map_image.h"

namespace portolan::datapath {

class FakeKernel {
 public:
  explicit FakeKernel(const Limits& limits) : limits_(limits) {
    image_.backend_epochs.resize(limits.backends + 1);
    image_.frontend_epochs.resize(limits.frontends + 1);
    row_.resize(limits.table_slots);
  }

  std::vector<absl::Status> Execute(const MapBatch& batch) {
    std::vector<absl::Status> results;
    std::set<std::pair<std::string, std::string>> failed;
    for (const MapOp& op : batch) {
      absl::Status status = refuse ? refuse(op) : absl::OkStatus();
      if (failed.contains({op.service, op.group})) status = absl::AbortedError("skipped");
      if (status.ok()) {
        std::visit([&](const auto& change) { Do(change); }, op.change);
        Check();
      } else {
        failed.insert({op.service, op.group});
      }
      results.push_back(status);
    }
    operations += batch.size();
    return results;
  }

  // As a restart reads it.
  MapImage image() const {
    MapImage image = image_;
    for (const auto& [key, entry] : image.frontends) {
      if (entry.table_size > 0) image.tables[entry.table_offset] = Slots(entry);
      if (entry.internal_size > 0) image.tables[entry.internal_offset] = InternalSlots(entry);
    }
    return image;
  }
  std::vector<uint32_t> Slots(const FrontendEntry& entry) const {
    return {row_.begin() + entry.table_offset,
            row_.begin() + entry.table_offset + entry.table_size};
  }
  std::vector<uint32_t> InternalSlots(const FrontendEntry& entry) const {
    return {row_.begin() + entry.internal_offset,
            row_.begin() + entry.internal_offset + entry.internal_size};
  }
  // The addresses behind a frontend, as text; empty: none, or no such frontend.
  std::set<std::string> Behind(const FrontendKey& key) const {
    const auto it = image_.frontends.find(key);
    if (it == image_.frontends.end()) return {};
    return AddressesOf(Slots(it->second));
  }
  // The same for what comes from inside.
  std::set<std::string> BehindInside(const FrontendKey& key) const {
    const auto it = image_.frontends.find(key);
    if (it == image_.frontends.end()) return {};
    return AddressesOf(InternalSlots(it->second));
  }

  // Not OK: this operation fails so.
  std::function<absl::Status(const MapOp&)> refuse;
  size_t operations = 0;

 private:
  std::set<std::string> AddressesOf(const std::vector<uint32_t>& ids) const {
    std::set<std::string> addresses;
    for (const uint32_t id : ids) addresses.insert(image_.backends.at(id).address.ToString());
    return addresses;
  }

  void Do(const WriteBackend& change) {
    // Never over a living one, but to let it rest (its flows would go elsewhere), and to say what
    // only new flows take.
    if (image_.backends.contains(change.id)) {
      BackendEntry before = image_.backends[change.id];
      before.rests = change.entry.rests;
      const bool sourced =
          before.delivery == Delivery::kFullNat || before.delivery == Delivery::kTunnel;
      if (!sourced) before.source = change.entry.source;
      EXPECT_EQ(before, change.entry);
    }
    EXPECT_EQ(image_.backend_epochs[change.id], change.entry.epoch);
    image_.backends[change.id] = change.entry;
  }
  void Do(const WriteTable& change) {
    const auto apart = [&](uint32_t offset, uint32_t size) {
      return change.offset >= offset + size || offset >= change.offset + change.slots.size();
    };
    for (const auto& [key, entry] : image_.frontends) {
      EXPECT_TRUE(apart(entry.table_offset, entry.table_size) || Slots(entry) == change.slots)
          << "written under a reader";
      EXPECT_TRUE(apart(entry.internal_offset, entry.internal_size) ||
                  InternalSlots(entry) == change.slots)
          << "written under a reader of the inside";
    }
    std::copy(change.slots.begin(), change.slots.end(), row_.begin() + change.offset);
  }
  void Do(const OpenFrontend& change) {
    EXPECT_EQ(image_.frontend_epochs[change.id], change.epoch);
    open_.insert(change.id);
  }
  void Do(const WriteFrontend& change) { image_.frontends[change.key] = change.entry; }
  void Do(const DeleteFrontend& change) { EXPECT_EQ(image_.frontends.erase(change.key), 1u); }
  void Do(const CloseFrontend& change) {
    EXPECT_EQ(open_.erase(change.id), 1u);
    EXPECT_EQ(++image_.frontend_epochs[change.id], change.next_epoch);
  }
  void Do(const RetireBackend& change) {
    EXPECT_EQ(image_.backends.erase(change.id), 1u);
    EXPECT_EQ(++image_.backend_epochs[change.id], change.next_epoch);
  }

  void Do(const WriteSource& change) {
    image_.sources[change.group][change.prefix] = change.allowed;
  }
  void Do(const DeleteSource& change) {
    EXPECT_EQ(image_.sources[change.group].erase(change.prefix), 1u);
    if (image_.sources[change.group].empty()) image_.sources.erase(change.group);
  }

  void Check() const {
    for (const auto& [key, entry] : image_.frontends) {
      EXPECT_TRUE(!entry.restricted || image_.sources.contains(entry.group))
          << key.ToString() << " lets nobody in";
      EXPECT_TRUE(open_.contains(entry.id)) << key.ToString() << " counts nowhere";
      EXPECT_EQ(image_.frontend_epochs[entry.id], entry.epoch) << key.ToString();
      std::vector<uint32_t> slots = Slots(entry);
      const std::vector<uint32_t> internal = InternalSlots(entry);
      slots.insert(slots.end(), internal.begin(), internal.end());
      for (const uint32_t id : std::set<uint32_t>(slots.begin(), slots.end())) {
        ASSERT_TRUE(image_.backends.contains(id)) << key.ToString() << " names a dead backend";
        EXPECT_EQ(image_.backends.at(id).group, entry.group) << "somebody else's backend";
        EXPECT_EQ(image_.backends.at(id).protocol, key.protocol);
      }
    }
  }

  Limits limits_;
  MapImage image_;
  std::vector<uint32_t> row_;
  std::set<uint32_t> open_;
};

}  // namespace portolan::datapath
