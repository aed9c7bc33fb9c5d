#include "config/codec/yaml.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/codec/document.hpp"
#include "config/codec/felix_settings.hpp"
#include "config/codec/json.hpp"
#include "config/codec/schema.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml_tree.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/finding.hpp"
#include "config/model/kind.hpp"
#include "config/model/lint.hpp"
#include "config/model/names.hpp"

namespace manul::codec {

namespace {

using model::Finding;
using model::Findings;
using model::Kind;

constexpr std::string_view kListSuffix = "List";

/// Where a kind of that name is, when it is not in the group given.
std::string unknown_kind_text(std::string_view api_version, std::string_view kind) {
    std::string homes;
    std::vector<std::string_view> names;
    for (const model::KindInfo& info : model::all_kinds()) {
        names.push_back(info.name);
        if (info.name == kind) {
            homes += (homes.empty() ? "" : " or ") + model::api_version(info.kind);
        }
    }
    if (!homes.empty()) {
        const bool custom_resource = api_version == "crd.projectcalico.org/v1";
        return "there is no " + std::string(kind) + " in \"" + std::string(api_version) + "\", did you mean " + homes +
               (custom_resource ? "? 'manulctl convert' makes that of it" : "?");
    }
    if (kind == "CiliumNetworkPolicy" || kind == "CiliumClusterwideNetworkPolicy") {
        return "kind \"" + std::string(kind) +
               "\" is not supported, and nothing of it is enforced; NetworkPolicy and GlobalNetworkPolicy do what it "
               "says about addresses, labels and ports";
    }
    std::string text = "unknown kind \"" + std::string(kind) + "\"";
    if (const auto close = model::closest(kind, names)) {
        text += ", did you mean \"" + std::string(*close) + "\"?";
    }
    return text;
}

class Loader {
public:
    Loader(std::string_view file_name, std::string_view default_namespace)
        : file_name_(file_name), default_namespace_(default_namespace) {}

    LoadResult load(std::string_view text) {
        YamlFile file = parse_documents(text);
        for (YamlDocument& document : file.documents) {
            if (document.tree.type != Tree::Type::null || !document.findings.empty()) {
                load_document(std::move(document));
            }
        }
        add_to_file(std::move(file.findings));
        return std::move(result_);
    }

private:
    void add_to_file(Findings findings) {
        for (Finding& finding : findings) {
            finding.file = file_name_;
            result_.findings.push_back(std::move(finding));
        }
    }

    void file_error(const Tree& tree, std::string path, std::string message) {
        add_to_file({Finding{.path = std::move(path), .message = std::move(message), .line = tree.line}});
    }

    void load_document(YamlDocument document) {
        add_to_file(std::move(document.advice));
        Tree& tree = document.tree;
        if (tree.is_list()) {  // what calicoctl printed before it printed "v1 List"
            load_list(tree, "", "", "", std::move(document.findings));
            return;
        }
        if (!tree.is_map()) {
            add_to_file(std::move(document.findings));
            file_error(tree, "", "expected an object with apiVersion, kind and metadata, found " + describe(tree));
            return;
        }
        load_one(tree, std::move(document.findings));
    }

    /// An object, or a list with a kind of its own.
    void load_one(Tree& tree, Findings findings) {
        const std::string_view kind = tree.text_at("kind");
        Tree* items = tree.find("items");
        if (!kind.ends_with(kListSuffix) || items == nullptr) {
            load_object(std::move(tree), std::move(findings));
            return;
        }
        if (!items->is_list()) {
            file_error(*items, "items", "expected a list, found " + describe(*items));
            return;
        }
        load_list(*items, "items", tree.text_at("apiVersion"), kind.substr(0, kind.size() - kListSuffix.size()),
                  std::move(findings));
    }

    /// Items of "v1 List" say themselves what they are; those of "IPPoolList" need not.
    void load_list(Tree& items, std::string_view path, std::string_view api_version, std::string_view item_kind,
                   Findings findings) {
        for (std::size_t i = 0; i < items.children.size(); ++i) {
            Tree& item = items.children[i];
            const std::string prefix = std::string(path) + "[" + std::to_string(i) + "]";
            if (!item.is_map()) {
                file_error(item, prefix, "expected an object, found " + describe(item));
                continue;
            }
            if (!item_kind.empty() && item.find("kind") == nullptr) {
                item.make("apiVersion").assign(Tree::of_text(std::string(api_version)));
                item.make("kind").assign(Tree::of_text(std::string(item_kind)));
            }
            load_one(item, take_below(findings, prefix));
        }
        add_to_file(std::move(findings));
    }

    /// Moves out the findings below `prefix`, with paths from there on.
    static Findings take_below(Findings& findings, const std::string& prefix) {
        Findings below;
        std::erase_if(findings, [&](Finding& finding) {
            if (!finding.path.starts_with(prefix)) {
                return false;
            }
            finding.path.erase(0, prefix.size() + (finding.path.size() > prefix.size() ? 1 : 0));
            below.push_back(finding);
            return true;
        });
        return below;
    }

    void load_object(Tree tree, Findings findings) {
        if (tree.text_at("kind") == "IPAMConfig") {  // the name that Calico's own documentation uses besides
            tree.make("kind").assign(Tree::of_text(std::string(model::info(Kind::ipam_configuration).name)));
        }
        const std::string_view api_version = tree.text_at("apiVersion");
        const std::string_view kind_name = tree.text_at("kind");
        const auto kind = model::find_kind(api_version, kind_name);
        if (!kind) {
            add_to_file(std::move(findings));
            if (api_version.empty() || kind_name.empty()) {
                file_error(tree, api_version.empty() ? "apiVersion" : "kind", "required, but missing");
            } else {
                file_error(nearest(tree, "kind"), "kind", unknown_kind_text(api_version, kind_name));
            }
            return;
        }
        settle_texts(*kind, tree, Author::person);
        set_namespace(*kind, tree);
        Decoded decoded = decode_tree(*kind, tree, Mode::strict);
        std::ranges::move(decoded.findings, std::back_inserter(findings));
        if (decoded.resource) {
            for (Finding& finding : validate_decoded(*decoded.resource, findings)) {
                finding.line = nearest(tree, finding.path).line;
                findings.push_back(std::move(finding));
            }
        }
        model::Findings advice;
        if (decoded.resource && !model::has_errors(findings)) {
            for (Finding& finding : advice_about(*decoded.resource)) {
                finding.line = nearest(tree, finding.path).line;
                finding.file = file_name_;
                advice.push_back(std::move(finding));
            }
        }
        for (Finding& finding : findings) {
            finding.file = file_name_;
        }
        result_.objects.push_back({.kind = *kind,
                                   .document = to_json(tree),
                                   .resource = std::move(decoded.resource),
                                   .findings = std::move(findings),
                                   .advice = std::move(advice),
                                   .line = tree.line});
    }

    /// Traps, and fields that this dataplane has no use for.
    static model::Findings advice_about(const model::Resource& resource) {
        model::Findings findings = model::lint(resource);
        if (const auto* felix = model::as<model::FelixConfiguration>(resource)) {
            for (const std::string& field : fields_without_effect(felix->spec)) {
                findings.push_back({.path = "spec." + field,
                                    .message = "accepted and kept, but has no effect in this dataplane",
                                    .severity = Finding::Severity::warning});
            }
        }
        return findings;
    }

    void set_namespace(Kind kind, Tree& tree) const {
        Tree* metadata = tree.find("metadata");
        const bool absent = metadata != nullptr && metadata->is_map() && metadata->text_at("namespace").empty();
        if (absent && model::info(kind).namespaced && !default_namespace_.empty()) {
            const Tree* given = metadata->find("namespace");
            if (given == nullptr || given->type == Tree::Type::null || given->type == Tree::Type::text) {
                metadata->make("namespace").assign(Tree::of_text(std::string(default_namespace_)));
            }
        }
    }

    std::string file_name_;
    std::string_view default_namespace_;
    LoadResult result_;
};

}  // namespace

/// JSON that YAML reads otherwise (surrogate pairs, long lines) is read as JSON; what is not JSON may still be YAML.
YamlFile parse_documents(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && (text[first] == '{' || text[first] == '[')) {
        if (auto json = parse_json(text)) {
            YamlFile file;
            file.documents.push_back({.tree = *std::move(json), .findings = {}});
            return file;
        }
    }
    return parse_yaml(text);
}

bool LoadResult::ok() const noexcept {
    return !model::has_errors(findings) && std::ranges::all_of(objects, &LoadedObject::ok);
}

Findings LoadResult::all_findings() const {
    std::multimap<std::uint32_t, const Finding*> by_line;  // keeps the order of equal lines
    const auto add = [&](const Findings& some) {
        for (const Finding& finding : some) {
            by_line.emplace(finding.line, &finding);
        }
    };
    add(findings);
    for (const LoadedObject& object : objects) {
        add(object.findings);
        add(object.advice);
    }
    Findings all;
    for (const auto& [line, finding] : by_line) {
        all.push_back(*finding);
    }
    return all;
}

LoadResult load_yaml(std::string_view text, std::string_view file_name, std::string_view default_namespace) {
    return Loader(file_name, default_namespace).load(text);
}

Result<std::string> yaml_to_json(std::string_view text, std::string_view file_name) {
    YamlFile file = parse_documents(text);
    std::erase_if(file.documents, [](const YamlDocument& document) {
        return document.tree.type == Tree::Type::null && document.findings.empty();
    });
    Findings findings = std::move(file.findings);
    for (const YamlDocument& document : file.documents) {
        findings.insert(findings.end(), document.findings.begin(), document.findings.end());
    }
    if (findings.empty() && file.documents.size() != 1) {
        return fail(std::string(file_name) + ": expected one document, found " + std::to_string(file.documents.size()));
    }
    if (!findings.empty()) {
        std::string text_of_all;
        for (Finding& finding : findings) {
            finding.file = file_name;
            text_of_all += (text_of_all.empty() ? "" : "\n") + finding.to_string();
        }
        return fail(std::move(text_of_all));
    }
    return to_json(file.documents.front().tree);
}

}  // namespace manul::codec
