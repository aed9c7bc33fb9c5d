// Traffic for felix_flows.py, in the network namespace that it is started in.
//   flow_sender udp SOURCE DESTINATION PORT   new flows: prints nanoseconds a packet (first tenth of all chunks)
//   flow_sender tcp SECONDS PORT NETNS DESTINATION NETNS DESTINATION
//                                             connections from each of the two namespaces in turns: prints how many a
//                                             second from the first one, and from the second one
//   flow_sender listen PORT                   accepts and closes until it is ended

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kChunk = 512;
constexpr std::size_t kChunks = 80;
constexpr std::size_t kFewestChunks = 3;
constexpr std::chrono::milliseconds kLongest{1500};

struct Datagram {
    iphdr ip;
    udphdr udp;
    std::array<char, 8> payload;
};

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): one thread
}

std::uint32_t address(const char* text) {
    in_addr parsed{};
    if (::inet_pton(AF_INET, text, &parsed) != 1) {
        fail(text);
    }
    return parsed.s_addr;
}

sockaddr_in endpoint(std::uint32_t host, int port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = host;
    at.sin_port = htons(static_cast<std::uint16_t>(port));
    return at;
}

/// The packet is through the node when the system call returns: a pair of virtual links works on the sender's time.
void udp(const char* source, const char* destination, int port) {
    const int fd = ::socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    if (fd < 0) {
        fail("raw socket");
    }
    sockaddr_in to = endpoint(address(destination), 0);
    std::vector<Datagram> datagrams(kChunk);
    std::vector<iovec> pieces(kChunk);
    std::vector<mmsghdr> messages(kChunk);
    for (std::size_t i = 0; i < kChunk; ++i) {
        Datagram& d = datagrams[i];
        d.ip.version = 4;
        d.ip.ihl = 5;
        d.ip.ttl = 64;
        d.ip.protocol = IPPROTO_UDP;
        d.ip.tot_len = htons(sizeof(Datagram));
        d.ip.saddr = address(source);
        d.ip.daddr = to.sin_addr.s_addr;
        d.udp.dest = htons(static_cast<std::uint16_t>(port));
        d.udp.len = htons(static_cast<std::uint16_t>(sizeof(udphdr) + d.payload.size()));
        pieces[i] = {&d, sizeof(Datagram)};
        messages[i].msg_hdr.msg_name = &to;
        messages[i].msg_hdr.msg_namelen = sizeof(to);
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    std::vector<double> times;
    std::uint16_t from = 1024;
    const auto end = Clock::now() + kLongest;
    for (std::size_t chunk = 0; chunk < kChunks && (chunk < kFewestChunks || Clock::now() < end); ++chunk) {
        for (Datagram& d : datagrams) {
            d.udp.source = htons(from++);
        }
        const auto start = Clock::now();
        std::size_t sent = 0;
        while (sent < kChunk) {
            const int count = ::sendmmsg(fd, &messages[sent], static_cast<unsigned>(kChunk - sent), 0);
            if (count <= 0) {
                fail("sendmmsg");
            }
            sent += static_cast<std::size_t>(count);
        }
        times.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kChunk);
    }
    std::ranges::sort(times);
    std::printf("%.0f\n", times[times.size() / 10]);
}

/// Nanoseconds a connection, opened and reset: the mean of a few in a row.
double connect_in_a_row(const sockaddr_in& to) {
    constexpr int kInARow = 32;
    const auto begin = Clock::now();
    for (int i = 0; i < kInARow; ++i) {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        const linger at_once{1, 0};
        (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
            fail("connect");
        }
        ::close(fd);
    }
    return std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / kInARow;
}

/// In turns of a millisecond, so that whatever else the machine does slows both alike.
void tcp(double seconds, int port, char** sides) {
    struct Side {
        int netns;
        sockaddr_in to;
        std::vector<double> times;
    };
    std::vector<Side> both;
    for (int i = 0; i < 2; ++i) {
        const std::string path = std::string("/run/netns/") + sides[2 * i];
        both.push_back({::open(path.c_str(), O_RDONLY), endpoint(address(sides[2 * i + 1]), port), {}});
    }
    const auto begin = Clock::now();
    while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
        for (Side& side : both) {
            if (::setns(side.netns, CLONE_NEWNET) != 0) {
                fail("setns");
            }
            side.times.push_back(connect_in_a_row(side.to));
        }
    }
    for (Side& side : both) {
        std::ranges::nth_element(side.times, side.times.begin() + static_cast<std::ptrdiff_t>(side.times.size() / 2));
        std::printf("%.0f ", 1e9 / side.times[side.times.size() / 2]);
    }
    std::printf("\n");
}

void listen(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const sockaddr_in at = endpoint(INADDR_ANY, port);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0 || ::listen(fd, 1024) != 0) {
        fail("listen");
    }
    for (;;) {
        const int peer = ::accept(fd, nullptr, nullptr);
        if (peer >= 0) {
            ::close(peer);
        }
    }
}

}  // namespace

int main(int count, char** words) {
    const std::string_view mode = count > 1 ? words[1] : "";
    if (mode == "udp" && count == 5) {
        udp(words[2], words[3], std::stoi(words[4]));
    } else if (mode == "tcp" && count == 8) {
        tcp(std::stod(words[2]), std::stoi(words[3]), words + 4);
    } else if (mode == "listen" && count == 3) {
        listen(std::stoi(words[2]));
    } else {
        return 2;
    }
    return 0;
}
