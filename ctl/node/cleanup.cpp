#include "ctl/node/cleanup.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/control.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/io/shaper.hpp"
#include "felix/model/overlay.hpp"
#include "felix/nft/transaction.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"
#include "net/netlink/socket.hpp"

namespace manul::ctl {

namespace {

constexpr std::uint8_t kBgpRouteProtocol = 176;

/// Something that is still there: one line of output, and how to remove it.
struct Leftover {
    std::string what;
    std::function<Result<void>()> remove;
};

template <class T>
Result<T> told(netlink::SocketResult<T> result) {
    return result ? Result<T>(*std::move(result)) : Result<T>(fail(result.error().message()));
}

/// Sends all requests; that an object vanished by itself meanwhile is no failure.
Result<void> remove_all(netlink::Socket& socket, netlink::RequestBuffer& requests) {
    MANUL_TRY(const auto refused, told(socket.batch(requests)));
    const auto failed = std::ranges::find_if(refused, [](const netlink::RefusedRequest& one) {
        return one.code != ESRCH && one.code != ENODEV && one.code != ENOENT;
    });
    if (failed != refused.end()) {
        return fail(std::strerror(failed->code));  // NOLINT(concurrency-mt-unsafe)
    }
    return {};
}

Result<std::vector<Leftover>> tables(felix::io::NftSocket& nft) {
    MANUL_TRY(const auto held, nft.read());
    std::vector<Leftover> out;
    for (const auto& [table, content] : held.state) {
        out.push_back({fmt::format("nftables table {} {}", table.family == net::Family::v4 ? "ip" : "ip6",
                                   felix::render::name(table.id)),
                       [&nft, gone = table]() -> Result<void> {
                           const auto result = nft.commit({felix::nft::DeleteTable{gone}});
                           if (result.outcome != felix::io::CommitResult::Outcome::done) {
                               return fail(result.problems.empty() ? "the answer was lost" : result.problems.front());
                           }
                           return {};
                       }});
    }
    return out;
}

Result<std::vector<Leftover>> routes(netlink::Socket& socket, std::uint8_t protocol, std::string_view owner) {
    std::vector<Leftover> out;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        MANUL_TRY(auto found, told(socket.routes({.family = family, .protocol = protocol})));
        if (found.empty()) {
            continue;
        }
        out.push_back({fmt::format("{} IPv{} routes of {} (protocol {})", found.size(),
                                   family == net::Family::v4 ? 4 : 6, owner, protocol),
                       [&socket, found = std::move(found)] {
                           netlink::RequestBuffer requests;
                           for (const netlink::Route& route : found) {
                               netlink::delete_route(requests, route);
                           }
                           return remove_all(socket, requests);
                       }});
    }
    return out;
}

Result<std::vector<Leftover>> nexthops(netlink::Socket& socket) {
    MANUL_TRY(auto found, told(socket.nexthops()));
    std::erase_if(found, [](const netlink::Nexthop& one) { return one.protocol != kBgpRouteProtocol; });
    if (found.empty()) {
        return std::vector<Leftover>{};
    }
    return std::vector<Leftover>{
        {fmt::format("{} nexthop objects of manul-bgpd", found.size()), [&socket, found = std::move(found)] {
             netlink::RequestBuffer requests;
             for (const netlink::Nexthop& one : found) {
                 netlink::delete_nexthop(requests, one.id);
             }
             return remove_all(socket, requests);
         }}};
}

Result<std::vector<Leftover>> tunnels(netlink::Socket& socket) {
    std::vector<Leftover> out;
    for (const felix::TunnelKind kind : felix::kTunnelKinds) {
        MANUL_TRY(const auto link, told(socket.link(felix::device_name(kind))));
        if (link) {
            out.push_back({fmt::format("device {}", link->name), [&socket, index = link->index] {
                               netlink::RequestBuffer requests;
                               netlink::delete_link(requests, index);
                               return remove_all(socket, requests);
                           }});
        }
    }
    return out;
}

Result<std::vector<Leftover>> bandwidths(netlink::Socket& socket, felix::io::Shaper& shaper) {
    MANUL_TRY(auto links, told(socket.links()));
    std::set<std::string> names;
    std::ranges::transform(links, std::inserter(names, names.end()), &netlink::Link::name);
    const auto find = [links = std::move(links)](const std::string& name) {
        const auto found = std::ranges::find(links, name, &netlink::Link::name);
        return found == links.end() ? nullptr : &*found;
    };
    // Of a shaper without wishes, whatever is there differs.
    const std::size_t limited = shaper.differences(find, names).size();
    if (limited == 0) {
        return std::vector<Leftover>{};
    }
    return std::vector<Leftover>{{fmt::format("token buckets of {} devices", limited),
                                  [&shaper, find, names = std::move(names)]() -> Result<void> {
                                      shaper.program(find, names);
                                      return {};
                                  }}};
}

/// In the order of removal: the rules, without which the node is open, go last.
Result<std::vector<Leftover>> find_leftovers(netlink::Socket& socket, felix::io::NftSocket& nft,
                                             felix::io::Shaper& shaper, const CleanupOptions& options) {
    std::vector<Leftover> out;
    const auto add = [&out](std::vector<Leftover> more) { std::ranges::move(more, std::back_inserter(out)); };
    MANUL_TRY(auto of_bgpd, routes(socket, kBgpRouteProtocol, "manul-bgpd"));
    add(std::move(of_bgpd));
    MANUL_TRY(auto objects, nexthops(socket));
    add(std::move(objects));
    MANUL_TRY(auto of_felix, routes(socket, static_cast<std::uint8_t>(options.route_protocol), "manul-felix"));
    add(std::move(of_felix));
    MANUL_TRY(auto devices, tunnels(socket));
    add(std::move(devices));
    MANUL_TRY(auto limits, bandwidths(socket, shaper));
    add(std::move(limits));
    MANUL_TRY(auto rules, tables(nft));
    add(std::move(rules));
    return out;
}

}  // namespace

ExitCode node_cleanup(const Context& context, const CleanupOptions& options) {
    for (const char* daemon : {"felix", "bgpd", "ipamd"}) {
        if (control::is_served(fmt::format("{}/{}.sock", context.settings.run_dir, daemon))) {
            return context.fail(
                fmt::format("manul-{} runs and would put everything back; stop the daemons first "
                            "(systemctl disable --now manul.target)",
                            daemon));
        }
    }
    auto socket = told(netlink::Socket::open());
    auto nft = felix::io::NftSocket::open();
    auto shaper = felix::io::Shaper::open();
    for (const Error* error :
         {socket ? nullptr : &socket.error(), nft ? nullptr : &nft.error(), shaper ? nullptr : &shaper.error()}) {
        if (error != nullptr) {
            return context.fail(error->message);
        }
    }
    const auto leftovers = find_leftovers(*socket, *nft, *shaper, options);
    if (!leftovers) {
        return context.fail(leftovers.error().message);
    }
    if (leftovers->empty()) {
        context.print("nothing of Manul's is left in the kernel\n");
        return ExitCode::ok;
    }
    ExitCode code = ExitCode::ok;
    for (const Leftover& leftover : *leftovers) {
        if (!options.yes) {
            context.print("would remove " + leftover.what + "\n");
        } else if (const auto removed = leftover.remove(); removed) {
            context.print("removed " + leftover.what + "\n");
        } else {
            code = context.fail(leftover.what + ": " + removed.error().message);
        }
    }
    if (!options.yes) {
        context.print(
            "Nothing was removed; --yes removes it. Without its rules this node enforces no policy, and pods "
            "that still run lose their routes.\n");
    }
    return code;
}

}  // namespace manul::ctl
