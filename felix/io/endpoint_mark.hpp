#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

/// What the CNI plugin waits for: `<run_dir>/endpoints/<interface>` says which container, link, addresses and version
/// of its endpoint have their rules, link group and host routes in the kernel; a byte to the datagram socket
/// `<run_dir>/wait/<interface>` wakes the plugin up. Directories are made when they are missing.
class EndpointMarks {
public:
    [[nodiscard]] static Result<EndpointMarks> open(const std::string& run_dir);

    /// A mark of an earlier run.
    struct Left {
        std::string interface;
        std::string container_id;
        std::vector<net::Ip> addresses;
    };
    /// Removes every mark, those of earlier runs too, and returns what these said as far as it can be read.
    std::vector<Left> clear();
    void write(const std::string& interface, const std::string& container_id, const std::string& resource_version,
               std::uint32_t ifindex, const std::vector<net::Ip>& addresses);
    void remove(const std::string& interface);

private:
    EndpointMarks(std::string endpoints, std::string wait, UniqueFd socket);
    void wake(const std::string& interface);

    std::string endpoints_;
    std::string wait_;
    UniqueFd socket_;
    std::map<std::string, std::string> written_;  ///< text by interface
};

}  // namespace manul::felix::io
