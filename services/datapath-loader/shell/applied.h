// The RPC Apply: checks what an owner wants, makes it durable, hands it to the loop, and answers
// when the kernel has.
//
// Belongs to the control thread, but for what its constructor is given. Calls block for as long as
// the journal's.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/base/clock/clock.h"
#include "services/base/loop/loop.h"
#include "services/datapath-loader/core/desired_states.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/applied_messages.h"
#include "services/datapath-loader/shell/control_rpc.h"
#include "services/datapath-loader/shell/journal.h"

namespace portolan::datapath {

struct AppliedChange {
  std::vector<AppliedService> services;
  std::vector<std::string> removed;  // keys
};

class Applied {
 public:
  // Called on the control thread; to be posted on.
  using OnChange = std::function<void(AppliedChange)>;

  // `node` is this machine's name in statuses. All but the values outlive it.
  Applied(Loop* loop, const Clock* clock, Journal* journal, std::string node, OnChange on_change)
      : loop_(loop),
        clock_(clock),
        journal_(journal),
        node_(std::move(node)),
        on_change_(std::move(on_change)) {}
  ~Applied();

  // What the journal had; the loop knows it already.
  void Begin(const std::map<std::string, OwnerState>& owners);
  void Apply(const v1alpha1::ApplyRequest& request, ReplyTo<v1alpha1::ApplyResponse> reply);
  // The engine has said this of a service that was applied.
  void Said(const ServiceStatus& status);

 private:
  // A call that waits for the kernel.
  struct Pending {
    std::string owner;
    ReadRequest request;
    bool changed = false;
    std::set<std::string> awaited;  // keys
    Loop::TimerId timer = 0;
    ReplyTo<v1alpha1::ApplyResponse> reply;
  };

  bool IsSettled(const std::string& key, uint64_t generation) const;
  void Wait(Pending pending);
  void Answer(const Pending& pending);
  status::v1alpha1::ObjectStatus StatusOf(const Pending& pending, const std::string& name) const;

  Loop* const loop_;
  const Clock* const clock_;
  Journal* const journal_;
  const std::string node_;
  const OnChange on_change_;
  DesiredStates states_;
  std::map<std::string, ServiceStatus> said_;  // by key
  std::list<Pending> pending_;
};

}  // namespace portolan::datapath
