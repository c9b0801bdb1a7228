// The file operations of the journals, as an interface so that tests can fail each one or stop the
// world between two. Blocking; one caller at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace portolan::config {

class Files {
 public:
  virtual ~Files() = default;
  // The whole file. NOT_FOUND: there is none. INVALID_ARGUMENT: not a regular file, or larger than
  // 64 MiB.
  virtual absl::StatusOr<std::string> Read(const std::string& path) = 0;
  // Creates or truncates (mode 0600), writes, syncs. RESOURCE_EXHAUSTED: disk full. After an error
  // the file holds anything.
  virtual absl::Status Write(const std::string& path, const std::string& text) = 0;
  // A second name for the file; in place of what had that name. Some file systems have no such
  // thing.
  virtual absl::Status Link(const std::string& from, const std::string& to) = 0;
  // The names in the directory, in no order.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& directory) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // Makes renames and removals in `directory` durable.
  virtual absl::Status SyncDirectory(const std::string& directory) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
};

// The machine's file system.
std::unique_ptr<Files> SystemFiles();

// Keeps a second process out of a directory for as long as it lives. Freed by the kernel when the
// process dies.
class DirectoryLock {
 public:
  // FAILED_PRECONDITION: held by another process.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(const std::string& path);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace portolan::config
