#include "ctl/verbs/convert.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/calico/dump.hpp"
#include "config/calico/first_api.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml.hpp"
#include "config/codec/yaml_tree.hpp"
#include "config/model/convert_kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/workload_endpoint.hpp"
#include "ctl/output/json.hpp"

namespace manul::ctl {

using codec::Tree;

namespace {

class Converter {
public:
    Converter(std::string file, const ConvertOptions& options) : file_(std::move(file)), options_(options) {}

    void take(Tree document) {
        if (document.is_list()) {
            for (Tree& item : document.children) {
                take(std::move(item));
            }
            return;
        }
        Tree* items = document.find("items");
        if (items != nullptr && document.text_at("kind").ends_with("List")) {
            for (Tree& item : items->children) {
                take(std::move(item));
            }
            return;
        }
        const std::uint32_t line = document.line;
        if (calico::is_first_api(document)) {
            auto converted = calico::from_first_api(document);
            name_strange(document);
            if (converted) {
                add(*std::move(converted), line);
            } else {
                error(line, converted.error().message);
            }
        } else if (calico::is_custom_resource(document)) {
            calico::Converted converted = calico::from_custom_resource(std::move(document));
            for (const std::string& text : converted.errors) {
                error(line, text);
            }
            std::ranges::move(converted.notes, std::back_inserter(notes));
            for (Tree& one : converted.documents) {
                Tree& metadata = one.make("metadata");
                metadata.erase("uid");
                metadata.erase("creationTimestamp");
                add(std::move(one), line);
            }
        } else if (document.text_at("apiVersion") == model::api_version(model::Kind::kubernetes_network_policy) &&
                   document.text_at("kind") == model::info(model::Kind::kubernetes_network_policy).name) {
            take_kubernetes_policy(document, line);
        } else if (model::find_kind(document.text_at("apiVersion"), document.text_at("kind"))) {
            add(std::move(document), line);  // is what it should become
        } else {
            error(line, "there is nothing to convert kind \"" + std::string(document.text_at("kind")) + "\" of \"" +
                            std::string(document.text_at("apiVersion")) + "\" to");
        }
    }

    std::vector<std::string> documents;
    std::vector<std::string> errors;
    std::vector<std::string> notes;

private:
    void error(std::uint32_t line, const std::string& text) {
        errors.push_back(file_ + ":" + std::to_string(line) + ": " + text);
    }

    void name_strange(const Tree& document) {
        for (const calico::StrangeField& field : calico::strange_fields(document)) {
            if (options_.strict) {
                error(field.line, field.path + ": Calico's first API has no such field");
            } else {
                notes.push_back(file_ + ":" + std::to_string(field.line) + ": " + field.path +
                                ": left out, Calico's first API has no such field");
            }
        }
    }

    void take_kubernetes_policy(const Tree& document, std::uint32_t line) {
        const auto decoded =
            codec::decode_and_validate(model::Kind::kubernetes_network_policy, to_json(document), codec::Mode::strict);
        report(decoded.findings, line);
        const auto policy = model::as<model::KubernetesNetworkPolicy>(decoded.resource);
        if (!policy) {
            return;
        }
        const model::ConvertedPolicy converted = model::convert(*policy);
        for (const model::Finding& dropped : converted.dropped) {
            error(line, dropped.path + ": " + dropped.message + "; the rule would be missing");
        }
        model::NetworkPolicy out;
        out.metadata.name = policy->metadata.name;
        out.metadata.ns = policy->metadata.ns.empty() ? options_.input.ns.value_or("default") : policy->metadata.ns;
        out.metadata.labels = policy->metadata.labels;
        out.spec = converted.spec;
        documents.push_back(codec::encode(out));
    }

    void report(const model::Findings& findings, std::uint32_t line) {
        for (const model::Finding& finding : findings) {
            if (finding.severity == model::Finding::Severity::error) {
                error(line, finding.path + ": " + finding.message);
            }
        }
    }

    void add(Tree document, std::uint32_t line) {
        const auto kind = model::find_kind(document.text_at("apiVersion"), document.text_at("kind"));
        if (!kind) {
            return error(line, "there is no kind \"" + std::string(document.text_at("kind")) + "\" any more");
        }
        if (model::info(*kind).namespaced && document.text_at("metadata", "namespace").empty()) {
            document.make("metadata").make("namespace").assign(Tree::of_text(options_.input.ns.value_or("default")));
        }
        std::string text = to_json(document);
        codec::Decoded decoded = codec::decode_and_validate(*kind, text, codec::Mode::strict);
        if (const auto endpoint = model::as<model::WorkloadEndpoint>(decoded.resource)) {
            document.make("metadata").make("name").assign(Tree::of_text(model::workload_endpoint_name(endpoint->spec)));
            text = to_json(document);
            decoded = codec::decode_and_validate(*kind, text, codec::Mode::strict);
        }
        if (!options_.ignore_validation) {
            report(decoded.findings, line);
        }
        documents.push_back(std::move(text));
    }

    std::string file_;
    const ConvertOptions& options_;
};

Result<std::string> print(const std::vector<std::string>& documents, const std::string& format) {
    if (format == "yaml") {
        std::string text;
        for (const std::string& document : documents) {
            const auto yaml = codec::to_yaml(document);
            if (!yaml) {
                return yaml;
            }
            text += (text.empty() ? "" : "---\n") + *yaml;
        }
        return text;
    }
    if (documents.size() == 1) {
        return pretty_json(documents.front());
    }
    std::string list = R"({"apiVersion":"v1","kind":"List","items":[)";
    for (const std::string& document : documents) {
        list += (list.back() == '[' ? "" : ",") + document;
    }
    return pretty_json(list + "]}");
}

}  // namespace

ExitCode convert_files(const Context& context, const ConvertOptions& options) {
    if (options.format != "yaml" && options.format != "json") {
        context.fail("unknown output format '" + options.format + "'; there are yaml and json");
        return ExitCode::usage;
    }
    std::vector<std::string> documents;
    std::vector<std::string> errors;
    const auto files = input_files(options.input);
    if (!files) {
        return context.fail(files.error().message);
    }
    for (const std::string& path : *files) {
        const std::string name = path == "-" ? "standard input" : path;
        const auto text = read_text(context, path, kLargestFile);
        if (!text) {
            return context.fail(text.error().message);
        }
        Converter converter(name, options);
        codec::YamlFile file = codec::parse_documents(*text);
        for (codec::YamlDocument& document : file.documents) {
            std::ranges::move(document.findings, std::back_inserter(file.findings));
            if (document.tree.type != Tree::Type::null) {
                converter.take(std::move(document.tree));
            }
        }
        for (model::Finding& finding : file.findings) {
            finding.file = name;
            errors.push_back(finding.to_string());
        }
        for (const std::string& note : converter.notes) {
            context.err(note + "\n");
        }
        std::ranges::move(converter.errors, std::back_inserter(errors));
        std::ranges::move(converter.documents, std::back_inserter(documents));
    }
    if (!errors.empty()) {
        std::string text = "nothing was printed; the input has " + std::to_string(errors.size()) +
                           (errors.size() == 1 ? " error:" : " errors:");
        for (const std::string& error : errors) {
            text += "\n  " + error;
        }
        return context.fail(text);
    }
    if (documents.empty()) {
        return context.fail("no resources specified: the input is empty");
    }
    const auto text = print(documents, options.format);
    if (!text) {
        return context.fail(text.error().message);
    }
    context.print(*text);
    return ExitCode::ok;
}

}  // namespace manul::ctl
