#include "services/base/store/sqlite_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::store {
namespace {

constexpr int kApplicationId = 0x506f7274;  // "Port"
constexpr int kSchemaVersion = 1;

absl::Status ToStatus(int code, sqlite3* db, absl::string_view doing) {
  const std::string text =
      absl::StrCat(doing, ": ", db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code));
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
      return absl::OkStatus();
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(text);
    default:
      // A write error of a full disk arrives as SQLITE_IOERR with ENOSPC behind it.
      if (db != nullptr &&
          (sqlite3_system_errno(db) == ENOSPC || sqlite3_system_errno(db) == EDQUOT)) {
        return absl::ResourceExhaustedError(text);
      }
      return absl::UnavailableError(text);
  }
}

// A prepared statement, reset after each use.
class Statement {
 public:
  Statement() = default;
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  absl::Status Prepare(sqlite3* db, const char* sql) {
    return ToStatus(
        sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr), db, sql);
  }
  void Bind(int index, absl::string_view bytes) {
    sqlite3_bind_blob64(statement_, index, bytes.data(), bytes.size(), SQLITE_STATIC);
  }
  int Step() { return sqlite3_step(statement_); }
  int Run() {
    const int code = Step();
    Reset();
    return code;
  }
  void Reset() { sqlite3_reset(statement_); }
  std::string Column(int index) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, index));
    return std::string(data == nullptr ? "" : data, sqlite3_column_bytes(statement_, index));
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

class SqliteStore : public Store {
 public:
  SqliteStore(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}
  ~SqliteStore() override {
    list_.reset();
    erase_.reset();
    create_.reset();
    put_.reset();
    sqlite3_close(db_);
    close(lock_fd_);
  }

  absl::Status Open() {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    RETURN_IF_ERROR(ToStatus(sqlite3_open_v2(path_.c_str(), &db_, flags, nullptr), db_, path_));
    chmod(path_.c_str(), 0600);
    RETURN_IF_ERROR(CheckOwner());
    RETURN_IF_ERROR(Exec(
        absl::StrCat("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"
                     "PRAGMA application_id=",
                     kApplicationId, "; PRAGMA user_version=", kSchemaVersion,
                     ";"
                     "CREATE TABLE IF NOT EXISTS row(key BLOB PRIMARY KEY, value BLOB NOT NULL) "
                     "STRICT, WITHOUT ROWID;")));
    RETURN_IF_ERROR(Prepare(list_, "SELECT key, value FROM row WHERE key >= ?1 ORDER BY key"));
    RETURN_IF_ERROR(Prepare(erase_, "DELETE FROM row WHERE key = ?1"));
    RETURN_IF_ERROR(Prepare(create_, "INSERT INTO row(key, value) VALUES(?1, ?2)"));
    return Prepare(put_, "INSERT OR REPLACE INTO row(key, value) VALUES(?1, ?2)");
  }

  absl::Status Commit(const Batch& batch) override {
    if (batch.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(Exec("BEGIN IMMEDIATE"));
    absl::Status status = Write(batch);
    if (status.ok()) status = Exec("COMMIT");
    // ROLLBACK fails when SQLite has rolled back by itself (full disk); that is what we want.
    if (!status.ok()) Exec("ROLLBACK").IgnoreError();
    return status;
  }

  absl::StatusOr<std::vector<Row>> List(absl::string_view prefix) const override {
    std::vector<Row> rows;
    list_->Bind(1, prefix);
    const absl::Cleanup reset = [this] { list_->Reset(); };
    int code = list_->Step();
    for (; code == SQLITE_ROW; code = list_->Step()) {
      Row row{list_->Column(0), list_->Column(1)};
      if (row.key.compare(0, prefix.size(), prefix.data(), prefix.size()) != 0) break;
      rows.push_back(std::move(row));
    }
    RETURN_IF_ERROR(ToStatus(code, db_, path_));
    return rows;
  }

 private:
  // An empty file is ours to take; another program's or a newer Portolan's is not.
  absl::Status CheckOwner() {
    ASSIGN_OR_RETURN(const int application, Pragma("PRAGMA application_id"));
    ASSIGN_OR_RETURN(const int version, Pragma("PRAGMA user_version"));
    if (application != 0 && application != kApplicationId) {
      return absl::FailedPreconditionError(
          absl::StrCat(path_, " is a SQLite file of another program; choose another path"));
    }
    if (version > kSchemaVersion) {
      return absl::FailedPreconditionError(
          absl::StrCat(path_, " was written by a newer Portolan (layout ", version,
                       ", this one knows ", kSchemaVersion, "); run that version"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<int> Pragma(const char* sql) {
    Statement statement;
    RETURN_IF_ERROR(statement.Prepare(db_, sql));
    const int code = statement.Step();
    if (code != SQLITE_ROW) return ToStatus(code, db_, path_);
    int value = 0;
    const std::string text = statement.Column(0);
    // application_id and user_version are integers; their text form is decimal.
    value = static_cast<int>(strtol(text.c_str(), nullptr, 10));
    return value;
  }

  absl::Status Prepare(std::unique_ptr<Statement>& statement, const char* sql) {
    statement = std::make_unique<Statement>();
    return statement->Prepare(db_, sql);
  }

  absl::Status Exec(const std::string& sql) {
    return ToStatus(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), db_, path_);
  }

  absl::Status Write(const Batch& batch) {
    for (const std::string& key : batch.erase) {
      erase_->Bind(1, key);
      RETURN_IF_ERROR(ToStatus(erase_->Run(), db_, path_));
    }
    for (const Row& row : batch.create) {
      create_->Bind(1, row.key);
      create_->Bind(2, row.value);
      const int code = create_->Run();
      if ((code & 0xff) == SQLITE_CONSTRAINT) {
        return absl::AlreadyExistsError(absl::StrCat("key exists: ", row.key));
      }
      RETURN_IF_ERROR(ToStatus(code, db_, path_));
    }
    for (const Row& row : batch.put) {
      put_->Bind(1, row.key);
      put_->Bind(2, row.value);
      RETURN_IF_ERROR(ToStatus(put_->Run(), db_, path_));
    }
    return absl::OkStatus();
  }

  const std::string path_;
  const int lock_fd_;
  sqlite3* db_ = nullptr;
  std::unique_ptr<Statement> list_;
  std::unique_ptr<Statement> erase_;
  std::unique_ptr<Statement> create_;
  std::unique_ptr<Statement> put_;
};

// The advisory lock lives as long as the descriptor, so a killed process leaves none behind.
absl::StatusOr<int> LockFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    const std::string text = absl::StrCat(path, ": ", strerror(errno));
    if (errno == ENOSPC || errno == EDQUOT) return absl::ResourceExhaustedError(text);
    return absl::UnavailableError(text);
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is held by another process; stop it or use another state directory"));
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(const std::string& path) {
  ASSIGN_OR_RETURN(const int lock_fd, LockFile(absl::StrCat(path, ".lock")));
  auto opened = std::make_unique<SqliteStore>(path, lock_fd);
  RETURN_IF_ERROR(opened->Open());
  std::unique_ptr<Store> result = std::move(opened);
  return result;
}

}  // namespace portolan::store
