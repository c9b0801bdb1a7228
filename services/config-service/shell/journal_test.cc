#include "services/config-service/shell/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "services/config-service/shell/fake_files.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;

JournalEntry Entry(uint64_t revision) {
  return {.revision = revision,
          .generations = {{"default/web", revision}},
          .loaded_file = "0123-4",
          .allow_renumber = revision % 2 == 0,
          .configuration = "{\n \"a:b\": {\n  \"c\": " + std::to_string(revision) + "\n }\n}"};
}

// What a process that starts now finds: the revision, or 0.
uint64_t FoundRevision(FakeFiles files) {
  const auto entry = Journal(&files, "/state").Read();
  EXPECT_TRUE(entry.ok()) << entry.status();
  if (!entry.ok() || !entry->has_value()) return 0;
  EXPECT_EQ(**entry, Entry((*entry)->revision));
  return (*entry)->revision;
}

TEST(Journal, IsEmptyAtFirst) {
  FakeFiles files;
  EXPECT_FALSE(Journal(&files, "/state").Read()->has_value());
}

TEST(Journal, KeepsEverythingThatWasWritten) {
  FakeFiles files;
  Journal journal(&files, "/state");
  ASSERT_TRUE(journal.Write(Entry(1)).ok());
  ASSERT_TRUE(journal.Write(Entry(2)).ok());
  EXPECT_EQ(FoundRevision(files.AfterKill()), 2u);
  EXPECT_EQ(FoundRevision(files.AfterPowerCut()), 2u);
}

TEST(Journal, OfBeforeThePermissionToRenumberHasNone) {
  FakeFiles files;
  files.visible["/state/running.json"] =
      R"({"version": 1, "revision": 3, "loaded-file": "", "generations": {}, "configuration": {}})";
  const auto entry = Journal(&files, "/state").Read();
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ((*entry)->revision, 3u);
  EXPECT_FALSE((*entry)->allow_renumber);
}

// Death or power loss at every step of the second write.
TEST(Journal, IsBeforeOrAfterWhereverItIsCut) {
  int cuts = 0;
  for (int step = 0;; ++step) {
    FakeFiles files;
    Journal journal(&files, "/state");
    ASSERT_TRUE(journal.Write(Entry(1)).ok());
    files.die_at = files.operations() + step;
    const absl::Status status = journal.Write(Entry(2));
    if (!files.dead()) {
      EXPECT_TRUE(status.ok());
      break;
    }
    ++cuts;
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(FoundRevision(files.AfterKill()), ::testing::AnyOf(1u, 2u)) << step;
    EXPECT_THAT(FoundRevision(files.AfterPowerCut()), ::testing::AnyOf(1u, 2u)) << step;
  }
  EXPECT_EQ(cuts, 3);  // write, rename, sync of the directory
}

TEST(Journal, FirstWriteIsBeforeOrAfterToo) {
  for (int step = 0; step < 3; ++step) {
    FakeFiles files;
    Journal journal(&files, "/state");
    files.die_at = step;
    EXPECT_FALSE(journal.Write(Entry(1)).ok());
    EXPECT_THAT(FoundRevision(files.AfterKill()), ::testing::AnyOf(0u, 1u)) << step;
    EXPECT_THAT(FoundRevision(files.AfterPowerCut()), 0u) << step;
  }
}

// A refused edit must not come to life at the next start.
TEST(Journal, FailedStepLeavesTheEntryBefore) {
  for (int step = 0; step < 3; ++step) {
    FakeFiles files;
    Journal journal(&files, "/state");
    ASSERT_TRUE(journal.Write(Entry(1)).ok());
    files.fail_at = files.operations() + step;
    const absl::Status status = journal.Write(Entry(2));
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(FoundRevision(files.AfterKill()), 1u) << step;
    EXPECT_TRUE(journal.Write(Entry(3)).ok());
    EXPECT_EQ(FoundRevision(files.AfterPowerCut()), 3u) << step;
  }
}

TEST(Journal, FailedFirstWriteLeavesNone) {
  for (int step = 0; step < 3; ++step) {
    FakeFiles files;
    Journal journal(&files, "/state");
    files.fail_at = step;
    EXPECT_FALSE(journal.Write(Entry(1)).ok());
    EXPECT_EQ(FoundRevision(files.AfterKill()), 0u) << step;
  }
}

TEST(Journal, PartOfAWriteDoesNotStayOnAFullDisk) {
  FakeFiles files;
  files.fail_at = 0;
  Journal journal(&files, "/state");
  EXPECT_FALSE(journal.Write(Entry(1)).ok());
  EXPECT_TRUE(files.visible.empty());
}

TEST(Journal, SaysWhatToDoAboutADamagedOrNewerFile) {
  FakeFiles files;
  files.visible["/state/running.json"] = "{\"version\": 1, \"revis";
  const auto damaged = Journal(&files, "/state").Read();
  EXPECT_EQ(damaged.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(damaged.status().message()), HasSubstr("/state/running.json is damaged"));
  EXPECT_THAT(std::string(damaged.status().message()), HasSubstr("backup"));

  files.visible["/state/running.json"] = "{\"version\": 2}";
  const auto newer = Journal(&files, "/state").Read();
  EXPECT_EQ(newer.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(newer.status().message()), HasSubstr("newer Portolan"));
}

TEST(SystemFiles, JournalOnARealDiskIsForItsOwnerOnly) {
  const std::string directory = std::getenv("TEST_TMPDIR");
  const auto files = SystemFiles();
  Journal journal(files.get(), directory);
  ASSERT_TRUE(journal.Write(Entry(1)).ok());
  ASSERT_TRUE(journal.Write(Entry(2)).ok());
  EXPECT_EQ(**Journal(files.get(), directory).Read(), Entry(2));
  struct stat info = {};
  ASSERT_EQ(stat(journal.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_NE(access((journal.path() + ".new").c_str(), F_OK), 0);
  EXPECT_EQ(Journal(files.get(), directory + "/none").Write(Entry(1)).code(),
            absl::StatusCode::kNotFound);
}

TEST(SystemFiles, FullDiskIsSaidSo) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "there is no /dev/full here";
  const absl::Status status = SystemFiles()->Write("/dev/full", "text");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("No space left on device"));
}

TEST(DirectoryLock, KeepsASecondHolderOutUntilItGoes) {
  const std::string directory = std::getenv("TEST_TMPDIR");
  auto first = DirectoryLock::Take(directory);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = DirectoryLock::Take(directory);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  first->reset();
  EXPECT_TRUE(DirectoryLock::Take(directory).ok());
}

TEST(Fingerprint, TellsTextsApart) {
  EXPECT_EQ(Fingerprint("a"), Fingerprint("a"));
  EXPECT_NE(Fingerprint("a"), Fingerprint("b"));
  EXPECT_NE(Fingerprint(""), Fingerprint(std::string(1, '\0')));
}

}  // namespace
}  // namespace portolan::config
