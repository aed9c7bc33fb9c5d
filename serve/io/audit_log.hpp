#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace manul::serve {

/// The file of audit events: mode 0600, only ever appended to, a whole line at a time, by any thread. It is opened anew
/// when somebody moved it away.
class AuditLog {
public:
    [[nodiscard]] static Result<std::unique_ptr<AuditLog>> open(std::string path);

    [[nodiscard]] Result<void> append(std::string line);
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    explicit AuditLog(std::string path) : path_(std::move(path)) {}
    [[nodiscard]] Result<void> reopen_if_moved();

    std::string path_;
    std::mutex mutex_;
    UniqueFd file_;
};

}  // namespace manul::serve
