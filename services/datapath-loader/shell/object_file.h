// One compiled BPF object on its way into the kernel.
//
// Thread-safe but for what is done with one object. Errors of the kernel come with the end of its
// own words: PERMISSION_DENIED (no privilege), RESOURCE_EXHAUSTED (no memory), UNAVAILABLE.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/programs/object.h"

struct bpf_map;
struct bpf_object;

namespace portolan::datapath {

absl::Status KernelError(const std::string& what, int error, const std::string& log = "");

// Not loaded yet; to be closed by the caller.
absl::StatusOr<bpf_object*> OpenObject(const bpf::Object& bytes);
// Blocks for as long as the verifier takes (below a second).
absl::Status LoadObject(bpf_object* object, const char* name);
// The only constant of lb_tc: l4_csum_ipv6_flag.
absl::Status SetConstants(bpf_object* object);

// Maps that both programs and every later life share; the scratch pad is each program's own.
bool IsShared(const bpf_map* map);

inline constexpr char kTcProgram[] = "portolan_lb_tc";
inline constexpr char kXdpProgram[] = "portolan_lb_xdp";
inline constexpr char kRootProgram[] = "portolan_xdp_root";

// Descriptor of a program of a loaded object, which keeps it. INVALID_ARGUMENT: there is none.
absl::StatusOr<int> ProgramOf(const bpf_object* object, const char* name);

// Does the kernel's bpf_l4_csum_replace() know that a checksum is IPv6's?
bool KernelHasIpv6ChecksumFlag();

}  // namespace portolan::datapath
