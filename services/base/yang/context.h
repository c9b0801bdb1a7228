// A set of YANG modules, compiled once: what data can be checked against.
//
// Shared and immutable after creation: trees of one context may live on different threads, each
// tree on one thread at a time. About 1,000 contexts can live in a process (libyang keeps a thread
// key in each), so share them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "services/base/yang/deny.h"

struct ly_ctx;

namespace portolan::yang {

struct ModuleText {
  std::string name;  // "portolan-ipam"
  std::string text;  // YANG source
  std::vector<std::string> features = {};
  bool imported_only = false;  // others may import it; it is not implemented itself
};

class Context {
 public:
  // Every module of `modules` is implemented; they may import each other and what libyang brings
  // (ietf-inet-types, ietf-yang-types). Nothing is read from disk.
  // INVALID_ARGUMENT: a module does not compile; the message has module, line and reason.
  static absl::StatusOr<std::shared_ptr<const Context>> FromTexts(std::vector<ModuleText> modules);

  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Every module that is implemented, and every one that those import.
  struct ModuleInfo {
    std::string name;
    std::string revision;  // may be empty
    std::string xml_namespace;
    bool implemented = false;
  };
  std::vector<ModuleInfo> Modules() const;
  // YANG source; `revision` empty: the newest. Nothing: there is no such module.
  std::optional<std::string> Source(const std::string& module, const std::string& revision) const;

  // For base rooms over libraries that speak libyang themselves.
  ly_ctx* handle() const { return ctx_; }

  // "2026-11-24"; empty: no such module, or it has none.
  std::string Revision(absl::string_view module) const;

  // Of an rpc or a notification at the top of a module; kNothing: also when there is none such.
  Deny DenyOf(absl::string_view module, absl::string_view name) const;

 private:
  friend class Tree;
  friend std::string ReferenceOf(const Context& context, absl::string_view module);
  friend std::vector<std::string> IncompatibleChanges(const Context& released,
                                                      const Context& current);
  explicit Context(std::vector<ModuleText> modules) : modules_(std::move(modules)) {}
  absl::Status Load();

  std::vector<ModuleText> modules_;
  ly_ctx* ctx_ = nullptr;
};

}  // namespace portolan::yang
