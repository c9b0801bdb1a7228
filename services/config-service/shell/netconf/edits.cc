#include "services/config-service/shell/netconf/edits.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/yang/filter.h"
#include "services/config-service/shell/netconf/arguments.h"

namespace portolan::config {
namespace {

using netconf::Reply;

yang::Operation DefaultOperation(yang::Node input) {
  const std::string name = TextOf(input, "default-operation").value_or("merge");
  if (name == "replace") return yang::Operation::kReplace;
  return name == "none" ? yang::Operation::kNone : yang::Operation::kMerge;
}

Datastores::TestOption TestOptionOf(yang::Node input) {
  const std::string name = TextOf(input, "test-option").value_or("test-then-set");
  if (name == "set") return Datastores::TestOption::kSet;
  return name == "test-only" ? Datastores::TestOption::kTestOnly
                             : Datastores::TestOption::kTestThenSet;
}

Reply Missing(const std::string& element) {
  return Reply::Refuse({{.type = "protocol",
                         .tag = "missing-element",
                         .message = absl::StrCat("the element ", element, " is missing"),
                         .info = {{"bad-element", element}}}});
}

Reply NoTarget() { return Refuse("invalid-value", "the target is no datastore of ours"); }

}  // namespace

std::optional<Reply> Edits::Handle(const netconf::SessionInfo& session,
                                   const netconf::Request& request) {
  const std::string& operation = request.operation;
  const yang::Node input = request.input;
  if (request.module == "ietf-netconf-nmda" && operation == "edit-data") {
    // RFC 8526, section 3.1.2: validation is the commit's.
    return Edit(session.id, input, DatastoreOf(input.Child("datastore")),
                Datastores::TestOption::kSet);
  }
  if (request.module != "ietf-netconf") return std::nullopt;
  if (operation == "edit-config") {
    return Edit(session.id, input, DatastoreOf(input.Child("target")), TestOptionOf(input));
  }
  if (operation == "copy-config") return CopyConfig(session.id, input);
  if (operation == "delete-config") return DeleteConfig(session.id, input);
  if (operation == "validate") return Validate(input);
  if (operation == "commit") return Commit(session.id, input);
  if (operation == "lock") return Lock(session.id, input, true);
  if (operation == "unlock") return Lock(session.id, input, false);
  if (operation == "discard-changes") return ToReply(datastores_->DiscardChanges(session.id));
  if (operation == "cancel-commit") {
    return ToReply(datastores_->CancelCommit(session.id, TextOf(input, "persist-id").value_or("")));
  }
  return std::nullopt;
}

Reply Edits::Edit(uint64_t session, yang::Node input, const std::optional<Datastore>& target,
                  Datastores::TestOption test_option) {
  if (!target.has_value()) return NoTarget();
  const yang::Node config = input.Child("config");
  if (!config) return Missing("config");
  const yang::Operation default_operation = DefaultOperation(input);
  std::string text = yang::AnyContent(config);
  // Nothing to do, but a replacement by nothing.
  if (text.empty() && default_operation != yang::Operation::kReplace) return Reply::Ok();
  return ToReply(datastores_->Edit(session, *target,
                                   {.config = std::move(text),
                                    .default_operation = default_operation,
                                    .test_option = test_option}));
}

Reply Edits::CopyConfig(uint64_t session, yang::Node input) {
  const std::optional<Datastore> target = DatastoreOf(input.Child("target"));
  if (!target.has_value()) return NoTarget();
  if (TextOf(input, "with-defaults").value_or("explicit") != "explicit") {
    return Refuse("operation-not-supported",
                  "a copy has what was given, and no defaults; leave with-defaults out");
  }
  const yang::Node source = input.Child("source");
  if (const yang::Node config = source ? source.Child("config") : yang::Node(); config) {
    return ToReply(
        datastores_->CopyText(session, yang::AnyContent(config), yang::Format::kXml, *target));
  }
  const std::optional<Datastore> from = DatastoreOf(source);
  if (!from.has_value()) return Refuse("invalid-value", "the source is no datastore of ours");
  return ToReply(datastores_->Copy(session, *from, *target));
}

Reply Edits::DeleteConfig(uint64_t session, yang::Node input) {
  const std::optional<Datastore> target = DatastoreOf(input.Child("target"));
  return target.has_value() ? ToReply(datastores_->Delete(session, *target)) : NoTarget();
}

Reply Edits::Validate(yang::Node input) {
  const yang::Node source = input.Child("source");
  if (const yang::Node config = source ? source.Child("config") : yang::Node(); config) {
    return ToReply(datastores_->ValidateText(yang::AnyContent(config), yang::Format::kXml));
  }
  const std::optional<Datastore> datastore = DatastoreOf(source);
  if (!datastore.has_value()) return Refuse("invalid-value", "the source is no datastore of ours");
  return ToReply(datastores_->Validate(*datastore));
}

Reply Edits::Commit(uint64_t session, yang::Node input) {
  Datastores::CommitConfig commit;
  commit.confirmed = static_cast<bool>(input.Child("confirmed"));
  uint32_t seconds = 0;
  if (absl::SimpleAtoi(TextOf(input, "confirm-timeout").value_or(""), &seconds)) {
    commit.timeout = absl::Seconds(seconds);
  }
  commit.persist = TextOf(input, "persist").value_or("");
  commit.persist_id = TextOf(input, "persist-id").value_or("");
  return ToReply(datastores_->Commit(session, commit));
}

Reply Edits::Lock(uint64_t session, yang::Node input, bool lock) {
  const std::optional<Datastore> target = DatastoreOf(input.Child("target"));
  if (!target.has_value()) return NoTarget();
  RpcErrors errors =
      lock ? datastores_->Lock(session, *target) : datastores_->Unlock(session, *target);
  if (errors.empty()) on_lock_(session, *target, lock);
  return ToReply(errors);
}

}  // namespace portolan::config
