// What an edit would do to the addresses that Services hold, without doing it.
#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/edit_call.h"
#include "tools/portolan/exit_code.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::AddressGain;
using config::v1alpha1::AddressMove;
using config::v1alpha1::EditRequest;
using config::v1alpha1::EditResponse;

constexpr char kNothingMoves[] = "no Service would lose or change an address";

std::string Addresses(ptrdiff_t count) {
  return absl::StrCat(count, count == 1 ? " address" : " addresses");
}

void PrintSummary(const EditResponse& response) {
  if (response.gains_size() > 0) {
    std::cerr << Addresses(response.gains_size()) << " would be given to Services that wait"
              << std::endl;
  }
  if (response.moves_size() == 0) {
    std::cerr << kNothingMoves << std::endl;
    return;
  }
  const auto lost =
      std::count_if(response.moves().begin(), response.moves().end(),
                    [](const AddressMove& move) { return move.new_address().empty(); });
  const auto moved = response.moves_size() - lost;
  std::cerr << Addresses(moved) << " would change, " << Addresses(lost)
            << " would be lost or is not known yet" << std::endl;
  const bool refused =
      std::any_of(response.moves().begin(), response.moves().end(),
                  [](const AddressMove& move) { return move.reason() != "not-requested"; });
  if (refused) std::cerr << "the commit is refused without --allow-renumber" << std::endl;
}

int Plan(const Places& places, EditRequest request, Output output) {
  // With the permissions, moves are an answer instead of a refusal, whoever has the entries.
  request.set_allow_renumber(true);
  request.set_take_over(true);
  const absl::StatusOr<EditResponse> response = CallEdit(places, request, /*dry_run=*/true);
  if (!response.ok()) return Fail(response.status());
  PrintRemarks(*response);
  if (response->problems_size() > 0 || response->moves_unknown()) return kError;
  Printer printer({"SERVICE", "ADDRESS", "POOL", "NEW ADDRESS", "NEW POOL", "REASON", "MESSAGE"});
  for (const AddressMove& move : response->moves()) {
    printer.Add({{move.service()},
                 {move.address()},
                 CellOf(move.pool()),
                 CellOf(move.new_address()),
                 CellOf(move.new_pool()),
                 {move.reason()},
                 {move.message()}});
  }
  for (const AddressGain& gain : response->gains()) {
    printer.Add({{gain.service()},
                 {},
                 {},
                 {gain.address()},
                 {gain.pool()},
                 {"waits"},
                 {"the Service waits, and would get this address"}});
  }
  const bool nothing = response->moves_size() == 0 && response->gains_size() == 0;
  if (nothing && output == Output::kTable) {
    std::cout << kNothingMoves << std::endl;
    return kOk;
  }
  printer.Print(std::cout, output);
  if (!nothing) PrintSummary(*response);
  return response->moves_size() == 0 ? kOk : kNotSatisfied;
}

}  // namespace

int PlanApply(const Places& places, const std::string& file, bool replace, Output output) {
  absl::StatusOr<EditRequest> request = EditOfFile(file, replace);
  if (!request.ok()) return Fail(request.status());
  return Plan(places, *std::move(request), output);
}

int PlanDelete(const Places& places, const std::string& path, Output output) {
  return Plan(places, DeletionOf(path), output);
}

}  // namespace portolan::cli
