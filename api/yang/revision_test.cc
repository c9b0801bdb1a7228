// RFC 7950, section 11, for our modules: each is compared with its last released revision in
// released/.
#include "services/base/yang/revision.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "api/yang/modules.h"

namespace portolan::api {
namespace {

std::string NameOf(const std::filesystem::path& file) {
  const std::string name = file.stem().string();
  return name.substr(0, name.find('@'));
}

TEST(Modules, BreakNothingThatWasReleased) {
  std::vector<yang::ModuleText> current;
  std::vector<yang::ModuleText> released;
  for (size_t i = 0; i < kYangModuleCount; ++i) {
    current.push_back({kYangModules[i].name, kYangModules[i].text});
    if (current.back().name.rfind("portolan-", 0) != 0) released.push_back(current.back());
  }
  for (const auto& entry : std::filesystem::directory_iterator("api/yang/released")) {
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    released.push_back({NameOf(entry.path()), text.str()});
  }
  ASSERT_GT(released.size(), 2u) << "no module is released";
  const auto before = yang::Context::FromTexts(released);
  ASSERT_TRUE(before.ok()) << before.status();
  const auto now = yang::Context::FromTexts(current);
  ASSERT_TRUE(now.ok()) << now.status();
  for (const std::string& change : yang::IncompatibleChanges(**before, **now)) {
    ADD_FAILURE() << change << ". See \"Releases\" in api/yang/README.md.";
  }
}

}  // namespace
}  // namespace portolan::api
