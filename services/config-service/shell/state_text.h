// What services publish, as instance data of portolan-state: one text of JSON for one table of one
// kind of message (RFC 7951). Pure functions. A message that says less than its keys is left out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "google/protobuf/any.pb.h"

namespace portolan::config {

// A table as a stream has it, by key.
using StateTable = std::map<std::string, google::protobuf::Any>;

struct StateType {
  std::string name;                                 // full name of the message
  std::string (*to_json)(const StateTable& table);  // empty: nothing to say
};

// Every type of message that portolan-state shows.
const std::vector<StateType>& StateTypes();

struct Component {
  std::string name;
  bool answering = true;
  std::string message;
};

std::string ToJson(const std::vector<Component>& components);

}  // namespace portolan::config
