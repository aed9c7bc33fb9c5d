#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/daemon.hpp"
#include "bgpd/speaker/speaker.hpp"
#include "net/ip.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// Writes the whole table to a file in MRT format, again and again: a part of the table a turn, and no part before the
/// one before is on the disk, so that sessions never wait for a dump. A file appears under its name when it is
/// complete.
class MrtDump {
public:
    struct Plan {
        /// Absolute; strftime(3) conversions are filled in with UTC: "/var/log/manul/rib.%Y%m%d.%H%M.mrt".
        std::string path;
        std::chrono::seconds interval{3600};
        std::uint32_t router_id = 0;
        std::uint32_t as = 0;

        bool operator==(const Plan&) const = default;
    };

    MrtDump(boost::asio::io_context& io, const speaker::Speaker& speaker);

    /// The first dump of a new plan starts at once; nothing ends them, and a dump under way.
    void configure(std::optional<Plan> plan);

private:
    struct File;

    void begin();
    void step();
    void write(Bytes bytes, bool last);

    const speaker::Speaker& speaker_;
    Worker worker_;
    Timer timer_;
    std::optional<Plan> plan_;
    std::shared_ptr<File> file_;  ///< of the dump under way
    std::map<net::Ip, std::uint16_t> peers_;
    net::Family family_ = net::Family::v4;
    std::uint32_t from_ = 0;
    std::uint32_t sequence_ = 0;
    std::uint32_t time_ = 0;
};

}  // namespace manul::bgp::io
