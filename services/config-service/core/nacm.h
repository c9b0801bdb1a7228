// Access control of NETCONF (NACM, RFC 8341): may this user call, read, write, hear this?
//
// Pure values: the rules as configured, the user, and a policy, which is what of the rules concerns
// one user. The first rule that matches decides; without one, what the model denies by default
// (default-deny-all, default-deny-write); then the defaults. The recovery session may everything.
// Data is walked from the top: a Position is a node, and what the rules' paths make of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "services/config-service/core/nacm_path.h"

namespace portolan::config {

// Of RFC 8341, section 3.2.2; a set of them is the sum.
enum AccessOperation : uint8_t {
  kAccessCreate = 1,
  kAccessRead = 2,
  kAccessUpdate = 4,
  kAccessDelete = 8,
  kAccessExec = 16,
};
inline constexpr uint8_t kAccessAll = 31;

// What the model itself says of a node (RFC 8341, section 3.5).
enum class DenyByDefault : uint8_t { kNothing, kWrite, kAll };

struct NacmRule {
  enum class Kind : uint8_t { kAny, kOperation, kNotification, kData };
  std::string name;
  std::string module = "*";
  Kind kind = Kind::kAny;
  std::string target;          // of an operation or notification: its name, or "*"
  std::vector<PathStep> path;  // of data
  uint8_t operations = kAccessAll;
  bool permit = false;
  friend bool operator==(const NacmRule&, const NacmRule&) = default;
};

struct NacmRuleList {
  std::string name;
  std::vector<std::string> groups;  // "*": everybody who is in a group
  std::vector<NacmRule> rules;
  friend bool operator==(const NacmRuleList&, const NacmRuleList&) = default;
};

// As configured; these are the defaults of RFC 8341.
struct NacmRules {
  bool enabled = true;
  bool read_default = true;
  bool write_default = false;
  bool exec_default = true;
  bool external_groups = true;
  std::map<std::string, std::vector<std::string>> groups;  // users by group
  std::vector<NacmRuleList> rule_lists;
  friend bool operator==(const NacmRules&, const NacmRules&) = default;
};

// Whose members may do everything as long as no rule-list is configured.
inline constexpr char kAdminGroup[] = "portolan-admin";

// With that rule-list where there is none, and with root in that group where it is not configured.
NacmRules WithAdminGroup(NacmRules rules);

// Who asks.
struct Subject {
  std::string user;
  std::vector<std::string> external_groups;  // that the transport knows of
  bool recovery = false;                     // nothing is asked
};

// The first rule that matched, or the default that decided.
struct Verdict {
  enum class By : uint8_t { kRule, kModel, kDefault, kNobody };
  bool permitted = true;
  By by = By::kNobody;  // kNobody: there is nothing to decide
  size_t rule = 0;      // with kRule: in NacmPolicy
};

class NacmPolicy {
 public:
  NacmPolicy(const NacmRules& rules, const Subject& subject);

  // Everything is permitted: recovery session, or not enabled.
  bool unlimited() const { return unlimited_; }

  // RFC 8341, section 3.4.4. close-session is always permitted; kill-session and delete-config need
  // a rule.
  Verdict OnOperation(absl::string_view module, absl::string_view name, DenyByDefault model) const;

  // Section 3.4.6. replayComplete and notificationComplete are always permitted.
  Verdict OnNotification(absl::string_view module, absl::string_view name,
                         DenyByDefault model) const;

  // Above all data, or at a node. Good as long as its policy.
  class Position {
   public:
    absl::string_view module() const { return module_; }
    // No path leads further down: what a rule says here it says of all below that is of the same
    // module.
    bool settled() const { return settled_; }

   private:
    friend class NacmPolicy;
    absl::string_view module_;
    bool settled_ = false;
    // Steps of each rule's path that lead here. kNowhere: it leads elsewhere.
    absl::InlinedVector<uint16_t, 16> reached_;
  };
  Position Root() const;
  // A child of `parent`. `module` outlives the position. `value_of` answers the value of a key of
  // the node, or its own for ".".
  Position Enter(const Position& parent, absl::string_view module, absl::string_view name,
                 absl::FunctionRef<std::string(absl::string_view key)> value_of) const;

  // Section 3.4.5; for one operation. Ancestors are the caller's to ask.
  Verdict OnData(const Position& position, AccessOperation operation, DenyByDefault model) const;

  // Why not, and what would help: for a person. `what`: "update /a:b".
  std::string Explain(const Verdict& verdict, absl::string_view what) const;

 private:
  struct Applied {
    NacmRule rule;
    std::string rule_list;
  };

  Verdict Otherwise(bool denied_by_model, bool permitted) const;

  std::string user_;
  std::vector<std::string> groups_;
  bool admin_group_helps_ = false;
  bool unlimited_ = false;
  bool read_default_ = true;
  bool write_default_ = false;
  bool exec_default_ = true;
  std::vector<Applied> rules_;
};

}  // namespace portolan::config
