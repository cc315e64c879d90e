// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace socktale {

absl::Status Table::SelectColumns(const std::string& spec) {
  selected_.clear();
  if (spec.empty()) return absl::OkStatus();
  std::string names = spec;
  if (names.front() == '+') {
    selected_ = Shown();
    names.erase(0, 1);
  }
  for (const absl::string_view name : absl::StrSplit(names, ',')) {
    const auto column = std::find_if(columns_.begin(), columns_.end(), [&](const Column& c) { return c.key == name; });
    if (column == columns_.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "no column '", name, "'; there are: ", absl::StrJoin(columns_, " ", [](std::string* out, const Column& c) {
            out->append(c.key);
          })));
    }
    const auto index = static_cast<size_t>(column - columns_.begin());
    if (std::find(selected_.begin(), selected_.end(), index) == selected_.end()) selected_.push_back(index);
  }
  return absl::OkStatus();
}

std::vector<size_t> Table::Shown() const {
  if (!selected_.empty()) return selected_;
  std::vector<size_t> shown;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].usual) shown.push_back(i);
  }
  return shown;
}

std::vector<size_t> Table::Widths(const std::vector<size_t>& shown, size_t room, size_t& gap) const {
  std::vector<size_t> widths;
  size_t sum = gap * (shown.size() - 1);
  for (const size_t column : shown) {
    size_t width = DisplayWidth(columns_[column].title);
    for (const auto& row : rows_) {
      if (column < row.size()) width = std::max(width, DisplayWidth(row[column].text));
    }
    widths.push_back(width);
    sum += width;
  }
  if (room > 0 && sum > room && gap > 1) {
    sum -= (gap - 1) * (shown.size() - 1);
    gap = 1;
  }
  // Still too wide: the widest column that may shrink gives one column of the terminal, until it fits or none can.
  while (room > 0 && sum > room) {
    size_t widest = shown.size();
    for (size_t i = 0; i < shown.size(); ++i) {
      const size_t least = columns_[shown[i]].shrink_to;
      if (least > 0 && widths[i] > least && (widest == shown.size() || widths[i] > widths[widest])) widest = i;
    }
    if (widest == shown.size()) break;
    --widths[widest];
    --sum;
  }
  return widths;
}

void Table::Print(Output& output, size_t indent, size_t gap) const {
  const std::vector<size_t> shown = Shown();
  const size_t screen = output.look().width;
  const size_t room = screen == 0 ? 0 : std::max<size_t>(screen, indent + 1) - indent;
  const std::vector<size_t> widths = Widths(shown, room, gap);
  const std::string mark(output.Sign("…", "~"));

  const auto print_line = [&](const auto& cell_of) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < shown.size(); ++i) {
      const Cell cell = cell_of(shown[i]);
      const std::string text = screen == 0 ? cell.text : CutToWidth(cell.text, widths[i], mark);
      const size_t padding = widths[i] - std::min(widths[i], DisplayWidth(text));
      if (i > 0) line.append(gap, ' ');
      if (columns_[shown[i]].align == Align::kRight) line.append(padding, ' ');
      line.append(output.Paint(cell.style, text));
      if (columns_[shown[i]].align == Align::kLeft) line.append(padding, ' ');
    }
    output.Line(line);
  };

  print_line([&](size_t column) { return Cell(columns_[column].title, Style::kTitle); });
  for (const auto& row : rows_) {
    if (output.done()) return;
    print_line([&](size_t column) { return column < row.size() ? row[column] : Cell(); });
  }
}

}  // namespace socktale
