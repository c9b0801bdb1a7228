// Frames that the loader makes itself, to try programs with. Pure.
// Their Ethernet addresses are 0, which is what the loopback interface has, so that the kernel
// takes them for its own.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "services/base/net/ip_address.h"

namespace portolan::datapath {

// An acknowledgement (no SYN) with four octets of data. Both of one family.
std::string TcpFrame(const net::IpAddress& source, uint16_t source_port,
                     const net::IpAddress& destination, uint16_t destination_port);
std::string ArpFrame();

// Of a TCP frame without IP options: do the checksums of IP and TCP fit?
bool HasRightChecksums(absl::string_view frame);

}  // namespace portolan::datapath
