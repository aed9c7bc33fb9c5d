#include "base/control.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/accept_loop.hpp"
#include "base/try.hpp"

namespace manul::control {

namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::chrono::seconds kRequestTimeout{10};
constexpr std::chrono::seconds kLookForFile{2};
constexpr std::size_t kHeader = 4;

std::array<std::uint8_t, kHeader> header_of(std::size_t size) {
    return {static_cast<std::uint8_t>(size >> 24U), static_cast<std::uint8_t>(size >> 16U),
            static_cast<std::uint8_t>(size >> 8U), static_cast<std::uint8_t>(size)};
}

std::size_t size_of(const std::array<std::uint8_t, kHeader>& header) {
    return std::size_t{header[0]} << 24U | std::size_t{header[1]} << 16U | std::size_t{header[2]} << 8U | header[3];
}

json::object error_object(std::string_view message) { return {{"error", message}}; }

/// One client: header, body, handler, answer, close. Kept alive by its pending operations and by the Reply.
class Session : public std::enable_shared_from_this<Session> {
public:
    Session(stream_protocol::socket socket, std::shared_ptr<const Handler> handler)
        : socket_(std::move(socket)), deadline_(socket_.get_executor()), handler_(std::move(handler)) {}

    void start() {
        deadline_.expires_after(kRequestTimeout);
        deadline_.async_wait([self = shared_from_this()](const error_code& ec) {
            if (!ec) {
                self->close();
            }
        });
        asio::async_read(socket_, asio::buffer(header_),
                         [self = shared_from_this()](const error_code& ec, std::size_t) {
                             if (!ec) {
                                 self->read_body();
                             } else {
                                 self->close();
                             }
                         });
    }

    void answer(const json::value& value) {
        out_ = json::serialize(value);
        if (out_.size() > kMaxMessage) {
            out_ = json::serialize(error_object("the answer is larger than 1 MiB; narrow the request"));
        }
        header_ = header_of(out_.size());
        const std::array buffers{asio::buffer(header_), asio::buffer(out_.data(), out_.size())};
        asio::async_write(socket_, buffers,
                          [self = shared_from_this()](const error_code&, std::size_t) { self->close(); });
    }

private:
    void read_body() {
        const std::size_t size = size_of(header_);
        if (size > kMaxMessage) {
            answer(error_object("the request is larger than 1 MiB"));
            return;
        }
        in_.resize(size);
        asio::async_read(socket_, asio::buffer(in_), [self = shared_from_this()](const error_code& ec, std::size_t) {
            if (!ec) {
                self->dispatch();
            } else {
                self->close();
            }
        });
    }

    void dispatch() {
        deadline_.cancel();
        error_code ec;
        json::value request = json::parse(std::string_view(in_.data(), in_.size()), ec);
        if (ec || !request.is_object()) {
            answer(error_object("the request is not a JSON object"));
            return;
        }
        // The reply answers with an error when it is dropped unused, so that no client waits for ever.
        struct Once {
            explicit Once(std::shared_ptr<Session> s) : session(std::move(s)) {}
            Once(Once&&) = default;
            Once& operator=(Once&&) = default;
            Once(const Once&) = delete;
            Once& operator=(const Once&) = delete;
            ~Once() {
                if (session) {
                    session->answer(error_object("the daemon is stopping; try again"));
                }
            }
            std::shared_ptr<Session> session;
        };
        Reply reply = [once = Once(shared_from_this())](const json::value& value) mutable {
            if (const auto session = std::exchange(once.session, nullptr)) {
                session->answer(value);
            }
        };
        (*handler_)(std::move(request.as_object()), std::move(reply));
    }

    void close() {
        error_code ignored;
        deadline_.cancel();
        socket_.close(ignored);  // NOLINT(bugprone-unused-return-value): nothing can be done about a failed close
    }

    stream_protocol::socket socket_;
    asio::steady_timer deadline_;
    std::shared_ptr<const Handler> handler_;
    std::array<std::uint8_t, kHeader> header_{};
    std::vector<char> in_;
    std::string out_;
};

std::unexpected<Error> system_failure(const std::string& what, int number) {
    return fail(what + ": " + std::strerror(number));  // NOLINT(concurrency-mt-unsafe)
}

/// The errno of an attempt to connect; 0: somebody listens.
int try_to_connect(const sockaddr_un& address) {
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return errno;
    }
    const int connected = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const int reason = connected == 0 ? 0 : errno;
    ::close(probe);
    return reason;
}

/// A socket file that nobody listens on is a leftover; one that answers belongs to a running daemon.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
    const int reason = try_to_connect(address);
    if (reason == 0) {
        return fail(path + ": another process serves this socket already");
    }
    if (reason == ECONNREFUSED) {
        ::unlink(path.c_str());
    }
    return {};
}

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return fail(path + ": socket paths end at " + std::to_string(sizeof(address.sun_path) - 1) +
                    " bytes; shorten run_dir");
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

/// A socket that listens on `path`, mode 0600.
Result<int> open_socket(const std::string& path, const sockaddr_un& address) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return system_failure("cannot create a socket", errno);
    }
    // The mode is set by the umask of bind(), so that there is no moment at which others may connect.
    const mode_t before = ::umask(0177);
    const int bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const int reason = errno;
    ::umask(before);
    if (bound != 0 || ::listen(fd, 128) != 0) {
        const int number = bound != 0 ? reason : errno;
        ::close(fd);
        return system_failure(path + ": cannot listen", number);
    }
    return fd;
}

/// A socket whose file somebody removed is heard by nobody any more, and nothing tells of it: the file is looked for,
/// and made again with a socket of its own.
class Listener : public std::enable_shared_from_this<Listener> {
public:
    Listener(asio::io_context& io, std::string path, const sockaddr_un& address, Handler handler)
        : path_(std::move(path)), address_(address), look_(io) {
        loop_ = std::make_shared<AcceptLoop<stream_protocol>>(
            io, [shared = std::make_shared<const Handler>(std::move(handler))](stream_protocol::socket socket) {
                std::make_shared<Session>(std::move(socket), shared)->start();
            });
    }

    Result<void> start() {
        MANUL_TRY(const int fd, open_socket(path_, address_));
        error_code ec;
        loop_->acceptor().assign(stream_protocol(), fd, ec);
        if (ec) {
            ::close(fd);
            return fail(path_ + ": cannot listen: " + ec.message());
        }
        loop_->start();
        return {};
    }

    void look_later() {
        look_.expires_after(kLookForFile);
        look_.async_wait([weak = weak_from_this()](const error_code& ec) {
            const auto self = weak.lock();
            if (ec || !self) {
                return;
            }
            if (::access(self->path_.c_str(), F_OK) != 0 && errno == ENOENT) {
                self->loop_->close();
                (void)self->start();  // where that fails, as without the directory, the next look tries again
            }
            self->look_later();
        });
    }

    void stop() {
        look_.cancel();
        loop_->close();
        ::unlink(path_.c_str());
    }

private:
    std::shared_ptr<AcceptLoop<stream_protocol>> loop_;
    std::string path_;
    sockaddr_un address_;
    asio::steady_timer look_;
};

class Listening final : public Server {
public:
    explicit Listening(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) {}
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;
    ~Listening() override { listener_->stop(); }

private:
    std::shared_ptr<Listener> listener_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(asio::io_context& io, const std::string& path, Handler handler) {
    MANUL_TRY(const sockaddr_un address, address_of(path));
    MANUL_CHECK(remove_stale(path, address));
    auto listener = std::make_shared<Listener>(io, path, address, std::move(handler));
    MANUL_CHECK(listener->start());
    listener->look_later();
    return std::make_unique<Listening>(std::move(listener));
}

bool is_served(const std::string& path) {
    const auto address = address_of(path);
    return address && try_to_connect(*address) == 0;
}

Result<json::value> call(const std::string& path, const json::object& request, std::chrono::milliseconds timeout) {
    MANUL_TRY(const sockaddr_un address, address_of(path));
    struct Descriptor {
        int fd;
        explicit Descriptor(int f) : fd(f) {}
        Descriptor(const Descriptor&) = delete;
        Descriptor& operator=(const Descriptor&) = delete;
        ~Descriptor() {
            if (fd >= 0) {
                ::close(fd);
            }
        }
    };
    const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{.tv_sec = timeout.count() / 1000, .tv_usec = (timeout.count() % 1000) * 1000};
    ::setsockopt(socket.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::setsockopt(socket.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (::connect(socket.fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        if (errno == ENOENT || errno == ECONNREFUSED) {
            return fail(path + ": nobody listens: the daemon is not running, or its run_dir is another one");
        }
        if (errno == EACCES || errno == EPERM) {
            return fail(path + ": permission denied: run this as root");
        }
        return system_failure(path + ": cannot connect", errno);
    }
    const auto send_all = [&](const void* data, std::size_t size) {
        const auto* at = static_cast<const char*>(data);
        while (size > 0) {
            const ssize_t sent = ::send(socket.fd, at, size, MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            at += sent;
            size -= static_cast<std::size_t>(sent);
        }
        return true;
    };
    const auto receive_all = [&](void* data, std::size_t size) {
        auto* at = static_cast<char*>(data);
        while (size > 0) {
            const ssize_t got = ::recv(socket.fd, at, size, 0);
            if (got <= 0) {
                return false;
            }
            at += got;
            size -= static_cast<std::size_t>(got);
        }
        return true;
    };
    const std::string body = json::serialize(request);
    auto header = header_of(body.size());
    if (!send_all(header.data(), header.size()) || !send_all(body.data(), body.size())) {
        return system_failure(path + ": cannot send", errno);
    }
    if (!receive_all(header.data(), header.size())) {
        return fail(path + ": no answer within " + std::to_string(timeout.count()) + " ms");
    }
    std::string answer(size_of(header), '\0');
    if (answer.size() > kMaxMessage || !receive_all(answer.data(), answer.size())) {
        return fail(path + ": the answer broke off");
    }
    error_code ec;
    json::value value = json::parse(answer, ec);
    if (ec) {
        return fail(path + ": the answer is not JSON");
    }
    if (const auto* object = value.if_object()) {
        if (const auto* error = object->if_contains("error"); error != nullptr && error->is_string()) {
            return fail(std::string(error->get_string()));
        }
    }
    return value;
}

}  // namespace manul::control
