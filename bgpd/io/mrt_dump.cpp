#include "bgpd/io/mrt_dump.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/daemon.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/mrt/table_dump.hpp"
#include "bgpd/speaker/speaker.hpp"
#include "bgpd/speaker/status.hpp"
#include "bgpd/wire/update.hpp"
#include "net/ip.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::uint32_t kSlotsAStep = 4096;
constexpr std::uint16_t kSelf = 0;  ///< place of this node in the peer index
constexpr mode_t kMode = 0640;

std::string system_words() { return std::strerror(errno); }  // NOLINT(concurrency-mt-unsafe)

std::uint32_t unix_seconds() {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

std::string fill_in(const std::string& pattern, std::uint32_t time) {
    const std::time_t seconds = time;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    std::array<char, 512> text{};
// The pattern is the operator's; strftime reads nothing but the time, whatever stands in it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const std::size_t length = std::strftime(text.data(), text.size(), pattern.c_str(), &utc);
#pragma GCC diagnostic pop
    return {text.data(), length};
}

net::Ip unspecified(net::Family family) {
    return family == net::Family::v4 ? net::Ip(net::Ip4()) : net::Ip(net::Ip6());
}

/// Gathers the paths of one prefix after another into records.
class Records {
public:
    Records(Bytes& out, std::uint32_t time, std::uint32_t& sequence, const std::map<net::Ip, std::uint16_t>& peers)
        : out_(out), time_(time), sequence_(sequence), peers_(peers) {}

    void add(const speaker::TablePath& path) {
        if (!routes_.empty() && path.prefix != prefix_) {
            finish();
        }
        prefix_ = path.prefix;
        std::uint16_t peer = kSelf;
        if (path.peer) {
            const auto known = peers_.find(*path.peer);
            if (known == peers_.end()) {
                return;  // configured since the dump began: not in its index
            }
            peer = known->second;
        }
        routes_.push_back({.peer = peer,
                           .originated = time_,
                           .path_id = path.path_id,
                           .attributes = path.attributes,
                           .next_hop = path.next_hop.value_or(wire::NextHop{unspecified(path.prefix.family()), {}})});
    }

    void finish() {
        if (!routes_.empty()) {
            mrt::encode_rib(out_, time_, sequence_++, prefix_, routes_);
            routes_.clear();
        }
    }

private:
    Bytes& out_;
    std::uint32_t time_;
    std::uint32_t& sequence_;
    const std::map<net::Ip, std::uint16_t>& peers_;
    net::Prefix prefix_;
    std::vector<mrt::Route> routes_;
};

}  // namespace

/// The worker's alone, but for its creation.
struct MrtDump::File {
    std::string path;
    std::string unfinished = path + ".unfinished";
    UniqueFd fd;  ///< while there is something that is not complete

    explicit File(std::string where) : path(std::move(where)) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { remove(); }  // another plan, or the end of the daemon, came in between

    /// An empty text when it went well.
    std::string append(const Bytes& bytes) {
        if (!fd) {
            fd.reset(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kMode));
            if (!fd) {
                return unfinished + ": " + system_words();
            }
        }
        for (std::size_t done = 0; done < bytes.size();) {
            const ssize_t written = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
            if (written < 0) {
                return give_up();
            }
            done += static_cast<std::size_t>(written);
        }
        return {};
    }
    std::string complete() {
        if (::rename(unfinished.c_str(), path.c_str()) != 0) {
            return give_up();
        }
        fd.reset();
        return {};
    }
    std::string give_up() {
        std::string problem = path + ": " + system_words();
        remove();
        return problem;
    }
    void remove() {
        if (fd) {
            ::unlink(unfinished.c_str());
            fd.reset();
        }
    }
};

MrtDump::MrtDump(boost::asio::io_context& io, const speaker::Speaker& speaker)
    : speaker_(speaker), worker_(io), timer_(io, [this] { begin(); }) {}

void MrtDump::configure(std::optional<Plan> plan) {
    if (plan == plan_) {
        return;
    }
    plan_ = std::move(plan);
    if (plan_) {
        timer_.after_us(0);
    } else {
        timer_.cancel();
        file_.reset();
    }
}

void MrtDump::begin() {
    timer_.after_us(std::chrono::microseconds(plan_->interval).count());
    if (file_) {
        return;  // the one before is still being written: the disk is slower than the interval
    }
    time_ = unix_seconds();
    file_ = std::make_shared<File>(fill_in(plan_->path, time_));
    family_ = net::Family::v4;
    from_ = 0;
    sequence_ = 0;
    peers_.clear();
    std::vector<mrt::Peer> index{{.router_id = plan_->router_id, .address = net::Ip4(), .as = plan_->as}};
    for (const speaker::PeerStatus& peer : speaker_.peers()) {
        peers_.emplace(peer.address, static_cast<std::uint16_t>(index.size()));
        index.push_back({.router_id = peer.remote_id ? peer.remote_id->value() : 0,
                         .address = net::without_scope(peer.address),
                         .as = peer.remote_as.number()});
    }
    Bytes bytes;
    mrt::encode_peer_index(bytes, time_, plan_->router_id, {}, index);
    write(std::move(bytes), false);
}

void MrtDump::step() {
    Bytes bytes;
    Records records(bytes, time_, sequence_, peers_);
    const auto next =
        speaker_.walk(family_, from_, kSlotsAStep, [&](const speaker::TablePath& path) { records.add(path); });
    records.finish();
    const bool last = !next && family_ == net::Family::v6;
    from_ = next.value_or(0);
    if (!next) {
        family_ = net::Family::v6;
    }
    write(std::move(bytes), last);
}

void MrtDump::write(Bytes bytes, bool last) {
    worker_.submit([this, file = file_, bytes = std::move(bytes), last]() -> std::move_only_function<void()> {
        std::string problem = file->append(bytes);
        if (problem.empty() && last) {
            problem = file->complete();
        }
        return [this, file, problem = std::move(problem), last] {
            if (file != file_) {
                return;  // given up meanwhile
            }
            if (!problem.empty()) {
                log::emit(kMrtFailed, problem);
            }
            if (!problem.empty() || last) {
                file_.reset();
            } else {
                step();
            }
        };
    });
}

}  // namespace manul::bgp::io
