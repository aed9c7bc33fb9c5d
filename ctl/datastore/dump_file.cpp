#include "ctl/datastore/dump_file.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "config/calico/dump.hpp"
#include "config/calico/first_api.hpp"
#include "config/codec/json.hpp"
#include "config/codec/yaml_tree.hpp"
#include "config/model/finding.hpp"
#include "config/model/workload_endpoint.hpp"
#include "ipam/core/names.hpp"
#include "net/prefix.hpp"

namespace manul::ctl {

using codec::Tree;

namespace {

constexpr std::string_view kDefaultProfile = "projectcalico-default-allow";

/// A document on its way, and where it stands.
struct Loose {
    Tree tree;
    std::uint32_t line = 0;  ///< 0: the dump has none
};

class DumpReader {
public:
    DumpReader(const std::string& file_name, const DumpOptions& options) : file_name_(file_name), options_(options) {}

    DumpFile read(std::string_view text) && {
        std::uint32_t first_line = 0;
        for (;;) {  // calicoctl joins three files with lines of "==="
            const std::size_t end = part_end(text);
            const std::string_view part = text.substr(0, end);
            take_part(part, first_line);
            if (end == std::string_view::npos) {
                break;
            }
            first_line += static_cast<std::uint32_t>(std::ranges::count(part, '\n')) + 1;
            text.remove_prefix(std::min(text.size(), end + kSeparator.size() + 1));
        }
        auto names = options_.node_names;
        if (options_.for_kubernetes) {
            for (const Loose& one : loose_) {
                add_kubernetes_name(one.tree, names);
            }
        }
        for (Loose& one : loose_) {
            rename_nodes(one.tree, names);
            finish(one);
        }
        refuse_doubles();
        return std::move(out_);
    }

private:
    static constexpr std::string_view kSeparator = "===";

    /// Where the next line of "===" begins.
    static std::size_t part_end(std::string_view text) {
        for (std::size_t at = text.find(kSeparator); at != std::string_view::npos; at = text.find(kSeparator, at + 1)) {
            const std::string_view rest = text.substr(at + kSeparator.size());
            const bool whole_line = rest.empty() || rest.front() == '\n' || rest.front() == '\r';
            if (whole_line && (at == 0 || text[at - 1] == '\n')) {
                return at;
            }
        }
        return std::string_view::npos;
    }

    void take_part(std::string_view part, std::uint32_t first_line) {
        codec::YamlFile file = codec::parse_documents(part);
        add_findings(file.findings, first_line);
        for (codec::YamlDocument& document : file.documents) {
            add_findings(document.findings, first_line);
            if (document.tree.type != Tree::Type::null) {
                take(std::move(document.tree), first_line);
            }
        }
    }

    void add_findings(model::Findings findings, std::uint32_t first_line) {
        for (model::Finding& finding : findings) {
            finding.file = file_name_;
            finding.line += first_line;
            out_.errors.push_back(finding.to_string());
        }
    }

    [[nodiscard]] std::string origin(std::uint32_t line) const {
        return line == 0 ? file_name_ : fmt::format("{}:{}", file_name_, line);
    }

    void take(Tree document, std::uint32_t first_line) {
        const std::uint32_t line = document.line + first_line;
        if (document.is_list()) {
            for (Tree& item : document.children) {
                take(std::move(item), first_line);
            }
            return;
        }
        if (calico::is_etcd_dump(document)) {
            add(calico::from_etcd_dump(document, options_.for_kubernetes), 0);
            return;
        }
        if (calico::is_address_export(document)) {
            add(calico::from_address_export(document), 0);
            return;
        }
        Tree* items = document.find("items");
        const std::string_view kind = document.text_at("kind");
        if (items != nullptr && items->is_list() && kind.ends_with("List")) {
            const std::string item_kind(kind.substr(0, kind.size() - std::string_view("List").size()));
            for (Tree& item : items->children) {
                if (!item_kind.empty() && item.is_map() && item.find("kind") == nullptr) {
                    item.make("apiVersion").assign(Tree::of_text(std::string(document.text_at("apiVersion"))));
                    item.make("kind").assign(Tree::of_text(item_kind));
                }
                take(std::move(item), first_line);
            }
            return;
        }
        if (calico::is_custom_resource(document)) {
            add(calico::from_custom_resource(std::move(document)), line);
        } else if (calico::is_first_api(document)) {
            auto converted = calico::from_first_api(document);
            for (const calico::StrangeField& field : calico::strange_fields(document)) {
                out_.notes.push_back(fmt::format("left out: {} at {}, which Calico's first API has not", field.path,
                                                 origin(field.line + first_line)));
            }
            if (converted) {
                loose_.push_back({*std::move(converted), line});
            } else {
                out_.errors.push_back(origin(line) + ": " + converted.error().message);
            }
        } else {
            loose_.push_back({std::move(document), line});
        }
    }

    void add(calico::Converted converted, std::uint32_t line) {
        for (const std::string& error : converted.errors) {
            out_.errors.push_back(origin(line) + ": " + error);
        }
        std::ranges::move(converted.notes, std::back_inserter(out_.notes));
        for (Tree& tree : converted.documents) {
            loose_.push_back({std::move(tree), line});
        }
    }

    void finish(Loose& one) {
        Tree& tree = one.tree;
        const std::string_view kind_name = tree.text_at("kind");
        if (tree.text_at("apiVersion") == "v1" && kind_name == "Node") {
            out_.notes.push_back("left out: Kubernetes' own Node " + std::string(tree.text_at("metadata", "name")));
            return;
        }
        const auto kind = model::find_kind(tree.text_at("apiVersion"), kind_name);
        if (!kind) {
            out_.errors.push_back(fmt::format("{}: there is no kind \"{}\" in \"{}\"; leave these objects out",
                                              origin(one.line), kind_name, tree.text_at("apiVersion")));
            return;
        }
        if (*kind == model::Kind::profile && tree.text_at("metadata", "name") == kDefaultProfile) {
            return;  // exists everywhere
        }
        codec::StoredFields identity{.resource_version = "",
                                     .uid = std::string(tree.text_at("metadata", "uid")),
                                     .creation_timestamp = std::string(tree.text_at("metadata", "creationTimestamp")),
                                     .generation = {}};
        if (Tree* metadata = tree.find("metadata"); metadata != nullptr && metadata->is_map()) {
            metadata->erase("resourceVersion");
            metadata->erase("uid");
            if (model::info(*kind).namespaced && metadata->text_at("namespace").empty()) {
                metadata->make("namespace").assign(Tree::of_text("default"));
            }
        }
        name_addresses(*kind, tree);
        codec::Decoded decoded = codec::decode_and_validate(*kind, to_json(tree), codec::Mode::lenient);
        const auto endpoint = model::as<model::WorkloadEndpoint>(decoded.resource);
        if (endpoint) {  // its name follows from its node, which may be called otherwise now
            const std::string name = model::workload_endpoint_name(endpoint->spec);
            if (!name.empty() && name != endpoint->metadata.name) {
                tree.make("metadata").make("name").assign(Tree::of_text(name));
                decoded = codec::decode_and_validate(*kind, to_json(tree), codec::Mode::lenient);
            }
        }
        DumpedObject object{.key = {*kind, std::string(tree.text_at("metadata", "namespace")),
                                    std::string(tree.text_at("metadata", "name"))},
                            .document = to_json(tree),
                            .identity = std::move(identity),
                            .origin = origin(one.line)};
        std::set<std::string_view>
            wrong;  // what could not be read holds a default, about which there is nothing to say
        for (const model::Finding& finding : decoded.findings) {
            const std::string text =
                fmt::format("{}: {}: {}: {}", object.origin, object.key.to_string(), finding.path, finding.message);
            if (finding.unknown_field) {
                object.has_unknown_fields = true;
                out_.notes.push_back(text + "; kept");
            } else if (finding.severity == model::Finding::Severity::error && wrong.insert(finding.path).second) {
                out_.errors.push_back(text);
            }
        }
        out_.objects.push_back(std::move(object));
    }

    /// What is stored about addresses is called here by what it says.
    static void name_addresses(model::Kind kind, Tree& tree) {
        Tree* spec = tree.find("spec");
        if (spec == nullptr) {
            return;
        }
        const auto cidr = net::Prefix::parse(spec->text_at("cidr"));
        std::string name;
        if (kind == model::Kind::ipam_block && cidr) {
            name = ipam::block_name(*cidr);
        } else if (kind == model::Kind::block_affinity && cidr) {
            name = ipam::affinity_name(spec->text_at("node"), *cidr);
        } else if (kind == model::Kind::ipam_handle) {
            name = ipam::handle_name(spec->text_at("handleID"));
        }
        if (!name.empty()) {
            tree.make("metadata").make("name").assign(Tree::of_text(std::move(name)));
        }
    }

    void refuse_doubles() {
        std::map<model::Key, const DumpedObject*> seen;
        for (const DumpedObject& object : out_.objects) {
            const auto [first, added] = seen.emplace(object.key, &object);
            if (!added) {
                out_.errors.push_back(fmt::format("{}: {} is there already, at {}", object.origin,
                                                  object.key.to_string(), first->second->origin));
            }
        }
    }

    const std::string& file_name_;
    const DumpOptions& options_;
    std::vector<Loose> loose_;
    DumpFile out_;
};

}  // namespace

DumpFile read_dump(std::string_view text, const std::string& file_name, const DumpOptions& options) {
    return DumpReader(file_name, options).read(text);
}

}  // namespace manul::ctl
