// One packet through a loaded program (BPF_PROG_RUN): packet in, verdict and packet out. Nothing is
// sent; the program's maps do change. Thread-safe; does not block.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace portolan::datapath {

enum class ProgramKind { kXdp, kTc };

enum class Verdict { kPass, kDrop, kTransmit, kRedirect, kAborted };

struct ProgramRun {
  Verdict verdict = Verdict::kAborted;
  std::string packet;
};

// As if the frame had come in on `ifindex`; 0: on an interface that is nobody's.
// INVALID_ARGUMENT: the kernel cannot make a packet of it there.
absl::StatusOr<ProgramRun> RunProgram(int program, ProgramKind kind, uint32_t ifindex,
                                      const std::string& packet);

// "pass", "drop", ...
const char* VerdictName(Verdict verdict);

}  // namespace portolan::datapath
