#include "ctl/output/table.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace manul::ctl {

namespace {

/// Cells hold UTF-8; a column is as wide as its characters, not its bytes.
std::size_t display_width(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

std::string_view cell_at(const std::vector<std::string>& row, std::size_t index) {
    return index < row.size() ? std::string_view(row[index]) : std::string_view();
}

}  // namespace

std::vector<std::size_t> Table::widths(bool with_heading) const {
    std::vector<std::size_t> widest;
    for (std::size_t i = 0; i < heading_.size(); ++i) {
        std::size_t width = with_heading ? display_width(heading_[i]) : 0;
        for (const auto& row : rows_) {
            width = std::max(width, display_width(cell_at(row, i)));
        }
        widest.push_back(width);
    }
    return widest;
}

std::string Table::aligned(std::string_view cell, std::size_t column, std::size_t width) const {
    const std::string padding(width - std::min(width, display_width(cell)), ' ');
    return column >= first_right_ ? padding + std::string(cell) : std::string(cell) + padding;
}

std::string Table::lines(bool with_heading, std::vector<std::size_t>& widest) const {
    const auto own = widths(with_heading);
    widest.resize(std::max(widest.size(), own.size()));
    std::ranges::transform(own, widest, widest.begin(), [](std::size_t a, std::size_t b) { return std::max(a, b); });
    std::string text;
    const auto line = [&](const std::vector<std::string>& row) {
        std::string out;
        for (std::size_t i = 0; i < heading_.size(); ++i) {
            out += aligned(cell_at(row, i), i, widest[i]) + "   ";
        }
        out.erase(out.find_last_not_of(' ') + 1);
        text += out + '\n';
    };
    if (with_heading) {
        line(heading_);
    }
    for (const auto& row : rows_) {
        line(row);
    }
    return text;
}

std::string Table::plain() const {
    std::vector<std::size_t> widest;
    return lines(true, widest) + '\n';
}

std::string Table::boxed() const {
    const auto widest = widths();
    std::string rule = "+";
    for (const std::size_t width : widest) {
        rule += std::string(width + 2, '-') + '+';
    }
    rule += '\n';
    std::string text = rule;
    const auto line = [&](const std::vector<std::string>& row) {
        text += '|';
        for (std::size_t i = 0; i < widest.size(); ++i) {
            text += ' ' + aligned(cell_at(row, i), i, widest[i]) + " |";
        }
        text += '\n';
    };
    line(heading_);
    text += rule;
    for (const auto& row : rows_) {
        line(row);
    }
    return text + rule;
}

}  // namespace manul::ctl
