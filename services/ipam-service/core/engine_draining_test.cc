// Addresses that are on their way out and may come back. Found by random operations against a plain
// model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::IsEmpty;

constexpr char kWeb[] = "default/web";

// "ADDRESS stays" or "ADDRESS drains", in order.
std::string GrantsOf(const World& world) {
  return absl::StrJoin(
      world.allocations().at(kWeb).grants, ", ", [](std::string* out, const Grant& grant) {
        const bool drains = grant.draining_until_unix_ms != 0;
        absl::StrAppend(out, grant.address.ToString(), drains ? " drains" : " stays");
      });
}

// A Service whose pool moved from under it: .1 drains, .2 stays.
void MoveIt(World& world) {
  world.settings.drain_time = absl::Minutes(1);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.1"}));
  world.Add(ServiceOf(kWeb));
  world.Add(PoolOf("p", {"10.0.0.2-10.0.0.2"}));
  ASSERT_EQ(GrantsOf(world), "10.0.0.2 stays, 10.0.0.1 drains");
}

// The symptom: after a restart the older one was back in the place of the one that stayed.
TEST(EngineDraining, OneThatDrainsDoesNotComeBackInThePlaceOfOneThatStays) {
  Disk disk;
  const PoolConfig both = PoolOf("p", {"10.0.0.1-10.0.0.2"});
  {
    World world(&disk);
    MoveIt(world);
    world.Add(both);
    EXPECT_EQ(GrantsOf(world), "10.0.0.2 stays, 10.0.0.1 drains");
  }
  World world(&disk);
  world.settings.drain_time = absl::Minutes(1);
  world.Add(ServiceOf(kWeb));
  world.Send(PoolChanged{both});
  world.Start();
  EXPECT_EQ(GrantsOf(world), "10.0.0.2 stays, 10.0.0.1 drains");
  EXPECT_THAT(world.problems, IsEmpty());
}

// The symptom: it was said to stay, and a process that died then let it go.
TEST(EngineDraining, OneThatComesBackIsSaidToStayOnceItsRowSaysSo) {
  Disk disk;
  World world(&disk);
  MoveIt(world);
  world.journal_waits = true;
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.1"}));
  EXPECT_EQ(GrantsOf(world), "10.0.0.1 drains, 10.0.0.2 drains");
  world.AnswerJournal();
  EXPECT_EQ(GrantsOf(world), "10.0.0.1 stays, 10.0.0.2 drains");
  world.Advance(absl::Minutes(2));
  EXPECT_EQ(GrantsOf(world), "10.0.0.1 stays");
}

}  // namespace
}  // namespace portolan::ipam
