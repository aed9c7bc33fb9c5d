#include "serve/io/audit_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/try.hpp"

namespace manul::serve {

Result<std::unique_ptr<AuditLog>> AuditLog::open(std::string path) {
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
    std::unique_ptr<AuditLog> log(new AuditLog(std::move(path)));
    MANUL_CHECK(log->reopen_if_moved());
    return log;
}

Result<void> AuditLog::reopen_if_moved() {
    struct stat there{};
    struct stat ours{};
    const bool same = file_.get() >= 0 && ::fstat(file_.get(), &ours) == 0 && ::stat(path_.c_str(), &there) == 0 &&
                      ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
    if (same) {
        return {};
    }
    UniqueFd opened(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (opened.get() < 0) {
        return fail(path_ + ": " + std::strerror(errno));
    }
    file_ = std::move(opened);
    return {};
}

Result<void> AuditLog::append(std::string line) {
    line += '\n';
    const std::lock_guard lock(mutex_);
    MANUL_CHECK(reopen_if_moved());
    for (std::size_t at = 0; at < line.size();) {
        const ::ssize_t written = ::write(file_.get(), line.data() + at, line.size() - at);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return fail(path_ + ": " + std::strerror(errno));
        }
        at += static_cast<std::size_t>(written);
    }
    return {};
}

}  // namespace manul::serve
