// Who may open a NETCONF session over SSH.
#include "services/config-service/shell/netconf/users.h"

#include <crypt.h>
#include <gtest/gtest.h>

namespace portolan::config {
namespace {

constexpr char kKey[] =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILHmSvCP5cWjQNWtcoxJwsWWnlGShP8xWezHLGETKvrL";

std::string HashOf(const char* password) { return crypt(password, "$6$saltsalt$"); }

TEST(Users, PasswordIsHeldAgainstItsHash) {
  Users users;
  users.Set({{"ann", {.password_hash = HashOf("secret")}}}, "");
  EXPECT_TRUE(users.IsPassword("ann", "secret"));
  EXPECT_FALSE(users.IsPassword("ann", "Secret"));
  EXPECT_FALSE(users.IsPassword("ann", ""));
  EXPECT_FALSE(users.IsPassword("bob", "secret"));
}

TEST(Users, HashThatIsNoneMatchesNothing) {
  Users users;
  users.Set({{"ann", {.password_hash = "$"}}}, "");
  EXPECT_FALSE(users.IsPassword("ann", "$"));
  EXPECT_FALSE(users.IsPassword("ann", "*0"));
}

TEST(Users, WithoutHashAndPamThereIsNoPassword) {
  Users users;
  users.Set({{"ann", {.keys = {kKey}}}}, "");
  EXPECT_FALSE(users.IsPassword("ann", ""));
}

TEST(Users, PamRefusesUsersThatItDoesNotKnow) {
  Users users;
  users.Set({}, "portolan-test-without-a-file");
  EXPECT_FALSE(users.IsPassword("nobody-of-this-name", "secret"));
}

TEST(Users, KeyIsComparedWithoutItsComment) {
  Users users;
  users.Set({{"ann", {.keys = {std::string(kKey) + " ann@laptop"}}}}, "");
  EXPECT_TRUE(users.IsKey("ann", kKey));
  EXPECT_FALSE(users.IsKey("ann", std::string(kKey).substr(0, 60)));
  EXPECT_FALSE(users.IsKey("bob", kKey));
}

TEST(Users, ThoseOfBeforeAreForgotten) {
  Users users;
  users.Set({{"ann", {.keys = {kKey}}}}, "");
  users.Set({}, "");
  EXPECT_FALSE(users.IsKey("ann", kKey));
}

}  // namespace
}  // namespace portolan::config
