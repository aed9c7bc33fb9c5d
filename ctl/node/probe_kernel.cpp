#include <sched.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ctl/node/checksystem.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/render/denial.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/netlink/message.hpp"
#include "net/netlink/socket.hpp"
#include "net/netlink/tunnel.hpp"

// Asking the kernel is the only way to know: a feature may be built in, a module, or left out.
namespace manul::ctl {

namespace {

using namespace felix::render;  // NOLINT(google-build-using-namespace): rules are written down here

struct Feature {
    const char* name;
    const char* needed_for;
    bool required;
    Rule rule;
    Hook hook{Hook::Type::filter, Hook::Point::forward, 0};
    std::optional<SetType> set = std::nullopt;  ///< named "s_probe"
};

constexpr const char* kSet = "s_probe";

std::vector<Feature> features() {
    const Hook nat_out{Hook::Type::nat, Hook::Point::postrouting, 100};
    const Hook nat_in{Hook::Type::nat, Hook::Point::prerouting, -100};
    const Hook raw{Hook::Type::filter, Hook::Point::prerouting, -300};
    const std::vector<Field> address{Field::source_address};
    const std::vector<Field> port{Field::destination_address, Field::protocol, Field::destination_port};
    const net::Prefix some = *net::Prefix::parse("192.0.2.0/24");
    const net::Prefix other = *net::Prefix::parse("198.51.100.0/24");
    return {
        {"rules and counters", "all policy", true, {{}, {Count{}, accept()}}},
        {"connection state (nf_conntrack)", "all policy", true, {{MatchCtState{kCtEstablished}}, {accept()}}},
        {"connection mark", "naming the rule that allowed a connection", true, {{}, {SetCtMark{1}}}},
        {"sets of addresses",
         "selectors",
         true,
         {{MatchSet{address, kSet}}, {accept()}},
         {Hook::Type::filter, Hook::Point::forward, 0},
         SetType{address, SetType::Shape::members}},
        {"sets of ranges",
         "CIDR lists and NetworkSets",
         true,
         {{MatchSet{address, kSet}}, {accept()}},
         {Hook::Type::filter, Hook::Point::forward, 0},
         SetType{address, SetType::Shape::ranges}},
        {"concatenated keys",
         "named ports",
         true,
         {{MatchSet{port, kSet}}, {accept()}},
         {Hook::Type::filter, Hook::Point::forward, 0},
         SetType{port, SetType::Shape::members}},
        {"lists of values in a rule",
         "lists of CIDRs and ports",
         true,
         {{MatchAddress{Side::source, {some, other}}}, {accept()}}},
        {"verdict maps by interface group",
         "finding the policies of a workload",
         true,
         {{}, {LookupVerdict{{Field::in_group}, kSet}}},
         {Hook::Type::filter, Hook::Point::prerouting, -90},
         SetType{{Field::in_group}, SetType::Shape::verdicts}},
        {"route lookup (nft_fib)", "stopping forged source addresses", true, {{MatchSpoofed{}}, {drop()}}, raw},
        {"rejecting packets (nft_reject)", "denyAction: Reject", false, {{}, {Count{}, Reject{}}}},
        {"rate limits (nft_limit)", "limits of the log", false, {{}, {Limit{10, 1, 5}, drop()}}},
        {"NFLOG (nft_log, nfnetlink_log)", "Log rules and denyLogging", false, {{}, {Log{kLogGroup, "probe"}}}},
        {"masquerading (nft_masq)", "natOutgoing", true, {{}, {Masquerade{}}}, nat_out},
        {"source translation (nft_nat)",
         "natOutgoingAddress",
         false,
         {{}, {Snat{*net::Ip::parse("192.0.2.1"), {}}}},
         nat_out},
        {"destination translation (nft_nat)",
         "host ports",
         false,
         {{MatchProtocol{6}}, {Dnat{*net::Ip::parse("192.0.2.1"), 80}}},
         nat_in},
    };
}

SystemCheck try_out(felix::io::NftSocket& socket, const Feature& feature) {
    const TableKey table{net::Family::v4, TableId::raw};
    felix::nft::Transaction transaction{felix::nft::AddTable{table}};
    if (feature.set) {
        transaction.emplace_back(felix::nft::AddSet{table, kSet, *feature.set});
    }
    const auto chain = Chain::make(net::Family::v4, {feature.rule}, feature.hook);
    transaction.emplace_back(felix::nft::AddChain{table, "probe", chain});
    transaction.emplace_back(felix::nft::FillChain{table, "probe", chain, {}});
    transaction.emplace_back(felix::nft::DeleteTable{table});
    const felix::io::CommitResult result = socket.commit(transaction);
    const std::string name = std::string("nf_tables: ") + feature.name;
    if (result.outcome == felix::io::CommitResult::Outcome::done) {
        return {SystemCheck::Level::ok, name, {}};
    }
    std::string detail = std::string("the kernel lacks it; needed for ") + feature.needed_for;
    if (!result.problems.empty()) {
        detail += " (" + result.problems.front() + ")";
    }
    return {feature.required ? SystemCheck::Level::failed : SystemCheck::Level::warning, name, detail};
}

/// Needed by pools that ask for it alone.
SystemCheck try_tunnel(netlink::Socket& socket, const char* kind, const char* name, const char* needed_for) {
    netlink::RequestBuffer request;
    netlink::create_tunnel(request, {.name = std::string("probe-") + kind,
                                     .kind = kind,
                                     .settings = {.local = net::Ip4{}, .vni = 4096, .port = 4789},
                                     .mac = *net::Mac::parse("66:00:00:00:00:01"),
                                     .mtu = 1400});
    if (const auto made = socket.request(request); !made) {
        return {SystemCheck::Level::warning, name,
                std::string("the kernel lacks them; needed for ") + needed_for + " (" + made.error().message() + ")"};
    }
    return {SystemCheck::Level::ok, name, {}};
}

std::vector<SystemCheck> try_all() {
    // Rules of the probe must not touch the node's own packets.
    if (::unshare(CLONE_NEWNET) != 0) {
        return {{SystemCheck::Level::failed, "nf_tables",
                 std::string("cannot make a network namespace to try it in: ") + std::strerror(errno)}};
    }
    auto socket = felix::io::NftSocket::open();
    if (!socket) {
        return {{SystemCheck::Level::failed, "nf_tables", socket.error().message}};
    }
    std::vector<SystemCheck> checks;
    for (const Feature& feature : features()) {
        checks.push_back(try_out(*socket, feature));
    }
    if (auto routes = netlink::Socket::open()) {
        checks.push_back(try_tunnel(*routes, "vxlan", "VXLAN devices", "pools with vxlanMode"));
        checks.push_back(try_tunnel(*routes, "ipip", "IPIP devices", "pools with ipipMode"));
    }
    return checks;
}

}  // namespace

std::vector<SystemCheck> probe_kernel() {
    std::vector<SystemCheck> checks;
    std::jthread([&checks] { checks = try_all(); }).join();  // a thread has a network namespace of its own
    return checks;
}

}  // namespace manul::ctl
