// The BPF objects in the kernel over one set of pinned maps: found there and adopted, or made.
//
// What is pinned is adopted when it is what this version and configuration would make (type, key,
// value, entries, flags, layout version, network namespace). A map of another size, or one that an
// earlier layout did not have or had otherwise, is made anew with the old one's content (see
// map_migration.h); what cannot be is left as it is and refused. The pin of "settings_map" is made
// last: without it the rest is a leftover of a process that died before anything was attached, and
// is made anew.
//
// Blocks for as long as the verifier takes (below a second). Single-threaded.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/programs/object.h"
#include "services/base/log/log.h"
#include "services/datapath-loader/core/map_image.h"
#include "services/datapath-loader/shell/map_migration.h"
#include "services/datapath-loader/shell/programs.h"

struct bpf_map;
struct bpf_object;

namespace portolan::datapath {

// As configured; 0 stands for the default.
struct Sizes {
  uint32_t max_flows = 0;
  uint32_t max_frontends = 0;
  uint32_t max_backends = 0;
};

// With the defaults in their places.
Sizes OrDefaults(Sizes sizes);

// Entries by map; maps that are not named have those of their declaration.
using MapSizes = std::map<std::string, uint32_t>;

class Objects {
 public:
  // `directory` as prepared by PreparePinDirectory(). Errors: PERMISSION_DENIED (no privilege),
  // FAILED_PRECONDITION (what is pinned is not ours to use), RESOURCE_EXHAUSTED (no memory for the
  // maps), UNAVAILABLE (the kernel refused; the end of its reasons is in the message).
  static absl::StatusOr<std::unique_ptr<Objects>> Load(const std::string& directory,
                                                       const Sizes& sizes, const Log& log);
  // Other programs over maps of their own, which nobody else sees and which go with them: to try
  // them.
  static absl::StatusOr<std::unique_ptr<Objects>> LoadPrivate(const bpf::Object& tc,
                                                              const bpf::Object& xdp,
                                                              const MapSizes& entries);
  ~Objects();

  // After a load whose programs have passed their test: what was made anew takes its pin's place.
  absl::Status PinMigrated(const std::string& directory);
  // When the interfaces have these programs: the last of what the old ones have written.
  absl::Status FinishMigration();
  // Maps that were made anew; none: everything was adopted as it was.
  std::vector<std::string> migrated() const { return migration_.names(); }

  // From now on these are the programs; the maps stay.
  void Use(std::shared_ptr<Programs> programs);

  bool adopted() const { return adopted_; }
  Limits limits() const { return limits_; }
  // Descriptor, lives as long as this object; below 0: there is none.
  int map(const char* name) const;
  std::vector<std::string> map_names() const;
  int tc_program() const { return tc_program_; }
  // -1 when the kernel refused it: `xdp_error` says why. The tc program does without.
  int xdp_program() const { return xdp_program_; }
  const absl::Status& xdp_error() const { return xdp_error_; }
  // What goes through the chain of XDP programs; -1 when the kernel refused it.
  int root_program() const { return root_program_; }

 private:
  Objects() = default;
  absl::Status DiscardOrAccept(const std::string& directory);
  absl::Status LoadTc(const std::string& directory, const bpf::Object& bytes,
                      const MapSizes& entries);
  absl::Status LoadXdp(const std::string& directory, const bpf::Object& bytes,
                       const MapSizes& entries);
  absl::Status LoadRoot();
  // `must_be_there`: in every datapath of this layout.
  absl::Status AdoptMap(bpf_map* map, const std::string& directory, bool must_be_there);
  MapMigration::MapOf NewMaps() const;
  absl::Status PinMaps(const std::string& directory);

  bpf_object* tc_ = nullptr;
  bpf_object* xdp_ = nullptr;
  bpf_object* root_ = nullptr;
  bool adopted_ = false;
  uint32_t layout_ = 0;  // of what is adopted
  MapMigration migration_;
  Limits limits_;
  int tc_program_ = -1;
  int xdp_program_ = -1;
  int root_program_ = -1;
  absl::Status xdp_error_;
  std::shared_ptr<Programs> programs_;  // in place of those of the objects above
};

}  // namespace portolan::datapath
