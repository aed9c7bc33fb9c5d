#include "bgpd/io/tcp_ao.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/io/tcp.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::io {
namespace {

// linux/tcp.h since 6.7
constexpr int kAddKey = 38;
constexpr int kDeleteKey = 39;
static_assert(sizeof(TcpAoAdd) == 288 && sizeof(TcpAoDel) == 144, "the kernel refuses other sizes");

std::array<std::uint8_t, 128> storage_of(const net::Ip& address) {
    const SocketAddress socket_address = to_socket_address({address, 0});
    std::array<std::uint8_t, 128> out{};
    static_assert(sizeof socket_address.storage == sizeof out);
    std::memcpy(out.data(), &socket_address.storage, sizeof out);
    return out;
}

const char* kernel_name(speaker::TcpAo::Algorithm algorithm) {
    return algorithm == speaker::TcpAo::Algorithm::hmac_sha1 ? "hmac(sha1)" : "cmac(aes128)";
}

}  // namespace

Result<TcpAoAdd> make_ao_key(const net::Prefix& remotes, const speaker::TcpAo& how, const std::string& key) {
    TcpAoAdd request;
    if (key.empty() || key.size() > request.key.size()) {
        return fail("a TCP-AO key has 1 to " + std::to_string(request.key.size()) + " bytes");
    }
    request.address = storage_of(remotes.address());
    const std::string algorithm = kernel_name(how.algorithm);
    std::ranges::copy(algorithm, request.algorithm.begin());
    request.prefix = remotes.length();
    request.send_id = how.send_id;
    request.receive_id = how.receive_id;
    request.key_length = static_cast<std::uint8_t>(key.size());
    std::ranges::transform(key, request.key.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
    return request;
}

Result<void> add_ao_key(int fd, const net::Prefix& remotes, const speaker::TcpAo& how, const std::string& key) {
    const auto request = make_ao_key(remotes, how, key);
    if (!request) {
        return std::unexpected(request.error());
    }
    if (::setsockopt(fd, IPPROTO_TCP, kAddKey, &*request, sizeof *request) != 0 && errno != EEXIST) {
        return fail("TCP-AO key for " + remotes.to_string() + ": " +
                    ::strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
    }
    return {};
}

void remove_ao_key(int fd, const net::Prefix& remotes, const speaker::TcpAo& how) {
    TcpAoDel request;
    request.address = storage_of(remotes.address());
    request.prefix = remotes.length();
    request.send_id = how.send_id;
    request.receive_id = how.receive_id;
    static_cast<void>(::setsockopt(fd, IPPROTO_TCP, kDeleteKey, &request, sizeof request));
}

std::string ao_obstacle() {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
    const auto request = make_ao_key(net::Prefix::host(net::Ip4(192, 0, 2, 1)), {}, "probe");
    const bool done = ::setsockopt(fd.get(), IPPROTO_TCP, kAddKey, &*request, sizeof *request) == 0;
    return ao_obstacle(done ? 0 : errno);
}

std::string ao_obstacle(int error) {
    switch (error) {
        case 0:
            return {};
        case ENOPROTOOPT:
            return "this kernel has no TCP-AO (Linux 6.7 with CONFIG_TCP_AO has it)";
        default:
            return std::string("the kernel refuses TCP-AO keys: ") +
                   ::strerror(error);  // NOLINT(concurrency-mt-unsafe): one thread
    }
}

void require_ao(speaker::Configuration& configuration, const std::string& obstacle) {
    for (auto* peers : {&configuration.peers, &configuration.ranges}) {
        for (speaker::PeerConfig& peer : *peers) {
            if (peer.tcp_ao && peer.problem.empty()) {
                peer.problem = obstacle;
            }
        }
    }
}

}  // namespace manul::bgp::io
