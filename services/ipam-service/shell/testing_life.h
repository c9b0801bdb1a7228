// One life of an allocator, for tests that kill it: engine, Journal with its thread, a store.
//
// Life owns all of it and runs in a child process, forked before any thread was made. It tells the
// parent each thing that happens through a pipe, one line each, written at once, so that what the
// parent reads is what happened before the death:
//   c ROW [VALUE]  a Commit() begins (in hex)     l KEY ADDRESS     a row was loaded
//   i            an operation is about to happen  L                 all rows were loaded
//   p KEY ADDRESS...  published                   w KEY             withdrawn
//   s            everything that was known is published             d  the workload is through
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/base/loop/loop.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/shell/journal.h"
#include "services/ipam-service/shell/testing_mortal_store.h"

namespace portolan::ipam {

// A Service comes or goes.
struct Operation {
  std::string key;
  bool add = false;
};

// `count` of them over few Services, the same for the same seed.
std::vector<Operation> OperationsOf(int count, uint64_t seed);

class Life {
 public:
  struct Death {
    DeathMoment moment = DeathMoment::kBefore;
    std::optional<LastCall> before;  // what the life before died in
  };
  // The Services as after the first `done` operations are what it finds; it goes on with the rest.
  // `operations` outlives it. Lines go to `pipe`.
  Life(const OpenMortal& open, const Death& death, const std::vector<Operation>* operations,
       size_t done, int pipe);
  ~Life();

  // Until the workload is through, unless it dies.
  void Run();

 private:
  void Tell(const std::string& line) const;
  void TellCall(const LastCall& call) const;
  void TellLoaded(const JournalLoaded& loaded) const;
  void Begin();
  void GoOn();
  void Apply(const Operation& operation);
  void Send(const Event& event);
  void Execute(const Effect& effect);
  void Arm(absl::Time at);

  const std::vector<Operation>* const operations_;
  size_t done_;
  const int pipe_;
  const std::unique_ptr<Loop> loop_ = NewLoop();
  Engine engine_;
  std::unique_ptr<Journal> journal_;
  int writes_on_their_way_ = 0;
  Loop::TimerId timer_ = 0;
};

}  // namespace portolan::ipam
