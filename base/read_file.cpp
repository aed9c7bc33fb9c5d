#include "base/read_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "base/unique_fd.hpp"

namespace manul {

namespace {

std::unexpected<Error> failed(const std::string& path) {
    return fail(path + ": " + std::error_code(errno, std::generic_category()).message());
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return failed(path);
    }
    std::string text;
    std::array<char, std::size_t{64} << 10U> part{};
    for (;;) {
        const ssize_t got = ::read(file.get(), part.data(), part.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return failed(path);
        }
        if (got == 0) {
            return text;
        }
        text += std::string_view(part.data(), static_cast<std::size_t>(got));
        if (text.size() > limit) {
            return fail(path + ": larger than " + std::to_string(limit >> 20U) + " MiB");
        }
    }
}

Result<std::string> read_secret_file(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077U) != 0) {
        return fail(path + ": others may read it; make it mode 0600");
    }
    return read_file(path);
}

}  // namespace manul
