#include "config/store/kubernetes/http.hpp"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "base/error.hpp"
#include "base/tcp_options.hpp"
#include "config/store/kubernetes/access.hpp"

namespace manul::store::kubernetes {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Failure = std::optional<HttpFailure>;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kConnectTimeout{10'000};
constexpr std::uint64_t kLongestBody = std::uint64_t{1} << 30U;
constexpr std::size_t kReadSize = 16'384;

using Plain = beast::tcp_stream;
using Tls = beast::ssl_stream<beast::tcp_stream>;

/// One connection. Every call ends in its handler, on the io_context's thread; one call at a time.
class Connection {
public:
    using Done = std::function<void(const Failure&)>;
    using Answered = std::function<void(std::expected<HttpResponse, HttpFailure>)>;

    virtual ~Connection() = default;
    virtual void open(milliseconds timeout, Done done) = 0;
    virtual void exchange(const HttpRequest& request, milliseconds timeout, Answered done) = 0;
    virtual void stream(const HttpRequest& request, milliseconds idle, HttpStreams::Handler handler) = 0;
    /// Whether the server has neither closed it nor sent something that nobody asked for.
    [[nodiscard]] virtual bool usable() = 0;
};

template <class Stream>
class ConnectionOf final : public Connection, public std::enable_shared_from_this<ConnectionOf<Stream>> {
public:
    ConnectionOf(asio::io_context& io, const HttpServer& server, std::unique_ptr<asio::ssl::context> tls)
        : server_(server), tls_(std::move(tls)), resolver_(io), stream_(make(io, tls_.get())) {}

    void open(milliseconds timeout, Done done) override {
        connect_timeout_ = std::min(timeout, kConnectTimeout);
        resolver_.async_resolve(
            server_.host, server_.port,
            [self = this->shared_from_this(), done = std::move(done)](error_code failed, const auto& endpoints) {
                if (failed) {
                    return done(self->failure("cannot resolve", failed, false));
                }
                self->connect(endpoints, done);
            });
    }

    void exchange(const HttpRequest& request, milliseconds timeout, Answered done) override {
        answered_ = std::move(done);
        parser_ = std::make_unique<WholeParser>();
        parser_->body_limit(kLongestBody);
        buffer_.reserve(kReadSize);  // or a long list is read in pieces of 512 bytes
        write(request, timeout, [self = this->shared_from_this(), timeout](const Failure& failed) {
            if (failed) {
                return self->answer(std::unexpected(*failed));
            }
            self->read_answer(timeout);
        });
    }

    void stream(const HttpRequest& request, milliseconds idle, HttpStreams::Handler handler) override {
        handler_ = std::move(handler);
        idle_ = idle;
        write(request, idle, [self = this->shared_from_this()](const Failure& failed) {
            if (failed) {
                return self->handler_.on_end(failed);
            }
            self->part_parser_.body_limit(boost::none);
            http::async_read_header(self->stream_, self->buffer_, self->part_parser_,
                                    [self](error_code error, std::size_t) {
                                        if (error) {
                                            return self->handler_.on_end(self->failure("no answer from", error, true));
                                        }
                                        self->handler_.on_status(self->part_parser_.get().result_int());
                                        self->read_part();
                                    });
        });
    }

    bool usable() override {
        char byte = 0;
        return keep_alive_ &&
               ::recv(beast::get_lowest_layer(stream_).socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
    }

private:
    using WholeParser = http::response_parser<http::string_body>;
    static constexpr bool kIsTls = std::is_same_v<Stream, Tls>;

    static Stream make(asio::io_context& io, [[maybe_unused]] asio::ssl::context* tls) {
        if constexpr (kIsTls) {
            return Stream(io, *tls);
        } else {
            return Stream(io);
        }
    }

    static HttpResponse response_of(http::response<http::string_body> answer) {
        HttpResponse response{answer.result_int(), std::move(answer.body()), std::nullopt};
        const auto retry = answer[http::field::retry_after];
        std::int64_t seconds = 0;
        if (std::from_chars(retry.data(), retry.data() + retry.size(), seconds).ec == std::errc{}) {
            response.retry_after = std::chrono::seconds(seconds);
        }
        return response;
    }

    [[nodiscard]] std::string peer() const { return server_.host + ":" + server_.port; }

    [[nodiscard]] HttpFailure failure(const std::string& what, error_code error, bool was_sent) {
        std::string text = what + " " + peer() + ": ";
        if (error == beast::error::timeout) {
            return {text + "timed out", was_sent};
        }
        if constexpr (kIsTls) {
            const long verdict = ::SSL_get_verify_result(stream_.native_handle());
            if (error.category() == asio::error::get_ssl_category() && verdict != X509_V_OK) {
                return {"the certificate of " + peer() + " is not trusted: " + ::X509_verify_cert_error_string(verdict),
                        false};
            }
        }
        const bool ended = error == beast::http::error::end_of_stream || error == asio::error::eof ||
                           error == asio::error::connection_reset || error == asio::error::broken_pipe ||
                           error == asio::ssl::error::stream_truncated;
        return {text + error.message(), was_sent, ended};
    }

    void connect(const asio::ip::tcp::resolver::results_type& endpoints, const Done& done) {
        beast::get_lowest_layer(stream_).expires_after(connect_timeout_);
        beast::get_lowest_layer(stream_).async_connect(
            endpoints, [self = this->shared_from_this(), done](error_code failed, const auto&) {
                if (failed) {
                    return done(self->failure("cannot connect to", failed, false));
                }
                set_message_options(beast::get_lowest_layer(self->stream_).socket().native_handle());
                if constexpr (kIsTls) {
                    self->handshake(done);
                } else {
                    done(std::nullopt);
                }
            });
    }

    void handshake(const Done& done)
        requires kIsTls
    {
        const std::string& name = server_.server_name;
        error_code is_no_address;
        asio::ip::make_address(name, is_no_address);
        if (is_no_address) {  // server name indication is for names alone (RFC 6066 section 3)
            ::SSL_ctrl(stream_.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                       const_cast<char*>(name.c_str()));
        }
        if (!server_.skip_verification) {
            ::SSL_set_verify(stream_.native_handle(), SSL_VERIFY_PEER, nullptr);
            if (is_no_address) {
                ::SSL_set1_host(stream_.native_handle(), name.c_str());
            } else {
                ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(stream_.native_handle()), name.c_str());
            }
        }
        stream_.async_handshake(asio::ssl::stream_base::client,
                                [self = this->shared_from_this(), done](error_code failed) {
                                    done(failed ? Failure(self->failure("TLS with", failed, false)) : std::nullopt);
                                });
    }

    void write(const HttpRequest& request, milliseconds timeout, std::function<void(const Failure&)> done) {
        request_ = {};
        request_.version(11);
        request_.method_string(request.method);
        request_.target(server_.base + request.target);
        request_.set(http::field::host, peer());
        request_.set(http::field::user_agent, server_.user_agent);
        request_.set(http::field::accept, "application/json");
        if (!request.token.empty()) {
            request_.set(http::field::authorization, "Bearer " + request.token);
        }
        if (!request.body.empty()) {
            request_.set(http::field::content_type, request.content_type);
            request_.body() = request.body;
        }
        request_.prepare_payload();
        beast::get_lowest_layer(stream_).expires_after(timeout);
        http::async_write(
            stream_, request_,
            [self = this->shared_from_this(), done = std::move(done)](error_code error, std::size_t sent) {
                done(error ? Failure(self->failure("cannot send to", error, sent > 0)) : std::nullopt);
            });
    }

    /// The limit is one of silence: a long list over a slow link takes its time.
    void read_answer(milliseconds silence) {
        beast::get_lowest_layer(stream_).expires_after(silence);
        http::async_read_some(
            stream_, buffer_, *parser_, [self = this->shared_from_this(), silence](error_code error, std::size_t) {
                if (error) {
                    return self->answer(std::unexpected(self->failure("no answer from", error, true)));
                }
                if (!self->parser_->is_done()) {
                    return self->read_answer(silence);
                }
                self->keep_alive_ = self->parser_->get().keep_alive();
                self->answer(response_of(self->parser_->release()));
            });
    }

    void answer(std::expected<HttpResponse, HttpFailure> result) {
        keep_alive_ = keep_alive_ && result.has_value();
        parser_.reset();
        const Answered done = std::move(answered_);
        done(std::move(result));
    }

    void read_part() {
        part_parser_.get().body().data = part_.data();
        part_parser_.get().body().size = part_.size();
        beast::get_lowest_layer(stream_).expires_after(idle_);
        http::async_read_some(stream_, buffer_, part_parser_,
                              [self = this->shared_from_this()](error_code error, std::size_t) {
                                  if (error == http::error::need_buffer) {
                                      error = {};
                                  }
                                  const std::size_t count = self->part_.size() - self->part_parser_.get().body().size;
                                  if (count > 0) {
                                      self->handler_.on_data({self->part_.data(), count});
                                  }
                                  if (error) {
                                      return self->handler_.on_end(self->failure("reading from", error, true));
                                  }
                                  if (self->part_parser_.is_done()) {
                                      return self->handler_.on_end(std::nullopt);
                                  }
                                  self->read_part();
                              });
    }

    HttpServer server_;
    std::unique_ptr<asio::ssl::context> tls_;
    asio::ip::tcp::resolver resolver_;
    Stream stream_;
    beast::flat_buffer buffer_;
    http::request<http::string_body> request_;
    milliseconds connect_timeout_{};
    bool keep_alive_ = true;
    // exchange()
    std::unique_ptr<WholeParser> parser_;
    Answered answered_;
    // stream()
    http::response_parser<http::buffer_body> part_parser_;
    std::array<char, kReadSize> part_{};
    HttpStreams::Handler handler_;
    milliseconds idle_{};
};

Result<std::unique_ptr<asio::ssl::context>> make_tls(const TlsIdentity& identity) {
    auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
    error_code failed;
    if (identity.ca.empty()) {
        context->set_default_verify_paths(failed);
    } else {
        context->add_certificate_authority(asio::buffer(identity.ca), failed);
    }
    if (failed) {
        return fail("the certificate authority cannot be read: " + failed.message());
    }
    if (!identity.certificate.empty()) {
        context->use_certificate_chain(asio::buffer(identity.certificate), failed);
        if (failed) {
            return fail("the client certificate cannot be read: " + failed.message());
        }
        context->use_private_key(asio::buffer(identity.key), asio::ssl::context::pem, failed);
        if (failed) {
            return fail("the client key cannot be used: " + failed.message());
        }
    }
    return context;
}

Result<std::shared_ptr<Connection>> make_connection(asio::io_context& io, const HttpServer& server,
                                                    const TlsIdentity& identity) {
    if (!server.tls) {
        return std::make_shared<ConnectionOf<Plain>>(io, server, nullptr);
    }
    auto tls = make_tls(identity);
    if (!tls) {
        return fail(server.where + ": " + tls.error().message);
    }
    return std::make_shared<ConnectionOf<Tls>>(io, server, *std::move(tls));
}

class BeastClient final : public HttpClient {
public:
    explicit BeastClient(HttpServer server) : server_(std::move(server)) {}

    [[nodiscard]] std::expected<HttpResponse, HttpFailure> send(const HttpRequest& request,
                                                                const std::function<Result<TlsIdentity>()>& identity,
                                                                milliseconds timeout) override {
        const bool kept = connection_ && connection_->usable();
        if (kept) {
            auto answer = exchange(request, timeout);
            if (answer || request.method != "GET" || !answer.error().ended) {
                return answer;
            }
        }
        if (const Failure failed = connect(identity, timeout)) {
            return std::unexpected(*failed);
        }
        return exchange(request, timeout);
    }

private:
    Failure connect(const std::function<Result<TlsIdentity>()>& identity, milliseconds timeout) {
        connection_.reset();
        const auto known = identity();
        if (!known) {
            return HttpFailure{known.error().message};
        }
        auto made = make_connection(io_, server_, *known);
        if (!made) {
            return HttpFailure{made.error().message};
        }
        Failure failed;
        (*made)->open(timeout, [&](const Failure& result) { failed = result; });
        wait();
        if (!failed) {
            connection_ = *std::move(made);
        }
        return failed;
    }

    std::expected<HttpResponse, HttpFailure> exchange(const HttpRequest& request, milliseconds timeout) {
        std::expected<HttpResponse, HttpFailure> answer = std::unexpected(HttpFailure{"no answer", true});
        connection_->exchange(request, timeout, [&](auto result) { answer = std::move(result); });
        wait();
        if (!answer) {
            connection_.reset();
        }
        return answer;
    }

    /// Runs until the call at hand is over.
    void wait() {
        io_.restart();
        io_.run();
    }

    HttpServer server_;
    asio::io_context io_{1};
    std::shared_ptr<Connection> connection_;
};

class BeastStreams final : public HttpStreams {
public:
    explicit BeastStreams(HttpServer server) : server_(std::move(server)), thread_([this] { io_.run(); }) {}
    ~BeastStreams() override {
        io_.stop();
        thread_.join();
    }
    BeastStreams(const BeastStreams&) = delete;
    BeastStreams& operator=(const BeastStreams&) = delete;

    void after(milliseconds delay, std::function<void()> action) override {
        auto timer = std::make_shared<asio::steady_timer>(io_);
        asio::post(io_, [timer, delay, action = std::move(action)]() mutable {
            timer->expires_after(delay);
            timer->async_wait([timer, action = std::move(action)](error_code failed) {
                if (!failed) {
                    action();
                }
            });
        });
    }

    void open(HttpRequest request, const TlsIdentity& identity, milliseconds idle, Handler handler) override {
        auto made = make_connection(io_, server_, identity);
        if (!made) {
            return handler.on_end(HttpFailure{made.error().message});
        }
        const std::shared_ptr<Connection> connection = *std::move(made);
        connection->open(idle, [connection, request = std::move(request), idle,
                                handler = std::move(handler)](const Failure& failed) {
            if (failed) {
                return handler.on_end(failed);
            }
            connection->stream(request, idle, handler);
        });
    }

private:
    HttpServer server_;
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::thread thread_;  // last: it uses the others
};

constexpr HttpModule kModule{
    [](HttpServer server) -> std::unique_ptr<HttpClient> { return std::make_unique<BeastClient>(std::move(server)); },
    [](HttpServer server) -> std::unique_ptr<HttpStreams> {
        return std::make_unique<BeastStreams>(std::move(server));
    }};

}  // namespace

}  // namespace manul::store::kubernetes

extern "C" __attribute__((visibility("default"))) const manul::store::kubernetes::HttpModule* manul_http_module();
const manul::store::kubernetes::HttpModule* manul_http_module() { return &manul::store::kubernetes::kModule; }
