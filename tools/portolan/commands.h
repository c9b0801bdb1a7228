// The commands of `portolan`, each a function from parsed words to an exit code (exit_code.h).
// They print results on standard output and errors on standard error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/portolan/printer.h"

namespace portolan::cli {

// Where running processes are found: sockets or directories of sockets.
using Places = std::vector<std::string>;

int GetServices(const Places& places, Output output);
int GetPools(const Places& places, Output output);
// Every address that a Service holds; `pool` empty: of all pools and of none.
int GetAddresses(const Places& places, const std::string& pool, Output output);
int GetPeers(const Places& places, Output output);
// What each node's datapath carries, with its counters: by frontend, and by backend of a Service.
int GetFrontends(const Places& places, Output output);
int GetBackends(const Places& places, Output output);
// What each node has dropped, by Service and reason.
int GetDrops(const Places& places, Output output);
int GetAnnouncements(const Places& places, Output output);
// Every object of any kind that is not in force, with reason and remedy.
int GetProblems(const Places& places, Output output);

// `service` is NAMESPACE/NAME, or a NAME that only one namespace has.
int ExplainService(const Places& places, const std::string& service, Output output);

// What an edit would do to addresses in use; kNotSatisfied when a Service would lose or change one,
// kError when the edit is refused for another reason or ipam-service could not be asked.
int PlanApply(const Places& places, const std::string& file, bool replace, Output output);
int PlanDelete(const Places& places, const std::string& path, Output output);

// Which flows of a node's datapath are meant; all that is given must be true of one.
struct FlowSelection {
  std::string service;  // NAMESPACE/NAME
  std::string backend;  // address
  std::string client;   // address or prefix
};

int DatapathFlows(const Places& places, const FlowSelection& selection, Output output);
int DatapathFlush(const Places& places, const FlowSelection& selection);
// Takes over what DatapathFlows() has printed as JSON; kNotSatisfied when a flow was refused.
int DatapathImport(const Places& places, const std::string& file);
int DatapathCapabilities(const Places& places, Output output);
// `packet`: hexadecimal digits of a whole frame, or "-" for standard input.
int DatapathSimulate(const Places& places, const std::string& interface, const std::string& program,
                     const std::string& packet, Output output);
// Both files empty: to the programs of the running binary.
int DatapathUpgrade(const Places& places, const std::string& tc_file, const std::string& xdp_file);

// Carries the datapath on an interface, or takes it off, whatever the configuration says; `mode`
// "configured" ends that.
int DatapathAttach(const Places& places, const std::string& interface, const std::string& mode,
                   bool inside);
int DatapathDetach(const Places& places, const std::string& interface);
// Makes an owner's Services what the file says (JSON of ApplyRequest); kNotSatisfied when one of
// them is not carried.
int DatapathApply(const Places& places, const std::string& file, Output output);

// XDP programs beside the datapath's own; an empty `program` takes out what is in the slot.
int DatapathChain(const Places& places, Output output);
int DatapathSetChainSlot(const Places& places, uint32_t slot, const std::string& program);

// Begins the session with a peer anew, or with `soft` sends it all routes again; `peer` is
// INSTANCE/NAME, or a NAME that only one instance has. `message` is for the peer's operator.
int BgpReset(const Places& places, const std::string& peer, bool soft, const std::string& message);
// Marks the node's routes as going away, and withdraws them after the hold time.
int BgpDrain(const Places& places, uint32_t hold_time_s);
int BgpUndrain(const Places& places);

struct TraceOptions {
  std::string service;       // empty: a sample of what is dropped
  uint32_t drop_sample = 0;  // one in so many; 0: as the datapath likes
  uint64_t count = 0;        // ends after so many events; 0: never
};
int Trace(const Places& places, const TraceOptions& options, Output output);

struct EditOptions {
  bool dry_run = false;
  bool allow_renumber = false;  // otherwise an edit that takes an address from a Service is refused
  bool take_over = false;       // otherwise an edit of what another kind of writer wrote is refused
  std::string comment;          // for the history
  uint32_t confirm_within_s = 0;  // not 0: taken back unless it is confirmed by then
  std::string persist_id;         // then needed to confirm
};

// `yang_dir`: modules of plugins that are not linked in.
int ConfigCheck(const std::string& file, const std::string& yang_dir);
// With `state`, what the services report.
int ConfigShow(const Places& places, const std::string& path, bool xml, bool secrets, bool state);
// Who wrote which entry, and so has it.
int ConfigOwners(const Places& places, Output output);
// Merges the file into the running configuration, or replaces it whole.
int ConfigApply(const Places& places, const std::string& file, bool replace,
                const EditOptions& options);
// Removes what the YANG path selects.
int ConfigDelete(const Places& places, const std::string& path, const EditOptions& options);
// Prints what ConfigApply() would change.
int ConfigDiff(const Places& places, const std::string& file, bool replace,
               const EditOptions& options);
// Opens $VISUAL, $EDITOR or vi on the running configuration, shows the difference, asks, applies.
int ConfigEdit(const Places& places, const EditOptions& options);
// The commits that are kept; of one (`revision` is not 0) what it changed, too.
int ConfigHistory(const Places& places, uint64_t revision, Output output);
// Every commit from now on with what it changes below `path` (empty: anywhere), until it is
// interrupted or has printed `count` of them (0: no end). As JSON a line each, the first one has
// the configuration.
int ConfigWatch(const Places& places, const std::string& path, uint64_t count, Output output);
int ConfigRollback(const Places& places, uint64_t revision, const EditOptions& options);
// End the trial of a commit that was made with confirm_within_s.
int ConfigConfirm(const Places& places, const std::string& persist_id, const std::string& comment);
int ConfigCancel(const Places& places, const std::string& persist_id, const std::string& comment);

}  // namespace portolan::cli
