#include "services/base/store/testing_commit_hook.h"

#include <sqlite3.h>

namespace portolan::store {
namespace {

// SQLite hands nothing but the connection to what it calls when one is opened.
CommitHook inside_commits = nullptr;

int OnCommit(void*) {
  inside_commits();
  return 0;  // the commit goes on
}

int OnOpen(sqlite3* db, char**, const sqlite3_api_routines*) {
  sqlite3_commit_hook(db, OnCommit, nullptr);
  return SQLITE_OK;
}

}  // namespace

void CallInsideCommits(CommitHook hook) {
  inside_commits = hook;
  sqlite3_auto_extension(reinterpret_cast<void (*)()>(OnOpen));
}

}  // namespace portolan::store
