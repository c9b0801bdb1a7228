#include "services/datapath-loader/shell/journal.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/proto/datapath/v1alpha1/kept.pb.h"
#include "services/base/status/status_macros.h"
#include "services/base/store/sqlite_store.h"

namespace portolan::datapath {
namespace {

using v1alpha1::KeptInterface;
using v1alpha1::KeptOwner;

constexpr char kOwner[] = "owner/";
constexpr char kInterface[] = "interface/";

KeptOwner ToRow(const OwnerState& state) {
  KeptOwner row;
  row.set_generation(state.generation);
  for (const auto& [name, content] : state.sent) (*row.mutable_sent())[name] = content;
  for (const auto& [name, service] : state.in_force) {
    v1alpha1::KeptService& kept = (*row.mutable_in_force())[name];
    kept.set_content(service.content);
    kept.mutable_since_unix_ms()->insert(service.since_unix_ms.begin(),
                                         service.since_unix_ms.end());
  }
  return row;
}

OwnerState FromRow(const KeptOwner& row) {
  OwnerState state{.generation = row.generation(), .sent = {}, .in_force = {}};
  state.sent.insert(row.sent().begin(), row.sent().end());
  for (const auto& [name, kept] : row.in_force()) {
    ServiceInForce& service = state.in_force[name];
    service.content = kept.content();
    service.since_unix_ms.insert(kept.since_unix_ms().begin(), kept.since_unix_ms().end());
  }
  return state;
}

}  // namespace

absl::Status Journal::Open() {
  if (store_ != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(store_, store::OpenSqlite(path_));
  return absl::OkStatus();
}

absl::StatusOr<Journal::Kept> Journal::Read() {
  Kept kept;
  if (access(path_.c_str(), F_OK) != 0) return kept;
  RETURN_IF_ERROR(Open());
  ASSIGN_OR_RETURN(const std::vector<store::Row> owners, store_->List(kOwner));
  for (const store::Row& row : owners) {
    KeptOwner owner;
    if (!owner.ParseFromString(row.value)) {
      return absl::DataLossError(absl::StrCat(path_, ": row ", row.key, " cannot be read"));
    }
    kept.owners[std::string(absl::StripPrefix(row.key, kOwner))] = FromRow(owner);
  }
  ASSIGN_OR_RETURN(const std::vector<store::Row> interfaces, store_->List(kInterface));
  for (const store::Row& row : interfaces) {
    KeptInterface order;
    if (!order.ParseFromString(row.value)) {
      return absl::DataLossError(absl::StrCat(path_, ": row ", row.key, " cannot be read"));
    }
    kept.interfaces[std::string(absl::StripPrefix(row.key, kInterface))] = {
        .detached = order.detached(), .mode = order.mode(), .inside = order.inside()};
  }
  return kept;
}

absl::Status Journal::Commit(const store::Batch& batch) {
  RETURN_IF_ERROR(Open());
  return store_->Commit(batch);
}

absl::Status Journal::PutOwner(const std::string& owner, const OwnerState& state) {
  return Commit(
      {.put = {{.key = absl::StrCat(kOwner, owner), .value = ToRow(state).SerializeAsString()}}});
}

absl::Status Journal::PutInterface(const std::string& name, const InterfaceOrder& order) {
  KeptInterface row;
  row.set_detached(order.detached);
  row.set_mode(order.mode);
  row.set_inside(order.inside);
  return Commit(
      {.put = {{.key = absl::StrCat(kInterface, name), .value = row.SerializeAsString()}}});
}

absl::Status Journal::EraseInterface(const std::string& name) {
  return Commit({.erase = {absl::StrCat(kInterface, name)}});
}

}  // namespace portolan::datapath
