#include "bgpd/io/bmp_sender.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "bgpd/bmp/message.hpp"
#include "bgpd/bmp/report.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/tcp.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::chrono::seconds kFirstPause{1};
constexpr std::chrono::seconds kLongestPause{300};
/// The next part of the tables waits while more is unread.
constexpr std::size_t kDumpQueued = std::size_t{256} << 10U;
/// A station with more unread is cut off.
constexpr std::size_t kMostQueued = std::size_t{32} << 20U;
constexpr std::size_t kSlotsAPart = 1024;
constexpr std::int64_t kStatisticsUs = 60'000'000;
constexpr std::size_t kMostSpans = 64;

/// For display at the station alone; nothing here depends on it.
bmp::Timestamp wall_clock() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(since - seconds);
    return {static_cast<std::uint32_t>(seconds.count()), static_cast<std::uint32_t>(rest.count())};
}

std::string name(const speaker::Station& station) {
    return station.address.to_string() + " port " + std::to_string(station.port);
}

}  // namespace

BmpSender::BmpSender(boost::asio::io_context& io, speaker::Speaker& speaker)
    : speaker_(speaker),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      sockets_(io, epoll_.get(), [this] { on_sockets(); }),
      work_(io, [this] { work(); }),
      statistics_(io, [this] { report_statistics(); }) {}

void BmpSender::configure(const speaker::Configuration& configuration) {
    const speaker::Self before = std::exchange(self_, configuration.self);
    if (before.as != self_.as || before.router_id != self_.router_id) {
        hang_up();  // what was told of the Loc-RIB was another's: stations begin anew
    }
    std::erase_if(links_, [&](const auto& each) {
        return std::ranges::find(configuration.stations, each.first) == configuration.stations.end();
    });
    for (const speaker::Station& station : configuration.stations) {
        links_.try_emplace(station);
    }
    if (links_.empty()) {
        work_.cancel();
        awake_ = false;
        statistics_.cancel();
        return;
    }
    wake();
    if (!statistics_.armed()) {
        statistics_.after_us(kStatisticsUs);
    }
}

void BmpSender::tell(const speaker::Monitored& news) {
    std::shared_ptr<Bytes> bytes;
    for (auto& [station, link] : links_) {
        if (!link.connected) {
            continue;
        }
        if (!bytes) {
            bytes = std::make_shared<Bytes>();
            bmp::append_events(*news.events, wall_clock(), *bytes);
        }
        put(link, bytes);
    }
    if (bytes && !bytes->empty()) {
        wake();
    }
}

void BmpSender::finish() {
    hang_up();
    work_.cancel();
    statistics_.cancel();
}

void BmpSender::hang_up() {
    auto bytes = std::make_shared<Bytes>();
    bmp::encode_termination("", *bytes);
    for (auto& [station, link] : links_) {
        if (link.connected) {
            put(link, bytes);
            send(station, link);
        }
    }
    links_.clear();
}

void BmpSender::put(Link& link, std::shared_ptr<const Bytes> bytes) {
    if (!bytes->empty()) {
        link.queued += bytes->size();
        link.queue.push_back(std::move(bytes));
    }
}

/// Setting a timer that is due anew would put it off.
void BmpSender::wake() {
    if (!std::exchange(awake_, true)) {
        work_.after_us(0);
    }
}

void BmpSender::work() {
    awake_ = false;
    std::optional<Clock::time_point> next;
    for (auto& [station, link] : links_) {
        const auto due = serve(station, link);
        next = due && (!next || *due < *next) ? due : next;
    }
    if (!next) {
        return;
    }
    const auto wait = std::chrono::ceil<std::chrono::microseconds>(*next - Clock::now()).count();
    if (wait <= 0) {
        wake();
    } else if (!awake_) {
        work_.after_us(wait);
    }
}

std::optional<BmpSender::Clock::time_point> BmpSender::serve(const speaker::Station& station, Link& link) {
    const Clock::time_point now = Clock::now();
    if (!link.fd) {
        if (link.next_attempt <= now) {
            connect(station, link);
        }
        return link.fd ? std::nullopt : std::optional(link.next_attempt);
    }
    if (!link.connected) {
        return std::nullopt;  // the socket will say
    }
    if (link.dump && link.queued < kDumpQueued) {
        const speaker::MonitorPart part = speaker_.monitor_tables(*link.dump, kSlotsAPart);
        link.dump = part.next;
        auto bytes = std::make_shared<Bytes>();
        bmp::append_events(part.events, wall_clock(), *bytes);
        put(link, std::move(bytes));
    }
    send(station, link);
    if (!link.fd) {
        return link.next_attempt;
    }
    if (link.queued > kMostQueued) {
        give_up(station, link, "it does not read");
        return link.next_attempt;
    }
    // While the station reads, the tables go on; else the socket will say when it does.
    return link.dump && link.queued < kDumpQueued ? std::optional(now) : std::nullopt;
}

void BmpSender::connect(const speaker::Station& station, Link& link) {
    auto fd = connect_to({.connection = {}, .remote = {station.address, station.port}, .local = {}, .options = {}});
    if (!fd) {
        return give_up(station, link, fd.error().message);
    }
    link.fd = *std::move(fd);
    link.connected = false;
    link.waits_for_writable = true;
    const int on = 1;
    ::setsockopt(link.fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    watch(station, link, EPOLL_CTL_ADD);
}

void BmpSender::watch(const speaker::Station& station, Link& link, int operation) {
    epoll_event event{};
    event.events = EPOLLIN | (link.waits_for_writable ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
    event.data.fd = link.fd.get();
    if (::epoll_ctl(epoll_.get(), operation, link.fd.get(), &event) != 0) {
        give_up(station, link, std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
    }
}

void BmpSender::on_sockets() {
    std::array<epoll_event, 16> ready;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by epoll_wait
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), 0);
    for (int i = 0; i < count; ++i) {
        const auto found = std::ranges::find_if(links_, [&](const auto& each) {
            return each.second.fd.get() == ready[static_cast<std::size_t>(i)].data.fd;
        });
        if (found == links_.end()) {
            continue;
        }
        auto& [station, link] = *found;
        if (!link.connected) {
            int code = 0;
            socklen_t size = sizeof code;
            ::getsockopt(link.fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
            if (code != 0) {
                give_up(station, link, std::strerror(code));  // NOLINT(concurrency-mt-unsafe): one thread
            } else {
                greet(station, link);
            }
            continue;
        }
        // Stations have nothing to say (RFC 7854 section 3.2); that they are gone is all that can be read.
        std::array<std::uint8_t, 512> ignored;  // NOLINT(cppcoreguidelines-pro-type-member-init)
        const ssize_t got = ::recv(link.fd.get(), ignored.data(), ignored.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            give_up(station, link,
                    got == 0 ? "it closed the connection"
                             : std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
        }
    }
    wake();
}

void BmpSender::greet(const speaker::Station& station, Link& link) {
    link.connected = true;
    log::emit(kBmpUp, name(station));
    auto bytes = std::make_shared<Bytes>();
    bmp::encode_initiation(self_.node_name, "manul-bgpd " MANUL_VERSION, *bytes);
    bmp::append_events(speaker_.monitor_sessions(), wall_clock(), *bytes);
    put(link, std::move(bytes));
    link.dump = speaker::Cursor{};
}

void BmpSender::send(const speaker::Station& station, Link& link) {
    while (!link.queue.empty()) {
        std::array<iovec, kMostSpans> vectors;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
        std::size_t count = 0;
        for (std::size_t skip = link.sent_of_first; const auto& bytes : link.queue) {
            // sendmsg reads only; its interface has no const.
            vectors[count++] = {const_cast<std::uint8_t*>(bytes->data()) + skip, bytes->size() - skip};  // NOLINT
            skip = 0;
            if (count == kMostSpans) {
                break;
            }
        }
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = count;
        const ssize_t sent = ::sendmsg(link.fd.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN) {
            return give_up(station, link, std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
        }
        if (sent < 0) {
            break;
        }
        link.queued -= static_cast<std::size_t>(sent);
        std::size_t gone = static_cast<std::size_t>(sent) + link.sent_of_first;
        while (!link.queue.empty() && gone >= link.queue.front()->size()) {
            gone -= link.queue.front()->size();
            link.queue.pop_front();
        }
        link.sent_of_first = gone;
        link.pause = std::chrono::seconds(0);  // it reads
    }
    if (const bool wait = !link.queue.empty(); wait != std::exchange(link.waits_for_writable, wait)) {
        watch(station, link, EPOLL_CTL_MOD);
    }
}

void BmpSender::give_up(const speaker::Station& station, Link& link, const std::string& reason) {
    const auto pause = std::clamp(link.pause * 2, kFirstPause, kLongestPause);
    if (link.connected || link.pause.count() == 0) {
        log::emit(kBmpDown, name(station), reason);  // once for a row of attempts
    }
    link = Link{};
    link.pause = pause;
    link.next_attempt = Clock::now() + pause;
}

void BmpSender::report_statistics() {
    statistics_.after_us(kStatisticsUs);
    auto bytes = std::make_shared<Bytes>();
    bmp::append_statistics(speaker_.monitored_self(), speaker_.peers(), wall_clock(), *bytes);
    for (auto& [station, link] : links_) {
        if (link.connected && !link.dump) {
            put(link, bytes);
        }
    }
    wake();
}

}  // namespace manul::bgp::io
