#include "felix/io/endpoint_mark.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "felix/io/messages.hpp"

namespace manul::felix::io {

namespace {

constexpr std::string_view kLeft = ".left.";

/// `.left.<number>.<interface>`
struct LeftName {
    std::size_t number = 0;
    std::string interface;
};

std::optional<LeftName> parse_left(const std::string& name) {
    LeftName left;
    if (!name.starts_with(kLeft)) {
        return std::nullopt;
    }
    const char* const end = name.data() + name.size();
    const auto number = std::from_chars(name.data() + kLeft.size(), end, left.number);
    if (number.ec != std::errc() || number.ptr == end || *number.ptr != '.') {
        return std::nullopt;
    }
    left.interface.assign(number.ptr + 1, end);
    return left;
}

std::optional<EndpointMarks::Left> read_mark(const std::string& path, const std::string& interface) {
    std::ifstream file(path);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(text, error);
    const auto* fields = error ? nullptr : value.if_object();
    const auto* container = fields == nullptr ? nullptr : fields->if_contains("containerID");
    const auto* addresses = fields == nullptr ? nullptr : fields->if_contains("addresses");
    if (container == nullptr || !container->is_string() || addresses == nullptr || !addresses->is_array()) {
        return std::nullopt;
    }
    EndpointMarks::Left left{interface, std::string(container->get_string()), {}};
    for (const boost::json::value& address : addresses->get_array()) {
        if (const auto ip = address.is_string() ? net::Ip::parse(address.get_string()) : std::nullopt) {
            left.addresses.push_back(*ip);
        }
    }
    return left;
}

}  // namespace

EndpointMarks::EndpointMarks(std::string endpoints, std::string wait, UniqueFd socket)
    : endpoints_(std::move(endpoints)), wait_(std::move(wait)), socket_(std::move(socket)) {}

Result<EndpointMarks> EndpointMarks::open(const std::string& run_dir) {
    const std::string endpoints = run_dir + "/endpoints";
    const std::string wait = run_dir + "/wait";
    for (const std::string& directory : {endpoints, wait}) {
        std::error_code error;
        std::filesystem::create_directories(directory, error);
        if (error) {
            return fail(fmt::format("cannot make {}: {}", directory, error.message()));
        }
    }
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) {
        return fail(fmt::format("cannot open a datagram socket: {}", std::strerror(errno)));
    }
    return EndpointMarks(endpoints, wait, std::move(socket));
}

std::vector<EndpointMarks::Left> EndpointMarks::clear() {
    written_.clear();
    left_.clear();
    std::vector<std::string> standing;
    std::vector<Left> all;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(endpoints_, error)) {
        const std::string name = entry.path().filename().string();
        const auto set_aside_before = parse_left(name);
        if (set_aside_before) {
            next_left_ = std::max(next_left_, set_aside_before->number + 1);
            left_.push_back(name);
        } else if (!name.starts_with('.')) {
            standing.push_back(name);
        } else {
            std::error_code ignored;
            std::filesystem::remove(entry.path(), ignored);  // was being written
            continue;
        }
        if (auto mark = read_mark(entry.path(), set_aside_before ? set_aside_before->interface : name)) {
            all.push_back(*std::move(mark));
        }
    }
    for (const std::string& interface : standing) {
        set_aside(interface);
    }
    return all;
}

void EndpointMarks::set_aside(const std::string& interface) {
    std::string name = fmt::format("{}{}.{}", kLeft, next_left_++, interface);
    const std::string path = endpoints_ + "/" + interface;
    if (std::rename(path.c_str(), (endpoints_ + "/" + name).c_str()) == 0) {
        left_.push_back(std::move(name));
    } else {
        (void)::unlink(path.c_str());
    }
}

void EndpointMarks::forget_left(const std::vector<std::string>& files) {
    for (const std::string& name : files) {
        (void)::unlink((endpoints_ + "/" + name).c_str());
    }
}

void EndpointMarks::write(const std::string& interface, const std::string& container_id,
                          const std::string& resource_version, std::uint32_t ifindex,
                          const std::vector<net::Ip>& addresses) {
    boost::json::array ips;
    for (const net::Ip& address : addresses) {
        ips.emplace_back(address.to_string());
    }
    const std::string text = boost::json::serialize(boost::json::object{{"containerID", container_id},
                                                                        {"resourceVersion", resource_version},
                                                                        {"ifindex", ifindex},
                                                                        {"addresses", std::move(ips)}});
    Written& written = written_[interface];
    if (written.text == text) {
        return;
    }
    const Left whose{interface, container_id, addresses};
    if (!written.text.empty() && written.whose != whose) {
        set_aside(interface);
    }
    const std::string path = endpoints_ + "/" + interface;
    const std::string temporary = endpoints_ + "/." + interface;
    const auto begin = [&temporary] {
        return UniqueFd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    };
    UniqueFd file = begin();
    if (!file && errno == ENOENT) {  // somebody has emptied the run directory
        std::error_code ignored;
        std::filesystem::create_directories(endpoints_, ignored);
        file = begin();
    }
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        std::rename(temporary.c_str(), path.c_str()) != 0) {
        log::emit(kMarkFailed, path, std::strerror(errno));
        return;
    }
    written = {text, whose};
    wake(interface);
}

void EndpointMarks::remove(const std::string& interface) {
    if (written_.erase(interface) != 0) {
        set_aside(interface);
    }
}

void EndpointMarks::wake(const std::string& interface) {
    const std::string path = wait_ + "/" + interface;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return;
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const char byte = 1;
    // Nobody may be waiting, which is no failure.
    (void)::sendto(socket_.get(), &byte, 1, MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

}  // namespace manul::felix::io
