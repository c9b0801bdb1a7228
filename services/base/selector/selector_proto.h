// The wire form of label selectors, for shells: cores see label_selector.h only.
// Pure functions; nothing is refused, since the configuration was validated before.
#pragma once

#include "api/proto/config/v1alpha1/config.pb.h"
#include "google/protobuf/map.h"
#include "services/base/selector/label_selector.h"

namespace portolan {

// match_labels become In expressions of one value. An operator that is unspecified or unknown (of a
// newer publisher) is met by nothing.
LabelSelector FromProto(const config::v1alpha1::LabelSelector& proto);
Labels FromProto(const google::protobuf::Map<std::string, std::string>& labels);

}  // namespace portolan
