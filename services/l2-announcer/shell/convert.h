// Between the wire form (protobuf) and the core's values.
//
// Pure functions, any thread. What does not fit the model is an error that names it; nothing is
// silently dropped.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/l2/v1alpha1/l2.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/l2-announcer/core/model.h"

namespace portolan::l2 {

// INVALID_ARGUMENT names the grant whose address is no address.
absl::StatusOr<Allocation> FromProto(const allocation::v1alpha1::Allocation& proto);
Policy FromProto(const config::v1alpha1::L2Policy& proto);
// A number that is 0 (not set) becomes the default.
Settings FromProto(const config::v1alpha1::L2Settings& proto);
// What a datapath says that it carries.
absl::StatusOr<GateChanged> GateFromProto(const status::v1alpha1::ObjectStatus& proto);

// "l2/NODE/KIND/KEY"
std::string StatusKey(absl::string_view node, absl::string_view kind, absl::string_view key);
status::v1alpha1::ObjectStatus ToProto(absl::string_view node, absl::string_view kind,
                                       absl::string_view key, const Status& status);

// "NODE/INTERFACE/ADDRESS"
std::string AnnouncementKey(absl::string_view node, const PublishAnnouncement& published);
// `wall_since` is published.announcement->since on the wall clock.
l2::v1alpha1::Announcement ToProto(absl::string_view node, const PublishAnnouncement& published,
                                   absl::Time wall_since);

}  // namespace portolan::l2
