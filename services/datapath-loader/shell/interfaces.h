// Keeps the programs on the interfaces that the configuration names: attaches when one appears,
// attaches anew when it comes back under another index, detaches what is no longer named.
//
// Every interface gets the tc program; mode "xdp", and "auto" where the driver can and it pays (not
// on a veth, see decision 0036), get the XDP program before it. An interface has everything that
// its mode says, or nothing: never a half. Single-threaded.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/attachment.h"
#include "services/datapath-loader/shell/interface_map.h"
#include "services/datapath-loader/shell/objects.h"
#include "services/datapath-loader/shell/xdp_chain.h"
#include "services/datapath-loader/shell/xdp_features.h"

namespace portolan::datapath {

// Who says what is wanted of an interface.
enum class Origin : uint8_t {
  kConfiguration,
  kAttach,  // an operator, by RPC; the configuration does not count
  kDetach,  // as kAttach, and the datapath stays away from it
};

struct WantedInterface {
  std::string mode = "auto";  // "auto", "xdp", "tc"
  bool inside = false;        // what comes in there is from the inside
  Origin origin = Origin::kConfiguration;
  std::string configured;  // the mode in the configuration; empty: it does not name it
  friend bool operator==(const WantedInterface&, const WantedInterface&) = default;
};

struct InterfaceReport {
  std::string name;
  std::string mode;  // in force: "xdp", "tc", or empty
  Origin origin = Origin::kConfiguration;
  State state = State::kFailed;
  std::string reason;
  std::string message;
  std::string remedy;
  friend bool operator==(const InterfaceReport&, const InterfaceReport&) = default;
};

class Interfaces {
 public:
  // `objects` must outlive this.
  Interfaces(std::string pin_directory, const Objects& objects)
      : directory_(std::move(pin_directory)),
        objects_(objects),
        map_(objects.map("interfaces")),
        chain_(objects.map("xdp_chain"), objects.root_program()) {}

  // By name; replaces what was wanted before.
  void Want(std::map<std::string, WantedInterface> wanted) { wanted_ = std::move(wanted); }
  // Does what can be done now; one report per wanted interface, by name.
  std::vector<InterfaceReport> Reconcile();
  // Gives all of them other programs, or, if one refuses, none: the error names it. How
  // many have them now.
  absl::StatusOr<int> Swap(int tc_program, int xdp_program);
  // A program beside ours, in the chain of every interface that has XDP: see xdp_chain.h. An empty
  // path takes out what is in the slot. On an error nothing has changed.
  absl::Status SetChainSlot(uint32_t slot, const std::string& path);
  const XdpChain& chain() const { return chain_; }
  // What is known to stand against it; nothing is attached to find out. NOT_FOUND: there is no such
  // interface. FAILED_PRECONDITION: it is not Ethernet, or mode "xdp" is not possible.
  absl::Status MayCarry(const std::string& name, const std::string& mode);
  bool Carries(const std::string& name) const { return carried_.contains(name); }
  // Interfaces that carry the datapath, as of the last Reconcile().
  int attached() const { return static_cast<int>(carried_.size()); }

 private:
  struct Carried {
    uint32_t ifindex = 0;
    std::string wanted_mode;
    std::optional<Attachment> tc;
    std::optional<Attachment> xdp;
    std::string why_not_xdp;  // in mode "auto"
  };

  void DropUnwanted();
  void RemoveForeignPins() const;
  void ForgetOthers();
  // Tells the programs of an interface: before they are attached to it, and when it has changed.
  absl::Status Tell(const std::string& name, uint32_t ifindex);
  InterfaceReport Carry(const std::string& name, const WantedInterface& wanted);
  InterfaceReport CarryAs(const std::string& name, const std::string& mode);
  InterfaceReport Attach(const std::string& name, const std::string& mode, uint32_t ifindex);
  InterfaceReport Describe(const std::string& name, const Carried& carried) const;

  absl::Status ObstacleToXdp(const std::string& name, uint32_t ifindex);
  // What stands on interfaces in mode xdp, when `ours` is our program.
  int EntryFor(int ours) const { return chain_.NeedsRoot() ? chain_.root() : ours; }
  absl::Status PutEntries(int ours);
  absl::Status SwapEach(int tc_program, int xdp_program);

  const std::string directory_;
  const Objects& objects_;
  InterfaceMap map_;
  XdpChain chain_;
  XdpFeatureQuery features_;
  bool forgot_others_ = false;  // once, after a start
  std::map<std::string, WantedInterface> wanted_;
  std::map<std::string, Carried> carried_;
};

}  // namespace portolan::datapath
