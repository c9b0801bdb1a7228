#include "tools/portolan/author.h"

#include <pwd.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::Author;

std::string UserName() {
  const char* sudo_user = std::getenv("SUDO_USER");
  if (geteuid() == 0 && sudo_user != nullptr) return sudo_user;
  const passwd* entry = getpwuid(geteuid());
  return entry == nullptr ? absl::StrCat(geteuid()) : entry->pw_name;
}

}  // namespace

Author Myself(const std::string& comment) {
  char host[HOST_NAME_MAX + 1] = {};
  gethostname(host, HOST_NAME_MAX);
  Author author;
  author.set_user(UserName());
  author.set_origin(absl::StrCat("portolan on ", host));
  author.set_comment(comment);
  return author;
}

}  // namespace portolan::cli
