#include "services/config-service/shell/gnmi/setting.h"

#include <string>
#include <utility>

#include "services/config-service/shell/gnmi/path.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {
namespace {

Edited Refused(const absl::Status& status) {
  return {std::nullopt, {{.rule = "path", .message = std::string(status.message())}}};
}

Edited Without(const Draft& draft, const std::string& xpath) {
  if (xpath == "/") {
    const yang::Touched everything{.everything = true};
    yang::Tree part = draft.Part(everything);
    std::vector<yang::Node> tops;
    for (yang::Node top = part.first(); top; top = top.next_sibling()) tops.push_back(top);
    part.Remove(tops);
    return {draft.With(everything, std::move(part)), {}};
  }
  const yang::Touched touched = ScopeOf(xpath);
  yang::Tree part = draft.Part(touched);
  for (const yang::Finding& finding : part.Delete(xpath)) {
    if (finding.rule == "data-missing") return {draft, {}};
    return {std::nullopt,
            {{.path = finding.path, .rule = finding.rule, .message = finding.message}}};
  }
  return {draft.With(touched, std::move(part)), {}};
}

Edited Merged(const Model& model, const Draft& draft, const ::gnmi::Path& prefix,
              const ::gnmi::Update& update) {
  const absl::StatusOr<std::string> document = ToDocument(prefix, update.path(), update.val());
  if (!document.ok()) return Refused(document.status());
  return model.ApplyOperations(draft, *document, yang::Format::kJson, yang::Operation::kMerge);
}

void AddResult(const ::gnmi::Path& path, ::gnmi::UpdateResult::Operation operation,
               ::gnmi::SetResponse* response) {
  ::gnmi::UpdateResult* result = response->add_response();
  *result->mutable_path() = path;
  result->set_op(operation);
}

}  // namespace

Edited DraftOf(const Model& model, const Configuration& base, const ::gnmi::SetRequest& request) {
  Edited edited{Draft{base, nullptr, {}}, {}};
  const auto remove = [&](const ::gnmi::Path& path) {
    if (!edited.draft.has_value()) return;
    const absl::StatusOr<std::string> xpath = ToXPath(request.prefix(), path);
    edited = xpath.ok() ? Without(*edited.draft, *xpath) : Refused(xpath.status());
  };
  const auto merge = [&](const ::gnmi::Update& update) {
    if (!edited.draft.has_value()) return;
    edited = Merged(model, *edited.draft, request.prefix(), update);
  };
  for (const ::gnmi::Path& path : request.delete_()) remove(path);
  for (const ::gnmi::Update& update : request.replace()) {
    remove(update.path());
    merge(update);
  }
  for (const ::gnmi::Update& update : request.update()) merge(update);
  return edited;
}

::gnmi::SetResponse ResponseOf(const ::gnmi::SetRequest& request) {
  ::gnmi::SetResponse response;
  if (request.has_prefix()) *response.mutable_prefix() = request.prefix();
  for (const ::gnmi::Path& path : request.delete_()) {
    AddResult(path, ::gnmi::UpdateResult::DELETE, &response);
  }
  for (const ::gnmi::Update& update : request.replace()) {
    AddResult(update.path(), ::gnmi::UpdateResult::REPLACE, &response);
  }
  for (const ::gnmi::Update& update : request.update()) {
    AddResult(update.path(), ::gnmi::UpdateResult::UPDATE, &response);
  }
  return response;
}

absl::Status ToStatus(const std::vector<Problem>& problems) {
  const std::string& rule = problems.front().rule;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
  if (rule == "locked" || rule == "confirm-pending" || rule == "busy" || rule == "address-in-use") {
    code = absl::StatusCode::kFailedPrecondition;
  }
  if (rule == "access-denied") code = absl::StatusCode::kPermissionDenied;
  if (rule == "journal") code = absl::StatusCode::kResourceExhausted;
  if (rule == "internal") code = absl::StatusCode::kInternal;
  return absl::Status(code, ToText(problems));
}

}  // namespace portolan::config
