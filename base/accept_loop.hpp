#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace manul {

/// Accepts connections until closed and gives each to `on_accept`. Shared, so that a pending accept outlives its owner
/// harmlessly. For the sources of servers alone: it brings Asio's headers along.
template <class Protocol>
class AcceptLoop : public std::enable_shared_from_this<AcceptLoop<Protocol>> {
public:
    using Socket = typename Protocol::socket;
    using OnAccept = std::function<void(Socket)>;

    AcceptLoop(boost::asio::io_context& io, OnAccept on_accept)
        : acceptor_(io), retry_(io), on_accept_(std::move(on_accept)) {}

    [[nodiscard]] typename Protocol::acceptor& acceptor() noexcept { return acceptor_; }

    void start() {
        acceptor_.async_accept([self = this->shared_from_this()](const boost::system::error_code& ec, Socket socket) {
            if (ec == boost::asio::error::operation_aborted) {
                return;
            }
            if (!ec) {
                self->on_accept_(std::move(socket));
                self->start();
                return;
            }
            self->start_later();
        });
    }

    void close() {
        boost::system::error_code ignored;
        retry_.cancel();
        acceptor_.close(ignored);  // NOLINT(bugprone-unused-return-value): nothing can be done about a failed close
    }

private:
    /// Out of descriptors, for example: wait, do not spin.
    void start_later() {
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([self = this->shared_from_this()](const boost::system::error_code& stopped) {
            if (!stopped) {
                self->start();
            }
        });
    }

    typename Protocol::acceptor acceptor_;
    boost::asio::steady_timer retry_;
    OnAccept on_accept_;
};

}  // namespace manul
