#pragma once

#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "cni/plugin.hpp"
#include "cni/veth.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/socket.hpp"
#include "test/cni/fake_ipamd.hpp"

/// A node for the plugin's tests: nameless host and pod namespaces, a run directory, and what felix would do.
namespace manul::test {

namespace fs = std::filesystem;
namespace json = boost::json;
using namespace manul::cni;

inline net::Ip ip(std::string_view text) { return *net::Ip::parse(text); }

struct Directory {
    explicit Directory(const char* name) : path("/tmp/manul-cni-" + std::string(name) + std::to_string(::getpid())) {
        fs::remove_all(path);
        fs::create_directories(path);
    }
    ~Directory() { fs::remove_all(path); }
    std::string path;
};

struct Netns {
    UniqueFd fd;
    std::optional<netlink::Socket> socket;

    Netns() {
        const auto scope = netlink::NetnsScope::create();
        REQUIRE(scope);
        fd = *netlink::current_netns();
        socket = *netlink::Socket::open();
    }
    [[nodiscard]] std::string path() const {
        return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());
    }
    [[nodiscard]] std::optional<netlink::Link> link(std::string_view name) {
        auto found = socket->link(name);
        REQUIRE(found);
        return *found;
    }
};

/// A host and a pod namespace, and the directories of a node.
struct Node {
    Netns host;
    Netns pod;
    Directory run{"run"};
    Directory state{"state"};
    Limits limits{.connect = std::chrono::milliseconds(100),
                  .answer = std::chrono::milliseconds(500),
                  .release = std::chrono::milliseconds(500)};
    Environment environment{.command = "ADD", .container_id = "c1", .netns = pod.path(), .ifname = "eth0", .args = {}};
    std::string version = "1.1.0";
    std::string more;  ///< further members of the configuration

    Node() {
        fs::create_directories(run.path + "/endpoints");
        fs::create_directories(run.path + "/wait");
    }
    [[nodiscard]] std::string config() const {
        return R"({"cniVersion":")" + version + R"(","name":"pods","type":"manul","run_dir":")" + run.path +
               R"(","state_dir":")" + state.path + "\"" + more + "}";
    }
    Outcome call(const std::string& command) {
        environment.command = command;
        const auto scope = netlink::NetnsScope::enter(host.fd.get());
        REQUIRE(scope);
        return cni::run(environment, config(), limits);
    }
    [[nodiscard]] std::string host_name() const {
        ipam::Request request;
        request.attachment = {environment.container_id, environment.ifname};
        return ipam::host_interface_name(request);
    }
    /// What felix does when the endpoint is in the kernel.
    void mark(const std::string& container_id, std::uint32_t ifindex = 0, const std::string& addresses = {}) const {
        const std::string path = run.path + "/endpoints/" + host_name();
        std::ofstream(path + ".tmp") << R"({"containerID":")" << container_id << R"(","resourceVersion":"7","ifindex":)"
                                     << ifindex << (addresses.empty() ? "" : R"(,"addresses":)" + addresses) << "}";
        fs::rename(path + ".tmp", path);
    }
    void wake() const {
        const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = run.path + "/wait/" + host_name();
        std::ranges::copy(path, std::begin(address.sun_path));
        (void)::sendto(fd.get(), "x", 1, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    /// What felix adds when the link is there.
    void route_to_pod(std::initializer_list<const char*> ips) {
        const auto link = host.link(host_name());
        REQUIRE(link);
        netlink::RequestBuffer requests;
        for (const char* text : ips) {
            netlink::put_route(requests,
                               {.dst = net::Prefix::host(ip(text)),
                                .protocol = 177,
                                .scope = RT_SCOPE_LINK,
                                .hops = {{.ifindex = link->index}}},
                               netlink::Write::add);
        }
        const auto refused = host.socket->batch(requests);
        REQUIRE(refused);
        REQUIRE(refused->empty());
    }
    [[nodiscard]] std::size_t journaled() const {
        const fs::path directory = state.path + "/cni-journal";
        return fs::exists(directory) ? static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}))
                                     : 0;
    }
    /// Neither link, nor wait socket.
    void check_nothing_left() {
        CHECK_FALSE(host.link(host_name()));
        CHECK_FALSE(pod.link("eth0"));
        CHECK(fs::is_empty(run.path + "/wait"));
    }
};

inline ipam::Answer with_ips(std::initializer_list<const char*> ips) {
    ipam::Answer answer;
    for (const char* text : ips) {
        answer.ips.push_back(ip(text));
    }
    answer.endpoint = "default/x";
    answer.resource_version = "7";
    return answer;
}

inline int code_of(const Outcome& outcome) {
    CAPTURE(outcome.output);
    REQUIRE(outcome.exit_status == 1);
    return static_cast<int>(json::parse(outcome.output).at("code").as_int64());
}

inline std::string message_of(const Outcome& outcome) {
    return json::parse(outcome.output).at("msg").as_string().c_str();
}

/// Felix's control socket as long as this lives: somebody listens, nobody answers.
struct FelixSocket {
    explicit FelixSocket(const Node& node) : path(node.run.path + "/felix.sock") {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::ranges::copy(path, std::begin(address.sun_path));
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(fd.get(), 8) == 0);
    }
    std::string path;  ///< stays when felix is killed
    UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

/// An ipamd that gives both families and says at once that felix is ready.
inline FakeIpamd::Handler working(const Node& node) {
    return [&node](const ipam::Request& request) -> std::optional<ipam::Answer> {
        if (request.op == ipam::Op::add) {
            node.mark(request.attachment.container_id);
            return with_ips({"10.65.0.7", "fd00:65::7"});
        }
        return ipam::Answer{};
    };
}

}  // namespace manul::test
