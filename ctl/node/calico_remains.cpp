#include "ctl/node/calico_remains.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "felix/io/nft_apply.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/socket.hpp"

namespace manul::ctl {

namespace {

using Level = SystemCheck::Level;

constexpr std::uint8_t kBird = 12;         // RTPROT_BIRD
constexpr std::uint8_t kCalicoFelix = 80;  // its routes to other nodes
constexpr std::array<std::string_view, 4> kLinks{"vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali"};

std::size_t count_routes(netlink::Socket& socket, std::uint8_t protocol) {
    std::size_t count = 0;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (const auto routes =
                socket.routes({.family = family, .table = netlink::kMainTable, .protocol = protocol, .ifindex = 0})) {
            count += routes->size();
        }
    }
    return count;
}

/// `iptables-nft` for what iptables made in nf_tables.
std::string without_rules(const std::string& iptables) {
    return iptables + "-save | grep -vE '^(:|-A )cali|\"cali:' | " + iptables + "-restore";
}

}  // namespace

CalicoRemains find_calico_remains() {
    CalicoRemains remains;
    if (auto nft = felix::io::NftSocket::open()) {
        if (auto tables = nft->calico_tables()) {
            remains.tables = *std::move(tables);
        }
    }
    auto socket = netlink::Socket::open();
    if (!socket) {
        return remains;  // told by another check
    }
    for (const std::string_view name : kLinks) {
        if (const auto link = socket->link(name); link && *link) {
            remains.links.emplace_back(name);
        }
    }
    remains.bird_routes = count_routes(*socket, kBird);
    remains.felix_routes = count_routes(*socket, kCalicoFelix);
    return remains;
}

std::vector<SystemCheck> judge_calico_remains(const CalicoRemains& remains) {
    std::vector<SystemCheck> checks;
    const auto warn = [&](const std::string& what, const std::string& detail) {
        checks.push_back({Level::warning, "left by Calico: " + what, detail});
    };
    std::map<std::string, std::string> tables;  // by the command that cleans them
    for (const std::string& table : remains.tables) {
        const std::string command = table.ends_with(" calico")  ? "nft delete table " + table
                                    : table.starts_with("ip6 ") ? without_rules("ip6tables-nft")
                                                                : without_rules("iptables-nft");
        std::string& names = tables[command];
        names += (names.empty() ? "" : ", ") + table;
    }
    for (const auto& [command, names] : tables) {
        warn("rules in " + names,
             "new pods are cut off, and policies of then go on denying. While manul-felix runs: " + command);
    }
    for (const std::string& link : remains.links) {
        warn(link, (link.starts_with("vxlan") ? "its VNI and port are those of Manul's device, which cannot be made: "
                                              : "routes over it lead nowhere: ") +
                       ("ip link del " + link));
    }
    if (remains.bird_routes != 0) {
        warn(std::to_string(remains.bird_routes) + " routes of protocol bird",
             "they are preferred to those of manul-bgpd and follow no change. Unless a BIRD of yours made them: "
             "ip route flush proto bird; ip -6 route flush proto bird");
    }
    if (remains.felix_routes != 0) {
        warn(std::to_string(remains.felix_routes) + " routes of protocol 80",
             "they are preferred to Manul's and follow no change: ip route flush proto 80; ip -6 route flush proto 80");
    }
    if (checks.empty()) {
        checks.push_back({Level::ok, "left by Calico", "nothing"});
    }
    return checks;
}

}  // namespace manul::ctl
