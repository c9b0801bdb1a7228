// One question to a running process, with a deadline: gRPC's errors become absl::Status.
// Blocking; for the command line.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "services/base/wire/grpc_status.h"

namespace portolan::cli {

inline constexpr absl::Duration kCallDeadline = absl::Seconds(30);

// `ask` is a stub's method: (grpc::ClientContext*, Response*) -> grpc::Status.
template <typename Response, typename Ask>
absl::StatusOr<Response> Call(Ask ask) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallDeadline));
  Response response;
  const grpc::Status status = ask(&context, &response);
  if (status.ok()) return response;
  return wire::FromGrpc(status);
}

}  // namespace portolan::cli
