#include "tools/portolan/printer.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"

namespace portolan::cli {

Cell CellOf(std::string text) { return text.empty() ? Cell{} : Cell{std::move(text)}; }

Printer::Printer(const std::vector<std::string>& columns) {
  for (absl::string_view title : columns) {
    const bool is_list = absl::ConsumeSuffix(&title, "[]");
    columns_.push_back({std::string(title), is_list});
  }
}

void Printer::Print(std::ostream& out, Output output) const {
  if (output == Output::kJson) {
    PrintJson(out);
  } else {
    PrintTable(out);
  }
}

void Printer::PrintTable(std::ostream& out) const {
  std::vector<std::vector<std::string>> lines(1);
  for (const Column& column : columns_) lines[0].push_back(column.title);
  for (const auto& row : rows_) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const auto& cell : row) line.push_back(cell.empty() ? "-" : absl::StrJoin(cell, ","));
  }
  std::vector<size_t> widths(columns_.size());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      text += line[i];
      if (i + 1 < line.size()) text.append(widths[i] - line[i].size() + 3, ' ');
    }
    out << text << '\n';
  }
}

void Printer::PrintJson(std::ostream& out) const {
  auto array = nlohmann::ordered_json::array();
  for (const auto& row : rows_) {
    nlohmann::ordered_json object;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string name =
          absl::StrReplaceAll(absl::AsciiStrToLower(columns_[i].title), {{" ", "-"}});
      if (columns_[i].is_list) {
        object[name] = row[i];
      } else {
        object[name] = absl::StrJoin(row[i], ",");
      }
    }
    array.push_back(std::move(object));
  }
  out << array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

}  // namespace portolan::cli
