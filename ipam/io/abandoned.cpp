#include "ipam/io/abandoned.hpp"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <string_view>

#include "base/unique_fd.hpp"

namespace manul::ipam {

std::size_t remove_abandoned_sockets(const std::string& directory) {
    std::size_t removed = 0;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
    const UniqueFd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!entries || !probe) {
        return removed;  // whoever needs the directory makes it
    }
    while (const dirent* entry = ::readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): own stream
        const std::string path = directory + "/" + entry->d_name;
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (std::string_view(entry->d_name).starts_with('.') || path.size() >= sizeof address.sun_path) {
            continue;
        }
        std::ranges::copy(path, std::begin(address.sun_path));
        const bool refused = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                             errno == ECONNREFUSED;
        if (refused && ::unlink(path.c_str()) == 0) {
            ++removed;
        }
    }
    return removed;
}

}  // namespace manul::ipam
