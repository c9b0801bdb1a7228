#include "services/config-service/shell/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace portolan::config {
namespace {

constexpr off_t kMaxSize = 64 << 20;

absl::Status Failed(const std::string& path, int error) {
  const std::string message = absl::StrCat(path, ": ", strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// Closes at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

class RealFiles : public Files {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) override {
    const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return Failed(path, errno);
    struct stat info = {};
    if (fstat(fd.get(), &info) != 0) return Failed(path, errno);
    if (S_ISDIR(info.st_mode)) {
      return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
    }
    std::string text;
    char buffer[1 << 16];
    ssize_t count = 0;
    while ((count = read(fd.get(), buffer, sizeof(buffer))) != 0) {
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Failed(path, errno);
      text.append(buffer, static_cast<size_t>(count));
      if (text.size() > kMaxSize) {
        return absl::InvalidArgumentError(absl::StrCat(path, " is larger than 64 MiB"));
      }
    }
    return text;
  }

  absl::Status Write(const std::string& path, const std::string& text) override {
    Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (fd.get() < 0) return Failed(path, errno);
    for (size_t done = 0; done < text.size();) {
      const ssize_t count = write(fd.get(), text.data() + done, text.size() - done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Failed(path, errno);
      done += static_cast<size_t>(count);
    }
    if (fsync(fd.get()) != 0) return Failed(path, errno);
    // Some file systems report a failed write only here.
    if (close(fd.release()) != 0) return Failed(path, errno);
    return absl::OkStatus();
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    return rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus() : Failed(to, errno);
  }

  absl::Status Link(const std::string& from, const std::string& to) override {
    if (unlink(to.c_str()) != 0 && errno != ENOENT) return Failed(to, errno);
    return link(from.c_str(), to.c_str()) == 0 ? absl::OkStatus() : Failed(to, errno);
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
      names.push_back(entry.path().filename().string());
    }
    if (error) return Failed(directory, error.value());
    return names;
  }

  absl::Status SyncDirectory(const std::string& directory) override {
    const Descriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0 || fsync(fd.get()) != 0) return Failed(directory, errno);
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& path) override {
    return unlink(path.c_str()) == 0 ? absl::OkStatus() : Failed(path, errno);
  }
};

}  // namespace

std::unique_ptr<Files> SystemFiles() { return std::make_unique<RealFiles>(); }

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(const std::string& path) {
  Descriptor fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return Failed(path, errno);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the state directory ", path,
        " is in use by another process; stop that one or choose another state directory"));
  }
  return std::unique_ptr<DirectoryLock>(new DirectoryLock(fd.release()));
}

DirectoryLock::~DirectoryLock() { close(fd_); }

}  // namespace portolan::config
