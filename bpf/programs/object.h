// The compiled BPF objects, embedded in the binary: ELF files for libbpf's bpf_object__open_mem().
// The bytes live as long as the process.
#pragma once

#include <cstddef>

namespace portolan::bpf {

struct Object {
  const char* name;  // "lb_xdp"
  const unsigned char* data;
  size_t size;
};

Object LbXdp();  // one program, "portolan_lb_xdp"
Object LbTc();   // one program, "portolan_lb_tc"
Object XdpRoot();  // one program, "portolan_xdp_root"

}  // namespace portolan::bpf
