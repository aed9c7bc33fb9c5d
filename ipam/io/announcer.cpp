#include "ipam/io/announcer.hpp"

#include <sched.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "config/model/kind.hpp"
#include "config/store/document.hpp"

namespace manul::ipam {

namespace {

using config::Announcement;
using store::Mutation;

/// Nothing of it concerns policy.
bool is_of_ipam_alone(model::Kind kind) noexcept {
    return kind == model::Kind::ipam_block || kind == model::Kind::ipam_handle || kind == model::Kind::block_affinity;
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() < sizeof address.sun_path) {
        std::ranges::copy(path, std::begin(address.sun_path));
    }
    return address;
}

}  // namespace

Announcer::Announcer(const std::string& run_dir)
    : address_(address_of(config::announcement_socket(run_dir))),
      socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    std::array<int, 2> pair{-1, -1};
    if (address_.sun_path[0] != '\0' && ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) == 0) {
        in_ = UniqueFd(pair[0]);
        waiting_ = UniqueFd(pair[1]);
        thread_ = std::jthread([this] { send_all(); });
    }
}

Announcer::~Announcer() {
    if (in_) {
        (void)::shutdown(in_.get(), SHUT_RDWR);
    }
}

store::CommitHooks Announcer::hooks() {
    return {.about_to_commit = [this](std::span<const Mutation> mutations,
                                      const store::Revision& revision) { about_to_commit(mutations, revision); },
            .not_committed = [this] { not_committed(); }};
}

Announcement announcement_of(std::span<const Mutation> mutations, const store::Revision& revision) {
    Announcement out{Announcement::Kind::expected, revision, {}};
    for (const Mutation& mutation : mutations) {
        if (mutation.type == Mutation::Type::check || is_of_ipam_alone(mutation.key.kind)) {
            continue;
        }
        const bool makes_endpoint = mutation.key.kind == model::Kind::workload_endpoint &&
                                    mutation.type == Mutation::Type::put && mutation.precondition.absent;
        auto document =
            makes_endpoint ? store::with_resource_version(mutation.body, revision) : std::optional<std::string>();
        if (!document) {
            out.endpoints.clear();
            return out;
        }
        out.endpoints.push_back(
            {mutation.key.ns, mutation.key.name, std::make_shared<const std::string>(*std::move(document))});
    }
    return out;
}

void Announcer::about_to_commit(std::span<const Mutation> mutations, const store::Revision& revision) {
    said_ = announcement_of(mutations, revision);
    say(said_);
}

void Announcer::not_committed() {
    said_.kind = Announcement::Kind::withdrawn;
    for (Announcement::Endpoint& endpoint : said_.endpoints) {
        endpoint.document = nullptr;
    }
    say(said_);
}

void Announcer::say(const Announcement& announcement) {
    const auto text = announcement.endpoints.empty() || !in_ ? std::nullopt : config::encode(announcement);
    if (text) {  // what does not fit comes too late anyway
        (void)::send(in_.get(), text->data(), text->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

void Announcer::send_all() const {
    const sched_param none{};
    (void)::sched_setscheduler(0, SCHED_IDLE, &none);
    std::string text(config::kMaxAnnouncement, '\0');
    for (;;) {
        const ssize_t size = ::recv(waiting_.get(), text.data(), text.size(), 0);
        if (size > 0) {  // nobody may listen, or not keep up: felix reads the datastore too
            (void)::sendto(socket_.get(), text.data(), static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL,
                           reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
        } else if (size == 0 || errno != EINTR) {
            return;
        }
    }
}

}  // namespace manul::ipam
