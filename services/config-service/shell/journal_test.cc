#include "services/config-service/shell/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/config-service/shell/fake_files.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;

Commit CommitOf(uint64_t revision) {
  using yang::Difference;
  return {.revision = revision,
          .time = absl::FromUnixMillis(1'800'000'000'123),
          .author = {"ann", false, "portolan on router1", "a \"reason\"\n"},
          .operation = "merge",
          .comparison = {{{Difference::Kind::kAdded, "/a:b/c", "", "1"},
                          {Difference::Kind::kRemoved, "/a:b/d", "2", ""},
                          {Difference::Kind::kChanged, "/a:b/e", "3", "4"},
                          {Difference::Kind::kReordered, "/a:b/f", "", ""}},
                         7}};
}

JournalEntry Entry(uint64_t revision) {
  return {.revision = revision,
          .generations = {{"default/web", revision}},
          .loaded_file = "0123-4",
          .allow_renumber = revision % 2 == 0,
          .owners =
              std::map<std::string, Writer>{
                  {"/a", Writer::kOperator}, {"/b", Writer::kFile}, {"/c['d']", Writer::kKube}},
          .commit = CommitOf(revision),
          .trial = revision % 3 != 0
                       ? std::nullopt
                       : std::optional<Trial>({.base_revision = revision - 1,
                                               .revision = revision,
                                               .deadline = absl::FromUnixMillis(1'800'000'060'000),
                                               .timeout = absl::Seconds(60),
                                               .session = 4,
                                               .persist_id = "token",
                                               .allow_renumber = true}),
          .boot_id = "boot",
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

// Every revision before the one that runs is there, whole, and none that never ran.
bool HasItsPast(FakeFiles files) {
  Journal journal(&files, "/state");
  if (!journal.Read().ok() || !journal.damaged().empty()) return false;
  const std::vector<Commit> history = journal.History();
  for (size_t i = 0; i < history.size(); ++i) {
    const uint64_t revision = history.size() - i;
    const auto entry = journal.Recall(revision);
    if (history[i] != CommitOf(revision) || !entry.ok() || *entry != Entry(revision)) return false;
  }
  return true;
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

TEST(Journal, OfBeforeThereWerePermissionsAndOwnersHasNone) {
  FakeFiles files;
  files.visible["/state/running.json"] =
      R"({"version": 1, "revision": 3, "loaded-file": "", "generations": {}, "configuration": {}})";
  const auto entry = Journal(&files, "/state").Read();
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ((*entry)->revision, 3u);
  EXPECT_FALSE((*entry)->allow_renumber);
  EXPECT_TRUE((*entry)->owners->empty());
  EXPECT_FALSE((*entry)->trial.has_value());
  EXPECT_EQ((*entry)->commit, Commit{.revision = 3});
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
    EXPECT_TRUE(HasItsPast(files.AfterKill())) << step;
    EXPECT_TRUE(HasItsPast(files.AfterPowerCut())) << step;
  }
  EXPECT_EQ(cuts, 4);  // link to the history, write, rename, sync of the directory
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
  for (int step = 1; step < 4; ++step) {  // without a link there is a copy
    FakeFiles files;
    Journal journal(&files, "/state");
    ASSERT_TRUE(journal.Write(Entry(1)).ok());
    files.fail_at = files.operations() + step;
    const absl::Status status = journal.Write(Entry(2));
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(FoundRevision(files.AfterKill()), 1u) << step;
    EXPECT_TRUE(journal.Write(Entry(3)).ok());
    EXPECT_EQ(FoundRevision(files.AfterPowerCut()), 3u) << step;
    EXPECT_EQ(journal.History().size(), 2u) << step;
    EXPECT_EQ(*journal.Recall(1), Entry(1)) << step;
  }
}

TEST(Journal, CopiesWhereTheFileSystemCannotLink) {
  FakeFiles files;
  Journal journal(&files, "/state");
  ASSERT_TRUE(journal.Write(Entry(1)).ok());
  files.fail_at = files.operations();
  files.fault = absl::PermissionDeniedError("no links here");
  ASSERT_TRUE(journal.Write(Entry(2)).ok());
  EXPECT_TRUE(HasItsPast(files.AfterPowerCut()));
  EXPECT_EQ(files.visible.count("/state/history.1.json"), 1u);
}

TEST(Journal, RefusesWhenThePastCannotBeKept) {
  FakeFiles files;
  Journal journal(&files, "/state");
  ASSERT_TRUE(journal.Write(Entry(1)).ok());
  files.fail_from = files.operations();
  EXPECT_EQ(journal.Write(Entry(2)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(FoundRevision(files.AfterKill()), 1u);
}

TEST(Journal, KeepsTheLastFiftyCommits) {
  FakeFiles files;
  Journal journal(&files, "/state");
  for (uint64_t revision = 1; revision <= Journal::kMaxCommits + 5; ++revision) {
    ASSERT_TRUE(journal.Write(Entry(revision)).ok());
  }
  Journal next(&files, "/state");
  ASSERT_TRUE(next.Read().ok());
  const std::vector<Commit> history = next.History();
  ASSERT_EQ(history.size(), Journal::kMaxCommits);
  EXPECT_EQ(history.front().revision, 55u);
  EXPECT_EQ(history.back().revision, 6u);
  EXPECT_EQ(next.Recall(5).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(files.visible.size(), Journal::kMaxCommits);
}

TEST(Journal, KeepsLessOfLargeConfigurations) {
  FakeFiles files;
  Journal journal(&files, "/state");
  JournalEntry large = Entry(1);
  large.configuration = "{\"a\": \"" + std::string(Journal::kMaxBytes / 3, 'x') + "\"}";
  for (large.revision = 1; large.revision <= 5; ++large.revision) {
    large.commit.revision = large.revision;
    ASSERT_TRUE(journal.Write(large).ok());
  }
  EXPECT_EQ(journal.History().size(), 2u);
  EXPECT_EQ(files.visible.size(), 2u);
}

TEST(Journal, NeverLosesWhatATrialGoesBackTo) {
  FakeFiles files;
  Journal journal(&files, "/state");
  ASSERT_TRUE(journal.Write(Entry(1)).ok());
  JournalEntry entry = Entry(3);
  entry.trial->base_revision = 1;
  for (uint64_t revision = 2; revision <= 2 * Journal::kMaxCommits; ++revision) {
    entry.revision = entry.commit.revision = entry.trial->revision = revision;
    ASSERT_TRUE(journal.Write(entry).ok());
  }
  EXPECT_EQ(*journal.Recall(1), Entry(1));
  EXPECT_EQ(journal.History().size(), Journal::kMaxCommits);
}

TEST(Journal, HistoryLeavesOutWhatIsDamagedOrNotOfThePast) {
  FakeFiles files;
  Journal journal(&files, "/state");
  for (uint64_t revision = 1; revision <= 3; ++revision) {
    ASSERT_TRUE(journal.Write(Entry(revision)).ok());
  }
  files.visible["/state/history.1.json"] = "{\"version\": 1, \"revis";
  files.visible["/state/history.9.json"] = files.visible["/state/history.2.json"];
  files.visible["/state/history.x.json"] = "";
  Journal next(&files, "/state");
  ASSERT_TRUE(next.Read().ok());
  EXPECT_EQ(next.History().size(), 2u);
  ASSERT_EQ(next.damaged().size(), 1u);
  EXPECT_THAT(next.damaged()[0], HasSubstr("/state/history.1.json is damaged"));
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
  ASSERT_EQ(stat((directory + "/history.1.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(*journal.Recall(1), Entry(1));
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
