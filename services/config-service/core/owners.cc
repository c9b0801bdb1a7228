#include "services/config-service/core/owners.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::config {
namespace {

constexpr size_t kMaxRefusals = 20;
constexpr char kRule[] = "owned";

struct Kind {
  const char* name;
  const char* owner;  // "belongs to ..."
  const char* remedy;
};

const Kind& KindOf(Writer writer) {
  static constexpr Kind kKinds[] = {
      {"operator", "operators, who wrote it over the command line, NETCONF or gNMI",
       "take it out of what you commit, or delete it there first (portolan config delete PATH)"},
      {"file", "the configuration file that Portolan was started with",
       "edit that file and reload it (SIGHUP), or commit with take-over (--take-over)"},
      {"kube", "Kubernetes, whose objects it follows",
       "edit the object in Kubernetes, or commit with take-over (--take-over)"},
  };
  return kKinds[static_cast<size_t>(writer)];
}

}  // namespace

const char* NameOf(Writer writer) { return KindOf(writer).name; }

std::vector<Problem> RefusalOf(const Owners& owners, const std::vector<TouchedEntry>& touched,
                               Writer writer) {
  std::vector<Problem> problems;
  size_t more = 0;
  for (const TouchedEntry& entry : touched) {
    const auto owner = owners->find(entry.path);
    if (owner == owners->end() || owner->second == writer) continue;
    if (problems.size() >= kMaxRefusals) {
      ++more;
      continue;
    }
    const Kind& kind = KindOf(owner->second);
    problems.push_back(
        {.path = entry.path,
         .rule = kRule,
         .message = absl::StrCat("it belongs to ", kind.owner, ", and ", NameOf(writer),
                                 " may not ", entry.exists ? "change" : "remove", " it"),
         .remedy = kind.remedy});
  }
  if (more > 0) {
    problems.push_back(
        {.rule = kRule,
         .message = absl::StrCat("and ", more, " more entries that belong to others"),
         .remedy = "see who has what: portolan config owners"});
  }
  return problems;
}

Owners OwnersAfter(const Owners& owners, const std::vector<TouchedEntry>& touched, Writer writer) {
  const auto is_so = [&](const TouchedEntry& entry) {
    const auto owner = owners->find(entry.path);
    return entry.exists ? owner != owners->end() && owner->second == writer
                        : owner == owners->end();
  };
  if (std::all_of(touched.begin(), touched.end(), is_so)) return owners;
  std::map<std::string, Writer> after = *owners;
  for (const TouchedEntry& entry : touched) {
    if (entry.exists) {
      after[entry.path] = writer;
    } else {
      after.erase(entry.path);
    }
  }
  return after;
}

}  // namespace portolan::config
