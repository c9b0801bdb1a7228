#include "services/datapath-loader/shell/applied_messages.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/base/status/status_macros.h"

namespace portolan::datapath {
namespace {

using v1alpha1::DesiredService;

// The same bytes for the same message, always.
std::string ContentOf(const DesiredService& service) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    service.SerializeToCodedStream(&coded);
  }
  return bytes;
}

absl::Status InField(const std::string& field, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", std::string(status.message())));
}

absl::Status ReadAddresses(const DesiredService& service, std::set<std::string>& addresses) {
  for (int i = 0; i < service.addresses_size(); i++) {
    const std::string field = absl::StrCat("addresses[", i, "]");
    const absl::StatusOr<net::IpAddress> address = net::IpAddress::Parse(service.addresses(i));
    if (!address.ok()) return InField(field, address.status());
    if (!addresses.insert(address->ToString()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": ", address->ToString(), " is there twice; name it once"));
    }
  }
  if (!addresses.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("addresses: there is none; say which ones clients ask for");
}

absl::Status CheckSources(const google::protobuf::RepeatedPtrField<std::string>& prefixes,
                          const char* name) {
  for (int i = 0; i < prefixes.size(); i++) {
    const absl::StatusOr<net::Prefix> prefix = net::Prefix::Parse(prefixes[i]);
    if (!prefix.ok()) return InField(absl::StrCat("intent.", name, "[", i, "]"), prefix.status());
  }
  return absl::OkStatus();
}

absl::Status CheckBackends(const DesiredService& service) {
  std::set<std::string> ids;
  for (int i = 0; i < service.backends_size(); i++) {
    const intent::v1alpha1::Backend& backend = service.backends(i);
    const std::string field = absl::StrCat("backends[", i, "]");
    const absl::StatusOr<net::IpAddress> address = net::IpAddress::Parse(backend.address());
    if (!address.ok()) return InField(absl::StrCat(field, ".address"), address.status());
    if (backend.id().empty() || !ids.insert(backend.id()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".id: \"", backend.id(),
                       "\" is empty or there twice; give each backend one of its own"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::set<std::string>> Check(const DesiredService& service) {
  if (!IsOwnerName(service.name())) {
    return absl::InvalidArgumentError(
        "name: 1 to 63 letters, digits, \"-\", \"_\" or \".\" are one");
  }
  std::set<std::string> addresses;
  RETURN_IF_ERROR(ReadAddresses(service, addresses));
  if (service.intent().ports().empty()) {
    return absl::InvalidArgumentError("intent.ports: there is none; say what is served");
  }
  RETURN_IF_ERROR(CheckSources(service.intent().allowed_sources(), "allowed_sources"));
  RETURN_IF_ERROR(CheckSources(service.intent().denied_sources(), "denied_sources"));
  RETURN_IF_ERROR(CheckBackends(service));
  return addresses;
}

}  // namespace

ReadRequest ReadApply(const v1alpha1::ApplyRequest& request) {
  ReadRequest read;
  read.submission.owner = request.owner();
  read.submission.generation = request.generation();
  for (const DesiredService& service : request.services()) {
    const auto [entry, inserted] = read.submission.services.try_emplace(service.name());
    if (!inserted) {
      entry->second.refused = true;
      read.problems[service.name()] = "name: it is there twice; give each service one of its own";
      continue;
    }
    read.names.push_back(service.name());
    entry->second.content = ContentOf(service);
    absl::StatusOr<std::set<std::string>> addresses = Check(service);
    if (addresses.ok()) {
      entry->second.addresses = *std::move(addresses);
    } else {
      entry->second.refused = true;
      read.problems[service.name()] = std::string(addresses.status().message());
    }
  }
  return read;
}

std::vector<AppliedService> MessagesOf(const std::string& owner, const OwnerState& state) {
  std::vector<AppliedService> all;
  for (const auto& [name, in_force] : state.in_force) {
    DesiredService service;
    if (!service.ParseFromString(in_force.content)) continue;  // of a later version
    AppliedService& messages = all.emplace_back();
    const std::string key = AppliedKey(owner, name);
    messages.intent.Swap(service.mutable_intent());
    messages.intent.set_key(key);
    messages.intent.set_generation(state.generation);
    messages.backends.set_key(key);
    messages.backends.set_generation(state.generation);
    messages.backends.mutable_backends()->Swap(service.mutable_backends());
    messages.allocation.set_key(key);
    for (const auto& [address, since] : in_force.since_unix_ms) {
      allocation::v1alpha1::AddressGrant* grant = messages.allocation.add_grants();
      grant->set_address(address);
      grant->set_since_unix_ms(since);
    }
  }
  return all;
}

}  // namespace portolan::datapath
