#include "plugins/owner_elections/rendezvous/rendezvous.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "plugins/sdk/owner_election.h"
#include "services/base/rng/rng.h"
#include "services/base/status/status_macros.h"

namespace portolan::plugin {
namespace {

uint64_t Weight(absl::string_view key, absl::string_view candidate) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto mix = [&hash](unsigned char c) { hash = (hash ^ c) * 0x100000001b3u; };
  for (char c : key) mix(static_cast<unsigned char>(c));
  mix(0);  // so that ("ab", "c") and ("a", "bc") differ
  for (char c : candidate) mix(static_cast<unsigned char>(c));
  return Rng(hash).Next();
}

class Rendezvous : public OwnerElection {
 public:
  std::vector<std::string> Order(absl::string_view key,
                                 absl::Span<const std::string> candidates) const override {
    std::vector<std::pair<uint64_t, absl::string_view>> weights;
    weights.reserve(candidates.size());
    for (const std::string& candidate : candidates) {
      weights.emplace_back(Weight(key, candidate), candidate);
    }
    std::sort(weights.begin(), weights.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    std::vector<std::string> order;
    order.reserve(weights.size());
    for (const auto& [weight, candidate] : weights) order.emplace_back(candidate);
    return order;
  }
};

}  // namespace

std::unique_ptr<Factory> NewRendezvousFactory() {
  return std::make_unique<FunctionFactory<OwnerElection>>(
      "rendezvous",
      [](absl::string_view settings) -> absl::StatusOr<std::unique_ptr<OwnerElection>> {
        RETURN_IF_ERROR(ExpectNoSettings("rendezvous", settings));
        return std::make_unique<Rendezvous>();
      });
}

}  // namespace portolan::plugin
