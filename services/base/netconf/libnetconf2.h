// libnetconf2's headers. Private to this room.
//
// NC_ENABLED_SSH and NC_ENABLED_TLS change the values of its enumerations, and Debian's library is
// built with both; the build target @system//:netconf2 defines them. Without them endpoints would
// silently get another transport.
#pragma once

#if !defined(NC_ENABLED_SSH) || !defined(NC_ENABLED_TLS)
#error "depend on @system//:netconf2, which says how Debian's libnetconf2 was built"
#endif

#include <libyang/libyang.h>
// After libyang.
#include <nc_server.h>
