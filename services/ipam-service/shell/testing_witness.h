// Who was told what by an allocator that dies again and again, for tests.
//
// Witness reads the lines of testing_life.h and remembers what the world relies on: an address that
// was published for a Service that is still wanted. It counts each breach: an address with two
// owners, and an acknowledged address that is lost or changed. Owned by the parent; one thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/ipam-service/shell/testing_life.h"

namespace portolan::ipam {

class Witness {
 public:
  // `operations` outlives it.
  explicit Witness(const std::vector<Operation>* operations) : operations_(operations) {}

  // A new life begins: what it publishes replaces what was published, from its "s" on.
  void Restart();
  void Read(const std::string& line);

  size_t done() const { return done_; }  // operations
  bool finished() const { return finished_; }
  // What the last life died in, if it did.
  const std::optional<LastCall>& last_call() const { return last_call_; }
  // "address" -> its owners, as the last life found them in the store.
  const std::multimap<std::string, std::string>& loaded() const { return loaded_; }
  // By Service: what was acknowledged, those that are still wanted.
  const std::map<std::string, std::set<std::string>>& acknowledged() const { return acknowledged_; }

  int calls = 0;
  int published = 0;
  int lost = 0;
  int two_owners = 0;
  std::vector<std::string> problems;  // each breach in words

 private:
  void CheckLoaded();
  void OnPublished(const std::string& key, const std::set<std::string>& addresses);
  void OnWithdrawn(const std::string& key);
  void OnSynced();
  void Lose(const std::string& what);

  const std::vector<Operation>* const operations_;
  size_t done_ = 0;
  bool finished_ = false;
  std::optional<LastCall> last_call_;
  std::map<std::string, std::set<std::string>> acknowledged_;
  std::map<std::string, std::set<std::string>> said_;  // published in this life, not withdrawn
  std::multimap<std::string, std::string> loaded_;
};

}  // namespace portolan::ipam
