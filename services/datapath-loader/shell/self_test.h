// Whether a pair of programs may go on the interfaces: a few packets through them, over maps of
// their own that hold one Service of each family.
//
// What is foreign must come out untouched, what is for the Service must reach its backend with
// checksums that are right, and its answer the client. Blocks for as long as the verifier takes.
// Thread-safe. A kernel that refuses the xdp program altogether is no fault: it goes without.
#pragma once

#include "absl/status/status.h"
#include "bpf/programs/object.h"

namespace portolan::datapath {

// ABORTED: a program did something else; the message says which one, with which packet, and what.
// Other errors: the kernel refused it.
absl::Status SelfTest(const bpf::Object& tc, const bpf::Object& xdp);

}  // namespace portolan::datapath
