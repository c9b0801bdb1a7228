// What the datapath should do, in plain C++: the oracle of model_test. Written from what the
// programs promise, with maps for maps and no notion of bytes.
//
// Time stands still in it and nothing is evicted; settings say that nobody is told anything.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

namespace portolan::bpf {

// Addresses as the maps hold them, IPv4 in the first word; ports in host order.
using Address = std::array<uint32_t, 4>;

struct Tuple {
  Address source{};
  Address destination{};
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t protocol = 6;
  friend auto operator<=>(const Tuple&, const Tuple&) = default;
};

struct Decision {
  enum Kind { kPass, kRewrite, kDrop } kind = kPass;
  Tuple tuple;          // of the rewritten packet
  uint32_t reason = 0;  // of a drop; enum portolan_drop
  friend bool operator==(const Decision&, const Decision&) = default;
};

class Model {
 public:
  struct Counter {
    uint64_t packets = 0;
    uint64_t bytes = 0;
    uint64_t flows = 0;
    friend bool operator==(const Counter&, const Counter&) = default;
  };

  // `sends`: source-translated flows are carried; otherwise they are left alone.
  Model(bool ipv6, bool sends, uint32_t seed, uint16_t port_first, uint16_t port_count)
      : ipv6_(ipv6), sends_(sends), seed_(seed), port_first_(port_first), port_count_(port_count) {}

  void SetBackend(uint32_t id, const Address& address, uint16_t port,
                  const std::optional<Address>& source);
  void RetireBackend(uint32_t id);
  void SetFrontend(uint32_t id, const Address& address, uint16_t port, uint8_t protocol,
                   const std::vector<uint32_t>& slots);
  void RemoveFrontend(uint32_t id);

  Decision Handle(const Tuple& tuple, uint8_t tcp_flags, uint32_t length);

  const std::map<uint32_t, Counter>& frontend_counters() const { return frontend_counters_; }
  const std::map<uint32_t, Counter>& backend_counters() const { return backend_counters_; }
  const std::map<uint32_t, Counter>& drops() const { return drops_; }
  // 5-tuples of which something is known, as packets of them arrive.
  std::vector<Tuple> Known() const;

 private:
  struct Backend {
    uint16_t epoch = 0;
    bool alive = false;
    Address address{};
    uint16_t port = 0;
    std::optional<Address> source;
  };
  struct Frontend {
    uint16_t epoch = 0;
    bool there = false;
    std::tuple<Address, uint16_t, uint8_t> key;
    std::vector<uint32_t> slots;
  };
  struct Flow {
    uint32_t frontend = 0;
    uint16_t frontend_epoch = 0;
    uint32_t backend = 0;
    uint16_t backend_epoch = 0;
    Tuple becomes;
    bool reverse = false;
    bool translated = false;
    bool fin_forward = false;
    bool fin_reverse = false;
    bool reset = false;
  };

  bool Lives(const Flow& flow) const;
  uint32_t Hash(const Tuple& tuple) const;
  static Tuple Turned(const Tuple& tuple);
  Decision Unserved(const Tuple& tuple, uint32_t length, uint32_t reason);
  Decision Start(const Tuple& tuple, uint8_t tcp_flags, uint32_t length);
  std::optional<Decision> Carry(const Tuple& tuple, Flow& flow, uint8_t tcp_flags, uint32_t length);
  bool Claim(const Tuple& tuple, Flow& flow, uint32_t hash);
  void Count(std::map<uint32_t, Counter>& counters, uint32_t id, uint32_t length, bool fresh);

  const bool ipv6_;
  const bool sends_;
  const uint32_t seed_;
  const uint16_t port_first_;
  const uint16_t port_count_;
  std::map<uint32_t, Backend> backends_;
  std::map<uint32_t, Frontend> frontends_;
  std::map<Tuple, Flow> flows_;
  std::map<uint32_t, Counter> frontend_counters_;
  std::map<uint32_t, Counter> backend_counters_;
  std::map<uint32_t, Counter> drops_;
};

}  // namespace portolan::bpf
