#include "services/config-service/shell/startup.h"

#include <utility>

#include "services/base/status/status_macros.h"

namespace portolan::config {

Startup::Startup(Files* files, std::string directory)
    : files_(files), directory_(std::move(directory)), path_(directory_ + "/startup.json") {}

absl::StatusOr<std::optional<std::string>> Startup::Read() {
  absl::StatusOr<std::string> text = files_->Read(path_);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  return *std::move(text);
}

absl::Status Startup::Write(const std::string& text) {
  const std::string beside = path_ + ".new";
  if (absl::Status status = files_->Write(beside, text); !status.ok()) {
    files_->Remove(beside).IgnoreError();  // a part of it would keep a full disk full
    return status;
  }
  RETURN_IF_ERROR(files_->Rename(beside, path_));
  return files_->SyncDirectory(directory_);
}

absl::Status Startup::Remove() {
  const absl::Status status = files_->Remove(path_);
  if (absl::IsNotFound(status)) return absl::OkStatus();
  RETURN_IF_ERROR(status);
  return files_->SyncDirectory(directory_);
}

}  // namespace portolan::config
