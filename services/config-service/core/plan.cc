#include "services/config-service/core/plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/config-service/core/data_path.h"

namespace portolan::config {
namespace {

constexpr size_t kMaxRefusals = 20;
// The service itself asked for another address, which it gets.
constexpr char kNotRequested[] = "not-requested";
constexpr char kRule[] = "address-in-use";
constexpr char kRemedy[] = "commit with allow-renumber, or keep the block";

std::string Of(const std::string& pool) {
  return pool.empty() ? " of no pool" : absl::StrCat(" of pool ", pool);
}

std::string Message(const AddressMove& move) {
  return absl::StrCat(
      "service ", move.service, " would lose ", move.address, Of(move.pool),
      move.new_address.empty()
          ? " and get none in its place, or one that is not known yet"
          : absl::StrCat(" and get ", move.new_address, Of(move.new_pool), " instead"),
      move.message.empty() ? "" : ": ", move.message);
}

}  // namespace

std::vector<Problem> RefusalOf(std::vector<AddressMove> moves) {
  std::erase_if(moves, [](const AddressMove& move) { return move.reason == kNotRequested; });
  std::vector<Problem> problems;
  for (size_t i = 0; i < std::min(moves.size(), kMaxRefusals); ++i) {
    problems.push_back({.path = moves[i].pool.empty() ? kPoolsPath : PoolPath(moves[i].pool),
                        .rule = kRule,
                        .message = Message(moves[i]),
                        .remedy = kRemedy});
  }
  if (moves.size() > kMaxRefusals) {
    problems.push_back({.path = kPoolsPath,
                        .rule = kRule,
                        .message = absl::StrCat("and ", moves.size() - kMaxRefusals,
                                                " more addresses in use would be lost"),
                        .remedy = kRemedy});
  }
  return problems;
}

}  // namespace portolan::config
