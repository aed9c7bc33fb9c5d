#pragma once

#include <sys/stat.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "config/store/store.hpp"

/// Telling other processes that something was committed: each process that watches binds a datagram socket in
/// `<database>.watch/`, a writer sends the new revision to all of them. A lost datagram costs at most two seconds: who
/// watches also looks by itself.
namespace manul::store::sqlite {

/// `<node>-<pid>-<random>`.
[[nodiscard]] std::string make_socket_name(std::string_view node);
/// The node part for a watcher that may be told with those of other nodes: no node has this name.
[[nodiscard]] std::string patient_node(std::string_view node);
/// Whether the socket is this process's.
[[nodiscard]] bool is_own_socket(std::string_view socket_name) noexcept;
/// The node part of a socket's name, as make_socket_name cut it.
[[nodiscard]] std::string_view node_of_socket(std::string_view socket_name) noexcept;

/// The receiving end. Removes its socket when destroyed.
class WakeupSocket {
public:
    /// Creates the directory (0700) when it is absent.
    [[nodiscard]] static StoreResult<WakeupSocket> bind(const std::string& directory, std::string_view node);
    WakeupSocket(WakeupSocket&& other) noexcept;
    WakeupSocket& operator=(WakeupSocket&&) = delete;
    ~WakeupSocket();

    [[nodiscard]] int fd() const noexcept { return fd_; }
    /// Throws the datagrams away; what they announce is read from the database.
    void drain() noexcept;

private:
    WakeupSocket(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

    int fd_;
    std::string path_;
};

/// Who is in the directory. It is read again when it has changed, as its time says: a writer that commits a thousand
/// times a second does so between the same few sockets.
class WakeupListing {
public:
    struct Listener {
        std::string name;  ///< of the socket
        bool own_node = false;
        bool own_process = false;
    };

    /// An empty node is everybody's.
    WakeupListing(std::string directory, std::string node);

    /// False when there is no directory: nobody watches.
    [[nodiscard]] bool look();
    [[nodiscard]] const std::vector<Listener>& listeners() const noexcept { return listeners_; }
    [[nodiscard]] int directory() const noexcept { return open_.get(); }

private:
    std::string path_;
    std::string node_;
    UniqueFd open_;
    struct stat seen_{};
    bool settled_ = false;  ///< another time than seen_'s goes with any change from now on
    std::vector<Listener> listeners_;
};

/// The sending end: the watchers of the own node are told at once, those of other nodes by a thread of its own, so that
/// a commit does not wait for them, and at most every 20 ms. Without a node everybody is told at once. The process
/// itself comes last of its node: others may wait for what was committed, and it has only an answer to give.
class WakeupSender {
public:
    WakeupSender(std::string directory, std::string_view node);
    /// Tells those who still have to know.
    ~WakeupSender();
    WakeupSender(const WakeupSender&) = delete;
    WakeupSender& operator=(const WakeupSender&) = delete;

    /// `own_process`: whether a watch of this process has anything to read there.
    void notify(std::int64_t revision, bool own_process = true);

private:
    enum class Audience : std::uint8_t { own_node, other_nodes };

    /// Sends to the audience; returns whether somebody is outside it.
    bool send(std::int64_t revision, Audience audience, bool own_process);
    void tell_others(const std::stop_token& stop);

    WakeupListing near_;  ///< for notify()
    WakeupListing far_;   ///< for the thread
    int fd_ = -1;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::optional<std::int64_t> pending_;  ///< guarded by mutex_
    bool pending_own_ = false;             ///< guarded by mutex_: for this process, too
    bool gathering_ = false;               ///< guarded by mutex_: the thread pauses and looks again by itself
    std::jthread thread_;                  ///< started when another node's watcher is seen; last: joins first
};

}  // namespace manul::store::sqlite
