// Between the wire (proto messages, journal rows) and the core's values. Pure functions.
//
// Reading is tolerant: what one object gets wrong is reported on that object, never an error here.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/ipam/v1alpha1/ipam.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/store/store.h"
#include "services/ipam-service/core/effect.h"
#include "services/ipam-service/core/event.h"
#include "services/ipam-service/core/types.h"

namespace portolan::ipam {

// A block that cannot be read becomes a BadBlock that names the field.
PoolConfig FromProto(const config::v1alpha1::Pool& pool);
QuotaConfig FromProto(const config::v1alpha1::Quota& quota);
Settings FromProto(const config::v1alpha1::IpamSettings& settings);
// Unknown families and policies count as not given.
ServiceRequest FromProto(const intent::v1alpha1::ServiceIntent& intent);

allocation::v1alpha1::Allocation ToProto(const Allocation& allocation);
allocation::v1alpha1::PoolState ToProto(const PoolState& state);
status::v1alpha1::ObjectStatus ToProto(const StatusReport& report);
Proposal FromProto(const v1alpha1::PlanRequest& request);
v1alpha1::PlanResponse ToProto(const AddressPlan& plan);
v1alpha1::ExplainResponse ToProto(const Explanation& explanation);

// "ipam//service/NAMESPACE/NAME": the key of an ObjectStatus of this component.
std::string StatusKey(ObjectKind kind, const std::string& key);

// ---- journal ----

inline constexpr char kAddressPrefix[] = "a";
inline constexpr char kPoolPrefix[] = "p";
inline constexpr char kReleasePrefix[] = "r";
std::string JournalKey(const net::IpAddress& address);
std::string PoolKey(const std::string& pool);
std::string ReleaseKey(const net::IpAddress& address);
store::Row ToRow(const JournalRow& row);
store::Row ToRow(const PoolRow& row);
store::Row ToRow(const ReleaseRow& row);
store::Batch ToBatch(const JournalCommit& commit);
// Addresses whose row cannot be read are listed as unreadable; a key that is no address is an
// error. A pool row that cannot be read is left out: the pool counts as new. So is a release: the
// address counts as never used.
absl::StatusOr<JournalLoaded> FromRows(const std::vector<store::Row>& addresses,
                                       const std::vector<store::Row>& pools,
                                       const std::vector<store::Row>& releases);

}  // namespace portolan::ipam
