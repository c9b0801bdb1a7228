#include "bpf/test/model.h"

#include <arpa/inet.h>

#include "bpf/include/datapath_maps.h"

namespace portolan::bpf {
namespace {

constexpr uint8_t kFin = 0x01;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kRst = 0x04;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kTcp = 6;
constexpr int kPortTries = 16;

uint64_t Mix(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ull;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ull;
  return value ^ (value >> 32);
}

uint64_t Pair(uint32_t high, uint32_t low) { return static_cast<uint64_t>(high) << 32 | low; }

}  // namespace

void Model::SetBackend(uint32_t id, const Address& address, uint16_t port,
                       const std::optional<Address>& source) {
  const uint16_t epoch = backends_[id].epoch + 1;
  backends_[id] = {epoch, true, address, port, source};
}

void Model::RetireBackend(uint32_t id) {
  backends_[id].epoch++;
  backends_[id].alive = false;
}

void Model::SetFrontend(uint32_t id, const Address& address, uint16_t port, uint8_t protocol,
                        const std::vector<uint32_t>& slots) {
  frontends_[id] = {frontends_[id].epoch, true, {address, port, protocol}, slots};
}

void Model::RemoveFrontend(uint32_t id) {
  frontends_[id].epoch++;
  frontends_[id].there = false;
}

std::vector<Tuple> Model::Known() const {
  std::vector<Tuple> tuples;
  for (const auto& [tuple, flow] : flows_) tuples.push_back(tuple);
  return tuples;
}

bool Model::Lives(const Flow& flow) const {
  return frontends_.at(flow.frontend).epoch == flow.frontend_epoch &&
         backends_.at(flow.backend).epoch == flow.backend_epoch;
}

uint32_t Model::Hash(const Tuple& tuple) const {
  const uint64_t rest = Pair(tuple.protocol, static_cast<uint32_t>(htons(tuple.source_port)) << 16 |
                                                 htons(tuple.destination_port));
  if (!ipv6_) return Mix(Mix(Pair(tuple.source[0], tuple.destination[0]) + seed_) + rest) >> 32;
  uint64_t hash = Mix(Pair(tuple.source[0], tuple.source[1]) + seed_);
  hash = Mix(hash + Pair(tuple.source[2], tuple.source[3]));
  hash = Mix(hash + Pair(tuple.destination[0], tuple.destination[1]));
  hash = Mix(hash + Pair(tuple.destination[2], tuple.destination[3]));
  return Mix(hash + rest) >> 32;
}

// The other direction's.
Tuple Model::Turned(const Tuple& tuple) {
  return {tuple.destination, tuple.source, tuple.destination_port, tuple.source_port,
          tuple.protocol};
}

void Model::Count(std::map<uint32_t, Counter>& counters, uint32_t id, uint32_t length, bool fresh) {
  Counter& counter = counters[id];
  counter.packets++;
  counter.bytes += length;
  if (fresh) counter.flows++;
}

Decision Model::Unserved(const Tuple& tuple, uint32_t length, uint32_t reason) {
  for (const auto& [id, frontend] : frontends_) {
    if (!frontend.there || std::get<0>(frontend.key) != tuple.destination) continue;
    Count(drops_, reason, length, false);
    return {Decision::kDrop, {}, reason};
  }
  return {};
}

// Finds a source port under which the answers of no living flow would look alike.
bool Model::Claim(const Tuple& tuple, Flow& flow, uint32_t hash) {
  for (uint32_t i = 0; i < kPortTries; i++) {
    if (flow.translated || i > 0) {
      flow.becomes.source_port = port_first_ + (hash + i) % port_count_;
    }
    const Tuple answer = Turned(flow.becomes);
    const auto found = flows_.find(answer);
    const bool taken =
        found != flows_.end() && found->second.becomes != Turned(tuple) && Lives(found->second);
    if (taken) continue;
    Flow reverse = flow;
    reverse.reverse = true;
    reverse.becomes = Turned(tuple);
    flows_[answer] = reverse;
    return true;
  }
  return false;
}

Decision Model::Start(const Tuple& tuple, uint8_t tcp_flags, uint32_t length) {
  for (const auto& [id, frontend] : frontends_) {
    if (!frontend.there ||
        frontend.key != std::tuple{tuple.destination, tuple.destination_port, tuple.protocol}) {
      continue;
    }
    const uint32_t hash = Hash(tuple);
    const uint32_t slot = (static_cast<uint64_t>(hash) * frontend.slots.size()) >> 32;
    const uint32_t chosen = frontend.slots.empty() ? 0 : frontend.slots[slot];
    if (chosen == 0 || !backends_.at(chosen).alive) {
      return Unserved(tuple, length, PORTOLAN_DROP_NO_BACKEND);
    }
    const Backend& backend = backends_.at(chosen);
    if (backend.source.has_value() && !sends_) return {};
    Flow flow{.frontend = id,
              .frontend_epoch = frontend.epoch,
              .backend = chosen,
              .backend_epoch = backend.epoch,
              .becomes = {backend.source.value_or(tuple.source), backend.address, tuple.source_port,
                          backend.port, tuple.protocol},
              .translated = backend.source.has_value(),
              .fin_forward = (tcp_flags & kFin) != 0,
              .reset = (tcp_flags & kRst) != 0};
    if (!Claim(tuple, flow, hash)) {
      flows_.erase(tuple);
      Count(drops_, PORTOLAN_DROP_NO_PORT, length, false);
      return {Decision::kDrop, {}, PORTOLAN_DROP_NO_PORT};
    }
    flows_[tuple] = flow;
    Count(frontend_counters_, id, length, true);
    Count(backend_counters_, chosen, length, true);
    return {Decision::kRewrite, flow.becomes};
  }
  return Unserved(tuple, length, PORTOLAN_DROP_UNSERVED);
}

// Nothing: it is to begin anew.
std::optional<Decision> Model::Carry(const Tuple& tuple, Flow& flow, uint8_t tcp_flags,
                                     uint32_t length) {
  const bool opens = (tcp_flags & (kSyn | kAck)) == kSyn;
  const bool closing = flow.fin_forward || flow.fin_reverse || flow.reset;
  if (opens && !flow.reverse && closing) return std::nullopt;
  if (flow.translated && !sends_) return Decision{};
  Flow next = flow;
  if (tcp_flags & kFin) (flow.reverse ? next.fin_reverse : next.fin_forward) = true;
  if (tcp_flags & kRst) next.reset = true;
  const bool changed = next.fin_forward != flow.fin_forward ||
                       next.fin_reverse != flow.fin_reverse || next.reset != flow.reset;
  if (changed) {
    const Tuple answer = Turned(flow.becomes);
    const auto other = flows_.find(answer);
    if (other != flows_.end() && other->second.becomes != Turned(tuple)) return std::nullopt;
    Flow half = next;
    half.reverse = !next.reverse;
    half.becomes = Turned(tuple);
    flow = next;
    if (other == flows_.end()) {
      flows_[answer] = half;
    } else {
      other->second.fin_forward = next.fin_forward;
      other->second.fin_reverse = next.fin_reverse;
      other->second.reset = next.reset;
    }
  }
  if (!next.reverse) {
    Count(frontend_counters_, next.frontend, length, false);
    Count(backend_counters_, next.backend, length, false);
  }
  return Decision{Decision::kRewrite, next.becomes};
}

Decision Model::Handle(const Tuple& tuple, uint8_t tcp_flags, uint32_t length) {
  if (tuple.protocol != kTcp) tcp_flags = 0;
  const bool opens = (tcp_flags & (kSyn | kAck)) == kSyn;
  // An opening packet is a client's or nobody's.
  if (opens) {
    bool served = false;
    for (const auto& [id, frontend] : frontends_) {
      served |=
          frontend.there &&
          frontend.key == std::tuple{tuple.destination, tuple.destination_port, tuple.protocol};
    }
    if (!served) return Unserved(tuple, length, PORTOLAN_DROP_UNSERVED);
  }
  const auto known = flows_.find(tuple);
  if (known != flows_.end() && Lives(known->second)) {
    const std::optional<Decision> carried = Carry(tuple, known->second, tcp_flags, length);
    if (carried.has_value()) return *carried;
  }
  return Start(tuple, tcp_flags, length);
}

}  // namespace portolan::bpf
