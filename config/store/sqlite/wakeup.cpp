#include "config/store/sqlite/wakeup.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/try.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"

namespace manul::store::sqlite {

namespace {

constexpr std::chrono::milliseconds kGather{20};
/// Unread datagrams of slow readers are charged to the sender: with the default of 208 KiB, thirty stopped readers make
/// others lose wake-ups.
constexpr int kSendBuffer = 8 << 20;
/// Node names reach 253 bytes, socket paths 107: longer names are cut. Names that then look alike only change who is
/// told first.
constexpr std::size_t kMaxNodeBytes = 48;

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

StoreError system_error(const std::string& path, const char* attempt) {
    return error(StoreError::Code::unavailable,
                 fmt::format("{}: {}: {}", path, attempt, std::error_code(errno, std::generic_category()).message()));
}

/// Address of a socket in an open directory. Through /proc it is short however long the directory's path is.
sockaddr_un address_in(int directory, std::string_view name) noexcept {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto end = fmt::format_to_n(std::data(address.sun_path), sizeof(address.sun_path) - 1, "/proc/self/fd/{}/{}",
                                      directory, name);
    *end.out = '\0';
    return address;
}

StoreResult<Directory> open_directory(const std::string& path) {
    if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        return std::unexpected(system_error(path, "cannot be created"));
    }
    Directory directory(::opendir(path.c_str()));
    if (!directory) {
        return std::unexpected(system_error(path, "cannot be opened"));
    }
    return directory;
}

std::string_view cut(std::string_view node) noexcept { return node.substr(0, kMaxNodeBytes); }

}  // namespace

std::string make_socket_name(std::string_view node) {
    std::random_device random;
    return fmt::format("{}-{}-{:08x}", cut(node), ::getpid(), random());
}

std::string patient_node(std::string_view node) { return "~" + std::string(node); }

bool is_own_socket(std::string_view socket_name) noexcept {
    socket_name = socket_name.substr(0, std::min(socket_name.rfind('-'), socket_name.size()));
    const std::string_view pid = socket_name.substr(std::min(socket_name.rfind('-') + 1, socket_name.size()));
    pid_t number = 0;
    const auto [end, failed] = std::from_chars(pid.data(), pid.data() + pid.size(), number);
    return failed == std::errc{} && end == pid.data() + pid.size() && number == ::getpid();
}

std::string_view node_of_socket(std::string_view socket_name) noexcept {
    for (int part = 0; part < 2; ++part) {
        const std::size_t dash = socket_name.rfind('-');
        socket_name = socket_name.substr(0, dash == std::string_view::npos ? 0 : dash);
    }
    return socket_name;
}

StoreResult<WakeupSocket> WakeupSocket::bind(const std::string& directory, std::string_view node) {
    MANUL_TRY(const Directory open, open_directory(directory));
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return std::unexpected(system_error(directory, "socket"));
    }
    const std::string name = make_socket_name(node);
    WakeupSocket socket(fd, directory + "/" + name);
    const sockaddr_un address = address_in(::dirfd(open.get()), name);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::chmod(socket.path_.c_str(), S_IRUSR | S_IWUSR) != 0) {
        return std::unexpected(system_error(socket.path_, "cannot be bound"));
    }
    return socket;
}

WakeupSocket::WakeupSocket(WakeupSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

WakeupSocket::~WakeupSocket() {
    if (fd_ >= 0) {
        ::unlink(path_.c_str());
        ::close(fd_);
    }
}

void WakeupSocket::drain() noexcept {
    std::array<std::uint8_t, 64> buffer{};
    while (::recv(fd_, buffer.data(), buffer.size(), 0) >= 0) {
    }
}

WakeupListing::WakeupListing(std::string directory, std::string node)
    : path_(std::move(directory)), node_(std::move(node)) {}

bool WakeupListing::look() {
    // Some file systems note times in steps of two seconds; the clock of the kernel's own notes stands still for 10 ms.
    constexpr time_t kCoarsestSeconds = 3;
    struct stat now{};
    if (::stat(path_.c_str(), &now) != 0) {
        settled_ = false;
        return false;
    }
    if (settled_ && now.st_ino == seen_.st_ino && now.st_dev == seen_.st_dev &&
        now.st_mtim.tv_sec == seen_.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec) {
        return true;
    }
    timespec clock{};
    ::clock_gettime(CLOCK_REALTIME, &clock);
    seen_ = now;
    settled_ = clock.tv_sec - now.st_mtim.tv_sec > kCoarsestSeconds;
    listeners_.clear();
    const Directory directory(::opendir(path_.c_str()));
    open_ = UniqueFd(directory ? ::fcntl(::dirfd(directory.get()), F_DUPFD_CLOEXEC, 0) : -1);
    if (!open_) {
        settled_ = false;
        return false;
    }
    while (const dirent* entry = ::readdir(directory.get())) {  // NOLINT(concurrency-mt-unsafe): an own stream
        const std::string_view name = std::data(entry->d_name);
        if (!name.starts_with('.') && (entry->d_type == DT_SOCK || entry->d_type == DT_UNKNOWN)) {
            listeners_.push_back(
                {std::string(name), node_.empty() || node_of_socket(name) == node_, is_own_socket(name)});
        }
    }
    std::ranges::stable_partition(listeners_, [](const Listener& one) { return !one.own_process; });
    return true;
}

WakeupSender::WakeupSender(std::string directory, std::string_view node)
    : near_(directory, std::string(cut(node))), far_(std::move(directory), std::string(cut(node))) {}

WakeupSender::~WakeupSender() {
    if (thread_.joinable()) {
        thread_.request_stop();
        thread_.join();
    }
    if (pending_) {
        send(*pending_, Audience::other_nodes, pending_own_);
    }
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

void WakeupSender::notify(std::int64_t revision, bool own_process) {
    if (fd_ < 0) {
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (::setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof(kSendBuffer)) != 0) {
            ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(kSendBuffer));
        }
    }
    if (!send(revision, Audience::own_node, own_process)) {
        return;
    }
    bool asleep = false;
    {
        const std::lock_guard lock(mutex_);
        pending_ = revision;
        pending_own_ = pending_own_ || own_process;
        asleep = !gathering_;
    }
    if (!thread_.joinable()) {
        thread_ = std::jthread([this](const std::stop_token& stop) { tell_others(stop); });
    }
    if (asleep) {
        wake_.notify_one();
    }
}

bool WakeupSender::send(std::int64_t revision, Audience audience, bool own_process) {
    WakeupListing& listing = audience == Audience::own_node ? near_ : far_;
    if (!listing.look()) {
        return false;
    }
    std::array<std::uint8_t, 8> message{};
    for (std::size_t i = 0; i < message.size(); ++i) {
        message[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(revision) >> (8 * (7 - i)));
    }
    bool others = false;
    for (const WakeupListing::Listener& listener : listing.listeners()) {
        if (listener.own_node != (audience == Audience::own_node)) {
            others = true;
            continue;
        }
        if (listener.own_process && !own_process) {
            continue;
        }
        const sockaddr_un address = address_in(listing.directory(), listener.name);
        if (::sendto(fd_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                     reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0 &&
            errno == ECONNREFUSED) {
            ::unlinkat(listing.directory(), listener.name.c_str(), 0);  // its process is gone
        }
    }
    return others;
}

void WakeupSender::tell_others(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (wake_.wait(lock, stop, [this] { return pending_.has_value(); })) {
        const std::int64_t revision = *std::exchange(pending_, std::nullopt);
        const bool own_process = std::exchange(pending_own_, false);
        lock.unlock();
        send(revision, Audience::other_nodes, own_process);
        lock.lock();
        gathering_ = true;
        wake_.wait_for(lock, stop, kGather, [] { return false; });
        gathering_ = false;
    }
}

}  // namespace manul::store::sqlite
