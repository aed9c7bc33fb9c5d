#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <span>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"
#include "config/announcement.hpp"
#include "config/store/backend.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"

namespace manul::ipam {

/// Tells this node's felix of the endpoints of a transaction right before it is committed, and of those that were not
/// committed after all (config/announcement.hpp). Never waits: where nobody listens, nothing is said.
///
/// A thread of its own sends, one that runs when a processor has nothing better to do: as it has when the thread that
/// commits waits for the disk. Felix runs as soon as it is told, and any earlier it would hold the commit up.
class Announcer {
public:
    explicit Announcer(const std::string& run_dir);
    ~Announcer();
    Announcer(const Announcer&) = delete;
    Announcer& operator=(const Announcer&) = delete;

    /// For the store that the endpoints are written to; its thread calls them. They refer to this object.
    [[nodiscard]] store::CommitHooks hooks();

private:
    void about_to_commit(std::span<const store::Mutation> mutations, const store::Revision& revision);
    void not_committed();
    void say(const config::Announcement& announcement);
    void send_all() const;

    sockaddr_un address_{};  ///< without a path where that is too long
    UniqueFd socket_;
    UniqueFd waiting_;  ///< its other end is in_; no lock, since the thread that sends may be interrupted for long
    UniqueFd in_;
    config::Announcement said_;  ///< of the last transaction; no endpoints: nothing was said
    std::jthread thread_;        ///< last: joins before the rest goes
};

/// What felix can be told of a transaction: the endpoints that it makes, when they are all that felix reads of it. A
/// profile that comes with them must not come later than they.
[[nodiscard]] config::Announcement announcement_of(std::span<const store::Mutation> mutations,
                                                   const store::Revision& revision);

}  // namespace manul::ipam
