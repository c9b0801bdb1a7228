// Access control over trees: NACM (core/nacm.h) with the rules of the running configuration
// (ietf-netconf-acm). What the NETCONF server and the other ways in ask before they do anything.
//
//   operation    MayCall() first; then for
//   get, get-config, get-data       FilterRead() of a copy, before the client's own filter, which
//   must
//                                   not find what the client may not read
//   edit-config, edit-data          CheckWrite() of the candidate before and after
//   copy-config to the candidate    FilterRead() of the source unless it is the client's text; then
//   as
//                                   an edit. To startup from running: MayCall() is enough (RFC
//                                   8341, section 3.2.6)
//   commit                          CheckWrite() of running and the candidate: what others put into
//                                   a shared candidate counts, too
//   action                          MayAct() instead
//   delete-config, kill-session     MayCall() wants a rule
//   notification                    MayNotify() for each receiver
//
// Thread-safe; a tree that is passed in belongs to the caller. A question is asked of the rules
// that Load() brought last. Costs nothing for the recovery session; else a walk over the tree that
// is read, or over what differs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "services/base/yang/tree.h"
#include "services/config-service/core/nacm.h"
#include "services/config-service/shell/rpc_error.h"

namespace portolan::config {

class Access {
 public:
  // Since the start; RFC 8341 has them as state of /nacm.
  struct Counters {
    uint64_t denied_operations = 0;
    uint64_t denied_data_writes = 0;
    uint64_t denied_notifications = 0;
  };

  // Before Load(): as without any rule configured.
  Access();

  // `running` is valid. Questions that are under way go on with the rules before.
  void Load(const yang::Tree& running);

  // Empty: yes. Else one error, access-denied, whose message says what would help. `module` and
  // `operation`: "ietf-netconf", "get-config". `model`: what the statement of the operation says
  // (yang::Context::DenyOf).
  RpcErrors MayCall(const Subject& subject, absl::string_view module, absl::string_view operation,
                    yang::Deny model = yang::Deny::kNothing);

  // Of an action (RFC 8341, section 3.4.4), as it stands in a request with the nodes that it is of:
  // these must be readable with their keys, and the action executable by a rule for data.
  RpcErrors MayAct(const Subject& subject, yang::Node action);

  // Removes what the subject may not read, with all that is below: silently (RFC 8341, section
  // 3.2.4). A list entry goes when one of its keys may not be read.
  void FilterRead(const Subject& subject, yang::Tree* tree) const;

  // Empty: the subject may turn `before` into `after`. Else access-denied for the first node that
  // differs and may not: its path, or that of the nearest node above it that the subject may read.
  // Trees of one context. Defaults count as absent; containers without presence are free.
  RpcErrors CheckWrite(const Subject& subject, const yang::Tree& before, const yang::Tree& after);

  // Of a top-level notification.
  bool MayNotify(const Subject& subject, absl::string_view module, absl::string_view notification,
                 yang::Deny model = yang::Deny::kNothing);

  Counters counters() const;

 private:
  std::shared_ptr<const NacmRules> rules() const;

  mutable absl::Mutex mutex_;
  std::shared_ptr<const NacmRules> rules_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> denied_operations_ = 0;
  std::atomic<uint64_t> denied_data_writes_ = 0;
  std::atomic<uint64_t> denied_notifications_ = 0;
};

}  // namespace portolan::config
