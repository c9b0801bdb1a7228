// Notices of what services report (core/notice.h) as notifications: XML for those who are told, and
// the state that a notice speaks of, for access control. Pure functions, any thread.
#pragma once

#include <string>

#include "services/config-service/core/notice.h"

namespace portolan::config {

// The notification's own element.
std::string ToXml(const Notice& notice);

// The entry of operational state that the notice is about, with its keys alone, as instance data
// (RFC 7951): who may not read it, is not told.
std::string PlaceOf(const Notice& notice);

}  // namespace portolan::config
