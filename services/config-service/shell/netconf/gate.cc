#include "services/config-service/shell/netconf/gate.h"

#include "services/base/yang/filter.h"
#include "services/config-service/shell/unix_user.h"

namespace portolan::config {
namespace {

// Only who came over the UNIX socket is a user of this machine.
Subject SubjectOf(const netconf::SessionInfo& session) {
  Subject subject{.user = session.user, .external_groups = {}, .recovery = session.superuser};
  if (!subject.recovery && session.transport == netconf::Transport::kUnix) {
    subject.external_groups = UnixGroupsOf(session.user);
  }
  return subject;
}

}  // namespace

RpcErrors Gate::MayCall(const netconf::SessionInfo& session, absl::string_view module,
                        absl::string_view operation) {
  return access_->MayCall(SubjectOf(session), module, operation,
                          context_->DenyOf(module, operation));
}

RpcErrors Gate::MayAct(const netconf::SessionInfo& session, yang::Node action) {
  return access_->MayAct(SubjectOf(session), action);
}

void Gate::FilterRead(const netconf::SessionInfo& session, yang::Tree* tree) {
  access_->FilterRead(SubjectOf(session), tree);
}

RpcErrors Gate::CheckWrite(const netconf::SessionInfo& session, const Draft& before,
                           const Draft& after) {
  const Subject subject = SubjectOf(session);
  if (subject.recovery) return {};
  const yang::Touched touched = after.ChangedFrom(before);
  return access_->CheckWrite(subject, before.Part(touched), after.Part(touched));
}

bool Gate::MayRead(const netconf::SessionInfo& session, const std::string& state) {
  const Subject subject = SubjectOf(session);
  if (state.empty() || subject.recovery) return true;
  absl::StatusOr<yang::Tree> tree = yang::ParseState(context_, state, yang::Format::kJson);
  if (!tree.ok()) return false;
  const std::string all = tree->Print(yang::Format::kJson, yang::Defaults::kExplicit);
  access_->FilterRead(subject, &*tree);
  return tree->Print(yang::Format::kJson, yang::Defaults::kExplicit) == all;
}

bool Gate::MayReceive(const netconf::SessionInfo& session, absl::string_view module,
                      absl::string_view notification) {
  return access_->MayNotify(SubjectOf(session), module, notification,
                            context_->DenyOf(module, notification));
}

}  // namespace portolan::config
