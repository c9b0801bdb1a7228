// A fresh network namespace for the calling thread, with one interface "t0" that routes: its
// addresses, a route to everything and forwarding, so that route look-ups in programs succeed.
// The namespace ends with the process. Needs root.
#pragma once

#include <string>

namespace portolan::bpf {

// False: the machine refused. The interface has the MAC 02:00:00:00:00:01.
bool EnterTestNetwork();

// Runs a shell command; true when it exits with 0.
bool Run(const std::string& command);

}  // namespace portolan::bpf
