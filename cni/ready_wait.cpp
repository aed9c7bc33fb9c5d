#include "cni/ready_wait.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/json_fields.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"

namespace manul::cni {

namespace {

namespace json = boost::json;

// Another sandbox of the same pod may have taken the socket's name over, and then its byte: look again at times.
constexpr std::chrono::milliseconds kLookAgain{50};
constexpr std::chrono::microseconds kPoll{200};
constexpr std::size_t kMaxMark = 4096;

bool mark_names(const std::string& path, const Programmed& wanted) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, kMaxMark> text{};
    const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
    if (size <= 0) {
        return false;
    }
    boost::system::error_code error;
    const json::value mark = json::parse(std::string_view(text.data(), static_cast<std::size_t>(size)), error);
    if (error || !mark.is_object()) {
        return false;
    }
    std::string problem;
    const JsonFields fields(mark.get_object(), problem);
    std::string container;
    fields.read("containerID", container);
    // What a felix from before an upgrade does not say is not compared.
    std::uint32_t link = 0;
    fields.read("ifindex", link);
    std::vector<std::string> addresses;
    fields.read("addresses", addresses);
    const auto is_named = [&](const net::Ip& address) {
        return std::ranges::find(addresses, address.to_string()) != addresses.end();
    };
    return problem.empty() && container == wanted.container_id && (link == 0 || link == wanted.ifindex) &&
           (fields.find("addresses") == nullptr || std::ranges::all_of(wanted.addresses, is_named));
}

/// Not when that cannot be found out.
bool is_gone(const std::string& interface) { return ::if_nametoindex(interface.c_str()) == 0 && errno == ENODEV; }

}  // namespace

ReadyWait::ReadyWait(const std::string& run_dir, const std::string& interface)
    : interface_(interface),
      mark_path_(run_dir + "/endpoints/" + interface),
      socket_path_(run_dir + "/wait/" + interface) {
    if (!bind()) {
        // The first pod after a boot may be earlier than the daemons, which own these directories.
        (void)::mkdir(run_dir.c_str(), 0755);
        (void)::mkdir((run_dir + "/wait").c_str(), 0700);
        (void)bind();
    }
}

bool ReadyWait::bind() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd || socket_path_.size() >= sizeof address.sun_path) {
        return false;
    }
    std::ranges::copy(socket_path_, std::begin(address.sun_path));
    (void)::unlink(socket_path_.c_str());  // of a plugin that was killed
    struct stat status{};
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::stat(socket_path_.c_str(), &status) != 0) {
        return false;
    }
    inode_ = status.st_ino;
    socket_ = std::move(fd);
    return true;
}

ReadyWait::~ReadyWait() {
    struct stat status{};
    if (socket_ && ::stat(socket_path_.c_str(), &status) == 0 && status.st_ino == inode_) {
        (void)::unlink(socket_path_.c_str());
    }
}

bool ReadyWait::wait(const Programmed& wanted, Clock::time_point deadline) const {
    while (!mark_names(mark_path_, wanted)) {
        const auto left = deadline - Clock::now();
        if (left <= Clock::duration::zero()) {
            return false;
        }
        if (!socket_) {
            std::this_thread::sleep_for(kPoll);
            continue;
        }
        const auto pause = std::min(std::chrono::ceil<std::chrono::milliseconds>(left), kLookAgain);
        pollfd waiting{socket_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, static_cast<int>(pause.count())) == 0) {
            if (is_gone(interface_)) {
                return false;
            }
        } else {
            std::array<char, 8> bytes{};
            while (::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) >= 0) {
                // a byte says "look again", however many there are
            }
        }
    }
    return true;
}

CniResult<void> ReadyWait::wait_for_policy(const Programmed& wanted, std::chrono::seconds bound) const {
    if (bound.count() != 0 && !wait(wanted, Clock::now() + bound)) {
        if (is_gone(interface_)) {
            return refuse(Code::try_again, "host interface " + interface_ + " was deleted meanwhile, as by a DEL");
        }
        return refuse(Code::try_again,
                      "policy for " + interface_ + " was not in force within " + std::to_string(bound.count()) + " s",
                      "is manul-felix running on this node? policy_setup_timeout_seconds sets the bound");
    }
    return {};
}

}  // namespace manul::cni
