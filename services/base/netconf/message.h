// What passes between a NETCONF session and those who answer it: regular values. Views in a
// Request are good until it was answered.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/base/netconf/error.h"
#include "services/base/yang/tree.h"

namespace portolan::netconf {

enum class Transport : uint8_t { kUnix, kSsh, kTls };

struct SessionInfo {
  uint32_t id = 0;
  std::string user;
  Transport transport = Transport::kUnix;
  std::string host;        // of the peer; empty on a UNIX socket
  bool superuser = false;  // root of this machine, on a UNIX socket
  absl::Time since;
};

// RFC 6022, section 2.1.
struct Counters {
  uint64_t in_rpcs = 0;
  uint64_t in_bad_rpcs = 0;
  uint64_t out_rpc_errors = 0;
  uint64_t out_notifications = 0;
};

// Of all sessions since the start.
struct Totals {
  uint64_t sessions = 0;
  uint64_t bad_hellos = 0;
  uint64_t dropped = 0;  // sessions that were not closed by their client
  Counters counters;
};

struct Request {
  std::string module;     // "ietf-netconf"
  std::string operation;  // "get-config"
  yang::Node input;       // the operation; its children are the arguments
  std::string parent;     // of an action: the data path of the node that it is of; else empty
};

// A node of what an operation of a model answers: by name, in the order of the model.
struct Element {
  std::string name;
  std::string value;              // of a leaf
  std::vector<Element> children;  // of a container or a list entry, keys first
  friend bool operator==(const Element&, const Element&) = default;
};

struct Reply {
  std::vector<Error> errors;  // if there are any, nothing else counts
  enum class Kind : uint8_t {
    kOk,
    kXml,     // `data` is XML and stands in <data>
    kText,    // `data` is text and stands in <data>
    kOutput,  // `output`, as the model has it; an answer that does not fit it is an error
    kClose    // ok, and the session ends
  };
  Kind kind = Kind::kOk;
  std::string data;
  std::vector<Element> output;
  bool subscribes = false;  // the session waits for notifications and is never idle

  static Reply Ok() { return {}; }
  static Reply Refuse(std::vector<Error> errors) { return {.errors = std::move(errors)}; }
  static Reply Xml(std::string data) { return {.kind = Kind::kXml, .data = std::move(data)}; }
  static Reply Text(std::string data) { return {.kind = Kind::kText, .data = std::move(data)}; }
  static Reply Output(std::vector<Element> output) {
    return {.kind = Kind::kOutput, .output = std::move(output)};
  }
};

// Why a session ended (RFC 6470, netconf-session-end).
struct Ending {
  std::string reason;  // "closed", "killed", "dropped", "timeout", "bad-hello", "other"
  uint32_t killed_by = 0;
};

}  // namespace portolan::netconf
