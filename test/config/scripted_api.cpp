#include "test/config/scripted_api.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace manul::test {

namespace {

/// Appends what comes; false at the end of the connection.
bool receive(int fd, std::string& text) {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count <= 0) {
        return false;
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
    return true;
}

std::size_t content_length(const std::string& head) {
    const std::size_t at = head.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::strtoul(head.c_str() + at + 16, nullptr, 10);
}

}  // namespace

void ScriptedConnection::send(const std::string& bytes) const {
    ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);  // the client may be gone, which is what a test may want
}

void ScriptedConnection::answer(int status, const std::string& body, const std::string& headers) const {
    send("HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Type: application/json\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

void ScriptedConnection::begin_chunks() const {
    send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

void ScriptedConnection::chunk(const std::string& bytes) const {
    std::array<char, 32> length{};
    std::snprintf(length.data(), length.size(), "%zx\r\n", bytes.size());
    send(length.data() + bytes + "\r\n");
}

void ScriptedConnection::end_chunks() const { send("0\r\n\r\n"); }

void ScriptedConnection::wait_for_close() const {
    std::string ignored;
    while (receive(fd_, ignored)) {
    }
}

ScriptedApi::ScriptedApi(Script script) : script_(std::move(script)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_.get(), std::bit_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
    REQUIRE(::getsockname(listener_.get(), std::bit_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] {
        for (int number = 0;; ++number) {
            const int fd = ::accept(listener_.get(), nullptr, nullptr);
            if (fd < 0 || stopping_) {
                if (fd >= 0) {
                    ::close(fd);
                }
                return;
            }
            const std::lock_guard lock(mutex_);
            connections_.push_back(fd);
            threads_.emplace_back([this, fd, number] { serve(fd, number); });
        }
    });
}

ScriptedApi::~ScriptedApi() {
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    for (const int fd : connections_) {
        ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) {
        thread.join();
    }
    for (const int fd : connections_) {
        ::close(fd);
    }
}

std::string ScriptedApi::address() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<std::string> ScriptedApi::seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
}

void ScriptedApi::serve(int fd, int number) {
    std::string text;
    while (true) {
        std::size_t end = 0;
        while ((end = text.find("\r\n\r\n")) == std::string::npos) {
            if (!receive(fd, text)) {
                return;
            }
        }
        ScriptedRequest request;
        request.connection = number;
        request.head = text.substr(0, end + 2);
        request.method = request.head.substr(0, request.head.find(' '));
        const std::size_t target = request.method.size() + 1;
        request.target = request.head.substr(target, request.head.find(' ', target) - target);
        const std::size_t length = content_length(request.head);
        while (text.size() < end + 4 + length) {
            if (!receive(fd, text)) {
                return;
            }
        }
        request.body = text.substr(end + 4, length);
        text.erase(0, end + 4 + length);
        {
            const std::lock_guard lock(mutex_);
            seen_.push_back(request.method + " " + request.target);
        }
        if (!script_(request, ScriptedConnection(fd))) {
            ::shutdown(fd, SHUT_RDWR);
            return;
        }
    }
}

}  // namespace manul::test
