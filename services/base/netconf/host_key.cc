#include "services/base/netconf/host_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/base/netconf/libnetconf2.h"

namespace portolan::netconf {
namespace {

absl::Status Failed(const std::string& path, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat("the SSH host key ", path, ": ", why,
                                                    "; make its directory writable, or put an "
                                                    "ECDSA key in PEM form there, mode 0600"));
}

}  // namespace

absl::Status EnsureHostKey(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) {
    if (access(path.c_str(), R_OK) == 0) return absl::OkStatus();
    return Failed(path, std::strerror(errno));
  }
  ssh_key key = nullptr;
  if (ssh_pki_generate(SSH_KEYTYPE_ECDSA_P256, 0, &key) != SSH_OK) {
    return Failed(path, "libssh makes none");
  }
  const std::string beside = path + ".new";
  // The key is never in a file that others may read.
  unlink(beside.c_str());
  const int fd = open(beside.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) {
    ssh_key_free(key);
    return Failed(path, std::strerror(errno));
  }
  const bool written =
      ssh_pki_export_privkey_file(key, nullptr, nullptr, nullptr, beside.c_str()) == SSH_OK;
  ssh_key_free(key);
  const bool durable = written && fsync(fd) == 0;
  close(fd);
  if (!durable || std::rename(beside.c_str(), path.c_str()) != 0) {
    unlink(beside.c_str());
    return Failed(path, "cannot be written");
  }
  return absl::OkStatus();
}

}  // namespace portolan::netconf
