#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace manul::ctl {

/// A tar archive (POSIX ustar) that is written file by file. Only its owner may read it; it must not exist before. One
/// that is not finished is removed.
class TarFile {
public:
    [[nodiscard]] static Result<TarFile> create(std::string path, std::int64_t unix_time);
    TarFile(TarFile&&) = default;
    TarFile& operator=(TarFile&&) = delete;
    ~TarFile();

    /// `name` is at most 100 bytes long.
    [[nodiscard]] Result<void> add(std::string_view name, std::string_view content);
    [[nodiscard]] Result<void> finish();

private:
    TarFile(std::string path, UniqueFd fd, std::int64_t time)
        : path_(std::move(path)), fd_(std::move(fd)), time_(time) {}

    [[nodiscard]] Result<void> write(std::string_view bytes);

    std::string path_;
    UniqueFd fd_;
    std::int64_t time_;
};

}  // namespace manul::ctl
