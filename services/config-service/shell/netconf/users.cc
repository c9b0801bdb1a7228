#include "services/config-service/shell/netconf/users.h"

#include <crypt.h>
#include <security/pam_appl.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace portolan::config {
namespace {

bool IsHashOf(const std::string& hash, const std::string& password) {
  const auto data = std::make_unique<crypt_data>();
  const char* own = crypt_r(password.c_str(), hash.c_str(), data.get());
  return own != nullptr && own[0] != '*' && hash == own;
}

// Answers every question of PAM with the password.
int Converse(int count, const pam_message** messages, pam_response** responses, void* password) {
  auto* answers = static_cast<pam_response*>(std::calloc(count, sizeof(pam_response)));
  if (answers == nullptr) return PAM_BUF_ERR;
  for (int i = 0; i < count; ++i) {
    if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF) {
      answers[i].resp = strdup(static_cast<const std::string*>(password)->c_str());
    }
  }
  *responses = answers;
  return PAM_SUCCESS;
}

bool Ask(const std::string& service, const std::string& user, const std::string& password) {
  const pam_conv conversation = {&Converse, const_cast<std::string*>(&password)};
  pam_handle_t* handle = nullptr;
  if (pam_start(service.c_str(), user.c_str(), &conversation, &handle) != PAM_SUCCESS) return false;
  int result = pam_authenticate(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
  if (result == PAM_SUCCESS) result = pam_acct_mgmt(handle, PAM_SILENT);
  pam_end(handle, result);
  return result == PAM_SUCCESS;
}

}  // namespace

void Users::Set(std::map<std::string, User> users, std::string pam_service) {
  absl::MutexLock lock(&mutex_);
  users_ = std::move(users);
  pam_service_ = std::move(pam_service);
}

bool Users::IsPassword(const std::string& user, const std::string& password) const {
  std::string hash;
  std::string service;
  {
    absl::MutexLock lock(&mutex_);
    if (const auto it = users_.find(user); it != users_.end()) hash = it->second.password_hash;
    service = pam_service_;
  }
  if (!hash.empty()) return IsHashOf(hash, password);
  return !service.empty() && Ask(service, user, password);
}

bool Users::IsKey(const std::string& user, const std::string& key) const {
  absl::MutexLock lock(&mutex_);
  const auto it = users_.find(user);
  if (it == users_.end()) return false;
  for (const std::string& listed : it->second.keys) {
    // What follows the two is a comment.
    const std::vector<std::string> words = absl::StrSplit(listed, ' ', absl::SkipEmpty());
    if (words.size() >= 2 && absl::StrCat(words[0], " ", words[1]) == key) return true;
  }
  return false;
}

}  // namespace portolan::config
