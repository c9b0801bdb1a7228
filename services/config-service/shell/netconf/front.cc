#include "services/config-service/shell/netconf/front.h"

#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/config-service/shell/netconf/arguments.h"
#include "services/config-service/shell/netconf/events.h"

namespace portolan::config {
namespace {

using netconf::Reply;
using netconf::Request;
using netconf::SessionInfo;

constexpr const char* kTransports[] = {"a UNIX socket", "SSH", "TLS"};

Author AuthorOf(const SessionInfo& session) {
  Author author;
  author.user = session.user;
  author.authenticated = true;
  author.origin = absl::StrCat("NETCONF session ", session.id, " over ",
                               kTransports[static_cast<size_t>(session.transport)]);
  if (!session.host.empty()) absl::StrAppend(&author.origin, " from ", session.host);
  return author;
}

}  // namespace

Front::Front(Parts parts)
    : parts_(std::move(parts)),
      reads_(parts_.context, parts_.datastores, parts_.state, parts_.gate),
      edits_(parts_.datastores, [this](uint64_t session, Datastore datastore, bool locked) {
        parts_.state->OnLock(session, datastore, locked, parts_.clock->WallNow());
      }) {
  parts_.datastores->SetWriteCheck(
      [this](uint64_t session, const Draft& before, const Draft& after) {
        return CheckWrite(session, before, after);
      });
}

RpcErrors Front::CheckWrite(uint64_t session, const Draft& before, const Draft& after) {
  netconf::SessionInfo info;
  {
    absl::MutexLock lock(&mutex_);
    info = sessions_[session];
  }
  return parts_.gate->CheckWrite(info, before, after);
}

void Front::OnOpen(const SessionInfo& session) {
  {
    absl::MutexLock lock(&mutex_);
    sessions_[session.id] = session;
  }
  parts_.datastores->OpenSession(session.id, AuthorOf(session));
  parts_.notices->Tell("ietf-netconf-notifications", "netconf-session-start",
                       SessionStart(session));
}

void Front::OnClosed(const SessionInfo& session, const netconf::Ending& ending) {
  parts_.notices->OnClosed(session.id);
  parts_.datastores->CloseSession(session.id);
  parts_.state->OnClosed(session.id);
  {
    absl::MutexLock lock(&mutex_);
    sessions_.erase(session.id);
  }
  parts_.notices->Tell("ietf-netconf-notifications", "netconf-session-end",
                       SessionEnd(session, ending));
}

Reply Front::OnRequest(const SessionInfo& session, const Request& request) {
  if (RpcErrors denied = request.parent.empty()
                             ? parts_.gate->MayCall(session, request.module, request.operation)
                             : parts_.gate->MayAct(session, request.input);
      !denied.empty()) {
    return ToReply(denied);
  }
  if (request.module == "ietf-netconf") {
    if (request.operation == "close-session") return {.kind = Reply::Kind::kClose};
    if (request.operation == "kill-session") return Kill(session, request.input);
  }
  if (std::optional<Reply> reply = reads_.Handle(session, request)) return *std::move(reply);
  if (std::optional<Reply> reply = edits_.Handle(session, request)) return *std::move(reply);
  if (std::optional<Reply> reply = parts_.notices->Handle(session, request)) {
    return *std::move(reply);
  }
  if (std::optional<Reply> reply = parts_.actions->Handle(request)) return *std::move(reply);
  return Refuse("operation-not-supported",
                absl::StrCat(request.operation, " of ", request.module, " is not supported here"));
}

Reply Front::Kill(const SessionInfo& session, yang::Node input) {
  uint32_t victim = 0;
  if (!absl::SimpleAtoi(TextOf(input, "session-id").value_or(""), &victim)) {
    return Refuse("missing-element", "the element session-id is missing");
  }
  RpcErrors errors = parts_.datastores->KillSession(session.id, victim);
  if (errors.empty()) server_->Kill(victim, session.id);
  return ToReply(errors);
}

bool Front::IsPassword(const std::string& user, const std::string& password) {
  return parts_.users->IsPassword(user, password);
}

bool Front::IsKey(const std::string& user, const std::string& key) {
  return parts_.users->IsKey(user, key);
}

void Front::OnRefused(netconf::Transport transport, const std::string& host,
                      const absl::Status& why) {
  parts_.log->Info("a NETCONF connection came to no session",
                   {{"transport", kTransports[static_cast<size_t>(transport)]},
                    {"from", host},
                    {"reason", std::string(why.message())}});
}

}  // namespace portolan::config
