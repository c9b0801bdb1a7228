#include "services/config-service/shell/netconf/state.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/base/status/status_macros.h"
#include "services/base/yang/filter.h"
#include "services/config-service/shell/netconf/arguments.h"

namespace portolan::config {
namespace {

constexpr const char* kNames[kDatastores] = {"running", "candidate", "startup"};
constexpr const char* kTransports[] = {"netconf-unix", "netconf-ssh", "netconf-tls"};

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

std::string Leaf(const char* name, const std::string& text) {
  return absl::StrCat("<", name, ">", Escaped(text), "</", name, ">");
}

// Of RFC 6991, counter32: it begins again after the largest value.
std::string Count32(uint64_t count) { return absl::StrCat(static_cast<uint32_t>(count)); }

std::string CounterLeaves(const netconf::Counters& counters) {
  return absl::StrCat(Leaf("in-rpcs", absl::StrCat(counters.in_rpcs)),
                      Leaf("in-bad-rpcs", absl::StrCat(counters.in_bad_rpcs)),
                      Leaf("out-rpc-errors", absl::StrCat(counters.out_rpc_errors)),
                      Leaf("out-notifications", absl::StrCat(counters.out_notifications)));
}

std::string SchemaList(const yang::Context& context) {
  std::string xml = "<schemas>";
  for (const yang::Context::ModuleInfo& module : context.Modules()) {
    absl::StrAppend(&xml, "<schema>", Leaf("identifier", module.name),
                    Leaf("version", module.revision), Leaf("format", "yang"),
                    Leaf("namespace", module.xml_namespace), Leaf("location", "NETCONF"),
                    "</schema>");
  }
  return xml + "</schemas>";
}

// What ietf-netconf-monitoring has an identity for; a UNIX socket has none.
std::string SessionList(netconf::Server* server) {
  std::string xml;
  for (const auto& [session, counters] : server->Sessions()) {
    if (session.transport == netconf::Transport::kUnix) continue;
    absl::StrAppend(&xml, "<session>", Leaf("session-id", absl::StrCat(session.id)),
                    Leaf("transport", kTransports[static_cast<size_t>(session.transport)]),
                    Leaf("username", session.user), Leaf("source-host", session.host),
                    Leaf("login-time", DateAndTime(session.since)), CounterLeaves(counters),
                    "</session>");
  }
  return xml.empty() ? xml : absl::StrCat("<sessions>", xml, "</sessions>");
}

std::string Statistics(const netconf::Totals& totals, absl::Time start) {
  return absl::StrCat("<statistics>", Leaf("netconf-start-time", DateAndTime(start)),
                      Leaf("in-bad-hellos", absl::StrCat(totals.bad_hellos)),
                      Leaf("in-sessions", absl::StrCat(totals.sessions)),
                      Leaf("dropped-sessions", absl::StrCat(totals.dropped)),
                      CounterLeaves(totals.counters), "</statistics>");
}

std::string DenialCounters(const Access::Counters& counters) {
  return absl::StrCat("<nacm xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-acm\">",
                      Leaf("denied-operations", Count32(counters.denied_operations)),
                      Leaf("denied-data-writes", Count32(counters.denied_data_writes)),
                      Leaf("denied-notifications", Count32(counters.denied_notifications)),
                      "</nacm>");
}

}  // namespace

void NetconfState::OnLock(uint64_t session, Datastore datastore, bool locked, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  locks_[static_cast<size_t>(datastore)] = locked ? Lock{session, now} : Lock();
}

void NetconfState::OnClosed(uint64_t session) {
  absl::MutexLock lock(&mutex_);
  for (Lock& held : locks_) {
    if (held.session == session) held = Lock();
  }
}

std::string NetconfState::DatastoreList() {
  absl::MutexLock lock(&mutex_);
  std::string xml = "<datastores>";
  for (size_t i = 0; i < kDatastores; ++i) {
    absl::StrAppend(&xml, "<datastore>", Leaf("name", kNames[i]));
    if (locks_[i].session != 0) {
      absl::StrAppend(&xml, "<locks><global-lock>",
                      Leaf("locked-by-session", absl::StrCat(locks_[i].session)),
                      Leaf("locked-time", DateAndTime(locks_[i].since)), "</global-lock></locks>");
    }
    absl::StrAppend(&xml, "</datastore>");
  }
  return xml + "</datastores>";
}

std::string NetconfState::Monitoring() {
  std::string capabilities = "<capabilities>";
  for (const std::string& uri : server_->Capabilities()) {
    absl::StrAppend(&capabilities, Leaf("capability", uri));
  }
  return absl::StrCat(
      "<netconf-state xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring\">", capabilities,
      "</capabilities>", DatastoreList(), SchemaList(*context_), SessionList(server_),
      Statistics(server_->totals(), start_), "</netconf-state>");
}

absl::StatusOr<yang::Tree> NetconfState::State() {
  const std::string streams = absl::StrCat(
      "<netconf xmlns=\"urn:ietf:params:xml:ns:netmod:notification\"><streams><stream>",
      Leaf("name", "NETCONF"), Leaf("description", "everything that Portolan's NETCONF tells"),
      Leaf("replaySupport", "true"), Leaf("replayLogCreationTime", DateAndTime(start_)),
      "</stream></streams></netconf>");
  ASSIGN_OR_RETURN(
      yang::Tree tree,
      yang::ParseState(context_, Monitoring() + streams + DenialCounters(access_->counters()),
                       yang::Format::kXml));
  RETURN_IF_ERROR(tree.Merge(yang::YangLibrary(context_)));
  RETURN_IF_ERROR(tree.Merge(operational_->Read()));
  return tree;
}

}  // namespace portolan::config
