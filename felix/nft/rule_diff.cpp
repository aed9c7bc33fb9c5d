#include "felix/nft/rule_diff.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace manul::felix::nft {

namespace {

/// Cells of the table that finds the longest common sequence.
constexpr std::size_t kMostCells = 250'000;

}  // namespace

RuleDiff::RuleDiff(const std::vector<KernelChain::Rule>& have, const std::vector<std::uint64_t>& want)
    : have_(have), partners_(want.size()) {
    std::size_t begin = 0;
    std::size_t have_end = have.size();
    std::size_t want_end = want.size();
    while (begin < have_end && begin < want_end && have[begin].fingerprint == want[begin]) {
        pair(begin, begin);
        ++begin;
    }
    while (begin < have_end && begin < want_end && have[have_end - 1].fingerprint == want[want_end - 1]) {
        pair(--have_end, --want_end);
    }
    const std::size_t rows = have_end - begin;
    const std::size_t columns = want_end - begin;
    if (rows == 0 || columns == 0 || (rows + 1) * (columns + 1) > kMostCells) {
        return;
    }
    // lengths[i][j]: of the longest common sequence from rows i and columns j on.
    std::vector<std::uint32_t> lengths((rows + 1) * (columns + 1));
    const auto length = [&](std::size_t i, std::size_t j) -> std::uint32_t& { return lengths[i * (columns + 1) + j]; };
    const auto same = [&](std::size_t i, std::size_t j) { return have[begin + i].fingerprint == want[begin + j]; };
    for (std::size_t i = rows; i-- > 0;) {
        for (std::size_t j = columns; j-- > 0;) {
            length(i, j) = same(i, j) ? length(i + 1, j + 1) + 1 : std::max(length(i + 1, j), length(i, j + 1));
        }
    }
    for (std::size_t i = 0, j = 0; i < rows && j < columns;) {
        if (same(i, j)) {
            pair(begin + i++, begin + j++);
        } else if (length(i + 1, j) >= length(i, j + 1)) {
            ++i;
        } else {
            ++j;
        }
    }
}

void RuleDiff::pair(std::size_t have, std::size_t want) {
    partners_[want] = have;
    ++kept_;
}

std::vector<KernelChain::Rule> RuleDiff::removed() const {
    std::vector<KernelChain::Rule> rules;
    std::size_t next = 0;
    for (const auto& partner : partners_) {
        if (partner) {
            rules.insert(rules.end(), have_.begin() + static_cast<std::ptrdiff_t>(next),
                         have_.begin() + static_cast<std::ptrdiff_t>(*partner));
            next = *partner + 1;
        }
    }
    rules.insert(rules.end(), have_.begin() + static_cast<std::ptrdiff_t>(next), have_.end());
    return rules;
}

std::vector<EditChain::Insertion> RuleDiff::insertions() const {
    std::vector<EditChain::Insertion> list;
    std::uint64_t before = 0;
    for (std::size_t i = partners_.size(); i-- > 0;) {
        if (partners_[i]) {
            before = have_[*partners_[i]].handle;
        } else {
            list.push_back({i, before});
        }
    }
    std::ranges::reverse(list);
    return list;
}

}  // namespace manul::felix::nft
