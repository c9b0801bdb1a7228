// The datastores as NETCONF has them: running, candidate and startup, sessions and locks (RFC 6241,
// sections 7 and 8). What a NETCONF server sits on.
//
// Thread-safe; calls block, a Commit() for seconds. Sessions are numbered by the server, from 1.
// Edits of running go through the candidate alone. Each edit is all or nothing, so every
// error-option comes to rollback-on-error. The candidate is shared: as long as nobody edits it, it
// is running; once edited, it stays while running moves on, and its commit is then refused
// (running-changed) rather than undo what others committed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/base/yang/edit_config.h"
#include "services/base/yang/tree.h"
#include "services/config-service/core/engine.h"
#include "services/config-service/shell/commit.h"
#include "services/config-service/shell/configuration.h"
#include "services/config-service/shell/edit.h"
#include "services/config-service/shell/locks.h"
#include "services/config-service/shell/model.h"
#include "services/config-service/shell/rpc_error.h"
#include "services/config-service/shell/startup.h"

namespace portolan::config {

// What the datastores need of the service that runs. Thread-safe; calls block.
class RunningStore {
 public:
  struct Copy {
    Configuration configuration;
    uint64_t revision = 0;
  };
  virtual ~RunningStore() = default;
  // Nothing: it is stopping.
  virtual std::optional<Copy> Read() = 0;
  // Until the edit is in force or refused. Nothing: it is stopping.
  virtual std::optional<Answer> CommitEdit(Edit edit) = 0;
  // A trial that is bound to the session ends.
  virtual void EndSession(uint64_t session) = 0;
};

class Datastores {
 public:
  enum class TestOption : uint8_t { kTestThenSet, kSet, kTestOnly };
  struct EditConfig {
    std::string config;  // what stands in <config>
    yang::Format format = yang::Format::kXml;
    yang::Operation default_operation = yang::Operation::kMerge;
    TestOption test_option = TestOption::kTestThenSet;
  };
  struct CommitConfig {
    bool confirmed = false;
    absl::Duration timeout = absl::Seconds(600);
    std::string persist;
    std::string persist_id;
  };

  // `running`, `locks` and `startup` are not owned and outlive this.
  Datastores(std::shared_ptr<const Model> model, RunningStore* running, Locks* locks,
             Startup* startup);

  // Asked before an edit of the candidate and before a commit: may the session turn one tree into
  // the other? Empty: yes. Set before the first session; it must not call back.
  using WriteCheck =
      std::function<RpcErrors(uint64_t session, const Draft& before, const Draft& after)>;
  void SetWriteCheck(WriteCheck check) { write_check_ = std::move(check); }

  // `author` is of all commits of the session.
  void OpenSession(uint64_t session, Author author);
  // Frees its locks, discards a candidate that it had locked, ends its trial.
  void CloseSession(uint64_t session);
  // The server closes its transport afterwards.
  RpcErrors KillSession(uint64_t session, uint64_t victim);

  RpcErrors Lock(uint64_t session, Datastore target);
  RpcErrors Unlock(uint64_t session, Datastore target);

  // A copy at one revision, for filters and printing. UNAVAILABLE: the service is stopping.
  absl::StatusOr<yang::Tree> Read(Datastore source);
  // The same of a part that holds whatever `scope` names: costs as much as that.
  absl::StatusOr<yang::Tree> ReadPart(Datastore source, const yang::Touched& scope);

  RpcErrors Edit(uint64_t session, Datastore target, const EditConfig& edit);
  RpcErrors Copy(uint64_t session, Datastore source, Datastore target);
  // The text stands for the source.
  RpcErrors CopyText(uint64_t session, const std::string& config, yang::Format format,
                     Datastore target);
  RpcErrors Delete(uint64_t session, Datastore target);
  RpcErrors DiscardChanges(uint64_t session);
  RpcErrors Validate(Datastore source);
  RpcErrors ValidateText(const std::string& config, yang::Format format) const;
  // What the commit of `source`, or of running after `edit`, would do to addresses in use. Commits
  // nothing.
  struct Forecast {
    RpcErrors errors;  // if there are any, nothing else counts
    std::vector<AddressMove> moves;
    std::vector<AddressGain> gains;
    std::vector<std::string> warnings;
  };
  Forecast Plan(Datastore source);
  Forecast PlanEdit(const EditConfig& edit);

  RpcErrors Commit(uint64_t session, const CommitConfig& commit);
  RpcErrors CancelCommit(uint64_t session, const std::string& persist_id);

 private:
  struct Candidate {
    Draft draft;
    uint64_t base_revision = 0;
  };

  absl::StatusOr<Draft> ReadDraft(Datastore source);
  absl::StatusOr<Candidate> ReadLocked(Datastore source) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  RpcErrors Store(uint64_t session, Draft draft, Datastore target)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  RpcErrors RefusalOf(uint64_t session, Datastore target) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Forecast Foresee(Draft draft);
  RpcErrors Send(config::Edit edit, uint64_t session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const Model> model_;
  RunningStore* const running_;
  Locks* const locks_;
  WriteCheck write_check_;
  absl::Mutex mutex_;
  Startup* const startup_ ABSL_PT_GUARDED_BY(mutex_);
  std::map<uint64_t, Author> sessions_ ABSL_GUARDED_BY(mutex_);
  std::optional<Candidate> candidate_ ABSL_GUARDED_BY(mutex_);  // once it was edited
};

}  // namespace portolan::config
