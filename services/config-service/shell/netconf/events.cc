#include "services/config-service/shell/netconf/events.h"

#include <cctype>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace portolan::config {
namespace {

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Leaf(const char* name, const std::string& text) {
  return absl::StrCat("<", name, ">", Escaped(text), "</", name, ">");
}

std::string Named(const char* name, const std::string& content) {
  return absl::StrCat("<", name,
                      " xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-notifications\">", content,
                      "</", name, ">");
}

std::string Common(const netconf::SessionInfo& session) {
  return absl::StrCat(Leaf("username", session.user), Leaf("session-id", absl::StrCat(session.id)),
                      session.host.empty() ? "" : Leaf("source-host", session.host));
}

std::string Common(const By& by) {
  return absl::StrCat(Leaf("username", by.user), Leaf("session-id", absl::StrCat(by.session)));
}

bool IsNameStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// RFC 7951 writes a module's name where it changes; in XML every name of an instance-identifier has
// a prefix (RFC 7950, section 9.13.2). The prefixes are the names of the modules.
std::string Prefixed(const std::string& path, std::map<std::string, bool>* modules) {
  std::string out;
  std::string module;
  char quote = 0;
  for (size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    out.push_back(c);
    if (quote != 0) {
      if (c == quote) quote = 0;
      continue;
    }
    if (c == '\'' || c == '"') quote = c;
    if ((c != '/' && c != '[') || i + 1 == path.size() || !IsNameStart(path[i + 1])) continue;
    const size_t end = path.find_first_of("/[]=", i + 1);
    const std::string name = path.substr(i + 1, end == std::string::npos ? end : end - i - 1);
    const size_t colon = name.find(':');
    if (colon == std::string::npos) {
      absl::StrAppend(&out, module, ":", name);
    } else {
      if (c == '/') module = name.substr(0, colon);
      (*modules)[name.substr(0, colon)] = true;
      out += name;
    }
    i += name.size();
  }
  return out;
}

const char* OperationOf(yang::Difference::Kind kind) {
  switch (kind) {
    case yang::Difference::Kind::kAdded:
      return "create";
    case yang::Difference::Kind::kRemoved:
      return "delete";
    default:
      return "replace";
  }
}

}  // namespace

std::string SessionStart(const netconf::SessionInfo& session) {
  return Named("netconf-session-start", Common(session));
}

std::string SessionEnd(const netconf::SessionInfo& session, const netconf::Ending& ending) {
  return Named(
      "netconf-session-end",
      absl::StrCat(Common(session),
                   ending.killed_by == 0 ? "" : Leaf("killed-by", absl::StrCat(ending.killed_by)),
                   Leaf("termination-reason", ending.reason)));
}

std::string ConfigChange(const yang::Context& context, const By& by,
                         const yang::Comparison& comparison) {
  std::string content =
      absl::StrCat("<changed-by>", by.user == "portolan" ? "<server/>" : Common(by),
                   "</changed-by>", Leaf("datastore", "running"));
  for (const yang::Difference& difference : comparison.differences) {
    std::map<std::string, bool> modules;
    const std::string target = Prefixed(difference.path, &modules);
    absl::StrAppend(&content, "<edit><target");
    for (const yang::Context::ModuleInfo& module : context.Modules()) {
      if (!module.implemented || modules.count(module.name) == 0) continue;
      absl::StrAppend(&content, " xmlns:", module.name, "=\"", module.xml_namespace, "\"");
    }
    absl::StrAppend(&content, ">", Escaped(target), "</target>",
                    Leaf("operation", OperationOf(difference.kind)), "</edit>");
  }
  return Named("netconf-config-change", content);
}

std::string ConfirmedCommit(const By& by, const std::string& event,
                            std::optional<uint32_t> timeout_s) {
  return Named(
      "netconf-confirmed-commit",
      absl::StrCat(event == "timeout" ? "" : Common(by), Leaf("confirm-event", event),
                   timeout_s.has_value() ? Leaf("timeout", absl::StrCat(*timeout_s)) : ""));
}

}  // namespace portolan::config
