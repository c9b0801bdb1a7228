#include "services/base/yang/context.h"

#include <libyang/libyang.h>

#include <cstdlib>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/base/yang/libyang_errors.h"

namespace portolan::yang {
namespace {

// Answers libyang's wish for an imported module out of the given texts.
LY_ERR Import(const char* name, const char*, const char* submodule, const char*, void* user_data,
              LYS_INFORMAT* format, const char** data, ly_module_imp_data_free_clb* free_data) {
  if (submodule != nullptr) return LY_ENOTFOUND;
  for (const ModuleText& module : *static_cast<const std::vector<ModuleText>*>(user_data)) {
    if (module.name != name) continue;
    *format = LYS_IN_YANG;
    *data = module.text.c_str();
    *free_data = nullptr;
    return LY_SUCCESS;
  }
  return LY_ENOTFOUND;
}

void StoreErrorsInsteadOfPrinting() {
  static std::once_flag once;
  std::call_once(once, [] { ly_log_options(LY_LOSTORE); });
}

}  // namespace

absl::Status Context::Load() {
  StoreErrorsInsteadOfPrinting();
  if (ly_ctx_new(nullptr, LY_CTX_DISABLE_SEARCHDIRS, &ctx_) != LY_SUCCESS) {
    return absl::InternalError("libyang gave no context");
  }
  ly_ctx_set_module_imp_clb(ctx_, &Import, &modules_);
  for (const ModuleText& module : modules_) {
    if (module.imported_only) continue;
    std::vector<const char*> features;
    for (const std::string& feature : module.features) features.push_back(feature.c_str());
    features.push_back(nullptr);
    if (ly_ctx_load_module(ctx_, module.name.c_str(), nullptr, features.data()) != nullptr)
      continue;
    std::string reasons;
    for (const ly_err_item* e = ly_err_first(ctx_); e != nullptr; e = e->next) {
      if (e->level != LY_LLERR) continue;
      absl::StrAppend(&reasons, reasons.empty() ? "" : "; ", OneLine(e->msg), " ",
                      e->path == nullptr ? "" : e->path);
    }
    return absl::InvalidArgumentError(absl::StrCat("YANG module ", module.name, ": ", reasons));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Context>> Context::FromTexts(std::vector<ModuleText> modules) {
  std::shared_ptr<Context> context(new Context(std::move(modules)));
  RETURN_IF_ERROR(context->Load());
  return std::shared_ptr<const Context>(std::move(context));
}

Context::~Context() { ly_ctx_destroy(ctx_); }

std::vector<Context::ModuleInfo> Context::Modules() const {
  std::vector<ModuleInfo> modules;
  uint32_t index = 0;
  while (const lys_module* module = ly_ctx_get_module_iter(ctx_, &index)) {
    modules.push_back({module->name, module->revision == nullptr ? "" : module->revision,
                       module->ns, module->implemented != 0});
  }
  return modules;
}

std::optional<std::string> Context::Source(const std::string& module,
                                           const std::string& revision) const {
  const lys_module* found = revision.empty()
                                ? ly_ctx_get_module_latest(ctx_, module.c_str())
                                : ly_ctx_get_module(ctx_, module.c_str(), revision.c_str());
  if (found == nullptr) return std::nullopt;
  for (const ModuleText& text : modules_) {
    if (text.name == module) return text.text;
  }
  char* text = nullptr;
  lys_print_mem(&text, found, LYS_OUT_YANG, 0);
  std::string result = text == nullptr ? "" : text;
  std::free(text);
  return result;
}

std::string Context::Revision(absl::string_view module) const {
  const lys_module* found = ly_ctx_get_module_implemented(ctx_, std::string(module).c_str());
  return found == nullptr || found->revision == nullptr ? "" : found->revision;
}

Deny Context::DenyOf(absl::string_view module, absl::string_view name) const {
  const lys_module* found = ly_ctx_get_module_implemented(ctx_, std::string(module).c_str());
  if (found == nullptr) return Deny::kNothing;
  const lysc_node* node =
      lys_find_child(nullptr, found, name.data(), name.size(), LYS_RPC | LYS_NOTIF, 0);
  return node == nullptr ? Deny::kNothing : yang::DenyOf(node);
}

}  // namespace portolan::yang
