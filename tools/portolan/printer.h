// Rows for people (aligned columns) or for programs (a JSON array of objects).
// Collects rows, prints once; the JSON shape of a column does not depend on its values.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

namespace portolan::cli {

enum class Output { kTable, kJson };

// The values of a cell; none: there is nothing to say.
using Cell = std::vector<std::string>;
// One value; none when it is empty.
Cell CellOf(std::string text);

class Printer {
 public:
  // Column titles in upper case; their lower-case forms with '-' for ' ' are the JSON names. A
  // title that ends in "[]" (not printed) is a list in JSON, however many values a cell has.
  explicit Printer(const std::vector<std::string>& columns);

  // As many cells as columns; each cell is a list of values, joined by "," in a table.
  void Add(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
  void Print(std::ostream& out, Output output) const;

 private:
  void PrintTable(std::ostream& out) const;
  void PrintJson(std::ostream& out) const;

  struct Column {
    std::string title;
    bool is_list = false;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace portolan::cli
