#include "ctl/node/calico_remains.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "felix/io/nft_apply.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/socket.hpp"

namespace manul::ctl {

namespace {

using Level = SystemCheck::Level;

constexpr std::uint8_t kBird = 12;         // RTPROT_BIRD
constexpr std::uint8_t kCalicoFelix = 80;  // its routes to other nodes
constexpr std::array<std::string_view, 5> kLinks{"vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali",
                                                 "bpfin.cali"};

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

/// What the sockets of iptables-legacy take and give; their header does not compile as C++.
constexpr int kGetInfo = 64;     // IPT_SO_GET_INFO, IP6T_SO_GET_INFO
constexpr int kGetEntries = 65;  // IPT_SO_GET_ENTRIES, IP6T_SO_GET_ENTRIES
constexpr std::size_t kTableName = 32;
struct LegacyInfo {
    std::array<char, kTableName> name;
    std::array<std::uint32_t, 13> numbers;  ///< the last is the size of all entries
};
constexpr std::size_t kEntriesHeader = 40;  ///< name, size, and up to the alignment of 64 bits

/// Names of chains stand among a table's entries. The table has to exist: to ask for another one makes it.
bool has_legacy_chains(int socket, int level, const std::string& table) {
    LegacyInfo info{};
    table.copy(info.name.data(), info.name.size() - 1);
    socklen_t length = sizeof(info);
    if (::getsockopt(socket, level, kGetInfo, &info, &length) != 0) {
        return false;
    }
    const std::uint32_t size = info.numbers.back();
    std::string entries(kEntriesHeader + size, '\0');
    table.copy(entries.data(), kTableName - 1);
    std::memcpy(entries.data() + kTableName, &size, sizeof(size));
    length = static_cast<socklen_t>(entries.size());
    return ::getsockopt(socket, level, kGetEntries, entries.data(), &length) == 0 &&
           entries.find(std::string_view("\0cali-", 6)) != std::string::npos;
}

std::set<std::string> find_legacy_tables() {
    struct Sockets {
        const char* family;
        int domain;
        int level;
    };
    std::set<std::string> found;
    for (const Sockets& kind : {Sockets{"ip", AF_INET, IPPROTO_IP}, Sockets{"ip6", AF_INET6, IPPROTO_IPV6}}) {
        std::ifstream names(std::string("/proc/net/") + kind.family + "_tables_names");
        const UniqueFd socket(names ? ::socket(kind.domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW) : -1);
        for (std::string table; socket && std::getline(names, table);) {
            if (has_legacy_chains(socket.get(), kind.level, table)) {
                found.insert(std::string(kind.family) + " " + table);
            }
        }
    }
    return found;
}

/// By `iptables-nft` what iptables made in nf_tables. Only Calico's rules and chains are named, so that what others
/// change meanwhile stays.
std::string without_rules(const std::string& iptables) {
    return iptables +
           R"(-save | awk '/^[*]/ {print; x=""} /^:cali-/ {print; x = x "-X " substr($1, 2) "\n"} )"
           R"(/"cali:/ && !/^-A cali-/ {sub(/^-A/, "-D"); print} /^COMMIT/ {printf "%sCOMMIT\n", x}' | )" +
           iptables + "-restore --noflush";
}

std::string what_a_link_does(std::string_view link) {
    if (link.starts_with("vxlan")) {
        return "its VNI and port are those of Manul's device, which cannot be made: ";
    }
    if (link.starts_with("bpf")) {
        return "Calico's eBPF dataplane is still at work on the interfaces. Switch it off while Calico runs "
               "(bpfEnabled: "
               "false), or start the machine anew, then: ";
    }
    return "routes over it lead nowhere: ";
}

}  // namespace

CalicoRemains find_calico_remains() {
    CalicoRemains remains;
    if (auto nft = felix::io::NftSocket::open()) {
        if (auto tables = nft->calico_tables()) {
            remains.tables = *std::move(tables);
        }
        if (const auto sets = nft->ip_sets()) {  // many kernels have none
            remains.ip_sets = static_cast<std::size_t>(
                std::ranges::count_if(*sets, [](const std::string& name) { return name.starts_with("cali"); }));
        }
    }
    remains.legacy_tables = find_legacy_tables();
    auto socket = netlink::Socket::open();
    if (!socket) {
        return remains;  // told by another check
    }
    for (const std::string_view name : kLinks) {
        if (const auto link = socket->link(name); link && *link) {
            remains.links.emplace_back(name);
        }
    }
    if (const auto links = socket->links()) {
        for (const netlink::Link& link : *links) {
            if (link.name.starts_with("bwcali")) {
                remains.shapers.push_back(link.name);
            }
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
    const auto note = [&tables](const std::string& command, const std::string& table) {
        std::string& names = tables[command];
        names += (names.empty() ? "" : ", ") + table;
    };
    for (const std::string& table : remains.tables) {
        const bool own = table.ends_with(" calico") || table.ends_with(" calico-arp");
        note(own                         ? "nft delete table " + table
             : table.starts_with("ip6 ") ? without_rules("ip6tables-nft")
                                         : without_rules("iptables-nft"),
             table);
    }
    for (const std::string& table : remains.legacy_tables) {
        note(without_rules(table.starts_with("ip6 ") ? "ip6tables-legacy" : "iptables-legacy"), table + " (legacy)");
    }
    for (const auto& [command, names] : tables) {
        warn("rules in " + names,
             "new pods are cut off, and policies of then go on denying. While manul-felix runs: " + command);
    }
    if (remains.ip_sets != 0) {
        warn(std::to_string(remains.ip_sets) + " sets of ipset",
             "they take memory. After the rules: ipset list -n | grep ^cali | xargs -rn1 ipset destroy");
    }
    for (const std::string& link : remains.links) {
        const char* rule = link == "wireguard.cali" ? "; ip rule del priority 99"
                           : link == "wg-v6.cali"   ? "; ip -6 rule del priority 99"
                                                    : "";
        warn(link, what_a_link_does(link).append("ip link del ").append(link).append(rule));
    }
    if (!remains.shapers.empty()) {
        std::string devices;
        for (const std::string& shaper : remains.shapers) {
            devices.append("; ip link del ").append(shaper);
        }
        warn(std::to_string(remains.shapers.size()) + " limits of what pods send",
             "they stay as they are when the pods' limits change. In this order, else the pods are cut off: "
             "for x in $(tc qdisc | awk '/^qdisc ingress .* dev cali/ {print $5}'); do tc qdisc del dev $x ingress; "
             "done" +
                 devices);
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
