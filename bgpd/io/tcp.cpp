#include "bgpd/io/tcp.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/io/tcp_ao.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "net/ip.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::io {
namespace {

std::unexpected<Error> system_error(const std::string& what) {
    return fail(what + ": " + std::string(::strerror(errno)));  // NOLINT(concurrency-mt-unsafe): one thread
}

Result<void> set(int fd, int level, int name, int value, const char* what) {
    if (::setsockopt(fd, level, name, &value, sizeof value) != 0) {
        return system_error(what);
    }
    return {};
}

Result<UniqueFd> tcp_socket(net::Family family) {
    const int domain = family == net::Family::v4 ? AF_INET : AF_INET6;
    UniqueFd fd(::socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!fd) {
        return system_error("socket");
    }
    return fd;
}

}  // namespace

SocketAddress to_socket_address(const speaker::Endpoint& endpoint) {
    SocketAddress result;
    const net::Ip plain = net::without_scope(endpoint.address);
    const auto bytes = plain.bytes();
    if (endpoint.address.is_v4()) {
        sockaddr_in four{};
        four.sin_family = AF_INET;
        four.sin_port = htons(endpoint.port);
        std::memcpy(&four.sin_addr, bytes.data(), bytes.size());
        std::memcpy(&result.storage, &four, sizeof four);
        result.size = sizeof four;
    } else {
        sockaddr_in6 six{};
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(endpoint.port);
        six.sin6_scope_id = net::scope_of(endpoint.address);
        std::memcpy(&six.sin6_addr, bytes.data(), bytes.size());
        std::memcpy(&result.storage, &six, sizeof six);
        result.size = sizeof six;
    }
    return result;
}

speaker::Endpoint to_endpoint(const SocketAddress& address) {
    if (address.storage.ss_family == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, &address.storage, sizeof four);
        return {net::Ip4(ntohl(four.sin_addr.s_addr)), ntohs(four.sin_port)};
    }
    if (address.storage.ss_family == AF_INET6) {
        sockaddr_in6 six{};
        std::memcpy(&six, &address.storage, sizeof six);
        std::array<std::uint8_t, 16> bytes{};
        std::ranges::copy(six.sin6_addr.s6_addr, bytes.begin());
        return {net::with_scope(net::Ip6(bytes), six.sin6_scope_id), ntohs(six.sin6_port)};
    }
    return {};
}

speaker::Endpoint local_endpoint(int fd) {
    SocketAddress address;
    address.size = sizeof address.storage;
    if (::getsockname(fd, address.get(), &address.size) != 0) {
        return {};
    }
    return to_endpoint(address);
}

Result<UniqueFd> listen_on(const speaker::Endpoint& endpoint) {
    MANUL_TRY(UniqueFd fd, tcp_socket(endpoint.address.family()));
    MANUL_CHECK(set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
    if (endpoint.address.is_v6()) {
        MANUL_CHECK(set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"));
    }
    const SocketAddress address = to_socket_address(endpoint);
    const std::string where = endpoint.address.to_string() + " port " + std::to_string(endpoint.port);
    if (::bind(fd.get(), address.get(), address.size) != 0) {
        return system_error("bind to " + where);
    }
    if (::listen(fd.get(), 1024) != 0) {
        return system_error("listen on " + where);
    }
    return fd;
}

Result<UniqueFd> connect_to(const speaker::Connect& how) {
    const net::Family family = how.remote.address.family();
    MANUL_TRY(UniqueFd fd, tcp_socket(family));
    MANUL_CHECK(set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"));
    MANUL_CHECK(set_ttl(fd.get(), family, how.options));
    if (how.options.key) {
        MANUL_CHECK(set_key(fd.get(), net::Prefix::host(how.remote.address), how.options));
    }
    if (how.local) {
        const SocketAddress local = to_socket_address({*how.local, 0});
        if (::bind(fd.get(), local.get(), local.size) != 0) {
            return system_error("source address " + how.local->to_string());
        }
    }
    const SocketAddress remote = to_socket_address(how.remote);
    if (::connect(fd.get(), remote.get(), remote.size) != 0 && errno != EINPROGRESS) {
        return fail(::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
    }
    return fd;
}

Result<void> set_ttl(int fd, net::Family family, const speaker::SocketOptions& options) {
    const bool four = family == net::Family::v4;
    const int level = four ? IPPROTO_IP : IPPROTO_IPV6;
    MANUL_CHECK(set(fd, level, four ? IP_TTL : IPV6_UNICAST_HOPS, options.ttl, "TTL"));
    if (options.minimum_ttl) {
        MANUL_CHECK(set(fd, level, four ? IP_MINTTL : IPV6_MINHOPCOUNT, *options.minimum_ttl, "minimum TTL"));
    }
    return {};
}

void set_listener_ttl(int fd, net::Family family, std::uint8_t ttl) {
    const bool four = family == net::Family::v4;
    static_cast<void>(
        set(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_TTL : IPV6_UNICAST_HOPS, ttl, "TTL of a listening socket"));
}

void keep_syns(int fd) {
    const int on = 1;
    static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_SAVE_SYN, &on, sizeof on));
}

std::optional<std::uint8_t> syn_ttl(int fd) {
    constexpr std::size_t kTtlOfV4 = 8;  // RFC 791 section 3.1
    constexpr std::size_t kHopLimitOfV6 = 7;
    std::array<std::uint8_t, 512> header{};  // IP and TCP with all options
    socklen_t size = header.size();
    if (::getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, header.data(), &size) != 0 || size <= kTtlOfV4) {
        return std::nullopt;
    }
    return header[header[0] >> 4U == 4 ? kTtlOfV4 : kHopLimitOfV6];
}

Result<void> set_key(int fd, const net::Prefix& remotes, const speaker::SocketOptions& options) {
    return options.ao && options.key ? add_ao_key(fd, remotes, *options.ao, *options.key)
                                     : set_md5_key(fd, remotes, options.key);
}

Result<void> set_md5_key(int fd, const net::Prefix& remotes, const std::optional<std::string>& key) {
    tcp_md5sig signature{};
    const std::string& text = key ? *key : std::string();
    if (text.size() > sizeof signature.tcpm_key) {
        return fail("a TCP-MD5 password has at most " + std::to_string(sizeof signature.tcpm_key) + " bytes");
    }
    const SocketAddress address = to_socket_address({remotes.address(), 0});
    std::memcpy(&signature.tcpm_addr, &address.storage, sizeof signature.tcpm_addr);
    signature.tcpm_keylen = static_cast<std::uint16_t>(text.size());
    std::ranges::copy(text, signature.tcpm_key);
    signature.tcpm_flags = remotes.is_host() ? 0 : TCP_MD5SIG_FLAG_PREFIX;
    signature.tcpm_prefixlen = remotes.is_host() ? std::uint8_t{0} : remotes.length();
    const int option = remotes.is_host() ? TCP_MD5SIG : TCP_MD5SIG_EXT;
    if (::setsockopt(fd, IPPROTO_TCP, option, &signature, sizeof signature) != 0 && !(errno == ENOENT && !key)) {
        return system_error("TCP-MD5 password for " + remotes.to_string());
    }
    return {};
}

}  // namespace manul::bgp::io
