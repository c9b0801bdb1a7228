#include "tools/portolan/tables.h"

#include "services/base/status/status_macros.h"

namespace portolan::cli {

absl::StatusOr<Tables> ReadTables(const Client& client) {
  Tables tables;
  ASSIGN_OR_RETURN(tables.intents, client.Snapshot<intent::v1alpha1::ServiceIntent>());
  ASSIGN_OR_RETURN(tables.backends, client.Snapshot<intent::v1alpha1::BackendSet>());
  ASSIGN_OR_RETURN(tables.allocations, client.Snapshot<allocation::v1alpha1::Allocation>());
  ASSIGN_OR_RETURN(tables.announcements, client.Snapshot<l2::v1alpha1::Announcement>());
  ASSIGN_OR_RETURN(tables.routes, client.Snapshot<bgp::v1alpha1::Route>());
  ASSIGN_OR_RETURN(tables.statuses, client.Snapshot<status::v1alpha1::ObjectStatus>());
  return tables;
}

}  // namespace portolan::cli
