// What an edit does to addresses that Services hold: ipam-service is asked before the edit is
// committed (Ipam.Plan), and the answer becomes reasons to refuse it. Pure values and functions.
#pragma once

#include <string>
#include <vector>

#include "services/config-service/core/problem.h"

namespace portolan::config {

// A Service would lose an address.
struct AddressMove {
  std::string service;  // "NAMESPACE/NAME"
  std::string address;
  std::string pool;         // that it is from; empty: no pool holds it
  std::string new_address;  // in its place; empty: none, or not known yet
  std::string new_pool;
  std::string reason;   // kebab-case
  std::string message;  // for a person
  friend bool operator==(const AddressMove&, const AddressMove&) = default;
};

// A Service that waits would get an address. No reason to refuse an edit.
struct AddressGain {
  std::string service;
  std::string address;
  std::string pool;
  friend bool operator==(const AddressGain&, const AddressGain&) = default;
};

struct AddressPlan {
  std::vector<AddressMove> moves;
  std::vector<AddressGain> gains;
};

// One problem a move, rule address-in-use, at the pool; none for reason "not-requested", since that
// is what the service itself asks for. Beyond twenty, one that says how many more
// there are. Empty: nothing moves.
std::vector<Problem> RefusalOf(std::vector<AddressMove> moves);

}  // namespace portolan::config
