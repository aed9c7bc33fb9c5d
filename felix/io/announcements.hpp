#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "felix/io/datastore.hpp"

namespace manul::felix::io {

/// The socket on which this node's manul-ipamd announces endpoints (config/announcement.hpp). Nobody but root may send.
class Announcements {
public:
    /// `datastore` hears of all that wait at once. A socket of an earlier felix is replaced.
    [[nodiscard]] static Result<std::unique_ptr<Announcements>> open(boost::asio::io_context& io,
                                                                     const std::string& run_dir, Datastore& datastore);
    ~Announcements();
    Announcements(const Announcements&) = delete;
    Announcements& operator=(const Announcements&) = delete;

private:
    Announcements(boost::asio::io_context& io, UniqueFd socket, std::string path, Datastore& datastore);
    void on_readable();
    void handle(std::string_view datagram);

    UniqueFd socket_;
    std::string path_;
    Datastore& datastore_;
    std::string buffer_;
    ReadableWatch watch_;
};

}  // namespace manul::felix::io
