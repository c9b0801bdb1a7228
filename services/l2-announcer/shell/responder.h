// Lets this node's datapath answer ARP and Neighbour Discovery (bpf/lib/neighbour.h) for addresses
// that this process owns, by writing map "neighbours" in memory that is shared with the kernel.
//
// This process is the map's only writer. Each entry is silent unless it is renewed, so a process
// that is killed or frozen falls silent when the promise of its last heartbeat ends; what a former
// life left is silenced when the map is opened. The map is datapath-loader's, which makes and pins
// it: one that is gone, was made anew or serves another network namespace is noticed at the next
// renewal. Neither needs the other to run: entries are written and renewed without datapath-loader.
//
// What belongs to a VLAN comes in at two interfaces, one after the other: tagged at the interface
// below, and at that of the VLAN itself. There is an entry for each where the programs are.
//
// Where the datapath does not answer (Answers() is false) the caller has to. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/clock/clock.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/mac_address.h"
#include "services/l2-announcer/shell/vlan.h"

namespace portolan::l2 {

class NeighbourMap;

class Responder {
 public:
  // `pin_directory`: see ChoosePinDirectory(). `clock` is the machine's and outlives this.
  Responder(std::string pin_directory, const Clock* clock);
  ~Responder();  // silences everything

  // ---- the datapath's word: its programs are on the interface, or not ----
  void SetAttached(const std::string& interface, bool attached);
  bool attached(const std::string& interface) const;
  // Those whose questions come in there: its own, and its VLANs'.
  std::vector<std::string> LinksAt(const std::string& interface) const;

  // ---- what is owned ----
  // `vlan`: of an interface that is one.
  void AddLink(const std::string& interface, uint32_t ifindex,
               const std::optional<Vlan>& vlan = std::nullopt);
  void RemoveLink(const std::string& interface);  // and what is owned there
  // The datapath is silent there from `until` on, and a little earlier, without another renewal.
  void Renew(const std::string& interface, absl::Time until);
  void Own(const std::string& interface, const net::IpAddress& address, const net::MacAddress& mac);
  // In force when it returns.
  void Disown(const std::string& interface, const net::IpAddress& address);

  // Is it the datapath that answers for the address, now?
  bool Answers(const std::string& interface, const net::IpAddress& address) const;
  // How many addresses it answers for.
  int answered() const;
  // Why it cannot; empty when it can, or when there is no datapath.
  const std::string& error() const { return error_; }

 private:
  // Where a link's questions come in.
  struct Door {
    std::string interface;
    uint32_t ifindex = 0;
    uint16_t vlan = 0;  // in their tag; 0: they have none
    // The programs are there by map "interfaces", too, as of the last Write(): what the stream
    // said may be about an interface of this name that is gone.
    bool attached = false;
  };
  struct Entry {
    net::MacAddress mac;
    // In the map, for each door; null: none was free, or the programs are not there.
    std::vector<portolan_neighbour*> places;
  };
  struct Link {
    std::vector<Door> doors;
    absl::Time until = absl::InfinitePast();  // the datapath's last moment
    uint64_t until_ns = 0;                    // the same as the kernel counts
    std::map<net::IpAddress, Entry> owned;
  };

  void Open();
  void Close();
  bool IsUsable(const Link& link, const Door& door) const;
  // Does one of the programs answer?
  bool Answers(const Link& link, const Entry& entry) const;
  // Writes or frees the entries of a link, as it is now.
  void Write(Link& link);
  void Write(const net::IpAddress& address, const Link& link, Entry& entry);
  static void Free(Entry& entry);
  uint64_t InKernelTime(absl::Time until) const;

  const std::string directory_;
  const Clock* const clock_;
  std::unique_ptr<NeighbourMap> map_;  // null: there is none for us
  std::string error_;
  std::map<std::string, bool> attached_;
  std::map<std::string, Link> links_;
};

}  // namespace portolan::l2
