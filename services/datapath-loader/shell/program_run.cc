#include "services/datapath-loader/shell/program_run.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

constexpr size_t kShortest = 14;  // an Ethernet header
constexpr size_t kGrowth = 256;   // headers that a program may put in front
constexpr int kTcxNext = -1;      // TC_ACT_UNSPEC

Verdict VerdictOf(ProgramKind kind, int value) {
  if (kind == ProgramKind::kXdp) {
    switch (value) {
      case XDP_PASS:
        return Verdict::kPass;
      case XDP_DROP:
        return Verdict::kDrop;
      case XDP_TX:
        return Verdict::kTransmit;
      case XDP_REDIRECT:
        return Verdict::kRedirect;
      default:
        return Verdict::kAborted;
    }
  }
  switch (value) {
    case kTcxNext:
    case TC_ACT_OK:
      return Verdict::kPass;
    case TC_ACT_SHOT:
      return Verdict::kDrop;
    case TC_ACT_REDIRECT:
      return Verdict::kRedirect;
    default:
      return Verdict::kAborted;
  }
}

}  // namespace

absl::StatusOr<ProgramRun> RunProgram(int program, ProgramKind kind, uint32_t ifindex,
                                      const std::string& packet) {
  if (packet.size() < kShortest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "packet: ", packet.size(), " bytes are no Ethernet frame; the header alone has 14"));
  }
  ProgramRun outcome;
  outcome.packet.resize(packet.size() + kGrowth);
  __sk_buff skb{};
  skb.ifindex = ifindex;
  skb.ingress_ifindex = ifindex;
  xdp_md frame{};
  frame.data_end = packet.size();
  frame.ingress_ifindex = ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(), .data_out = outcome.packet.data(),
              .data_size_in = static_cast<__u32>(packet.size()),
              .data_size_out = static_cast<__u32>(outcome.packet.size()), .repeat = 1);
  if (ifindex != 0) {
    run.ctx_in = kind == ProgramKind::kTc ? static_cast<void*>(&skb) : &frame;
    run.ctx_size_in = kind == ProgramKind::kTc ? sizeof(skb) : sizeof(frame);
  }
  if (bpf_prog_test_run_opts(program, &run) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("packet: the kernel cannot run a program on it: ", strerror(errno),
                     "; give a whole frame of at most about 3500 bytes"));
  }
  outcome.packet.resize(run.data_size_out);
  outcome.verdict = VerdictOf(kind, static_cast<int>(run.retval));
  return outcome;
}

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kDrop:
      return "drop";
    case Verdict::kTransmit:
      return "transmit";
    case Verdict::kRedirect:
      return "redirect";
    default:
      return "aborted";
  }
}

}  // namespace portolan::datapath
