#include "services/config-service/shell/netconf/notice_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace portolan::config {
namespace {

using Json = nlohmann::json;

// Where the objects of notices stand in the operational state.
struct Table {
  const char* leaf;  // who has it, is of this table; the first counts
  const char* top;
  const char* container;
  const char* list;
  std::vector<const char*> keys;
};

const std::vector<Table>& Tables() {
  static const auto* const tables = new std::vector<Table>{
      {"interface",
       "portolan-l2:l2",
       "portolan-network-state:announcements",
       "announcement",
       {"node", "interface", "address"}},
      {"peer",
       "portolan-bgp:bgp",
       "portolan-network-state:sessions",
       "session",
       {"node", "instance", "peer"}},
      {"address",
       "portolan-ipam:ipam",
       "portolan-state:allocations",
       "allocation",
       {"address", "service"}},
      {"pool",
       "portolan-ipam:ipam",
       "portolan-state:pool-states",
       "pool-state",
       {"pool", "family"}},
  };
  return *tables;
}

const std::string* Find(const Notice& notice, absl::string_view name) {
  for (const auto& [leaf, value] : notice.leaves) {
    if (name == leaf) return &value;
  }
  return nullptr;
}

// What a peer said may have characters that XML does not.
std::string Escaped(const std::string& text) {
  std::string clean = text;
  std::replace_if(
      clean.begin(), clean.end(),
      [](char c) { return absl::ascii_iscntrl(c) && c != '\t' && c != '\n'; }, ' ');
  return absl::StrReplaceAll(clean, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

}  // namespace

std::string ToXml(const Notice& notice) {
  std::string xml =
      absl::StrCat("<", notice.name, " xmlns=\"urn:portolan:yang:", notice.module, "\">");
  for (const auto& [leaf, value] : notice.leaves) {
    absl::StrAppend(&xml, "<", leaf, ">", Escaped(value), "</", leaf, ">");
  }
  return absl::StrCat(xml, "</", notice.name, ">");
}

std::string PlaceOf(const Notice& notice) {
  for (const Table& table : Tables()) {
    if (Find(notice, table.leaf) == nullptr) continue;
    Json entry;
    for (const char* key : table.keys) {
      const std::string* value = Find(notice, key);
      // A conflict is of a pool as a whole.
      entry[key] = value != nullptr ? *value : "ipv4";
    }
    Json text;
    text[table.top][table.container][table.list] = Json::array({std::move(entry)});
    return text.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return "";
}

}  // namespace portolan::config
