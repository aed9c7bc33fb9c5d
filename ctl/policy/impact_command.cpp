#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "ctl/output/document.hpp"
#include "ctl/policy/impact.hpp"
#include "ctl/policy/this_node.hpp"
#include "felix/io/conntrack.hpp"
#include "felix/io/store_events.hpp"

// `policy impact`: where the change comes from, and how its impact is told.
namespace manul::ctl {

namespace {

namespace json = boost::json;

constexpr model::Kind kStagedKinds[] = {model::Kind::staged_network_policy, model::Kind::staged_global_network_policy,
                                        model::Kind::staged_kubernetes_network_policy};

/// The staged policies that the store holds.
store::StoreResult<std::vector<felix::Event>> stored_staged(store::Store& store) {
    std::vector<felix::Event> events;
    for (const model::Kind kind : kStagedKinds) {
        MANUL_TRY(const store::Listing listing, store.list({kind, std::nullopt, {}}));
        for (const store::Object& object : listing.items) {
            events.push_back(felix::io::event_of(object));
        }
    }
    return events;
}

felix::Event event_of(const InputObject& object, bool remove) {
    if (remove) {
        return felix::ResourceRemoved{object.key};
    }
    auto decoded = codec::decode_and_validate(object.key.kind, object.document, codec::Mode::lenient);
    return felix::ResourcePut{std::move(decoded.resource)};
}

std::string port_text(const felix::Packet& packet) {
    std::string text = packet.protocol.to_string();
    if (packet.destination_port) {
        text += fmt::format(" {}", *packet.destination_port);
    } else if (packet.icmp_type) {
        text += fmt::format(" type {}", *packet.icmp_type);
    }
    return text;
}

std::string side_text(const ChangedEndpoint::Side& side) {
    std::string text = side.stage ? fmt::format("  {} {}:", to_string(*side.stage), to_string(side.direction))
                                  : fmt::format("  {}:", to_string(side.direction));
    const auto add = [&text](std::string_view verb, const std::vector<std::string>& policies) {
        for (const std::string& policy : policies) {
            text += fmt::format(" {} {};", verb, policy);
        }
    };
    add("gains", side.added);
    add("loses", side.removed);
    add("has other rules or members in", side.edited);
    if (side.reordered) {
        text += " the order or the end of a tier changes;";
    }
    text.back() = '\n';
    return text;
}

std::string_view life_text(ChangedEndpoint::Life life) {
    switch (life) {
        case ChangedEndpoint::Life::stays:
            return "";
        case ChangedEndpoint::Life::comes:
            return ": new, closes the node's interface but for what policy, profiles and failsafe ports allow";
        case ChangedEndpoint::Life::goes:
            return ": goes, opens the node's interface";
    }
    std::unreachable();
}

json::array texts(const std::vector<std::string>& list) { return json::array(list.begin(), list.end()); }

}  // namespace

std::string impact_text(const Impact& impact) {
    std::string text = fmt::format("{} endpoints have other policies\n", impact.endpoints.size());
    for (const ChangedEndpoint& endpoint : impact.endpoints) {
        text += fmt::format("{} on {}{}\n", endpoint.label, endpoint.node, life_text(endpoint.life));
        for (const ChangedEndpoint::Side& side : endpoint.sides) {
            text += side_text(side);
        }
    }
    for (const ChangedNode& node : impact.nodes) {
        text += fmt::format("{} judges otherwise: {}\n", node.node, fmt::join(node.settings, ", "));
    }
    // One line for all ports of a pair that flip for the same reason.
    std::map<std::tuple<bool, bool, std::string, std::string, std::string>, std::string> lines;
    for (const Flip& flip : impact.flips) {
        std::string& ports = lines[{!flip.recorded, flip.allowed_after, flip.source, flip.destination, flip.because}];
        const std::string port = port_text(flip.packet);
        ports += ports.empty() ? port : ", " + port;
    }
    text += fmt::format("\n{} of {} connections that were looked at change\n", impact.flips.size(), impact.judged);
    for (const auto& [key, ports] : lines) {
        const auto& [planned, allowed, source, destination, because] = key;
        text += fmt::format("{}{} -> {}: {}: {}\n    {}\n", planned ? "" : "[now open] ", source, destination, ports,
                            allowed ? "denied -> ALLOWED" : "allowed -> DENIED", because);
    }
    if (impact.cut_short) {
        text += "there were more connections to look at; name fewer policies at a time\n";
    }
    return text;
}

json::object impact_json(const Impact& impact) {
    json::array endpoints;
    for (const ChangedEndpoint& endpoint : impact.endpoints) {
        json::array sides;
        for (const ChangedEndpoint::Side& side : endpoint.sides) {
            sides.emplace_back(json::object{{"direction", to_string(side.direction)},
                                            {"stage", side.stage ? json::value(to_string(*side.stage)) : json::value()},
                                            {"added", texts(side.added)},
                                            {"removed", texts(side.removed)},
                                            {"edited", texts(side.edited)},
                                            {"reordered", side.reordered}});
        }
        endpoints.emplace_back(json::object{{"label", endpoint.label},
                                            {"node", endpoint.node},
                                            {"appears", endpoint.life == ChangedEndpoint::Life::comes},
                                            {"disappears", endpoint.life == ChangedEndpoint::Life::goes},
                                            {"changes", std::move(sides)}});
    }
    json::array nodes;
    for (const ChangedNode& node : impact.nodes) {
        nodes.emplace_back(json::object{{"node", node.node}, {"settings", texts(node.settings)}});
    }
    json::array flips;
    for (const Flip& flip : impact.flips) {
        json::object entry{{"source", flip.source},
                           {"destination", flip.destination},
                           {"sourceAddress", flip.packet.source.to_string()},
                           {"destinationAddress", flip.packet.destination.to_string()},
                           {"protocol", flip.packet.protocol.to_string()},
                           {"before", flip.allowed_after ? "Deny" : "Allow"},
                           {"after", flip.allowed_after ? "Allow" : "Deny"},
                           {"because", flip.because},
                           {"recorded", flip.recorded}};
        if (flip.packet.destination_port) {
            entry["destinationPort"] = *flip.packet.destination_port;
        }
        flips.emplace_back(std::move(entry));
    }
    return {{"endpoints", std::move(endpoints)},
            {"nodes", std::move(nodes)},
            {"connections", std::move(flips)},
            {"judged", impact.judged},
            {"complete", !impact.cut_short}};
}

ExitCode policy_impact(const Context& context, const ImpactOptions& options) {
    std::vector<felix::Event> changes;
    if (!options.input.paths.empty()) {
        const Input input = read_input(context, options.input);
        if (!input.errors.empty()) {
            std::string text = "the input has errors:";
            for (const std::string& error : input.errors) {
                text += "\n  " + error;
            }
            return context.fail(text);
        }
        for (const InputObject& object : input.objects) {
            changes.push_back(event_of(object, options.remove));
        }
    }
    auto before = ClusterView::read(*context.store);
    if (!before) {
        return context.fail(describe(before.error()));
    }
    if (options.staged) {
        auto staged = stored_staged(*context.store);
        if (!staged) {
            return context.fail(describe(staged.error()));
        }
        changes.insert(changes.begin(), staged->begin(), staged->end());
    }
    std::vector<felix::io::Flow> flows;
    if (options.flows) {
        auto conntrack = felix::io::Conntrack::open();
        if (!conntrack) {
            return context.fail(conntrack.error().message);
        }
        auto found = conntrack->list();
        if (!found) {
            return context.fail(found.error().message);
        }
        flows = *std::move(found);
    }
    tell_this_node(*before, context.settings.node_name);
    ClusterView after = before->with(enforced(changes));
    const Impact impact = compare(*before, after, flows);
    if (options.format.empty()) {
        context.print(impact_text(impact));
        return ExitCode::ok;
    }
    return print_document(context, impact_json(impact), options.format);
}

}  // namespace manul::ctl
