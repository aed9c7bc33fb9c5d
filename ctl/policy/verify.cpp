#include "ctl/policy/verify.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/error.hpp"
#include "base/try.hpp"
#include "ctl/output/document.hpp"
#include "ctl/policy/cluster_view.hpp"
#include "ctl/policy/this_node.hpp"
#include "felix/io/last_good_journal.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/io/shaper.hpp"
#include "felix/nft/align.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/render/renderer.hpp"
#include "felix/render/skeleton.hpp"
#include "net/netlink/socket.hpp"

namespace manul::ctl {

namespace {

namespace json = boost::json;
using felix::nft::Difference;

/// Reading back takes the kernel a time that grows with the square of a set's size: 100,000 members take 0.2 s, a
/// million 16 s.
constexpr std::size_t kMostElements = 100'000;
/// A change that felix is about to carry out is no difference: it is given this time in all.
constexpr int kLooks = 4;
constexpr std::chrono::milliseconds kBetweenLooks{700};

struct Findings {
    std::vector<NamedDifference> differences;
    felix::nft::Extent extent;
    std::size_t links = 0;
};

std::string table_text(const felix::render::TableKey& key) {
    return fmt::format("{} {}", key.family == net::Family::v4 ? "ip" : "ip6", name(key.id));
}

/// "NetworkPolicy default/web, ingress rule 0" for the policy rule behind a rule of the kernel.
std::string origin_text(const felix::render::RuleOrigin& origin) {
    if (origin.owner.empty()) {
        return fmt::format("end of tier {}, {}", origin.tier, to_string(origin.direction));
    }
    std::string owner = origin.owner;  // kind/namespace/name
    const std::size_t kind_end = owner.find('/');
    const bool global = owner.substr(kind_end, 2) == "//";
    return fmt::format("{} {}, {} rule {}", owner.substr(0, kind_end), owner.substr(kind_end + (global ? 2 : 1)),
                       to_string(origin.direction), origin.index);
}

/// The wanted name of a chain that the kernel calls `held`, in both families' tables.
std::string wanted_name(const felix::nft::Aliases& aliases, felix::render::TableId table, const std::string& held) {
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (const auto names = aliases.find({family, table}); names != aliases.end()) {
            const auto alias = std::ranges::find(names->second, held, [](const auto& pair) { return pair.second; });
            if (alias != names->second.end()) {
                return alias->first;
            }
        }
    }
    return held;
}

/// What this node must hold, made with the link groups that are given out already, under the names that are.
class Wanted {
public:
    Wanted(const felix::Batch& batch, const felix::nft::KernelState& kernel, const felix::nft::Aliases& aliases) {
        using felix::render::TableId;
        for (const auto& [pair, group] : felix::nft::class_groups(kernel)) {
            renderer_.reserve_group({wanted_name(aliases, TableId::egress, pair.first),
                                     wanted_name(aliases, TableId::ingress, pair.second)},
                                    group);
        }
        for (const felix::render::Change& change : renderer_.apply(batch).changes) {
            felix::render::apply(ruleset_, change);
        }
        felix::nft::rename_chains(ruleset_, aliases);
        origins_ = renderer_.origins();
    }

    [[nodiscard]] const felix::render::Ruleset& ruleset() const noexcept { return ruleset_; }
    [[nodiscard]] const felix::render::Renderer& renderer() const noexcept { return renderer_; }

    [[nodiscard]] NamedDifference named(const Difference& difference) const {
        NamedDifference out{table_text(difference.table), difference.object, difference.problem};
        if (const auto origin = origins_.find(difference.id); difference.id != 0 && origin != origins_.end()) {
            out.object += " (" + origin_text(origin->second) + ")";
        }
        if (!difference.wanted.empty()) {
            out.problem += "; wanted: " + difference.wanted;
        }
        return out;
    }

private:
    felix::render::Renderer renderer_;
    felix::render::Ruleset ruleset_;
    std::unordered_map<std::uint64_t, felix::render::RuleOrigin> origins_;
};

using Links = std::unordered_map<std::string, netlink::Link>;

Result<Links> read_links() {
    auto socket = netlink::Socket::open();
    if (!socket) {
        return fail(socket.error().message());
    }
    const auto links = socket->links();
    if (!links) {
        return fail("cannot list network interfaces: " + links.error().message());
    }
    Links by_name;
    for (const netlink::Link& link : *links) {
        by_name.emplace(link.name, link);
    }
    return by_name;
}

/// The groups that links are in, by those that they should be in.
std::map<std::uint32_t, std::uint32_t> held_groups(const felix::Snapshot& snapshot, const Wanted& wanted,
                                                   const Links& by_name) {
    std::map<std::uint32_t, std::uint32_t> groups;
    for (const auto& [key, endpoint] : snapshot.endpoints) {
        const auto link = by_name.find(endpoint->interface);
        if (const auto group = wanted.renderer().group_of(endpoint->interface); group && link != by_name.end()) {
            groups.emplace(*group, link->second.group);
        }
    }
    return groups;
}

/// Links that stand in another group than their endpoint's classes have: they are judged by another policy, or closed.
Result<void> compare_links(const felix::Snapshot& snapshot, const Wanted& wanted, const Links& by_name,
                           Findings& findings) {
    MANUL_TRY(auto shaper, felix::io::Shaper::open());
    std::map<std::string, std::string> owners;
    std::set<std::string> workloads;
    for (const auto& [key, endpoint] : snapshot.endpoints) {
        const auto link = by_name.find(endpoint->interface);
        if (link == by_name.end()) {
            continue;  // its pair is made after its endpoint was stored
        }
        ++findings.links;
        const std::string object = fmt::format("interface {} ({}/{})", endpoint->interface, key.ns, key.name);
        // Felix leaves another container's link closed, until the endpoint's own is there.
        if (!felix::is_of_container(endpoint->container_id, link->second.alias)) {
            if (link->second.group > felix::render::kClosedGroup && link->second.group < felix::render::kEndGroup) {
                findings.differences.push_back(
                    {"links", object, fmt::format("is another container's, and in group {:#x}", link->second.group)});
            }
            continue;
        }
        shaper.want(endpoint->interface, endpoint->to_workload, endpoint->from_workload);
        workloads.insert(endpoint->interface);
        owners[endpoint->interface] = fmt::format("{}/{}", key.ns, key.name);
        const auto group = wanted.renderer().group_of(endpoint->interface);
        if (group && link->second.group != *group) {
            findings.differences.push_back(
                {"links", object, fmt::format("is in group {:#x} instead of {:#x}", link->second.group, *group)});
        }
    }
    const auto find = [&by_name](const std::string& name) {
        const auto link = by_name.find(name);
        return link == by_name.end() ? nullptr : &link->second;
    };
    for (const std::string& interface : shaper.differences(find, workloads)) {
        findings.differences.push_back({"traffic control",
                                        fmt::format("interface {} ({})", interface, owners[interface]),
                                        "has not the token buckets that its bandwidths ask for"});
    }
    return {};
}

Result<Findings> look(const Context& context, const VerifyOptions& options) {
    auto view = ClusterView::read(*context.store);
    if (!view) {
        return fail(describe(view.error()));
    }
    view->restore(context.settings.node_name, felix::io::LastGoodJournal(context.settings.state_dir).load());
    MANUL_TRY(auto interfaces, read_interfaces());
    view->tell_interfaces(context.settings.node_name, std::move(interfaces));
    MANUL_TRY(auto socket, felix::io::NftSocket::open());
    MANUL_TRY(const auto before, socket.read());
    const felix::Snapshot& snapshot = view->node(context.settings.node_name);
    const auto batch = view->batch(context.settings.node_name);
    const Wanted as_born(batch, before.state, {});
    const auto wants_elements = [&](const felix::render::TableKey& key, const std::string& name) {
        const auto table = as_born.ruleset().tables.find(key);
        const auto set = table == as_born.ruleset().tables.end() ? decltype(table->second.sets.end()){}
                                                                 : table->second.sets.find(name);
        return options.all_elements || table == as_born.ruleset().tables.end() || set == table->second.sets.end() ||
               set->second.member_keys().size() <= kMostElements;
    };
    MANUL_TRY(const auto kernel, socket.contents(wants_elements));
    MANUL_TRY(const Links links, read_links());
    const auto aliases = felix::nft::find_aliases(as_born.ruleset(), kernel, held_groups(snapshot, as_born, links));
    std::optional<Wanted> as_held;  // classes are numbered by name, so other names mean another ruleset
    if (!aliases.empty()) {
        as_held.emplace(batch, before.state, aliases);
    }
    const Wanted& wanted = as_held ? *as_held : as_born;
    Findings findings;
    findings.extent = extent(wanted.ruleset(), kernel);
    for (const Difference& difference : felix::nft::verify(wanted.ruleset(), kernel)) {
        findings.differences.push_back(wanted.named(difference));
    }
    MANUL_CHECK(compare_links(snapshot, wanted, links, findings));
    return findings;
}

std::string summary(const Findings& findings) {
    const felix::nft::Extent& extent = findings.extent;
    std::string text =
        fmt::format("{} tables, {} chains, {} rules, {} sets with {} elements, {} links compared", extent.tables,
                    extent.chains, extent.rules, extent.sets, extent.elements, findings.links);
    if (extent.sets_not_read != 0) {
        text += fmt::format("; {} sets were too large to read (--all-elements reads them)", extent.sets_not_read);
    }
    return text;
}

json::object as_json(const std::string& node, const Findings& findings) {
    json::array differences;
    for (const NamedDifference& difference : findings.differences) {
        differences.emplace_back(
            json::object{{"table", difference.table}, {"object", difference.object}, {"problem", difference.problem}});
    }
    const felix::nft::Extent& extent = findings.extent;
    return {{"node", node},
            {"equal", findings.differences.empty()},
            {"differences", std::move(differences)},
            {"compared",
             {{"tables", extent.tables},
              {"chains", extent.chains},
              {"rules", extent.rules},
              {"sets", extent.sets},
              {"elements", extent.elements},
              {"setsNotRead", extent.sets_not_read},
              {"links", findings.links}}}};
}

}  // namespace

ExitCode policy_verify(const Context& context, const VerifyOptions& options) {
    auto findings = look(context, options);
    for (int again = 1; again < kLooks && (!findings || !findings->differences.empty()); ++again) {
        std::this_thread::sleep_for(kBetweenLooks);
        findings = look(context, options);
    }
    if (!findings) {
        return context.fail("cannot verify: " + findings.error().message);
    }
    const ExitCode code = findings->differences.empty() ? ExitCode::ok : ExitCode::failed;
    if (!options.format.empty()) {
        const ExitCode printed =
            print_document(context, as_json(context.settings.node_name, *findings), options.format);
        return printed == ExitCode::ok ? code : printed;
    }
    for (const NamedDifference& difference : findings->differences) {
        context.print(fmt::format("{}{}{} {}\n", difference.table, difference.object.empty() ? "" : ": ",
                                  difference.object, difference.problem));
    }
    context.print(fmt::format("node {}: {}: {}\n", context.settings.node_name,
                              findings->differences.empty()
                                  ? std::string("the kernel holds what the resources ask")
                                  : fmt::format("{} differences", findings->differences.size()),
                              summary(*findings)));
    return code;
}

}  // namespace manul::ctl
