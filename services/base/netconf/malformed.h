// Keeps messages away from libnetconf2 by which a client would end the process, and says what is
// wrong with requests that do not fit the modules. Private to this room; each thread has a state of
// its own.
//
// The library reads through a null pointer when a message of a client is blank, and when its
// chunks are not well-formed (RFC 6242, section 4.2); and of a request that does not fit it knows
// only a sentence, no tag and no path (RFC 6241, section 4.3). It calls functions by name that the
// executable may define itself: malformed.cc does, in front of libyang's and the library's own.
#pragma once

namespace portolan::netconf {

// Before each nc_ps_poll() of this thread.
void BeginMessage();

// The message since then was not well-formed: the session must end (RFC 6242, section 4.2).
bool WasMalformed();

}  // namespace portolan::netconf
