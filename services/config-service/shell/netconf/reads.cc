#include "services/config-service/shell/netconf/reads.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/base/yang/filter.h"
#include "services/config-service/shell/netconf/arguments.h"

namespace portolan::config {
namespace {

using netconf::Reply;

Reply Failed(const absl::Status& status) {
  return Reply::Refuse(
      {{.tag = absl::IsInvalidArgument(status) ? "invalid-value" : "operation-failed",
        .message = std::string(status.message())}});
}

// RFC 6243, section 3; the basic mode is explicit.
yang::Defaults DefaultsOf(yang::Node input, yang::Defaults otherwise) {
  const std::string mode = TextOf(input, "with-defaults").value_or("");
  if (mode == "report-all") return yang::Defaults::kAll;
  if (mode == "report-all-tagged") return yang::Defaults::kTagged;
  if (mode == "trim") return yang::Defaults::kTrim;
  return mode == "explicit" ? yang::Defaults::kExplicit : otherwise;
}

// All that the filter can select.
yang::Touched ScopeOfFilter(yang::Node filter) {
  if (!filter) return {.everything = true};
  if (yang::Attribute(filter, "ietf-netconf:type") == "xpath") {
    return ScopeOf(yang::Attribute(filter, "ietf-netconf:select"));
  }
  return yang::TouchedByFilter(filter, ServiceList());
}

// The same of get-data.
yang::Touched ScopeOfGetData(yang::Node input) {
  if (const yang::Node subtree = input.Child("subtree-filter"); subtree) {
    return yang::TouchedByFilter(subtree, ServiceList());
  }
  const auto xpath = TextOf(input, "xpath-filter");
  return xpath.has_value() ? ScopeOf(*xpath) : yang::Touched{.everything = true};
}

// As <filter> says (RFC 6241, sections 6 and 8.9.5.2).
absl::StatusOr<yang::Tree> Filtered(yang::Tree tree, yang::Node filter) {
  if (!filter) return tree;
  const std::string type = yang::Attribute(filter, "ietf-netconf:type");
  if (type == "xpath") {
    const std::string select = yang::Attribute(filter, "ietf-netconf:select");
    if (select.empty()) return absl::InvalidArgumentError("the filter has no attribute select");
    return tree.Select(select);
  }
  return yang::SubtreeFilter(tree, filter);
}

Reply Printed(const yang::Tree& tree, yang::Defaults defaults) {
  return Reply::Xml(tree.Print(yang::Format::kXml, defaults));
}

}  // namespace

std::optional<Reply> Reads::Handle(const netconf::SessionInfo& session,
                                   const netconf::Request& request) {
  if (request.module == "ietf-netconf") {
    if (request.operation == "get") return Get(session, request.input);
    if (request.operation == "get-config") return GetConfig(session, request.input);
  }
  if (request.module == "ietf-netconf-nmda" && request.operation == "get-data") {
    return GetData(session, request.input);
  }
  if (request.module == "ietf-netconf-monitoring" && request.operation == "get-schema") {
    return GetSchema(request.input);
  }
  return std::nullopt;
}

absl::StatusOr<yang::Tree> Reads::WithState(const netconf::SessionInfo& session,
                                            const yang::Touched& scope) {
  ASSIGN_OR_RETURN(yang::Tree tree, datastores_->ReadPart(Datastore::kRunning, scope));
  ASSIGN_OR_RETURN(const yang::Tree state, state_->State());
  RETURN_IF_ERROR(tree.Merge(state));
  gate_->FilterRead(session, &tree);
  return tree;
}

Reply Reads::Get(const netconf::SessionInfo& session, yang::Node input) {
  absl::StatusOr<yang::Tree> tree = WithState(session, ScopeOfFilter(input.Child("filter")));
  if (tree.ok()) tree = Filtered(*std::move(tree), input.Child("filter"));
  if (!tree.ok()) return Failed(tree.status());
  return Printed(*tree, DefaultsOf(input, yang::Defaults::kExplicit));
}

Reply Reads::GetConfig(const netconf::SessionInfo& session, yang::Node input) {
  const std::optional<Datastore> source = DatastoreOf(input.Child("source"));
  if (!source.has_value()) return Refuse("invalid-value", "the source is no datastore of ours");
  const yang::Node filter = input.Child("filter");
  absl::StatusOr<yang::Tree> tree = datastores_->ReadPart(*source, ScopeOfFilter(filter));
  if (!tree.ok()) return Failed(tree.status());
  gate_->FilterRead(session, &*tree);
  tree = Filtered(*std::move(tree), filter);
  if (!tree.ok()) return Failed(tree.status());
  return Printed(*tree, DefaultsOf(input, yang::Defaults::kExplicit));
}

Reply Reads::GetData(const netconf::SessionInfo& session, yang::Node input) {
  const std::string name = TextOf(input, "datastore").value_or("");
  const bool operational = name == "ietf-datastores:operational";
  // What is intended is what runs: nothing is templated or inactive.
  const std::optional<Datastore> source = name == "ietf-datastores:intended"
                                              ? Datastore::kRunning
                                              : DatastoreOf(input.Child("datastore"));
  if (!operational && !source.has_value()) {
    return Refuse("invalid-value", absl::StrCat("there is no datastore ", name));
  }
  const yang::Touched scope = ScopeOfGetData(input);
  absl::StatusOr<yang::Tree> tree =
      operational ? WithState(session, scope) : datastores_->ReadPart(*source, scope);
  if (!tree.ok()) return Failed(tree.status());
  if (!operational) gate_->FilterRead(session, &*tree);
  if (const yang::Node subtree = input.Child("subtree-filter"); subtree) {
    tree = yang::SubtreeFilter(*tree, subtree);
  } else if (const auto xpath = TextOf(input, "xpath-filter"); xpath.has_value()) {
    tree = tree->Select(*xpath);
    if (!tree.ok()) return Failed(tree.status());
  }
  if (const auto config = TextOf(input, "config-filter"); config.has_value()) {
    tree = yang::OfKind(*tree, *config == "true" ? yang::Kind::kConfiguration : yang::Kind::kState);
  }
  uint32_t depth = 0;
  if (absl::SimpleAtoi(TextOf(input, "max-depth").value_or(""), &depth)) {
    tree = yang::ToDepth(*tree, depth);
  }
  // Of what operates, what is in use counts, whoever said it.
  return Printed(*tree,
                 DefaultsOf(input, operational ? yang::Defaults::kAll : yang::Defaults::kExplicit));
}

Reply Reads::GetSchema(yang::Node input) const {
  const std::string name = TextOf(input, "identifier").value_or("");
  const std::string version = TextOf(input, "version").value_or("");
  const std::string format = TextOf(input, "format").value_or("ietf-netconf-monitoring:yang");
  if (format != "ietf-netconf-monitoring:yang") {
    return Refuse("invalid-value", absl::StrCat("schemas come as YANG, not as ", format));
  }
  std::optional<std::string> text = context_->Source(name, version);
  if (!text.has_value()) {
    return Refuse("invalid-value", absl::StrCat("there is no schema ", name,
                                                version.empty() ? "" : " of ", version));
  }
  return Reply::Text(*std::move(text));
}

}  // namespace portolan::config
