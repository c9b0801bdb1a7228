#include "services/datapath-loader/shell/policy_rules.h"

#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "services/datapath-loader/shell/file_descriptor.h"

namespace portolan::datapath {
namespace {

// A rule that sends everything to one of the three tables.
bool IsDefault(const nlmsghdr* header) {
  const auto* rule = static_cast<const fib_rule_hdr*>(NLMSG_DATA(header));
  const bool table = rule->table == RT_TABLE_LOCAL || rule->table == RT_TABLE_MAIN ||
                     rule->table == RT_TABLE_DEFAULT;
  if (!table || rule->action != FR_ACT_TO_TBL) return false;
  if (rule->src_len != 0 || rule->dst_len != 0 || rule->tos != 0) return false;
  int left = static_cast<int>(header->nlmsg_len) - NLMSG_LENGTH(sizeof(*rule));
  const auto* attribute = reinterpret_cast<const rtattr*>(rule + 1);
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    switch (attribute->rta_type) {
      case FRA_TABLE:
      case FRA_PRIORITY:
      case FRA_SUPPRESS_PREFIXLEN:
      case FRA_PROTOCOL:
        continue;
      default:
        return false;  // looks at something
    }
  }
  return true;
}

std::optional<bool> HasRulesOf(uint8_t family) {
  const FileDescriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    fib_rule_hdr rule;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETRULE;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.rule.family = family;
  if (!fd.ok() || send(fd.get(), &request, sizeof(request), 0) < 0) return std::nullopt;
  alignas(nlmsghdr) char buffer[16384];
  while (true) {
    int size = static_cast<int>(recv(fd.get(), buffer, sizeof(buffer), 0));
    if (size <= 0) return std::nullopt;
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer);
    for (; NLMSG_OK(header, static_cast<uint32_t>(size)); header = NLMSG_NEXT(header, size)) {
      if (header->nlmsg_type == NLMSG_DONE) return false;
      if (header->nlmsg_type != RTM_NEWRULE) return std::nullopt;
      if (!IsDefault(header)) return true;
    }
  }
}

}  // namespace

bool HasPolicyRules() {
  return HasRulesOf(AF_INET).value_or(true) || HasRulesOf(AF_INET6).value_or(true);
}

}  // namespace portolan::datapath
