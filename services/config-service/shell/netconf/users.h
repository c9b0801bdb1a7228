// Who may open a NETCONF session over SSH: the users of the configuration, and PAM for those who
// have no password there. Thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace portolan::config {

struct User {
  std::vector<std::string> keys;  // as in authorized_keys, without options
  std::string password_hash;      // of crypt(3); empty: PAM decides
  friend bool operator==(const User&, const User&) = default;
};

class Users {
 public:
  // `pam_service` empty: PAM is not asked.
  void Set(std::map<std::string, User> users, std::string pam_service);

  // May take seconds.
  bool IsPassword(const std::string& user, const std::string& password) const;
  // `key`: type and base 64 text.
  bool IsKey(const std::string& user, const std::string& key) const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, User> users_ ABSL_GUARDED_BY(mutex_);
  std::string pam_service_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::config
