#include "net/netlink/netns.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"

namespace manul::netlink {

namespace {

constexpr const char* kOwn = "/proc/thread-self/ns/net";

Result<UniqueFd> open_path(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        return fail("cannot open network namespace " + path + ": " + std::strerror(errno));
    }
    // ENOTTY: a plain file, such as the mount point that is left when a namespace was unmounted.
    if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
        return fail(path + " is not a network namespace");
    }
    return fd;
}

}  // namespace

Result<UniqueFd> open_netns(std::string_view path_or_name) {
    std::string path(path_or_name);
    if (path.find('/') == std::string::npos) {
        path.insert(0, "/run/netns/");
    }
    return open_path(path);
}

Result<UniqueFd> current_netns() { return open_path(kOwn); }

Result<NetnsId> netns_id(int netns_fd) {
    struct stat status{};
    if (::fstat(netns_fd, &status) != 0) {
        return fail(std::string("cannot identify a network namespace: ") + std::strerror(errno));
    }
    return NetnsId{status.st_dev, status.st_ino};
}

Result<NetnsScope> NetnsScope::enter(int netns_fd) {
    MANUL_TRY(UniqueFd back, current_netns());
    if (::setns(netns_fd, CLONE_NEWNET) != 0) {
        return fail(std::string("cannot enter a network namespace: ") + std::strerror(errno));
    }
    return NetnsScope(std::move(back));
}

Result<NetnsScope> NetnsScope::create() {
    MANUL_TRY(UniqueFd back, current_netns());
    if (::unshare(CLONE_NEWNET) != 0) {
        return fail(std::string("cannot create a network namespace: ") + std::strerror(errno));
    }
    return NetnsScope(std::move(back));
}

NetnsScope::~NetnsScope() {
    if (back_ && ::setns(back_.get(), CLONE_NEWNET) != 0) {
        std::abort();  // whatever came next would touch the wrong namespace
    }
}

}  // namespace manul::netlink
