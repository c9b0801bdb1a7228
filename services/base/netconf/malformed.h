// Says what is wrong with requests that do not fit the modules. Private to this room; each thread
// has a state of its own.
//
// Of such a request libnetconf2 knows only a sentence, no tag and no path (RFC 6241, section 4.3).
// It calls functions by name that the executable may define itself: malformed.cc does, in front of
// libyang's and the library's own.
#pragma once

namespace portolan::netconf {

// Before each nc_ps_poll() of this thread.
void BeginMessage();

}  // namespace portolan::netconf
