#include "services/config-service/shell/plugin_modules.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace portolan::config {

std::vector<PluginModule> BuiltinModules(const std::vector<std::string>& texts) {
  std::vector<PluginModule> modules;
  modules.reserve(texts.size());
  for (const std::string& text : texts) modules.push_back({"built in", text});
  return modules;
}

std::vector<PluginModule> ReadPluginModules(const std::string& directory,
                                            std::vector<std::string>* problems) {
  std::vector<std::string> paths;
  std::error_code error;
  std::filesystem::directory_iterator files(directory, error);
  for (; !error && files != std::filesystem::directory_iterator(); files.increment(error)) {
    if (files->path().extension() == ".yang") paths.push_back(files->path().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    problems->push_back(
        absl::StrCat("modules of plugins cannot be read: ", directory, ": ", error.message()));
  }
  std::sort(paths.begin(), paths.end());
  std::vector<PluginModule> modules;
  for (const std::string& path : paths) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    if (stream) {
      modules.push_back({path, text.str()});
    } else {
      problems->push_back(absl::StrCat(path, " cannot be read"));
    }
  }
  return modules;
}

std::string ModuleNameOf(const std::string& text) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripLeadingAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "module ")) continue;
    line = absl::StripLeadingAsciiWhitespace(line);
    return std::string(line.substr(0, line.find_first_of(" \t\r{")));
  }
  return "";
}

}  // namespace portolan::config
