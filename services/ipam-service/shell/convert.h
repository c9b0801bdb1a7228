// Between the wire (proto messages, journal rows) and the core's values. Pure functions.
//
// Reading is tolerant: what one object gets wrong is reported on that object, never an error here.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/store/store.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/event.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

// A block that cannot be read becomes a BadBlock that names the field.
PoolConfig FromProto(const config::v1alpha1::Pool& pool);
// Unknown families and policies count as not given.
ServiceRequest FromProto(const intent::v1alpha1::ServiceIntent& intent);

allocation::v1alpha1::Allocation ToProto(const Allocation& allocation);
allocation::v1alpha1::PoolState ToProto(const PoolState& state);
status::v1alpha1::ObjectStatus ToProto(const StatusReport& report);

// "ipam//service/NAMESPACE/NAME": the key of an ObjectStatus of this component.
std::string StatusKey(ObjectKind kind, const std::string& key);

// ---- journal ----

inline constexpr char kJournalPrefix[] = "a";
std::string JournalKey(const net::IpAddress& address);
store::Row ToRow(const JournalRow& row);
// Rows that cannot be read are listed as unreadable; rows whose key is no address as an error.
absl::StatusOr<JournalLoaded> FromRows(const std::vector<store::Row>& rows);

}  // namespace portolan::ipam
