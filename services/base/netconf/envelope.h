// The beginning of a message of a NETCONF client: its start tag and the operation in it, read
// without the rest. Pure; libyang parses the whole afterwards.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace portolan::netconf {

// RFC 6241, section 3.1.
inline constexpr absl::string_view kBaseNamespace = "urn:ietf:params:xml:ns:netconf:base:1.0";

struct ElementName {
  std::string xml_namespace;
  std::string name;
  friend bool operator==(const ElementName&, const ElementName&) = default;
};

struct Envelope {
  ElementName root;
  // As it stands there, such as "nc:rpc message-id='1'": without '<', '/' and '>'.
  std::string start_tag;
  std::string tag_name;  // "nc:rpc"
  bool has_message_id = false;
  // The first element in it. Nothing: there is none in `head`, or its namespace is not told
  // plainly.
  std::optional<ElementName> operation;

  bool is_rpc() const { return root.xml_namespace == kBaseNamespace && root.name == "rpc"; }
};

// Nothing: no start tag is complete in `head`, or something else comes before it than a
// declaration, comments and white space.
std::optional<Envelope> ReadEnvelope(absl::string_view head);

}  // namespace portolan::netconf
