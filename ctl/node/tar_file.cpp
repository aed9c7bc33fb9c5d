#include "ctl/node/tar_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/try.hpp"

namespace manul::ctl {

namespace {

constexpr std::size_t kBlock = 512;

/// The header of a regular file: fields of fixed width, numbers in octal.
std::string header(std::string_view name, std::size_t size, std::int64_t time) {
    std::string block(kBlock, '\0');
    const auto put = [&block](std::size_t at, std::string_view text) { block.replace(at, text.size(), text); };
    put(0, name);
    put(100, "0000600");
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", size));
    put(136, fmt::format("{:011o}", time));
    put(148, "        ");  // the sum is made as if blanks stood in its place
    put(156, "0");
    put(257, std::string_view("ustar\00000", 8));
    put(265, "root");
    put(297, "root");
    unsigned sum = 0;
    for (const char c : block) {
        sum += static_cast<unsigned char>(c);
    }
    put(148, fmt::format("{:06o}", sum));
    block[154] = '\0';
    return block;
}

}  // namespace

Result<TarFile> TarFile::create(std::string path, std::int64_t unix_time) {
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) {
        return fail(path + ": " + std::strerror(errno));
    }
    return TarFile(std::move(path), std::move(fd), unix_time);
}

TarFile::~TarFile() {
    if (fd_) {
        (void)::unlink(path_.c_str());
    }
}

Result<void> TarFile::add(std::string_view name, std::string_view content) {
    MANUL_CHECK(write(header(name, content.size(), time_)));
    MANUL_CHECK(write(content));
    return write(std::string((kBlock - content.size() % kBlock) % kBlock, '\0'));
}

Result<void> TarFile::finish() {
    MANUL_CHECK(write(std::string(2 * kBlock, '\0')));
    if (::fsync(fd_.get()) != 0 && errno != EINVAL) {  // EINVAL: a pipe or the like
        return fail(path_ + ": " + std::strerror(errno));
    }
    fd_.reset();
    return {};
}

Result<void> TarFile::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            return fail(path_ + ": " + std::strerror(errno));
        }
        bytes.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return {};
}

}  // namespace manul::ctl
