// What a NETCONF server answers when it refuses (RFC 6241, section 4.3): regular values, without
// anything of the library.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace portolan::netconf {

// RFC 6241, section 4.3 and appendix A.
struct Error {
  std::string type = "application";  // "transport", "rpc", "protocol", "application"
  std::string tag;                   // "data-exists"
  std::string app_tag;               // may be empty
  std::string path;                  // may be empty
  std::string message;
  // What error-info holds: element and text, such as {"session-id", "3"}.
  std::vector<std::pair<std::string, std::string>> info;
};

}  // namespace portolan::netconf
