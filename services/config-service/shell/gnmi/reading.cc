#include "services/config-service/shell/gnmi/reading.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/gnmi/path.h"

namespace portolan::config {
namespace {

using nlohmann::json;

// The part that nodes are looked for in. What may not be read is gone before the path is followed,
// which must not find it.
absl::StatusOr<yang::Tree> PartOf(const View& view, const std::string& xpath) {
  std::optional<yang::Tree> part;
  if (view.configuration != nullptr) {
    if (xpath == "/" || !view.caller->unlimited()) {
      part = view.configuration->ToTree();
    } else {
      ASSIGN_OR_RETURN(part, view.configuration->Select(xpath));
    }
    part->RemoveSecrets();
  }
  if (view.state != nullptr) {
    if (part.has_value()) {
      RETURN_IF_ERROR(part->Merge(*view.state));
    } else {
      part = view.state->Duplicate();
    }
  }
  view.caller->FilterRead(&*part);
  return *std::move(part);
}

void Add(yang::Node node, std::vector<Instance>* instances) {
  json value = json::parse(node.ToJson());
  // Of a container that nobody put there nothing is printed.
  if (!value.empty()) value = json(std::move(value.begin().value()));
  if (!value.is_array()) {
    instances->push_back({PathOf(node), value.dump()});
    return;
  }
  json item = std::move(value.front());
  if (item.is_object()) {
    instances->push_back({PathOf(node), item.dump()});
    return;
  }
  // The values of a leaf-list have one path, and stand side by side.
  ::gnmi::Path path = PathOf(node);
  if (!instances->empty() && ToText(instances->back().path) == ToText(path)) {
    json all = json::parse(instances->back().json);
    all.push_back(std::move(item));
    instances->back().json = all.dump();
  } else {
    instances->push_back({std::move(path), json::array({std::move(item)}).dump()});
  }
}

void AddLeaves(yang::Node node, std::vector<Instance>* instances) {
  if (!node.first_child()) {
    Add(node, instances);
    // A container that is empty says something only when it was put there.
    if (instances->back().json == "{}" && node.is_default()) instances->pop_back();
    return;
  }
  for (yang::Node child = node.first_child(); child; child = child.next_sibling()) {
    AddLeaves(child, instances);
  }
}

template <typename Collect>
absl::StatusOr<std::vector<Instance>> Collected(const View& view, const std::string& xpath,
                                                Collect collect) {
  ASSIGN_OR_RETURN(const yang::Tree part, PartOf(view, xpath));
  ASSIGN_OR_RETURN(const std::vector<yang::Node> nodes, part.Find(xpath == "/" ? "/*" : xpath));
  std::vector<Instance> instances;
  for (const yang::Node& node : nodes) collect(node, &instances);
  return instances;
}

}  // namespace

absl::StatusOr<std::vector<Instance>> InstancesOf(const View& view, const std::string& xpath) {
  if (xpath != "/") return Collected(view, xpath, &Add);
  ASSIGN_OR_RETURN(const yang::Tree all, PartOf(view, xpath));
  return std::vector<Instance>{{{}, all.Print(yang::Format::kJson, yang::Defaults::kAll)}};
}

absl::StatusOr<std::vector<Instance>> LeavesOf(const View& view, const std::string& xpath) {
  return Collected(view, xpath, &AddLeaves);
}

::gnmi::TypedValue ToValue(const std::string& json, ::gnmi::Encoding encoding) {
  ::gnmi::TypedValue value;
  if (encoding == ::gnmi::JSON) {
    value.set_json_val(json);
  } else {
    value.set_json_ietf_val(json);
  }
  return value;
}

absl::Status CheckEncoding(::gnmi::Encoding encoding) {
  if (encoding == ::gnmi::JSON || encoding == ::gnmi::JSON_IETF) return absl::OkStatus();
  return absl::UnimplementedError("values are told in JSON_IETF; ask for that encoding");
}

}  // namespace portolan::config
