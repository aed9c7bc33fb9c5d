#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "bgpd/bfd/sessions.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// Runs the BFD sessions on a thread of their own, so that no table, however large, makes a packet late: detection
/// times are shorter than a burst of routes may take. The thread starts with the first session.
class BfdThread {
public:
    /// Called on the io_context's thread.
    using OnChange = std::function<void(const bfd::Changed& change)>;

    BfdThread(boost::asio::io_context& io, OnChange on_change);
    /// Says farewell to the neighbours.
    ~BfdThread();
    BfdThread(const BfdThread&) = delete;
    BfdThread& operator=(const BfdThread&) = delete;

    /// The whole wanted set.
    void configure(std::vector<bfd::SessionConfig> wanted);
    [[nodiscard]] std::vector<bfd::SessionStatus> status() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace manul::bgp::io
