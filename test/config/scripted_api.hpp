#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

/// A server on loopback that answers as a test says, byte for byte: what a client does when answers come in pieces,
/// end early or never come can be seen with no other.
namespace manul::test {

struct ScriptedRequest {
    std::string method;
    std::string target;
    std::string head;  ///< request line and headers
    std::string body;
    int connection = 0;  ///< counted from 0

    [[nodiscard]] bool has(const std::string& text) const { return head.find(text) != std::string::npos; }
};

/// One connection, to answer on.
class ScriptedConnection {
public:
    explicit ScriptedConnection(int fd) : fd_(fd) {}
    void send(const std::string& bytes) const;
    /// A whole answer with a length.
    void answer(int status, const std::string& body, const std::string& headers = "") const;
    /// The beginning of a chunked answer, one chunk, and its end.
    void begin_chunks() const;
    void chunk(const std::string& bytes) const;
    void end_chunks() const;
    /// Until the client closes.
    void wait_for_close() const;

private:
    int fd_;
};

class ScriptedApi {
public:
    /// Answers one request; false ends the connection. Called on a thread of each connection, one at a time.
    using Script = std::function<bool(const ScriptedRequest&, const ScriptedConnection&)>;

    explicit ScriptedApi(Script script);
    ~ScriptedApi();
    ScriptedApi(const ScriptedApi&) = delete;
    ScriptedApi& operator=(const ScriptedApi&) = delete;

    [[nodiscard]] std::string address() const;
    /// Every request so far as "METHOD target".
    [[nodiscard]] std::vector<std::string> seen() const;

private:
    void serve(int fd, int number);

    Script script_;
    UniqueFd listener_;
    int port_ = 0;
    std::atomic<bool> stopping_ = false;
    mutable std::mutex mutex_;
    std::vector<std::string> seen_;
    std::vector<int> connections_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

}  // namespace manul::test
