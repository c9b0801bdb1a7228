// Decides about edits of the running configuration: validates, counts revisions, says what to
// journal and what to publish, in that order.
//
// Pure: the same events give the same effects. One commit at a time: from its questions or
// WriteJournal to its Answer no other begins; dry runs go on beside it. Nothing is published before
// it is durable, and a refused or failed edit leaves running as it was.
//
// An edit of pools, settings or quotas is first put to ipam-service (AskPlan): without permission
// to renumber, it is refused when a Service would lose an address. Without an answer it goes on
// with a warning, since ipam-service keeps such addresses until a revision allows to move them
// (IpamSettings::allow_renumber: true in the revisions of commits with that permission, else
// false). In the same way the other services whose part an edit changes are asked (AskReview), all
// at once: what one of them refuses is refused, what it only says is a warning. Before Started
// nothing is asked: the services read us, and are not there yet.
//
// A commit may be on trial (trial.h). While it is, nobody commits but who can confirm it; when its
// time is over, its session ends or it is cancelled, the configuration before it comes back as a
// commit of its own (GoBack). That one asks ipam-service too and is never refused for its answer.
//
// Every entry has an owner (owners.h): an edit of what another kind of writer wrote is refused,
// unless it takes it over. What goes back to an earlier revision goes back to its owners, too.
//
// A service's generation is the revision at which its entry changed last. Revisions only grow, so
// a service that was removed and declared anew has a higher generation than before.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "services/config-service/core/diff.h"
#include "services/config-service/core/owners.h"
#include "services/config-service/core/plan.h"
#include "services/config-service/core/problem.h"
#include "services/config-service/core/review.h"
#include "services/config-service/core/snapshot.h"
#include "services/config-service/core/trial.h"

namespace portolan::config {

// ---- events ----

// What the journal held. At most once, first of all.
struct Restored {
  Snapshot running;
  uint64_t revision = 0;
  std::map<std::string, uint64_t> generations;
  bool allow_renumber = false;
  Owners owners;
  std::optional<Trial> trial;
  // The trial cannot go on: its session is gone, or the machine was started anew (RFC 6241,
  // section 8.4.1).
  bool trial_is_over = false;
};
// From now on changes are published, beginning with everything that is there.
struct Started {};
enum class Purpose : uint8_t {
  kEdit,     // refused during a trial, unless it extends it
  kCommit,   // as NETCONF has it: confirms a trial, or extends it
  kConfirm,  // `candidate` is running; an error without a trial
  kCancel,   // `candidate` is the trial's base; an error without a trial
  kGoBack,   // the same, by ourselves
};
// `candidate` passed YANG. With `dry_run` only the answer is wanted.
struct EditProposed {
  uint64_t id = 0;
  Snapshot candidate;
  bool dry_run = false;
  bool allow_renumber = false;
  Purpose purpose = Purpose::kEdit;
  Claim claim;
  std::optional<TrialRequest> trial;  // the commit is on trial
  uint64_t trial_revision = 0;        // with kGoBack: of the trial that is meant
  // The edit was made of this revision, and is refused when another one runs by now.
  std::optional<uint64_t> base_revision;
  Writer writer = Writer::kOperator;
  std::vector<TouchedEntry> touched = {};  // by the edit
  bool take_over = false;                  // what others own of them
  std::optional<Owners> owners_back = {};  // it goes back to a revision with these owners
  std::vector<std::string> remarks = {};   // sentences about how it was made: warnings
};
// Outcome of AskPlan. `unasked`: why there is no answer; empty: `moves` and `gains` are it.
struct Planned {
  uint64_t id = 0;
  std::vector<AddressMove> moves;
  std::string unasked;
  std::vector<AddressGain> gains;
};
// Outcome of an AskReview. `unasked`: why there is no answer; empty: `findings` are it.
struct Reviewed {
  uint64_t id = 0;
  std::string component;
  std::vector<ReviewFinding> findings;
  std::string unasked;
};
// Outcome of WriteJournal. `error`: why nothing was written; empty: it is durable.
struct JournalWritten {
  uint64_t id = 0;
  std::string error;
};
// The time of a WakeAt has come.
struct TimePassed {};
struct SessionEnded {
  uint64_t session = 0;
};
using Event = std::variant<Restored, Started, EditProposed, Planned, Reviewed, JournalWritten,
                           TimePassed, SessionEnded>;

// ---- effects ----

// Ask ipam-service what this configuration would do to addresses in use, then report Planned, in
// bounded time.
struct AskPlan {
  uint64_t id = 0;
  std::map<std::string, Pool> pools;
  IpamSettings settings;
  std::map<std::string, Quota> quotas;
};
// Ask a service what it makes of the edit, then report Reviewed, in bounded time.
struct AskReview {
  uint64_t id = 0;
  ReviewQuestion question;
};
// Make the edit durable with all of this, then report JournalWritten.
struct WriteJournal {
  uint64_t id = 0;
  uint64_t revision = 0;
  std::map<std::string, uint64_t> generations;
  bool allow_renumber = false;
  std::optional<Trial> trial;
  Owners owners;
};
struct Publish {
  uint64_t revision = 0;
  std::vector<Change> changes;
};
// The end of an edit: refused when there are problems.
struct Answer {
  uint64_t id = 0;
  uint64_t revision = 0;  // of running
  std::vector<Problem> problems;
  std::vector<AddressMove> moves;  // what the edit does, or would do
  std::vector<std::string> warnings;
  bool moves_unknown = false;  // ipam-service could not be asked; a warning says why
  std::vector<AddressGain> gains;
};
// Report TimePassed then. A later one replaces an earlier one.
struct WakeAt {
  absl::Time time;
};
// Propose the configuration of `base_revision` with Purpose::kGoBack, after the edits that wait.
// Said again until it succeeds.
struct GoBack {
  uint64_t base_revision = 0;
  uint64_t trial_revision = 0;
  std::string reason;  // "not confirmed in time"
};
using Effect = std::variant<AskPlan, AskReview, WriteJournal, Publish, Answer, WakeAt, GoBack>;

class Engine {
 public:
  std::vector<Effect> Handle(Event event, absl::Time now);

  const Snapshot& running() const { return running_; }
  uint64_t revision() const { return revision_; }
  const std::optional<Trial>& trial() const { return trial_; }

 private:
  // A valid edit until its Answer.
  struct Proposal {
    uint64_t id = 0;
    bool dry_run = false;
    bool allow_renumber = false;
    Snapshot candidate;          // of a commit
    Owners owners;               // after it
    bool refusable = true;       // for what services say of it
    std::optional<Trial> trial;  // after it
    std::vector<AddressMove> moves;
    std::vector<std::string> warnings;
    bool moves_unknown = false;
    std::vector<AddressGain> gains;
    size_t unanswered = 0;                         // questions
    std::map<std::string, Reviewed> reviews = {};  // by component
  };
  // A commit whose WriteJournal is out.
  struct Written {
    Proposal proposal;
    std::vector<Change> changes;
    std::map<std::string, uint64_t> generations;
  };

  std::vector<Effect> On(Restored restored);
  std::vector<Effect> On(Started);
  std::vector<Effect> On(EditProposed edit);
  std::vector<Effect> On(Planned planned);
  std::vector<Effect> On(Reviewed reviewed);
  std::vector<Effect> On(JournalWritten result);
  std::vector<Effect> On(TimePassed);
  std::vector<Effect> On(SessionEnded ended);
  std::optional<Problem> RefusalOfBase(const EditProposed& edit) const;
  std::optional<Problem> RefusalOfTrial(const EditProposed& edit) const;
  std::optional<Trial> TrialAfter(const EditProposed& edit) const;
  std::vector<Effect> EndTrial(std::string reason) const;
  bool TouchesAddresses(const Snapshot& candidate) const;
  std::vector<Effect> QuestionsAbout(const EditProposed& edit) const;
  std::vector<Effect> DecideWhenAnswered(uint64_t id);
  std::vector<Effect> Decide(Proposal proposal);
  void SetGenerations(std::vector<Change>* changes,
                      const std::map<std::string, uint64_t>& generations) const;

  bool started_ = false;
  Snapshot running_;
  uint64_t revision_ = 0;
  std::map<std::string, uint64_t> generations_;  // of running services
  Owners owners_;                                // of running entries
  std::map<uint64_t, Proposal> asked_;           // by id: whose questions are out
  std::optional<Written> written_;
  bool committing_ = false;  // one of those is a commit
  std::optional<Trial> trial_;
  bool trial_is_over_ = false;  // already at the start
  absl::Time now_;
};

}  // namespace portolan::config
