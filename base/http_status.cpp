#include "base/http_status.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "base/accept_loop.hpp"
#include "base/try.hpp"

namespace manul::http_status {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kMaxHead = 8192;
constexpr std::size_t kMaxClients = 64;

constexpr std::string_view kPlain = "text/plain; charset=utf-8";
constexpr std::string_view kExposition = "text/plain; version=0.0.4; charset=utf-8";

struct Answer {
    std::string_view status;  ///< code and reason
    std::string body;
    std::string_view type = kPlain;
};

Answer answer_to(const Checks& checks) {
    const bool ok = std::ranges::all_of(checks, &Check::ok);
    std::string body;
    for (const Check& check : checks) {
        body += check.name + ": " + (check.ok ? "ok" : "not ok");
        body += check.detail.empty() ? "\n" : " (" + check.detail + ")\n";
    }
    return {ok ? "200 OK" : "503 Service Unavailable", body.empty() ? "ok\n" : body};
}

/// RFC 9112 3: method, target and version between single spaces. The target's query is of no interest.
struct RequestLine {
    std::string_view method;
    std::string_view path;
    bool valid = false;
};

RequestLine parse_request_line(std::string_view head) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || last == first || !line.substr(last + 1).starts_with("HTTP/1.")) {
        return {};
    }
    const std::string_view target = line.substr(first + 1, last - first - 1);
    return {line.substr(0, first), target.substr(0, target.find('?')), target.starts_with('/')};
}

Answer answer_to(const Pages& pages, const RequestLine& request) {
    if (!request.valid) {
        return {"400 Bad Request", "this is not HTTP/1.1\n"};
    }
    if (request.method != "GET" && request.method != "HEAD") {
        return {"405 Method Not Allowed", "only GET and HEAD\n"};
    }
    const auto is = [&request](std::initializer_list<std::string_view> paths) {
        return std::ranges::find(paths, request.path) != paths.end();
    };
    if (pages.metrics && is({"/metrics"})) {
        return {"200 OK", pages.metrics(), kExposition};
    }
    if (pages.live && is({"/healthz", "/livez", "/liveness"})) {
        return answer_to(pages.live());
    }
    if (pages.ready && is({"/readyz", "/readiness"})) {
        return answer_to(pages.ready());
    }
    return {"404 Not Found", "there is no such page\n"};
}

struct Shared {
    Pages pages;
    std::size_t clients = 0;
};

/// One client: head, answer, close. Kept alive by its pending operations.
class Session : public std::enable_shared_from_this<Session> {
public:
    Session(tcp::socket socket, std::shared_ptr<Shared> shared)
        : socket_(std::move(socket)), deadline_(socket_.get_executor()), shared_(std::move(shared)) {
        ++shared_->clients;
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { --shared_->clients; }

    void start() {
        deadline_.expires_after(kPatience);
        deadline_.async_wait([self = shared_from_this()](const error_code& ec) {
            if (!ec) {
                self->close();
            }
        });
        asio::async_read_until(socket_, asio::dynamic_buffer(head_, kMaxHead), "\r\n\r\n",
                               [self = shared_from_this()](const error_code& ec, std::size_t) { self->on_head(ec); });
    }

private:
    void on_head(const error_code& ec) {
        if (ec == asio::error::not_found) {  // the buffer is full and the head has no end
            send({"431 Request Header Fields Too Large", "the request is larger than 8 KiB\n"}, false);
        } else if (ec) {
            close();
        } else {
            const RequestLine request = parse_request_line(head_);
            send(answer_to(shared_->pages, request), request.method == "HEAD");
        }
    }

    void send(const Answer& answer, bool head_only) {
        out_ = "HTTP/1.1 " + std::string(answer.status) + "\r\nContent-Type: " + std::string(answer.type) +
               "\r\nContent-Length: " + std::to_string(answer.body.size()) +
               "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
        if (!head_only) {
            out_ += answer.body;
        }
        asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](const error_code& ec, std::size_t) {
            error_code problem = ec;
            if (!problem) {
                self->socket_.shutdown(tcp::socket::shutdown_send, problem);
            }
            if (problem) {
                self->close();
            } else {
                self->drain();
            }
        });
    }

    /// Closing a socket with unread bytes resets the connection and may take the answer with it.
    void drain() {
        socket_.async_read_some(asio::buffer(rest_), [self = shared_from_this()](const error_code& ec, std::size_t) {
            if (ec) {
                self->close();
            } else {
                self->drain();
            }
        });
    }

    void close() {
        error_code ignored;
        deadline_.cancel();
        socket_.close(ignored);  // NOLINT(bugprone-unused-return-value): nothing can be done about a failed close
    }

    tcp::socket socket_;
    asio::steady_timer deadline_;
    std::shared_ptr<Shared> shared_;
    std::string head_;
    std::string out_;
    std::array<char, 1024> rest_{};
};

class Listening final : public Server {
public:
    explicit Listening(std::shared_ptr<AcceptLoop<tcp>> loop) : loop_(std::move(loop)) {
        error_code ignored;
        port_ = loop_->acceptor().local_endpoint(ignored).port();
    }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;
    ~Listening() override { loop_->close(); }
    [[nodiscard]] std::uint16_t port() const noexcept override { return port_; }

private:
    std::shared_ptr<AcceptLoop<tcp>> loop_;
    std::uint16_t port_ = 0;
};

Result<asio::ip::address> address_of(std::string_view host) {
    error_code ec;
    auto address = asio::ip::make_address(host == "localhost" ? std::string("127.0.0.1") : std::string(host), ec);
    if (ec) {
        return fail("'" + std::string(host) + "' is neither an address nor localhost");
    }
    return address;
}

error_code bind_and_listen(tcp::acceptor& acceptor, const tcp::endpoint& endpoint, bool both_families) {
    error_code ec;
    const auto step = [&ec](auto&& action) {
        if (!ec) {
            action();
        }
    };
    step([&] { acceptor.open(endpoint.protocol(), ec); });
    step([&] { acceptor.set_option(tcp::acceptor::reuse_address(true), ec); });
    if (both_families) {
        step([&] { acceptor.set_option(asio::ip::v6_only(false), ec); });
    }
    step([&] { acceptor.bind(endpoint, ec); });
    step([&] { acceptor.listen(asio::socket_base::max_listen_connections, ec); });
    return ec;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(asio::io_context& io, std::string_view host, std::uint16_t port,
                                               Pages pages) {
    auto shared = std::make_shared<Shared>(Shared{std::move(pages), 0});
    auto loop = std::make_shared<AcceptLoop<tcp>>(io, [shared](tcp::socket socket) {
        if (shared->clients < kMaxClients) {
            std::make_shared<Session>(std::move(socket), shared)->start();
        }
    });
    error_code ec;
    if (host.empty()) {
        ec = bind_and_listen(loop->acceptor(), {asio::ip::address_v6::any(), port}, true);
        if (ec == asio::error::address_family_not_supported) {  // a kernel without IPv6
            ec = bind_and_listen(loop->acceptor(), {asio::ip::address_v4::any(), port}, false);
        }
    } else {
        MANUL_TRY(const auto address, address_of(host));
        ec = bind_and_listen(loop->acceptor(), {address, port}, false);
    }
    if (ec) {
        return fail("cannot listen on " + (host.empty() ? "port" : std::string(host) + " port") + " " +
                    std::to_string(port) + ": " + ec.message());
    }
    loop->start();
    return std::make_unique<Listening>(std::move(loop));
}

}  // namespace manul::http_status
