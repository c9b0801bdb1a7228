#include "services/datapath-loader/shell/kernel_tick.h"

#include <bpf/bpf.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/datapath-loader/shell/file_descriptor.h"

namespace portolan::datapath {

absl::StatusOr<uint32_t> CurrentTick(uint32_t shift) {
  const bpf_insn instructions[] = {
      {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_jiffies64},
      {.code = BPF_ALU64 | BPF_RSH | BPF_K,
       .dst_reg = 0,
       .src_reg = 0,
       .off = 0,
       .imm = static_cast<int>(shift & 31)},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  const FileDescriptor program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "portolan_tick",
                                             "Dual BSD/GPL", instructions, 3, nullptr));
  std::array<unsigned char, 64> packet{};
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(), .data_size_in = packet.size());
  if (!program.ok() || bpf_prog_test_run_opts(program.get(), &run) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot read the kernel's time: ", strerror(errno)));
  }
  return run.retval;
}

}  // namespace portolan::datapath
