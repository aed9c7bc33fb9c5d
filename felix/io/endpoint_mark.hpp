#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

/// What the CNI plugin waits for: `<run_dir>/endpoints/<interface>` says which container, link, addresses and version
/// of its endpoint have their rules, link group and host routes in the kernel; a byte to the datagram socket
/// `<run_dir>/wait/<interface>` wakes the plugin up. Directories are made when they are missing.
///
/// A mark that no longer holds is set aside, as `.left.<number>.<interface>`, until the connections of its addresses
/// were ended: after an interruption the next start finds it.
class EndpointMarks {
public:
    [[nodiscard]] static Result<EndpointMarks> open(const std::string& run_dir);

    /// Whom a mark belonged to.
    struct Left {
        std::string interface;
        std::string container_id;
        std::vector<net::Ip> addresses;

        bool operator==(const Left&) const = default;
    };
    /// Sets every mark aside, those of earlier runs too, and returns what these said as far as it can be read.
    std::vector<Left> clear();
    void write(const std::string& interface, const std::string& container_id, const std::string& resource_version,
               std::uint32_t ifindex, const std::vector<net::Ip>& addresses);
    void remove(const std::string& interface);

    /// Files of marks that were set aside since the last call.
    [[nodiscard]] std::vector<std::string> take_left() { return std::exchange(left_, {}); }
    /// The connections of their addresses were ended.
    void forget_left(const std::vector<std::string>& files);

private:
    struct Written {
        std::string text;
        Left whose;
    };

    EndpointMarks(std::string endpoints, std::string wait, UniqueFd socket);
    void set_aside(const std::string& interface);
    void wake(const std::string& interface);

    std::string endpoints_;
    std::string wait_;
    UniqueFd socket_;
    std::map<std::string, Written> written_;  ///< by interface
    std::vector<std::string> left_;
    std::size_t next_left_ = 0;
};

}  // namespace manul::felix::io
