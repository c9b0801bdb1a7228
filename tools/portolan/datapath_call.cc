#include "tools/portolan/datapath_call.h"

#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "tools/portolan/client.h"

namespace portolan::cli {

absl::StatusOr<std::unique_ptr<datapath::v1alpha1::DatapathControl::Stub>> OpenDatapath(
    const Places& places) {
  ASSIGN_OR_RETURN(const Client client, Client::Open(places));
  ASSIGN_OR_RETURN(const auto channel, client.DatapathChannel());
  return datapath::v1alpha1::DatapathControl::NewStub(channel);
}

absl::StatusOr<std::string> ReadAll(const std::string& file) {
  if (file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (in.is_open() && !in.bad()) return text.str();
  return absl::NotFoundError(absl::StrCat(file, ": cannot be read; does it exist?"));
}

}  // namespace portolan::cli
