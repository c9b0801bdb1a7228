// Operations that change a datastore or check one: edit-config, edit-data, copy-config,
// delete-config, discard-changes, validate, commit, cancel-commit, lock, unlock (RFC 6241, 8526).
//
// No state but what it is lent; any thread. Every edit is all or nothing, so each error-option is
// carried out as rollback-on-error.
#pragma once

#include <functional>
#include <optional>

#include "services/base/netconf/message.h"
#include "services/config-service/shell/datastores.h"

namespace portolan::config {

class Edits {
 public:
  using OnLock = std::function<void(uint64_t session, Datastore datastore, bool locked)>;
  // `datastores` is not owned. `on_lock` hears what was locked and unlocked.
  Edits(Datastores* datastores, OnLock on_lock)
      : datastores_(datastores), on_lock_(std::move(on_lock)) {}

  // Nothing: an operation of somebody else.
  std::optional<netconf::Reply> Handle(const netconf::SessionInfo& session,
                                       const netconf::Request& request);

 private:
  // edit-config and edit-data.
  netconf::Reply Edit(uint64_t session, yang::Node input, const std::optional<Datastore>& target,
                      Datastores::TestOption test_option);
  netconf::Reply CopyConfig(uint64_t session, yang::Node input);
  netconf::Reply DeleteConfig(uint64_t session, yang::Node input);
  netconf::Reply Validate(yang::Node input);
  netconf::Reply Commit(uint64_t session, yang::Node input);
  netconf::Reply Lock(uint64_t session, yang::Node input, bool lock);

  Datastores* const datastores_;
  const OnLock on_lock_;
};

}  // namespace portolan::config
