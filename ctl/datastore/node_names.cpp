#include <array>
#include <map>
#include <string>
#include <string_view>

#include "config/codec/tree.hpp"
#include "ctl/datastore/dump_file.hpp"
#include "ipam/core/tunnels.hpp"

namespace manul::ctl {

using codec::Tree;

namespace {

using Names = std::map<std::string, std::string, std::less<>>;

/// Replaces a text that is `prefix` and a node's name.
void rename(Tree* text, const Names& names, std::string_view prefix = {}) {
    if (text == nullptr || text->type != Tree::Type::text || !text->text.starts_with(prefix)) {
        return;
    }
    if (const auto found = names.find(std::string_view(text->text).substr(prefix.size())); found != names.end()) {
        text->text = std::string(prefix) + found->second;
    }
}

void rename_handle(Tree* id, const Names& names) {
    for (const ipam::Tunnel tunnel : ipam::kTunnels) {
        const std::string prefix = ipam::tunnel_handle(tunnel, "");
        if (id != nullptr && id->text.starts_with(prefix)) {
            rename(id, names, prefix);
            return;
        }
    }
}

void rename_in_block(Tree& spec, const Names& names) {
    rename(spec.find("affinity"), names, "host:");
    Tree* attributes = spec.find("attributes");
    if (attributes == nullptr) {
        return;
    }
    for (Tree& attribute : attributes->children) {
        rename_handle(attribute.find("handle_id"), names);
        for (const std::string_view owner : {"secondary", "alternateOwnerAttrs"}) {
            if (Tree* values = attribute.find(owner)) {
                rename(values->find("node"), names);
            }
        }
    }
}

}  // namespace

void rename_nodes(Tree& document, const Names& names) {
    if (names.empty()) {
        return;
    }
    const std::string_view kind = document.text_at("kind");
    Tree* metadata = document.find("metadata");
    Tree* name = metadata == nullptr ? nullptr : metadata->find("name");
    Tree* spec = document.find("spec");
    if (kind == "Node") {
        rename(name, names);
    } else if (kind == "BGPConfiguration" || kind == "FelixConfiguration") {
        rename(name, names, "node.");
    } else if (spec == nullptr) {
        return;
    } else if (kind == "IPAMBlock") {
        rename_in_block(*spec, names);
    } else if (kind == "IPAMHandle") {
        rename_handle(spec->find("handleID"), names);
    } else {
        constexpr std::array<std::string_view, 5> kWithNode{"BlockAffinity", "HostEndpoint", "BGPPeer",
                                                            "CalicoNodeStatus", "WorkloadEndpoint"};
        for (const std::string_view other : kWithNode) {
            if (kind == other) {
                rename(spec->find("node"), names);
            }
        }
    }
}

void add_kubernetes_name(const Tree& document, Names& names) {
    const Tree* spec = document.text_at("kind") == "Node" ? document.find("spec") : nullptr;
    const Tree* references = spec == nullptr ? nullptr : spec->find("orchRefs");
    if (references == nullptr) {
        return;
    }
    const std::string own(document.text_at("metadata", "name"));
    for (const Tree& reference : references->children) {
        const std::string_view theirs = reference.text_at("nodeName");
        if (reference.text_at("orchestrator") == "k8s" && !theirs.empty() && theirs != own) {
            names.emplace(own, theirs);
        }
    }
}

}  // namespace manul::ctl
