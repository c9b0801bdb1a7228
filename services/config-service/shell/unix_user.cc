#include "services/config-service/shell/unix_user.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace portolan::config {
namespace {

struct User {
  std::string name;
  gid_t group = 0;
};

// `look_up` is getpwuid_r, getpwnam_r or getgrgid_r without its buffer.
template <typename Entry, typename LookUp>
bool Find(LookUp look_up, Entry* entry, std::vector<char>* buffer) {
  buffer->resize(4096);
  while (true) {
    Entry* found = nullptr;
    const int error = look_up(entry, buffer->data(), buffer->size(), &found);
    if (error != ERANGE) return found != nullptr;
    buffer->resize(buffer->size() * 2);
  }
}

std::vector<std::string> GroupsOf(const User& user) {
  std::vector<gid_t> ids(32);
  int count = static_cast<int>(ids.size());
  while (getgrouplist(user.name.c_str(), user.group, ids.data(), &count) < 0) {
    ids.resize(count);
  }
  ids.resize(count);
  std::vector<std::string> names;
  for (const gid_t id : ids) {
    group entry = {};
    std::vector<char> buffer;
    const auto by_id = [id](group* out, char* data, size_t size, group** found) {
      return getgrgid_r(id, out, data, size, found);
    };
    if (Find(by_id, &entry, &buffer)) names.push_back(entry.gr_name);
  }
  return names;
}

}  // namespace

Subject SubjectOfUid(uid_t uid) {
  Subject subject{.user = absl::StrCat("uid:", uid), .recovery = uid == 0};
  passwd entry = {};
  std::vector<char> buffer;
  const auto by_uid = [uid](passwd* out, char* data, size_t size, passwd** found) {
    return getpwuid_r(uid, out, data, size, found);
  };
  if (Find(by_uid, &entry, &buffer)) {
    subject.user = entry.pw_name;
    subject.external_groups = GroupsOf({entry.pw_name, entry.pw_gid});
  }
  return subject;
}

std::vector<std::string> UnixGroupsOf(const std::string& user) {
  passwd entry = {};
  std::vector<char> buffer;
  const auto by_name = [&user](passwd* out, char* data, size_t size, passwd** found) {
    return getpwnam_r(user.c_str(), out, data, size, found);
  };
  if (!Find(by_name, &entry, &buffer)) return {};
  return GroupsOf({entry.pw_name, entry.pw_gid});
}

}  // namespace portolan::config
