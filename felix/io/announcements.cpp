#include "felix/io/announcements.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "config/announcement.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"

namespace manul::felix::io {

Result<std::unique_ptr<Announcements>> Announcements::open(boost::asio::io_context& io, const std::string& run_dir,
                                                           Datastore& datastore) {
    std::string path = config::announcement_socket(run_dir);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return fail(path + ": too long for a socket");
    }
    std::ranges::copy(path, std::begin(address.sun_path));
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // Only root may pass from the first moment on: the socket takes its mode from its descriptor.
    if (!socket || ::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0 || (::unlink(path.c_str()) != 0 && errno != ENOENT) ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return fail(fmt::format("{}: {}", path, std::strerror(errno)));  // NOLINT(concurrency-mt-unsafe)
    }
    return std::unique_ptr<Announcements>(new Announcements(io, std::move(socket), std::move(path), datastore));
}

Announcements::Announcements(boost::asio::io_context& io, UniqueFd socket, std::string path, Datastore& datastore)
    : socket_(std::move(socket)),
      path_(std::move(path)),
      datastore_(datastore),
      buffer_(config::kMaxAnnouncement, '\0'),
      watch_(io, socket_.get(), [this] { on_readable(); }) {}

Announcements::~Announcements() { (void)::unlink(path_.c_str()); }

void Announcements::on_readable() {
    for (;;) {
        const ssize_t size = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (size < 0) {
            return;
        }
        handle(std::string_view(buffer_).substr(0, static_cast<std::size_t>(size)));
    }
}

void Announcements::handle(std::string_view datagram) {
    auto announcement = config::decode_announcement(datagram);
    if (!announcement) {
        return;  // of a newer version
    }
    std::vector<store::Object> expected;
    std::vector<model::Key> withdrawn;
    for (config::Announcement::Endpoint& endpoint : announcement->endpoints) {
        model::Key key{model::Kind::workload_endpoint, std::move(endpoint.ns), std::move(endpoint.name)};
        if (endpoint.document) {
            expected.push_back({std::move(key), announcement->revision, std::move(endpoint.document)});
        } else {
            withdrawn.push_back(std::move(key));
        }
    }
    if (!expected.empty()) {
        datastore_.expect(expected);
    } else {
        datastore_.withdraw(withdrawn, announcement->revision);
    }
}

}  // namespace manul::felix::io
