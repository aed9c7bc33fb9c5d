#include "base/http_status.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace http = manul::http_status;

namespace {

/// A server on a free port with its own thread.
class Running {
public:
    explicit Running(http::Pages pages, std::string_view host = "localhost") {
        auto listening = http::Server::listen(io_, host, 0, std::move(pages));
        REQUIRE(listening);
        server_ = *std::move(listening);
        loop_ = std::jthread([this](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                io_.run_for(std::chrono::milliseconds(20));
                io_.restart();
            }
        });
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        loop_.request_stop();
        loop_.join();
    }
    [[nodiscard]] std::uint16_t port() const { return server_->port(); }

private:
    boost::asio::io_context io_;
    std::unique_ptr<http::Server> server_;
    std::jthread loop_;
};

int connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    return fd;
}

/// Everything that the server says until it closes.
std::string talk(std::uint16_t port, const std::string& request) {
    const int fd = connect_to(port);
    (void)::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    std::string answer;
    std::array<char, 4096> buffer{};
    for (ssize_t count = 0; (count = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
        answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    ::close(fd);
    return answer;
}

std::string get(std::uint16_t port, const std::string& path) {
    return talk(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

http::Pages all_pages() {
    return {.metrics = [] { return std::string("manul_test_total 1\n"); },
            .live = [] { return http::Checks{{"loop", true, ""}}; },
            .ready = [] { return http::Checks{{"datastore", true, ""}, {"dataplane", false, "not in sync"}}; }};
}

}  // namespace

TEST_CASE("metrics and probes are answered under the names that operators use") {
    const Running server(all_pages());
    const std::string metrics = get(server.port(), "/metrics");
    CHECK(metrics.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(metrics.find("Content-Type: text/plain; version=0.0.4") != std::string::npos);
    CHECK(metrics.find("Content-Length: 19\r\n") != std::string::npos);
    CHECK(body_of(metrics) == "manul_test_total 1\n");
    for (const std::string path : {"/healthz", "/livez", "/liveness", "/healthz?verbose"}) {
        INFO(path);
        CHECK(body_of(get(server.port(), path)) == "loop: ok\n");
    }
    for (const std::string path : {"/readyz", "/readiness"}) {
        const std::string ready = get(server.port(), path);
        CHECK(ready.starts_with("HTTP/1.1 503 "));
        CHECK(body_of(ready) == "datastore: ok\ndataplane: not ok (not in sync)\n");
    }
}

TEST_CASE("HEAD has no body, and pages that are not served do not exist") {
    http::Pages pages = all_pages();
    pages.metrics = nullptr;
    const Running server(std::move(pages));
    const std::string head = talk(server.port(), "HEAD /healthz HTTP/1.1\r\n\r\n");
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(get(server.port(), "/metrics").starts_with("HTTP/1.1 404 "));
    CHECK(get(server.port(), "/").starts_with("HTTP/1.1 404 "));
}

TEST_CASE("requests that are none are refused, and the server goes on") {
    const Running server(all_pages());
    struct Row {
        std::string request;
        std::string status;
    };
    const std::vector<Row> rows{
        {"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405"},
        {"GET /metrics\r\n\r\n", "400"},
        {"GET  HTTP/1.1\r\n\r\n", "400"},
        {"GET metrics HTTP/1.1\r\n\r\n", "400"},
        {"GET http://elsewhere/metrics HTTP/1.1\r\n\r\n", "400"},
        {"\r\n\r\n", "400"},
        {std::string("\0\x16\x03\x01 / \r\n\r\n", 12), "400"},
        {"GET /metrics HTTP/1.1\r\nX: " + std::string(9000, 'x'), "431"},
    };
    for (const Row& row : rows) {
        INFO(row.request.substr(0, 60));
        CHECK(talk(server.port(), row.request).starts_with("HTTP/1.1 " + row.status + " "));
    }
    CHECK(get(server.port(), "/metrics").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("clients that say nothing are limited in number, and the server goes on when they leave") {
    const Running server(all_pages());
    std::vector<int> silent;
    for (int i = 0; i < 64; ++i) {
        silent.push_back(connect_to(server.port()));
    }
    CHECK(get(server.port(), "/metrics").empty());  // turned away
    for (const int fd : silent) {
        ::close(fd);
    }
    std::string answer;
    while (answer.empty()) {  // the server may look at the new client before it sees that the others left
        answer = get(server.port(), "/metrics");
    }
    CHECK(answer.starts_with("HTTP/1.1 200 "));
}

TEST_CASE("an empty host means every address, and a name that is none is refused") {
    const Running server(all_pages(), "");
    CHECK(get(server.port(), "/healthz").starts_with("HTTP/1.1 200 "));
    boost::asio::io_context io;
    const auto refused = http::Server::listen(io, "no such host", 0, all_pages());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "'no such host' is neither an address nor localhost");
    const auto taken = http::Server::listen(io, "localhost", server.port(), all_pages());
    CHECK_FALSE(taken);
}
