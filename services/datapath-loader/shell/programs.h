// A further pair of programs over the maps that are there: what an upgrade puts on the interfaces.
//
// The programs live as long as this object or an interface that has them. Blocks for as long as the
// verifier takes. A value to move from one thread to another; not thread-safe.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "bpf/programs/object.h"

struct bpf_object;

namespace portolan::datapath {

class LiveMaps;

class Programs {
 public:
  // FAILED_PRECONDITION: a map of an object is not like the one that is there, or there is none.
  static absl::StatusOr<std::unique_ptr<Programs>> Load(const bpf::Object& tc,
                                                        const bpf::Object& xdp,
                                                        const LiveMaps& maps);
  ~Programs();

  int tc_program() const { return tc_program_; }
  int xdp_program() const { return xdp_program_; }

 private:
  Programs() = default;

  bpf_object* tc_ = nullptr;
  bpf_object* xdp_ = nullptr;
  int tc_program_ = -1;
  int xdp_program_ = -1;
};

}  // namespace portolan::datapath
