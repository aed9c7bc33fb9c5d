#include "serve/io/http_server.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "base/accept_loop.hpp"
#include "base/error.hpp"
#include "base/tcp_options.hpp"
#include "serve/io/tls.hpp"

namespace manul::serve {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::seconds;

namespace {

constexpr std::size_t kMostConnections = 32'768;
constexpr std::uint32_t kLongestHeader = 16'384;
constexpr std::uint64_t kLongestBody = std::uint64_t{3} << 20U;
constexpr std::size_t kWriteSize = 65'536;
constexpr seconds kHandshakeTime{10};
constexpr seconds kHeaderTime{20};
constexpr seconds kIdleTime{120};
constexpr seconds kBodyTime{30};
constexpr seconds kWriteTime{60};
constexpr seconds kLingerTime{2};

using Plain = beast::tcp_stream;
using Tls = beast::ssl_stream<beast::tcp_stream>;

Response refusal(unsigned code, const char* reason, const std::string& message) {
    return {.status = code,
            .body = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":")" + message +
                    R"(","reason":")" + reason + R"(","code":)" + std::to_string(code) + "}\n"};
}

/// What all connections share; it lives as long as the last of them, which may be held by an answer under way.
struct Shared {
    asio::io_context io{1};
    Handler handler;
    std::atomic<std::size_t> connections = 0;
};

/// One client's connection. Requests come one after another; all of it runs on the server's thread.
template <class Socket>
class ConnectionOf final : public std::enable_shared_from_this<ConnectionOf<Socket>> {
public:
    ConnectionOf(asio::ip::tcp::socket socket, TlsContext tls, std::shared_ptr<Shared> shared)
        : tls_(std::move(tls)), shared_(std::move(shared)), stream_(make(std::move(socket), tls_.get())) {
        ++shared_->connections;
        error_code failed;
        const auto remote = lowest().socket().remote_endpoint(failed);
        source_ = failed ? std::string() : remote.address().to_string();
        set_message_options(lowest().socket().native_handle());
    }
    ~ConnectionOf() { --shared_->connections; }
    ConnectionOf(const ConnectionOf&) = delete;
    ConnectionOf& operator=(const ConnectionOf&) = delete;

    void start() {
        if constexpr (kIsTls) {
            lowest().expires_after(kHandshakeTime);
            stream_.async_handshake(asio::ssl::stream_base::server,
                                    [self = this->shared_from_this()](error_code failed) {
                                        if (!failed) {
                                            self->read_certificate();
                                            self->read(kHeaderTime);
                                        }
                                    });
        } else {
            read(kHeaderTime);
        }
    }

    [[nodiscard]] asio::any_io_executor executor() { return stream_.get_executor(); }

    void respond(Response response) {
        answer_ = {};
        answer_.version(11);
        answer_.result(response.status);
        answer_.set(http::field::content_type, response.content_type);
        answer_.set(http::field::cache_control, "no-cache, private");
        for (const auto& [name, value] : response.headers) {
            answer_.insert(name, value);
        }
        answer_.keep_alive(keep_alive_);
        if (response.status == 304) {
            answer_.erase(http::field::content_type);
        }
        answer_.body() = std::move(response.body);
        answer_.prepare_payload();
        if (is_head_) {
            const std::string length = std::to_string(answer_.body().size());
            answer_.body().clear();
            answer_.set(http::field::content_length, length);
        }
        serializer_.emplace(answer_);
        serializer_->limit(kWriteSize);
        send_answer();
    }

    // An answer that goes on: chunks, until finished, aborted or left.

    void begin_stream() {
        // Its end is the connection's, so that nobody sends a request into one that is being closed.
        queue(std::string("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n") +
              (is_old_ ? "" : "Transfer-Encoding: chunked\r\n") + "Cache-Control: no-cache, private\r\n\r\n");
        watch_for_end();
    }
    void queue(std::string_view bytes) {
        pending_.append(bytes);
        flush();
    }
    void queue_chunk(std::string_view bytes) {
        if (is_old_) {
            return queue(bytes);
        }
        std::array<char, 20> size{};
        const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
        pending_.append(size.data(), end).append("\r\n").append(bytes).append("\r\n");
        flush();
    }
    void finish_stream() {
        finished_ = true;
        queue(is_old_ ? "" : "0\r\n\r\n");
    }
    void close() {
        if (!std::exchange(ended_, true) && on_end_) {
            on_end_();
        }
        if constexpr (kIsTls) {
            lowest().expires_after(kHandshakeTime);
            stream_.async_shutdown([self = this->shared_from_this()](error_code) { self->lowest().close(); });
        } else {
            lowest().close();
        }
    }
    void drop() {
        if (!std::exchange(ended_, true) && on_end_) {
            on_end_();
        }
        lowest().close();
    }

    std::function<void()> on_end_;  ///< of a stream: the client is gone
    std::function<void(std::size_t)> on_sent_;

private:
    static constexpr bool kIsTls = std::is_same_v<Socket, Tls>;
    using Parser = http::request_parser<http::string_body>;

    static Socket make(asio::ip::tcp::socket socket, [[maybe_unused]] asio::ssl::context* tls) {
        if constexpr (kIsTls) {
            return Socket(std::move(socket), *tls);
        } else {
            return Socket(std::move(socket));
        }
    }

    beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }

    void read_certificate()
        requires kIsTls
    {
        const ClientCertificate client = client_certificate(stream_.native_handle());
        credentials_.common_name = client.common_name;
        credentials_.organizations = client.organizations;
    }

    void read(seconds header_time) {
        parser_ = std::make_unique<Parser>();
        parser_->header_limit(kLongestHeader);
        parser_->body_limit(kLongestBody);
        lowest().expires_after(header_time);
        http::async_read_header(
            stream_, buffer_, *parser_, [self = this->shared_from_this()](error_code failed, std::size_t) {
                if (failed) {
                    return self->refuse(failed);
                }
                const bool waits = beast::iequals(self->parser_->get()[http::field::expect], "100-continue");
                waits && !self->parser_->is_done() ? self->ask_for_body() : self->read_body();
            });
    }

    /// The client sends its body when it is asked to (RFC 9110, 10.1.1).
    void ask_for_body() {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        lowest().expires_after(kWriteTime);
        asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                          [self = this->shared_from_this()](error_code failed, std::size_t) {
                              failed ? self->close() : self->read_body();
                          });
    }

    void read_body() {
        lowest().expires_after(kBodyTime);
        http::async_read(stream_, buffer_, *parser_, [self = this->shared_from_this()](error_code failed, std::size_t) {
            failed ? self->refuse(failed) : self->hand_over();
        });
    }

    /// Piece by piece, so that the limit is one for a client that does not read, not for a slow link.
    void send_answer() {
        lowest().expires_after(kWriteTime);
        http::async_write_some(stream_, *serializer_,
                               [self = this->shared_from_this()](error_code failed, std::size_t) {
                                   if (!failed && !self->serializer_->is_done()) {
                                       return self->send_answer();
                                   }
                                   self->serializer_.reset();
                                   self->answer_.body() = {};
                                   if (failed || !self->keep_alive_) {
                                       return self->refused_ && !failed ? self->linger() : self->close();
                                   }
                                   self->read(kIdleTime);
                               });
    }

    /// A client that is still sending must not lose the answer to it: closing a socket with something unread resets the
    /// connection (RFC 9112, 9.6).
    void linger() {
        error_code ignored;
        lowest().socket().shutdown(asio::socket_base::shutdown_send, ignored);
        lowest().expires_after(kLingerTime);
        buffer_.clear();
        discard();
    }
    void discard() {
        lowest().async_read_some(buffer_.prepare(kWriteSize),
                                 [self = this->shared_from_this()](error_code failed, std::size_t) {
                                     failed ? self->lowest().close() : self->discard();
                                 });
    }

    /// What was read is no request, or too much of one.
    void refuse(error_code failed) {
        refused_ = true;
        keep_alive_ = false;
        is_head_ = false;
        if (failed == http::error::body_limit) {
            return respond(refusal(413, "RequestEntityTooLarge", "the body of the request is larger than 3 MiB"));
        }
        if (failed == http::error::header_limit) {
            return respond(
                refusal(431, "RequestHeaderFieldsTooLarge", "the header of the request is larger than 16 KiB"));
        }
        if (failed.category() == http::make_error_code(http::error::end_of_stream).category() &&
            failed != http::error::end_of_stream && failed != http::error::partial_message) {
            return respond(refusal(400, "BadRequest", "this is no HTTP request"));
        }
        close();
    }

    void hand_over();

    [[nodiscard]] Request take_request() {
        http::request<http::string_body> read = parser_->release();
        const auto text = [&](http::field field) {
            const auto value = read[field];
            return std::string(value.data(), value.size());
        };
        Request request;
        request.method = std::string(read.method_string());
        request.target = std::string(read.target());
        request.content_type = text(http::field::content_type);
        request.content_encoding = text(http::field::content_encoding);
        request.accept = text(http::field::accept);
        request.accept_encoding = text(http::field::accept_encoding);
        request.if_none_match = text(http::field::if_none_match);
        request.user_agent = text(http::field::user_agent);
        request.source = source_;
        for (const auto& header : read) {
            const std::string_view name(header.name_string().data(), header.name_string().size());
            request.impersonates |= name.size() > 11 && beast::iequals(name.substr(0, 12), "impersonate-");
        }
        request.body = std::move(read.body());
        is_old_ = read.version() < 11;
        keep_alive_ = read.keep_alive() && !is_old_;
        is_head_ = read.method() == http::verb::head;
        static constexpr std::string_view kBearer = "bearer ";
        const std::string authorization = text(http::field::authorization);
        credentials_.token.clear();
        if (authorization.size() > kBearer.size() && beast::iequals(authorization.substr(0, kBearer.size()), kBearer)) {
            credentials_.token = authorization.substr(kBearer.size());
        }
        return request;
    }

    void flush() {
        if (writing_ || ended_) {
            return;
        }
        if (at_ == current_.size()) {
            current_ = std::exchange(pending_, {});
            at_ = 0;
        }
        const std::size_t count = std::min(current_.size() - at_, kWriteSize);
        if (count == 0) {
            return finished_ ? close() : void();
        }
        writing_ = true;
        lowest().expires_after(kWriteTime);
        asio::async_write(stream_, asio::buffer(current_.data() + at_, count),
                          [self = this->shared_from_this()](error_code failed, std::size_t sent) {
                              self->writing_ = false;
                              if (failed) {
                                  return self->drop();
                              }
                              self->at_ += sent;
                              if (self->on_sent_) {
                                  self->on_sent_(sent);
                              }
                              self->flush();
                          });
    }

    /// A client that watches says nothing more; what arrives is its end.
    void watch_for_end() {
        lowest().expires_never();
        stream_.async_read_some(asio::buffer(rest_), [self = this->shared_from_this()](error_code, std::size_t) {
            if (!self->ended_) {
                self->drop();
            }
        });
    }

    TlsContext tls_;
    std::shared_ptr<Shared> shared_;
    Socket stream_;
    std::string source_;
    Credentials credentials_;
    beast::flat_buffer buffer_;
    std::unique_ptr<Parser> parser_;
    http::response<http::string_body> answer_;
    std::optional<http::response_serializer<http::string_body>> serializer_;
    bool keep_alive_ = true;
    bool is_head_ = false;
    bool is_old_ = false;  ///< HTTP/1.0: no chunks, and one request only
    bool refused_ = false;
    // of a stream
    std::string pending_;
    std::string current_;  ///< what is being sent,
    std::size_t at_ = 0;   ///< from here on
    std::array<char, 512> rest_{};
    bool writing_ = false;
    bool finished_ = false;
    bool ended_ = false;
};

/// A stream as others see it. They may be on other threads, and outlive the connection.
template <class Socket>
class StreamOf final : public Stream, public std::enable_shared_from_this<StreamOf<Socket>> {
public:
    explicit StreamOf(std::shared_ptr<ConnectionOf<Socket>> connection)
        : executor_(connection->executor()), connection_(std::move(connection)) {}

    void begin() {
        asio::post(executor_, [self = this->shared_from_this()] {
            const auto connection = self->connection_;
            connection->on_end_ = [self] {
                self->closed_ = true;
                self->release();
            };
            connection->on_sent_ = [self](std::size_t sent) {
                const std::size_t queued = self->backlog_;
                self->backlog_ -= sent < queued ? sent : queued;
            };
            connection->begin_stream();
        });
    }

    void write(std::shared_ptr<const std::string> bytes) override {
        if (closed_) {
            return;
        }
        backlog_ += bytes->size();
        asio::post(executor_, [self = this->shared_from_this(), bytes = std::move(bytes)] {
            if (self->connection_) {
                self->connection_->queue_chunk(*bytes);
            }
        });
    }
    [[nodiscard]] std::size_t backlog() const noexcept override { return backlog_; }
    [[nodiscard]] bool closed() const noexcept override { return closed_; }
    void finish() override {
        asio::post(executor_, [self = this->shared_from_this()] {
            if (self->connection_) {
                self->connection_->finish_stream();
            }
        });
    }
    void abort() override {
        closed_ = true;
        asio::post(executor_, [self = this->shared_from_this()] {
            if (self->connection_) {
                self->connection_->drop();
            }
        });
    }

private:
    /// Not at once: the connection is the caller.
    void release() {
        asio::post(executor_, [self = this->shared_from_this()] {
            if (self->connection_) {
                self->connection_->on_end_ = nullptr;
                self->connection_->on_sent_ = nullptr;
                self->connection_.reset();
            }
        });
    }

    asio::any_io_executor executor_;
    std::shared_ptr<ConnectionOf<Socket>> connection_;  ///< on the server's thread
    std::atomic<std::size_t> backlog_ = 0;
    std::atomic<bool> closed_ = false;
};

template <class Socket>
class ExchangeOf final : public Exchange {
public:
    explicit ExchangeOf(std::shared_ptr<ConnectionOf<Socket>> connection) : connection_(std::move(connection)) {}
    ~ExchangeOf() override {
        if (connection_) {
            ExchangeOf::respond(refusal(500, "InternalError", "the request was not answered"));
        }
    }
    ExchangeOf(const ExchangeOf&) = delete;
    ExchangeOf& operator=(const ExchangeOf&) = delete;

    void respond(Response response) override {
        const auto connection = std::exchange(connection_, nullptr);
        asio::post(connection->executor(), [connection, response = std::move(response)]() mutable {
            connection->respond(std::move(response));
        });
    }
    std::shared_ptr<Stream> stream() override {
        auto out = std::make_shared<StreamOf<Socket>>(std::exchange(connection_, nullptr));
        out->begin();
        return out;
    }

private:
    std::shared_ptr<ConnectionOf<Socket>> connection_;
};

template <class Socket>
void ConnectionOf<Socket>::hand_over() {
    Request request = take_request();
    shared_->handler(std::move(request), credentials_, std::make_shared<ExchangeOf<Socket>>(this->shared_from_this()));
}

class BeastServer final : public HttpServer {
public:
    BeastServer(Handler handler, TlsContext tls)
        : shared_(std::make_shared<Shared>()), work_(shared_->io.get_executor()), tls_(std::move(tls)) {
        shared_->handler = std::move(handler);
    }
    ~BeastServer() override { BeastServer::stop(); }
    BeastServer(const BeastServer&) = delete;
    BeastServer& operator=(const BeastServer&) = delete;

    Result<void> listen(const ListenOptions& options) {
        error_code failed;
        const auto address = asio::ip::make_address(options.host, failed);
        if (failed) {
            return fail("\"" + options.host + "\" is no address to listen on");
        }
        accepting_ = std::make_shared<AcceptLoop<asio::ip::tcp>>(
            shared_->io, [this](asio::ip::tcp::socket socket) { accept(std::move(socket)); });
        auto& acceptor = accepting_->acceptor();
        const asio::ip::tcp::endpoint endpoint(address, options.port);
        acceptor.open(endpoint.protocol(), failed);
        if (!failed) {
            acceptor.set_option(asio::socket_base::reuse_address(true), failed);
        }
        if (!failed) {
            acceptor.bind(endpoint, failed);
        }
        if (!failed) {
            acceptor.listen(asio::socket_base::max_listen_connections, failed);
        }
        if (failed) {
            return fail("cannot listen on " + options.host + ":" + std::to_string(options.port) + ": " +
                        failed.message());
        }
        port_ = acceptor.local_endpoint(failed).port();
        accepting_->start();
        thread_ = std::thread([this] { shared_->io.run(); });
        return {};
    }

    void stop() override {
        shared_->io.stop();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    [[nodiscard]] std::uint16_t port() const noexcept override { return port_; }

    [[nodiscard]] Result<void> use(const ServerIdentity& identity) override {
        auto made = make_tls(identity);
        if (!made) {
            return std::unexpected(std::move(made).error());
        }
        const std::lock_guard lock(mutex_);
        tls_ = *std::move(made);
        return {};
    }

private:
    void accept(asio::ip::tcp::socket socket) {
        if (shared_->connections >= kMostConnections) {
            return;  // closed at once: who comes later must not slow down who is there
        }
        TlsContext tls;
        {
            const std::lock_guard lock(mutex_);
            tls = tls_;
        }
        if (tls) {
            std::make_shared<ConnectionOf<Tls>>(std::move(socket), std::move(tls), shared_)->start();
        } else {
            std::make_shared<ConnectionOf<Plain>>(std::move(socket), nullptr, shared_)->start();
        }
    }

    std::shared_ptr<Shared> shared_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::shared_ptr<AcceptLoop<asio::ip::tcp>> accepting_;
    std::mutex mutex_;
    TlsContext tls_;
    std::uint16_t port_ = 0;
    std::thread thread_;  // last: it uses the others
};

Result<std::unique_ptr<HttpServer>> listen_on(const ListenOptions& options, Handler handler) {
    TlsContext tls;
    if (options.tls) {
        auto made = make_tls(options.identity);
        if (!made) {
            return std::unexpected(std::move(made).error());
        }
        tls = *std::move(made);
    }
    auto server = std::make_unique<BeastServer>(std::move(handler), std::move(tls));
    if (auto listening = server->listen(options); !listening) {
        return std::unexpected(std::move(listening).error());
    }
    return server;
}

constexpr HttpServerModule kModule{&listen_on};

}  // namespace

}  // namespace manul::serve

extern "C" __attribute__((visibility("default"))) const manul::serve::HttpServerModule* manul_http_server_module();
const manul::serve::HttpServerModule* manul_http_server_module() { return &manul::serve::kModule; }
