#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace manul::ctl {

/// Text in columns. `plain` is calicoctl's layout (padding 3, heading in upper case, one blank line after it), `boxed`
/// the one of `ipam show` and `node status`.
class Table {
public:
    explicit Table(std::vector<std::string> heading) : heading_(std::move(heading)) {}

    /// This column and those after it hold numbers.
    void right_align_from(std::size_t column) noexcept { first_right_ = column; }
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
    [[nodiscard]] std::string plain() const;
    [[nodiscard]] std::string boxed() const;
    /// The lines of `plain` alone, for tables that go on: columns at least as wide as `widest`, which grows with them.
    [[nodiscard]] std::string lines(bool with_heading, std::vector<std::size_t>& widest) const;

private:
    [[nodiscard]] std::vector<std::size_t> widths(bool with_heading = true) const;

    [[nodiscard]] std::string aligned(std::string_view cell, std::size_t column, std::size_t width) const;

    std::vector<std::string> heading_;
    std::vector<std::vector<std::string>> rows_;
    std::size_t first_right_ = static_cast<std::size_t>(-1);
};

}  // namespace manul::ctl
