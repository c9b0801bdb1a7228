// A look into SQLite's transactions, for tests that end a process inside one.
//
// The hook is the whole process's: set it once, before a store is opened, and in a child only. It
// is called on the thread that commits: the statements ran, the write lock is held, nothing is in
// the file's journal yet. It is called for the transactions of OpenSqlite(), too.
#pragma once

namespace portolan::store {

using CommitHook = void (*)();

// For every store that is opened from now on. `hook` is not null.
void CallInsideCommits(CommitHook hook);

}  // namespace portolan::store
