#include "config/calico/first_api.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "config/calico/names.hpp"
#include "config/codec/tree.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::calico {

using codec::Tree;

namespace {

std::string capitalised(std::string_view text) {
    std::string out = ascii::lowered(text);
    if (!out.empty()) {
        out.front() = ascii::to_upper(out.front());
    }
    return out;
}

Tree boolean(bool value) { return {.type = Tree::Type::boolean, .text = value ? "true" : "false"}; }

bool is_true(const Tree* value) { return value != nullptr && value->text == "true"; }

/// Copies a field under the same or another name; absent and empty ones are left out.
void copy(Tree& to, const Tree& from, std::string_view name, std::string_view new_name = {}) {
    if (const Tree* value = from.find(name); value != nullptr && value->type != Tree::Type::null) {
        Tree& target = to.make(new_name.empty() ? name : new_name);
        target.line = value->line;
        target.assign(*value);
    }
}

void set(Tree& to, std::string_view name, std::string value) { to.make(name).assign(Tree::of_text(std::move(value))); }

/// The label of a pod's namespace was called otherwise.
std::string converted_selector(std::string_view selector) {
    constexpr std::string_view kOld = "calico/k8s_ns";
    std::string out(selector);
    for (std::size_t at = out.find(kOld); at != std::string::npos; at = out.find(kOld, at)) {
        out.replace(at, kOld.size(), "projectcalico.org/namespace");
    }
    return out;
}

std::string converted_profile(std::string_view name) {
    constexpr std::string_view kOld = "k8s_ns.";
    return converted_name(name.starts_with(kOld) ? "kns." + std::string(name.substr(kOld.size())) : std::string(name));
}

std::string converted_protocol(std::string_view protocol) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kNames{{{"tcp", "TCP"},
                                                                                   {"udp", "UDP"},
                                                                                   {"icmp", "ICMP"},
                                                                                   {"icmpv6", "ICMPv6"},
                                                                                   {"sctp", "SCTP"},
                                                                                   {"udplite", "UDPLite"}}};
    const auto found =
        std::ranges::find(kNames, ascii::lowered(protocol), [](const auto& pair) { return std::string(pair.first); });
    return found == kNames.end() ? std::string(protocol) : std::string(found->second);
}

void convert_protocol(Tree& object, std::string_view field) {
    if (Tree* protocol = object.find(field); protocol != nullptr && protocol->type == Tree::Type::text) {
        protocol->text = converted_protocol(protocol->text);
    }
}

/// A network with the bits behind its length cleared, as Calico stored it.
void clear_host_bits(Tree& list) {
    for (Tree& item : list.children) {
        if (const auto network = net::InterfaceAddress::parse(item.text)) {
            item.text = network->network().to_string();
        }
    }
}

/// "net" and "nets" became "nets", a tag became a label without value.
Tree converted_entity(const Tree& entity) {
    Tree out{.type = Tree::Type::map};
    struct Names {
        std::string_view net, nets, selector, tag, ports;
    };
    for (const Names& names : {Names{"net", "nets", "selector", "tag", "ports"},
                               Names{"notNet", "notNets", "notSelector", "notTag", "notPorts"}}) {
        Tree nets{.type = Tree::Type::list};
        if (const Tree* list = entity.find(names.nets); list != nullptr && list->is_list()) {
            nets.children = list->children;
        }
        if (const Tree* one = entity.find(names.net); one != nullptr && one->is_scalar()) {
            nets.children.push_back(Tree::of_text(one->text));
        }
        clear_host_bits(nets);
        if (!nets.children.empty()) {
            out.make(names.nets).assign(std::move(nets));
        }
        std::string selector = converted_selector(entity.text_at(names.selector));
        if (const std::string_view tag = entity.text_at(names.tag); !tag.empty()) {
            if (!selector.empty()) {
                selector.insert(0, 1, '(').append(") && ");
            }
            selector.append(tag).append(" == ''");
        }
        if (!selector.empty()) {
            set(out, names.selector, std::move(selector));
        }
        copy(out, entity, names.ports);
    }
    return out;
}

Tree converted_rule(const Tree& rule) {
    Tree out{.type = Tree::Type::map};
    out.line = rule.line;
    const std::string action = ascii::lowered(rule.text_at("action"));
    set(out, "action", action.empty() ? "Allow" : action == "next-tier" ? "Pass" : capitalised(action));
    for (const std::string_view field : {"ipVersion", "protocol", "notProtocol", "icmp", "notICMP"}) {
        copy(out, rule, field);
    }
    convert_protocol(out, "protocol");
    convert_protocol(out, "notProtocol");
    for (const std::string_view end : {"source", "destination"}) {
        if (const Tree* entity = rule.find(end); entity != nullptr && entity->is_map()) {
            if (Tree converted = converted_entity(*entity); !converted.children.empty()) {
                out.make(end).assign(std::move(converted));
            }
        }
    }
    return out;
}

/// Returns whether there are any.
bool convert_rules(Tree& spec, const Tree& old_spec, std::string_view field) {
    const Tree* rules = old_spec.find(field);
    if (rules == nullptr || !rules->is_list() || rules->children.empty()) {
        return false;
    }
    Tree& out = spec.make(field);
    out.assign(Tree{.type = Tree::Type::list});
    for (const Tree& rule : rules->children) {
        out.children.push_back(converted_rule(rule));
    }
    return true;
}

void convert_ports(Tree& spec) {
    if (Tree* ports = spec.find("ports"); ports != nullptr) {
        for (Tree& port : ports->children) {
            convert_protocol(port, "protocol");
        }
    }
}

void convert_profiles(Tree& spec) {
    if (Tree* profiles = spec.find("profiles"); profiles != nullptr) {
        for (Tree& profile : profiles->children) {
            profile.text = converted_profile(profile.text);
        }
    }
}

/// What a conversion reads, and what it fills.
struct Work {
    const Tree& old_metadata;
    const Tree& old_spec;
    Tree& metadata;
    Tree& spec;
};

Result<void> convert_policy(Work& work) {
    const std::string_view old_tier = work.old_metadata.text_at("tier");
    const std::string tier = old_tier.empty() ? "default" : converted_name_without_dots(old_tier);
    const std::string name = converted_name_without_dots(work.old_metadata.text_at("name"));
    set(work.metadata, "name", tier == "default" ? name : tier + "." + name);
    copy(work.metadata, work.old_metadata, "annotations");
    set(work.spec, "tier", tier);
    copy(work.spec, work.old_spec, "order");
    if (const std::string selector = converted_selector(work.old_spec.text_at("selector")); !selector.empty()) {
        set(work.spec, "selector", selector);
    }
    const bool ingress = convert_rules(work.spec, work.old_spec, "ingress");
    const bool egress = convert_rules(work.spec, work.old_spec, "egress");
    copy(work.spec, work.old_spec, "doNotTrack");
    copy(work.spec, work.old_spec, "preDNAT");
    copy(work.spec, work.old_spec, "applyOnForward");
    if (is_true(work.old_spec.find("doNotTrack")) || is_true(work.old_spec.find("preDNAT"))) {
        work.spec.make("applyOnForward").assign(boolean(true));  // they always judged what is forwarded
    }
    Tree types{.type = Tree::Type::list};
    if (const Tree* given = work.old_spec.find("types"); given != nullptr && !given->children.empty()) {
        for (const Tree& type : given->children) {
            types.children.push_back(Tree::of_text(capitalised(type.text)));
        }
    } else {
        if (ingress || !egress) {
            types.children.push_back(Tree::of_text("Ingress"));
        }
        if (egress) {
            types.children.push_back(Tree::of_text("Egress"));
        }
    }
    work.spec.make("types").assign(std::move(types));
    return {};
}

Result<void> convert_profile(Work& work) {
    set(work.metadata, "name", converted_profile(work.old_metadata.text_at("name")));
    Tree labels{.type = Tree::Type::map};
    if (const Tree* given = work.old_metadata.find("labels"); given != nullptr && given->is_map()) {
        labels.children = given->children;
    }
    if (const Tree* tags = work.old_metadata.find("tags"); tags != nullptr) {
        for (const Tree& tag : tags->children) {
            if (labels.find(tag.text) != nullptr) {
                return fail("the profile has a tag and a label of the same name, " + tag.text +
                            ": rename the label first");
            }
            set(labels, tag.text, "");
        }
    }
    if (!labels.children.empty()) {
        work.spec.make("labelsToApply").assign(std::move(labels));
    }
    convert_rules(work.spec, work.old_spec, "ingress");
    convert_rules(work.spec, work.old_spec, "egress");
    return {};
}

Result<void> convert_host_endpoint(Work& work) {
    const std::string node = normalised_name(work.old_metadata.text_at("node"));
    set(work.metadata, "name", converted_name(node + "." + std::string(work.old_metadata.text_at("name"))));
    copy(work.metadata, work.old_metadata, "labels");
    set(work.spec, "node", node);
    for (const std::string_view field : {"interfaceName", "expectedIPs", "profiles", "ports"}) {
        copy(work.spec, work.old_spec, field);
    }
    convert_profiles(work.spec);
    convert_ports(work.spec);
    return {};
}

Result<void> convert_pool(Work& work) {
    const auto cidr = net::Prefix::parse(work.old_metadata.text_at("cidr"));
    if (!cidr) {
        return fail("metadata.cidr is no network: \"" + std::string(work.old_metadata.text_at("cidr")) + "\"");
    }
    std::string name = address_name(cidr->address()) + "-" + std::to_string(cidr->length());
    set(work.metadata, "name", std::move(name));
    set(work.spec, "cidr", cidr->to_string());
    const Tree* ipip = work.old_spec.find("ipip");
    const bool enabled = ipip != nullptr && is_true(ipip->find("enabled"));
    set(work.spec, "ipipMode",
        !enabled                                                  ? "Never"
        : ascii::lowered(ipip->text_at("mode")) == "cross-subnet" ? "CrossSubnet"
                                                                  : "Always");
    copy(work.spec, work.old_spec, "nat-outgoing", "natOutgoing");
    copy(work.spec, work.old_spec, "disabled");
    return {};
}

Result<void> convert_peer(Work& work) {
    const auto address = net::Ip::parse(work.old_metadata.text_at("peerIP"));
    if (!address) {
        return fail("metadata.peerIP is no address: \"" + std::string(work.old_metadata.text_at("peerIP")) + "\"");
    }
    const bool global = work.old_metadata.text_at("scope") == "global";
    const std::string node = normalised_name(work.old_metadata.text_at("node"));
    if (global != node.empty()) {
        return fail(global ? "metadata.scope is global, but metadata.node is set"
                           : "metadata.scope is not global, but metadata.node is missing");
    }
    set(work.metadata, "name", global ? address_name(*address) : node + "." + address_name(*address));
    if (!global) {
        set(work.spec, "node", node);
    }
    set(work.spec, "peerIP", address->to_string());
    copy(work.spec, work.old_spec, "asNumber");
    return {};
}

Result<void> convert_node(Work& work) {
    set(work.metadata, "name", normalised_name(work.old_metadata.text_at("name")));
    copy(work.spec, work.old_spec, "bgp");
    copy(work.spec, work.old_spec, "orchRefs");
    return {};
}

Result<void> convert_workload_endpoint(Work& work) {
    const std::string_view orchestrator = work.old_metadata.text_at("orchestrator");
    const std::string_view workload = work.old_metadata.text_at("workload");
    std::string ns = "default";
    set(work.spec, "orchestrator", converted_name(orchestrator));
    if (orchestrator == "k8s") {
        const std::size_t dot = workload.find('.');
        if (dot == std::string_view::npos) {
            return fail("metadata.workload is not \"<namespace>.<pod>\": \"" + std::string(workload) + "\"");
        }
        ns = workload.substr(0, dot);
        set(work.spec, "pod", std::string(workload.substr(dot + 1)));
        set(work.spec, "containerID", std::string(work.old_metadata.text_at("activeInstanceID")));
    } else if (orchestrator == "cni") {
        set(work.spec, "containerID", std::string(workload));
    } else {
        set(work.spec, "workload", orchestrator == "libnetwork" ? "libnetwork" : converted_name(workload));
    }
    set(work.spec, "node", normalised_name(work.old_metadata.text_at("node")));
    set(work.spec, "endpoint", converted_name(work.old_metadata.text_at("name")));
    for (const std::string_view field :
         {"ipNetworks", "ipNATs", "ipv4Gateway", "ipv6Gateway", "interfaceName", "mac", "profiles", "ports"}) {
        copy(work.spec, work.old_spec, field);
    }
    convert_profiles(work.spec);
    convert_ports(work.spec);
    set(work.metadata, "namespace", ns);
    copy(work.metadata, work.old_metadata, "labels");
    if (Tree* labels = work.metadata.find("labels")) {
        for (Tree& label : labels->children) {
            if (label.key == "calico/k8s_ns") {
                label.key = "projectcalico.org/namespace";
            }
        }
    }
    return {};
}

// What conversions look at: a path names a field that is taken whole, one with [] a list of rules.
constexpr auto kPolicyFields = std::to_array<std::string_view>(
    {"metadata.name", "metadata.tier", "metadata.annotations", "spec.order", "spec.selector", "spec.ingress[]",
     "spec.egress[]", "spec.doNotTrack", "spec.preDNAT", "spec.applyOnForward", "spec.types"});
constexpr auto kProfileFields = std::to_array<std::string_view>(
    {"metadata.name", "metadata.tags", "metadata.labels", "spec.ingress[]", "spec.egress[]"});
constexpr auto kHostEndpointFields =
    std::to_array<std::string_view>({"metadata.name", "metadata.node", "metadata.labels", "spec.interfaceName",
                                     "spec.expectedIPs", "spec.profiles", "spec.ports"});
constexpr auto kPoolFields = std::to_array<std::string_view>(
    {"metadata.cidr", "spec.ipip.enabled", "spec.ipip.mode", "spec.nat-outgoing", "spec.disabled"});
constexpr auto kPeerFields =
    std::to_array<std::string_view>({"metadata.scope", "metadata.node", "metadata.peerIP", "spec.asNumber"});
constexpr auto kNodeFields = std::to_array<std::string_view>({"metadata.name", "spec.bgp", "spec.orchRefs"});
constexpr auto kWorkloadEndpointFields = std::to_array<std::string_view>(
    {"metadata.name", "metadata.workload", "metadata.orchestrator", "metadata.node", "metadata.activeInstanceID",
     "metadata.labels", "spec.ipNetworks", "spec.ipNATs", "spec.ipv4Gateway", "spec.ipv6Gateway", "spec.interfaceName",
     "spec.mac", "spec.profiles", "spec.ports"});
constexpr auto kRuleFields = std::to_array<std::string_view>({"action",
                                                              "ipVersion",
                                                              "protocol",
                                                              "notProtocol",
                                                              "icmp",
                                                              "notICMP",
                                                              "source.tag",
                                                              "source.net",
                                                              "source.nets",
                                                              "source.selector",
                                                              "source.ports",
                                                              "source.notTag",
                                                              "source.notNet",
                                                              "source.notNets",
                                                              "source.notSelector",
                                                              "source.notPorts",
                                                              "destination.tag",
                                                              "destination.net",
                                                              "destination.nets",
                                                              "destination.selector",
                                                              "destination.ports",
                                                              "destination.notTag",
                                                              "destination.notNet",
                                                              "destination.notNets",
                                                              "destination.notSelector",
                                                              "destination.notPorts"});

struct OldKind {
    std::string_view name;  ///< in lower case
    std::string_view kind;
    Result<void> (*convert)(Work&);
    std::span<const std::string_view> fields;
};
constexpr std::array<OldKind, 7> kKinds{{
    {"policy", "GlobalNetworkPolicy", convert_policy, kPolicyFields},
    {"profile", "Profile", convert_profile, kProfileFields},
    {"hostendpoint", "HostEndpoint", convert_host_endpoint, kHostEndpointFields},
    {"ippool", "IPPool", convert_pool, kPoolFields},
    {"bgppeer", "BGPPeer", convert_peer, kPeerFields},
    {"node", "Node", convert_node, kNodeFields},
    {"workloadendpoint", "WorkloadEndpoint", convert_workload_endpoint, kWorkloadEndpointFields},
}};

/// `inner` is the path below which the map's fields are named in `known`, `shown` the one for people.
void add_strange(const Tree& map, std::span<const std::string_view> known, const std::string& inner,
                 const std::string& shown, std::vector<StrangeField>& out) {
    const auto has = [&](std::string_view path) { return std::ranges::find(known, path) != known.end(); };
    for (const Tree& child : map.children) {
        const std::string path = inner.empty() ? child.key : inner + "." + child.key;
        const std::string at = codec::path_with_key(shown, child.key);
        if (child.type == Tree::Type::null || has(path)) {
            continue;
        }
        const bool goes_on = std::ranges::any_of(known, [&](auto name) { return name.starts_with(path + "."); });
        if (goes_on && child.is_map()) {
            add_strange(child, known, path, at, out);
        } else if (child.is_list() && has(path + "[]")) {
            for (std::size_t i = 0; i < child.children.size(); ++i) {
                add_strange(child.children[i], kRuleFields, "", at + "[" + std::to_string(i) + "]", out);
            }
        } else {
            out.push_back({at, child.line});
        }
    }
}

const OldKind* find_kind(const Tree& document) {
    // Kubernetes' own "v1" has a Node too, and writes it so.
    if (document.text_at("apiVersion") != "v1" || document.text_at("kind") == "Node") {
        return nullptr;
    }
    const auto found = std::ranges::find(kKinds, ascii::lowered(document.text_at("kind")),
                                         [](const OldKind& kind) { return std::string(kind.name); });
    return found == kKinds.end() ? nullptr : &*found;
}

}  // namespace

bool is_first_api(const Tree& document) noexcept { return find_kind(document) != nullptr; }

std::vector<StrangeField> strange_fields(const Tree& document) {
    std::vector<StrangeField> out;
    if (const OldKind* kind = find_kind(document)) {
        std::vector<std::string_view> known{"apiVersion", "kind"};
        known.insert(known.end(), kind->fields.begin(), kind->fields.end());
        add_strange(document, known, "", "", out);
    }
    return out;
}

Result<Tree> from_first_api(const Tree& document) {
    const OldKind* kind = find_kind(document);
    if (kind == nullptr) {
        return fail("is no object of Calico's first API");
    }
    static const Tree empty{.type = Tree::Type::map};
    const Tree* metadata = document.find("metadata");
    const Tree* spec = document.find("spec");
    Tree out{.type = Tree::Type::map};
    out.line = document.line;
    set(out, "apiVersion", "projectcalico.org/v3");
    set(out, "kind", std::string(kind->kind));
    Tree new_metadata{.type = Tree::Type::map};
    Tree new_spec{.type = Tree::Type::map};
    Work work{metadata != nullptr ? *metadata : empty, spec != nullptr ? *spec : empty, new_metadata, new_spec};
    MANUL_CHECK(kind->convert(work));
    out.make("metadata").assign(std::move(new_metadata));
    out.make("spec").assign(std::move(new_spec));
    return out;
}

}  // namespace manul::calico
