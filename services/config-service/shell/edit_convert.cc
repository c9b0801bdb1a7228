#include "services/config-service/shell/edit_convert.h"

#include <algorithm>
#include <string>

#include "services/config-service/shell/convert.h"

namespace portolan::config {
namespace {

constexpr size_t kMaxUser = 64;
constexpr size_t kMaxOrigin = 256;
constexpr size_t kMaxComment = 1024;

// Of control characters only a space is left: this is printed on terminals and in logs.
std::string Line(const std::string& text, size_t max_size) {
  size_t size = std::min(text.size(), max_size);
  // Not in the middle of a character of UTF-8.
  while (size < text.size() && size > 0 && (text[size] & 0xc0) == 0x80) --size;
  std::string line = text.substr(0, size);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

yang::Format FromProto(v1alpha1::Format format) {
  if (format == v1alpha1::FORMAT_JSON) return yang::Format::kJson;
  return format == v1alpha1::FORMAT_XML ? yang::Format::kXml : yang::Format::kGuess;
}

v1alpha1::DifferenceKind ToProto(yang::Difference::Kind kind) {
  switch (kind) {
    case yang::Difference::Kind::kAdded:
      return v1alpha1::DIFFERENCE_KIND_ADDED;
    case yang::Difference::Kind::kRemoved:
      return v1alpha1::DIFFERENCE_KIND_REMOVED;
    case yang::Difference::Kind::kChanged:
      return v1alpha1::DIFFERENCE_KIND_CHANGED;
    case yang::Difference::Kind::kReordered:
      break;
  }
  return v1alpha1::DIFFERENCE_KIND_REORDERED;
}

// `message`: an EditResponse or a Commit.
template <typename M>
void SetDifferences(const yang::Comparison& comparison, M* message) {
  for (const yang::Difference& difference : comparison.differences) {
    v1alpha1::Difference* proto = message->add_differences();
    proto->set_kind(ToProto(difference.kind));
    proto->set_path(difference.path);
    proto->set_before(difference.before);
    proto->set_after(difference.after);
  }
  message->set_more_differences(comparison.more);
}

}  // namespace

Author FromProto(const v1alpha1::Author& proto) {
  return {Line(proto.user(), kMaxUser), false, Line(proto.origin(), kMaxOrigin),
          Line(proto.comment(), kMaxComment)};
}

v1alpha1::Writer ToProto(Writer writer) {
  switch (writer) {
    case Writer::kOperator:
      return v1alpha1::WRITER_OPERATOR;
    case Writer::kFile:
      return v1alpha1::WRITER_FILE;
    case Writer::kKube:
      break;
  }
  return v1alpha1::WRITER_KUBE;
}

absl::StatusOr<Edit> FromProto(const v1alpha1::EditRequest& request) {
  if (request.writer() == v1alpha1::WRITER_FILE) {
    return absl::InvalidArgumentError("the writer of an edit is OPERATOR or KUBE");
  }
  const bool kube = request.writer() == v1alpha1::WRITER_KUBE;
  if (kube && request.operation() == v1alpha1::EDIT_OPERATION_ROLLBACK) {
    return absl::InvalidArgumentError("a rollback is of everything, and operators alone do it");
  }
  Edit edit;
  if (kube) edit.writer = Writer::kKube;
  edit.take_over = request.take_over();
  switch (request.operation()) {
    case v1alpha1::EDIT_OPERATION_MERGE:
      edit.kind = Edit::Kind::kMerge;
      break;
    case v1alpha1::EDIT_OPERATION_REPLACE:
      edit.kind = Edit::Kind::kReplace;
      break;
    case v1alpha1::EDIT_OPERATION_DELETE:
      edit.kind = Edit::Kind::kDelete;
      break;
    case v1alpha1::EDIT_OPERATION_ROLLBACK:
      if (request.to_revision() == 0) {
        return absl::InvalidArgumentError("a rollback needs to_revision, which is not 0");
      }
      edit.kind = Edit::Kind::kRollback;
      break;
    default:
      return absl::InvalidArgumentError(
          "the operation of an edit is MERGE, REPLACE, DELETE or ROLLBACK");
  }
  edit.allow_renumber = request.allow_renumber();
  edit.data = request.data();
  edit.format = FromProto(request.format());
  edit.path = request.path();
  edit.source = request.source_name();
  edit.revision = request.to_revision();
  edit.author = FromProto(request.author());
  edit.claim.persist_id = request.persist_id();
  if (request.base_revision() > 0) edit.base_revision = request.base_revision();
  if (request.confirm_within_s() > 0) {
    edit.trial = {absl::Seconds(request.confirm_within_s()), request.persist_id()};
  }
  return edit;
}

v1alpha1::Commit ToProto(const Commit& commit) {
  v1alpha1::Commit proto;
  proto.set_revision(commit.revision);
  proto.set_time_ms(absl::ToUnixMillis(commit.time));
  proto.mutable_author()->set_user(commit.author.user);
  proto.mutable_author()->set_origin(commit.author.origin);
  proto.mutable_author()->set_comment(commit.author.comment);
  proto.set_authenticated(commit.author.authenticated);
  proto.set_operation(commit.operation);
  SetDifferences(commit.comparison, &proto);
  return proto;
}

v1alpha1::EditResponse ToProto(const Edit& edit, const Answer& answer) {
  v1alpha1::EditResponse response;
  response.set_revision(answer.revision);
  for (const Problem& problem : answer.problems) *response.add_problems() = ToProto(problem);
  for (const AddressMove& move : answer.moves) *response.add_moves() = ToProto(move);
  for (const AddressGain& gain : answer.gains) *response.add_gains() = ToProto(gain);
  for (const std::string& warning : answer.warnings) response.add_warnings(warning);
  response.set_moves_unknown(answer.moves_unknown);
  SetDifferences(edit.comparison, &response);
  return response;
}

}  // namespace portolan::config
