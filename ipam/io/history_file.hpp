#pragma once

#include <span>
#include <string>

#include "base/unique_fd.hpp"
#include "ipam/core/history.hpp"

namespace manul::ipam {

/// `<state_dir>/ipam-history.log`: appended to without a flush, moved to `.1` when it has grown. If the
/// file cannot be written, only the record is lost.
class HistoryFile {
public:
    static constexpr std::size_t kMostBytes = std::size_t{8} << 20U;

    explicit HistoryFile(std::string path) : path_(std::move(path)) {}

    void append(std::span<const HistoryEntry> entries);

private:
    std::string path_;
    UniqueFd file_;
    std::size_t bytes_ = 0;
};

}  // namespace manul::ipam
