// bgp_relay ADDRESS AS: no speaker but a bare loop of send(): it accepts sessions, answers their OPENs and sends every
// UPDATE on to all others as it is. What a reflector can reach at best on this machine.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>

#include "base/bytes.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/open.hpp"
#include "test/bench/bgp/load/options.hpp"

namespace {

using namespace manul;
namespace wire = bgp::wire;

struct Session {
    UniqueFd fd;
    Bytes tail;
    Bytes waiting;
};

class Relay {
public:
    Relay(const char* address, std::uint32_t as) : as_(*net::Asn::make(as)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
        listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        const int on = 1;
        ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in local{};
        local.sin_family = AF_INET;
        local.sin_port = htons(179);
        if (::inet_pton(AF_INET, address, &local.sin_addr) != 1 ||
            ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0 ||
            ::listen(listener_.get(), 1024) != 0) {
            bench::die("cannot listen");
        }
        identifier_ = ntohl(local.sin_addr.s_addr);
        watch(EPOLL_CTL_ADD, listener_.get(), false);
    }

    [[noreturn]] void run() {
        while (true) {
            std::array<epoll_event, 64> ready{};
            const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
            for (int i = 0; i < count; ++i) {
                const int fd = ready[static_cast<std::size_t>(i)].data.fd;
                if (fd == listener_.get()) {
                    accept();
                } else if (const auto session = sessions_.find(fd); session != sessions_.end()) {
                    send(session->second, {});
                    read(session->second);
                }
            }
        }
    }

private:
    void watch(int operation, int fd, bool writable) {
        epoll_event what{};
        what.events = std::uint32_t{EPOLLIN} | (writable ? std::uint32_t{EPOLLOUT} : 0U);
        what.data.fd = fd;
        ::epoll_ctl(epoll_.get(), operation, fd, &what);
    }

    void accept() {
        while (true) {
            UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!fd) {
                return;
            }
            const int on = 1;
            ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            watch(EPOLL_CTL_ADD, fd.get(), false);
            sessions_[fd.get()].fd = std::move(fd);
        }
    }

    void send(Session& session, ByteView bytes) {
        const bool waited = !session.waiting.empty();
        std::size_t done = 0;
        if (waited) {
            session.waiting.insert(session.waiting.end(), bytes.begin(), bytes.end());
            bytes = session.waiting;
        }
        while (done < bytes.size()) {
            const ssize_t sent =
                ::send(session.fd.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent <= 0) {
                break;
            }
            done += static_cast<std::size_t>(sent);
        }
        session.waiting = Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(done), bytes.end());
        if (waited != !session.waiting.empty()) {
            watch(EPOLL_CTL_MOD, session.fd.get(), !waited);
        }
    }

    void read(Session& session) {
        const std::size_t kept = session.tail.size();
        session.tail.resize(kept + kRead);
        const ssize_t got = ::recv(session.fd.get(), session.tail.data() + kept, kRead, MSG_DONTWAIT);
        session.tail.resize(kept + static_cast<std::size_t>(got > 0 ? got : 0));
        if (got == 0) {
            sessions_.erase(session.fd.get());
            return;
        }
        Bytes updates;
        wire::Framer framer(session.tail);
        for (auto frame = framer.next(); frame && *frame; frame = framer.next()) {
            if ((*frame)->type == wire::MessageType::open) {
                answer(session, (*frame)->body());
            } else if ((*frame)->type == wire::MessageType::update) {
                updates.insert(updates.end(), (*frame)->message.begin(), (*frame)->message.end());
            }
        }
        session.tail.erase(session.tail.begin(), session.tail.begin() + static_cast<std::ptrdiff_t>(framer.consumed()));
        for (auto& [fd, other] : sessions_) {
            if (&other != &session && !updates.empty()) {
                send(other, updates);
            }
        }
    }

    void answer(Session& session, ByteView body) {
        auto open = wire::decode_open(body);
        if (!open) {
            bench::die("a strange OPEN");
        }
        open->as = as_;
        open->identifier = *net::RouterId::make(identifier_);
        open->capabilities.four_octet_as = as_.number();
        Bytes bytes;
        wire::encode_open(*open, bytes);
        wire::encode_keepalive(bytes);
        send(session, bytes);
    }

    static constexpr std::size_t kRead = std::size_t{64} << 10U;

    net::Asn as_;
    std::uint32_t identifier_ = 0;
    UniqueFd epoll_;
    UniqueFd listener_;
    std::map<int, Session> sessions_;
};

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        manul::bench::die("usage: bgp_relay ADDRESS AS");
    }
    Relay(arguments[1], static_cast<std::uint32_t>(std::strtoul(arguments[2], nullptr, 10))).run();
}
