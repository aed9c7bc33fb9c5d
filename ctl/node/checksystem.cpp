#include "ctl/node/checksystem.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "ctl/node/calico_remains.hpp"
#include "ctl/output/document.hpp"
#include "felix/io/nft_apply.hpp"
#include "net/netlink/socket.hpp"

namespace manul::ctl {

namespace {

namespace json = boost::json;
using Level = SystemCheck::Level;

/// nf_tables got verdict maps by interface group, concatenated keys and fib before this; older kernels are not tried.
constexpr int kOldestMajor = 5;
constexpr int kOldestMinor = 10;

std::optional<std::string> read_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    return std::getline(file, line) ? std::optional(line) : std::nullopt;
}

std::optional<long> read_number(const std::string& path) {
    const auto line = read_line(path);
    long value = 0;
    if (!line || std::from_chars(line->data(), line->data() + line->size(), value).ec != std::errc{}) {
        return std::nullopt;
    }
    return value;
}

SystemCheck check_kernel() {
    utsname name{};
    ::uname(&name);
    const std::string release = name.release;
    int major = 0;
    int minor = 0;
    const char* const end = release.data() + release.size();
    const auto dot = std::from_chars(release.data(), end, major).ptr;
    if (dot != end) {
        std::from_chars(dot + 1, end, minor);
    }
    const bool old = std::pair(major, minor) < std::pair(kOldestMajor, kOldestMinor);
    return {old ? Level::warning : Level::ok, "kernel " + release,
            old ? "older than 5.10, on which nothing was ever tried" : ""};
}

SystemCheck check_root() {
    const bool root = ::geteuid() == 0;
    return {root ? Level::ok : Level::failed, "root",
            root ? "" : "run this as root: most can be found out in no other way"};
}

/// A strict reverse path filter drops what comes in by another link than the answer would leave by, as packets do with
/// several routers.
SystemCheck check_rp_filter() {
    std::string strict;
    const long all = read_number("/proc/sys/net/ipv4/conf/all/rp_filter").value_or(0);
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/sys/net/ipv4/conf", ignored)) {
        const std::string name = entry.path().filename().string();
        const bool counts = name != "all" && name != "default" && name != "lo" && !name.starts_with("cali");
        const long own = read_number(entry.path().string() + "/rp_filter").value_or(0);
        if (counts && std::max(all, own) == 1) {  // the larger of both counts (ip-sysctl); 1 is strict, 2 is loose
            strict += (strict.empty() ? "" : ", ") + name;
        }
    }
    if (strict.empty()) {
        return {Level::ok, "reverse path filter", ""};
    }
    return {Level::warning, "reverse path filter",
            "strict on " + strict +
                ": packets that come in by another link than the answer leaves by are dropped, as happens with several "
                "routers. Set net.ipv4.conf.all.rp_filter and those of the links to 2 or 0"};
}

SystemCheck check_forwarding() {
    const bool on = read_number("/proc/sys/net/ipv4/ip_forward").value_or(0) == 1;
    return {on ? Level::ok : Level::warning, "IPv4 forwarding",
            on ? "" : "off: manul-felix switches it on, unless FelixConfiguration has ipForwarding: Disabled"};
}

std::optional<SystemCheck> check_conntrack() {
    const auto count = read_number("/proc/sys/net/netfilter/nf_conntrack_count");
    const auto most = read_number("/proc/sys/net/netfilter/nf_conntrack_max");
    if (!count || !most || *most == 0) {
        return std::nullopt;
    }
    const bool full = *count > *most / 10 * 8;
    return SystemCheck{
        full ? Level::warning : Level::ok, "connection table",
        std::to_string(*count) + " of " + std::to_string(*most) + " used" +
            (full ? ": new connections are dropped when it is full; raise net.netfilter.nf_conntrack_max" : "")};
}

std::vector<SystemCheck> check_links() {
    auto socket = netlink::Socket::open();
    const auto ipvs = socket ? socket->link("kube-ipvs0") : netlink::SocketResult<std::optional<netlink::Link>>();
    if (!socket || !ipvs) {
        return {{Level::failed, "network interfaces",
                 "cannot be listed: " + (socket ? ipvs.error().message() : socket.error().message())}};
    }
    if (*ipvs) {
        return {
            {Level::warning, "kube-proxy",
             "runs in IPVS mode (kube-ipvs0), which translates service addresses after policy for egress was judged: "
             "egress policy sees service addresses. Use its nftables or iptables mode"}};
    }
    return {{Level::ok, "kube-proxy", "not in IPVS mode"}};
}

std::vector<SystemCheck> check_foreign_rules() {
    std::vector<SystemCheck> checks;
    auto socket = felix::io::NftSocket::open();
    if (!socket) {
        return checks;  // told by the probe already
    }
    const auto chains = socket->foreign_chains();
    if (!chains) {
        return {{Level::warning, "rules of others", "cannot be listed: " + chains.error().message}};
    }
    checks = judge_foreign_chains(*chains);
    for (const char* family : {"ip", "ip6"}) {
        const std::string path = std::string("/proc/net/") + family + "_tables_names";
        std::ifstream file(path);
        for (std::string table; std::getline(file, table);) {
            if (table == "filter") {
                checks.push_back(
                    {Level::warning, std::string("rules of others: ") + family + "tables-legacy",
                     "has a filter table: if its FORWARD chain drops, packets that policy allowed are lost. "
                     "Look with iptables-legacy -S FORWARD"});
            }
        }
    }
    return checks;
}

std::string_view level_text(Level level) {
    switch (level) {
        case Level::ok:
            return "OK";
        case Level::warning:
            return "WARNING";
        case Level::failed:
            break;
    }
    return "FAIL";
}

std::string_view hook_name(felix::render::Hook::Point point) {
    using Point = felix::render::Hook::Point;
    switch (point) {
        case Point::prerouting:
            return "prerouting";
        case Point::input:
            return "input";
        case Point::forward:
            return "forward";
        case Point::output:
            return "output";
        case Point::postrouting:
            return "postrouting";
    }
    return "";
}

}  // namespace

std::vector<SystemCheck> judge_foreign_chains(const std::vector<felix::nft::ForeignChain>& chains) {
    using Point = felix::render::Hook::Point;
    std::vector<SystemCheck> checks;
    for (const felix::nft::ForeignChain& chain : chains) {
        // What the node itself receives and sends is its owner's business; workloads' packets are forwarded.
        const bool on_the_way =
            chain.hook == Point::prerouting || chain.hook == Point::forward || chain.hook == Point::postrouting;
        if (!on_the_way || (!chain.drops_by_policy && !chain.drops_at_end)) {
            continue;
        }
        const std::string who = chain.table.starts_with("firewalld") ? " (firewalld)"
                                : chain.table == "filter" && chain.name == "FORWARD"
                                    ? " (iptables; Docker sets this policy)"
                                    : "";
        checks.push_back(
            {Level::warning, "rules of others: " + chain.to_string(),
             "drops what its own rules do not accept, at " + std::string(hook_name(chain.hook)) + " with priority " +
                 std::to_string(chain.priority) + who +
                 ": an Allow of Manul's does not override it. Let it accept packets from and to workload interfaces "
                 "(cali*)"});
    }
    if (checks.empty()) {
        checks.push_back({Level::ok, "rules of others", "no chain drops forwarded packets by default"});
    }
    return checks;
}

ExitCode node_checksystem(const Context& context, const std::string& format) {
    std::vector<SystemCheck> checks{check_root(), check_kernel()};
    const auto add = [&checks](std::vector<SystemCheck> more) {
        checks.insert(checks.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    };
    add(probe_kernel());
    add({check_forwarding(), check_rp_filter()});
    if (const auto conntrack = check_conntrack()) {
        add({*conntrack});
    }
    add(check_links());
    add(check_foreign_rules());
    add(judge_calico_remains(find_calico_remains()));
    const bool good = std::ranges::none_of(checks, [](const SystemCheck& c) { return c.level == Level::failed; });
    const ExitCode code = good ? ExitCode::ok : ExitCode::failed;
    if (!format.empty()) {
        json::array list;
        for (const SystemCheck& check : checks) {
            list.emplace_back(
                json::object{{"check", check.name}, {"result", level_text(check.level)}, {"detail", check.detail}});
        }
        const ExitCode printed = print_document(context, list, format);
        return printed == ExitCode::ok ? code : printed;
    }
    for (const SystemCheck& check : checks) {
        std::string line(level_text(check.level));
        line.resize(9, ' ');
        context.print(line + check.name + (check.detail.empty() ? "" : ": " + check.detail) + "\n");
    }
    context.print(good ? "System meets what Manul needs.\n" : "System lacks what Manul needs.\n");
    return code;
}

}  // namespace manul::ctl
