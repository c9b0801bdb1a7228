#include "services/datapath-loader/shell/capabilities.h"

#include <bpf/bpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "services/datapath-loader/shell/file_descriptor.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/object_file.h"
#include "services/datapath-loader/shell/xdp_features.h"

namespace portolan::datapath {
namespace {

using v1alpha1::Capability;
using v1alpha1::GetCapabilitiesResponse;

constexpr int kTcxIngress = 46;  // BPF_TCX_INGRESS

struct Privilege {
  int number;
  const char* name;
};
constexpr Privilege kPrivileges[] = {
    {CAP_BPF, "CAP_BPF"}, {CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {CAP_PERFMON, "CAP_PERFMON"}};

uint64_t EffectivePrivileges() {
  std::ifstream file("/proc/thread-self/status");
  std::string line;
  while (std::getline(file, line)) {
    absl::string_view text = line;
    uint64_t bits = 0;
    if (absl::ConsumePrefix(&text, "CapEff:\t") && absl::SimpleHexAtoi(text, &bits)) return bits;
  }
  return 0;
}

void Add(GetCapabilitiesResponse& response, std::string name, Capability::Answer answer,
         std::string detail, std::string matters) {
  Capability* capability = response.add_capabilities();
  capability->set_name(std::move(name));
  capability->set_answer(answer);
  capability->set_detail(std::move(detail));
  capability->set_matters(std::move(matters));
}

// Yes, no, or unknown when it is forbidden to try.
void AddTried(GetCapabilitiesResponse& response, std::string name, int error, std::string matters) {
  const bool forbidden = error == EPERM || error == EACCES;
  Add(response, std::move(name),
      error == 0  ? Capability::ANSWER_YES
      : forbidden ? Capability::ANSWER_UNKNOWN
                  : Capability::ANSWER_NO,
      error == 0 ? "tried" : strerror(error), std::move(matters));
}

void AddPrivileges(GetCapabilitiesResponse& response) {
  const uint64_t bits = EffectivePrivileges();
  const auto matters = [](int number) {
    switch (number) {
      case CAP_BPF:
        return "without it the kernel loads no program and makes no map: nothing is carried";
      case CAP_NET_ADMIN:
        return "without it no program can be attached to an interface: nothing is carried";
      default:
        return "without it the verifier refuses the programs: nothing is carried";
    }
  };
  for (const auto& [number, name] : kPrivileges) {
    const bool held = bits >> number & 1;
    const bool by_admin = number != CAP_NET_ADMIN && (bits >> CAP_SYS_ADMIN & 1);
    Add(response, absl::StrCat("privilege/", name),
        held || by_admin ? Capability::ANSWER_YES : Capability::ANSWER_NO,
        held       ? "held"
        : by_admin ? "not held, but CAP_SYS_ADMIN stands for it"
                   : "not held",
        matters(number));
  }
}

// "none [integrity] confidentiality"
std::string LockdownMode() {
  std::ifstream file("/sys/kernel/security/lockdown");
  std::string line;
  std::getline(file, line);
  const size_t begin = line.find('['), end = line.find(']');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return "";
  return line.substr(begin + 1, end - begin - 1);
}

void AddLockdown(GetCapabilitiesResponse& response) {
  const std::string mode = LockdownMode();
  const char* matters =
      "in mode integrity other tools' fentry and freplace programs do not load (chaining by libxdp "
      "does not work); in mode confidentiality no program may read kernel memory. Portolan needs "
      "neither";
  if (mode.empty()) {
    Add(response, "no-lockdown", Capability::ANSWER_UNKNOWN,
        "/sys/kernel/security/lockdown cannot be read (securityfs is not mounted, or the kernel "
        "has no lockdown)",
        matters);
    return;
  }
  Add(response, "no-lockdown", mode == "none" ? Capability::ANSWER_YES : Capability::ANSWER_NO,
      absl::StrCat("mode ", mode), matters);
}

// Since Linux 5.11 maps count against the memory of the control group instead: then one that is
// larger than the limit can be made.
void AddMemoryLock(GetCapabilitiesResponse& response) {
  constexpr uint64_t kMostTried = 64 << 20;
  const std::string matters =
      "where maps count against the limit, it must be larger than all maps together: raise it "
      "(ulimit -l, LimitMEMLOCK) or lower max-flows";
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  const bool unlimited = limit.rlim_cur == RLIM_INFINITY;
  const std::string text = absl::StrCat(
      "limit (RLIMIT_MEMLOCK): ", unlimited ? "none" : absl::StrCat(limit.rlim_cur, " bytes"));
  constexpr char kName[] = "maps-beyond-memory-lock";
  if (unlimited) return Add(response, kName, Capability::ANSWER_YES, text, matters);
  if (limit.rlim_cur > kMostTried) {
    return Add(response, kName, Capability::ANSWER_UNKNOWN, text, matters);
  }
  const uint32_t entries = limit.rlim_cur / 4096 + 1;
  const FileDescriptor map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe", 4, 4096, entries, nullptr));
  const bool forbidden = !MissingPrivileges().empty();
  const std::string found = map.ok()    ? "; a larger map could be made"
                            : forbidden ? ""
                                        : "; a larger map could not be made";
  Add(response, kName,
      map.ok()    ? Capability::ANSWER_YES
      : forbidden ? Capability::ANSWER_UNKNOWN
                  : Capability::ANSWER_NO,
      absl::StrCat(text, found), matters);
}

int TryBatch() {
  const FileDescriptor map(
      bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "probe", sizeof(uint32_t), 8, 16, nullptr));
  if (!map.ok()) return errno;
  const uint32_t key = 1;
  const uint64_t value = 1;
  bpf_map_update_elem(map.get(), &key, &value, BPF_ANY);
  uint32_t next = 0, keys[16], count = 16;
  uint64_t values[16];
  if (bpf_map_lookup_batch(map.get(), nullptr, &next, keys, values, &count, nullptr) == 0) return 0;
  return errno == ENOENT ? 0 : errno;
}

int TryRing() {
  const FileDescriptor map(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "probe", 0, 0, 65536, nullptr));
  return map.ok() ? 0 : errno;
}

// A kernel that knows the hook looks for the interface, which does not exist.
int TryTcx() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = -1},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  const FileDescriptor program(
      bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "probe", "Dual BSD/GPL", instructions, 2, nullptr));
  if (!program.ok()) return errno;
  LIBBPF_OPTS(bpf_link_create_opts, options);
  const FileDescriptor link(bpf_link_create(program.get(), 0x7fffffff,
                                            static_cast<bpf_attach_type>(kTcxIngress), &options));
  return link.ok() || errno == ENODEV ? 0 : errno;
}

// Two programs in one chain, as ours and another one would be.
int TryChain() {
  const FileDescriptor map(bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "probe", 4, 4, 2, nullptr));
  if (!map.ok()) return errno;
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  for (uint32_t slot = 0; slot < 2; slot++) {
    const FileDescriptor program(
        bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "Dual BSD/GPL", instructions, 2, nullptr));
    const int fd = program.get();
    if (!program.ok() || bpf_map_update_elem(map.get(), &slot, &fd, BPF_ANY) != 0) return errno;
  }
  return 0;
}

void AddInterface(GetCapabilitiesResponse& response, XdpFeatureQuery& query,
                  const std::string& name) {
  const std::string matters =
      "without it packets are carried by the tc program alone: as right, and slower";
  const uint32_t ifindex = InterfaceIndex(name);
  const std::string driver = DriverOf(name);
  const std::string what = driver.empty() ? "its driver has no name" : "driver " + driver;
  const auto features = ifindex == 0 ? std::nullopt : query.Ask(ifindex);
  if (!features.has_value()) {
    Add(response, absl::StrCat("native-xdp/", name), Capability::ANSWER_UNKNOWN,
        ifindex == 0
            ? "there is no such interface"
            : absl::StrCat(what, "; this kernel cannot say what it can, mode xdp tries it"),
        matters);
    return;
  }
  Add(response, absl::StrCat("native-xdp/", name),
      features->native ? Capability::ANSWER_YES : Capability::ANSWER_NO, what, matters);
  Add(response, absl::StrCat("xdp-target/", name),
      features->target ? Capability::ANSWER_YES : Capability::ANSWER_NO, what,
      "without it XDP of another interface cannot send there, and leaves such packets to tc");
}

}  // namespace

GetCapabilitiesResponse ProbeCapabilities(const std::vector<std::string>& interfaces) {
  GetCapabilitiesResponse response;
  AddPrivileges(response);
  AddTried(response, "tcx", TryTcx(),
           "without it (before Linux 6.6) the tc program hangs as a clsact filter, which other "
           "tools can flush");
  AddTried(response, "batch-map-operations", TryBatch(),
           "without them (before Linux 5.6) flows cannot be listed, imported or flushed");
  AddTried(response, "ring-buffer", TryRing(), "without it (before Linux 5.8) nothing loads");
  AddTried(response, "xdp-chain", TryChain(),
           "without it other XDP programs cannot stand beside ours (portolan datapath chain)");
  const bool flag = KernelHasIpv6ChecksumFlag();
  Add(response, "ipv6-checksum-flag", flag ? Capability::ANSWER_YES : Capability::ANSWER_NO,
      flag ? "BPF_F_IPV6 is in the kernel's types" : "BPF_F_IPV6 is not in the kernel's types",
      "without it (before Linux 6.16) IPv6 packets that the hardware has summed keep a sum that is "
      "not theirs any more");
  AddLockdown(response);
  AddMemoryLock(response);
  XdpFeatureQuery query;
  for (const std::string& name : interfaces) AddInterface(response, query, name);
  return response;
}

std::vector<std::string> MissingPrivileges() {
  const uint64_t bits = EffectivePrivileges();
  std::vector<std::string> missing;
  for (const auto& [number, name] : kPrivileges) {
    const bool by_admin = number != CAP_NET_ADMIN && (bits >> CAP_SYS_ADMIN & 1);
    if (!(bits >> number & 1) && !by_admin) missing.push_back(name);
  }
  return missing;
}

}  // namespace portolan::datapath
