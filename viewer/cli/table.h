// SPDX-License-Identifier: Apache-2.0
//
// Rows and columns of text. On a terminal a table fits its width (cells are cut with "…"); elsewhere nothing is cut.

#ifndef SOCKTALE_VIEWER_CLI_TABLE_H_
#define SOCKTALE_VIEWER_CLI_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "viewer/cli/output.h"

namespace socktale {

enum class Align { kLeft, kRight };

struct Column {
  std::string key;    // name for --columns and --sort: "start"
  std::string title;  // heading; may be empty
  Align align = Align::kLeft;
  bool usual = true;     // shown without --columns
  size_t shrink_to = 0;  // on a narrow terminal the column may be cut down to this width. 0: never cut
};

struct Cell {
  Cell(std::string cell_text = "", Style cell_style = Style::kPlain)  // NOLINT: a cell is mostly its text
      : text(std::move(cell_text)), style(cell_style) {}
  Cell(const char* cell_text) : text(cell_text) {}  // NOLINT

  std::string text;
  Style style = Style::kPlain;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Applies --columns: "a,b" shows these in this order, "+a,b" the usual ones and these. kInvalidArgument names the
  // columns there are.
  absl::Status SelectColumns(const std::string& spec);

  // One cell per column, in the order given to the constructor; missing ones are empty.
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }

  bool empty() const { return rows_.empty(); }

  // Heading and rows, columns apart by `gap` spaces (by one where it would not fit otherwise), each line after `indent`
  // spaces.
  void Print(Output& output, size_t indent = 1, size_t gap = 2) const;

 private:
  std::vector<size_t> Shown() const;
  std::vector<size_t> Widths(const std::vector<size_t>& shown, size_t room, size_t& gap) const;

  std::vector<Column> columns_;
  std::vector<size_t> selected_;  // empty: the usual ones
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_TABLE_H_
