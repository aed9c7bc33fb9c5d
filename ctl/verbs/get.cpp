#include <algorithm>
#include <cctype>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/secret.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/columns.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "ctl/verbs/input.hpp"
#include "ctl/verbs/kind_words.hpp"
#include "ctl/verbs/verbs.hpp"

namespace manul::ctl {

namespace {

using model::Column;
using model::ColumnContext;
using model::Kind;

/// What one kind contributed to the answer.
struct Found {
    Kind kind;
    std::vector<store::Object> objects;
    bool by_name = false;
};

struct Answer {
    std::vector<Found> found;
    std::vector<std::string> errors;
};

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t at = text.find(separator);
        parts.emplace_back(text.substr(0, at));
        if (at == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(at + 1);
    }
}

void get_by_name(store::Store& store, Found& found, const model::Key& key, std::vector<std::string>& errors) {
    auto object = store.get(key);
    if (object) {
        found.objects.push_back(*std::move(object));
    } else {
        errors.push_back(describe(object.error()));
    }
}

/// All objects of the kind that the options cover; nothing, and the error kept, when they cannot be listed.
bool get_kind(store::Store& store, Found& found, const GetOptions& options, std::vector<std::string>& errors) {
    std::optional<std::string> ns;
    if (model::info(found.kind).namespaced && !options.all_namespaces) {
        ns = options.input.ns.value_or("default");
    }
    auto listing = store.list({.kind = found.kind, .ns = ns, .name_prefix = {}});
    if (!listing) {
        errors.push_back(describe(listing.error()));
        return false;
    }
    found.objects = std::move(listing->items);
    std::ranges::sort(found.objects, {}, &store::Object::key);
    return true;
}

/// Objects of these names, wherever they are.
void get_everywhere(store::Store& store, Found& found, const std::vector<std::string>& names, const GetOptions& options,
                    std::vector<std::string>& errors) {
    if (!get_kind(store, found, options, errors)) {
        return;
    }
    std::erase_if(found.objects, [&](const store::Object& object) {
        return std::ranges::find(names, object.key.name) == names.end();
    });
    for (const std::string& name : names) {
        if (std::ranges::none_of(found.objects, [&](const store::Object& object) { return object.key.name == name; })) {
            errors.push_back("resource does not exist: " + std::string(model::info(found.kind).name) + "(" + name +
                             ") in any namespace");
        }
    }
}

Answer fetch_words(const Context& context, const GetOptions& options) {
    Answer answer;
    AskedWords words = parse_asked(options.words);
    answer.errors = std::move(words.errors);
    for (const auto& [kind, names] : words.asked) {
        const bool namespaced = model::info(kind).namespaced;
        if (!namespaced && options.input.ns) {
            answer.errors.push_back(std::string(model::info(kind).name) + " is not namespaced: leave out -n");
            continue;
        }
        Found found{.kind = kind, .objects = {}, .by_name = !names.empty()};
        if (names.empty()) {
            if (!get_kind(*context.store, found, options, answer.errors)) {
                continue;
            }
        } else if (namespaced && options.all_namespaces) {
            get_everywhere(*context.store, found, names, options, answer.errors);
        } else {
            const std::string ns = namespaced ? options.input.ns.value_or("default") : std::string();
            for (const std::string& name : names) {
                get_by_name(*context.store, found, model::Key{kind, ns, name}, answer.errors);
            }
        }
        answer.found.push_back(std::move(found));
    }
    return answer;
}

/// Values of secrets are never shown.
Result<void> mask_secrets(Answer& answer) {
    for (Found& found : answer.found) {
        if (found.kind != Kind::secret) {
            continue;
        }
        for (store::Object& object : found.objects) {
            MANUL_TRY(std::string masked, codec::masked_secret(*object.document));
            object.document = std::make_shared<const std::string>(std::move(masked));
        }
    }
    return {};
}

Answer fetch_files(const Context& context, const GetOptions& options) {
    Answer answer;
    Input input = read_input(context, options.input);
    answer.errors = std::move(input.errors);
    for (const InputObject& object : input.objects) {
        auto at = std::ranges::find(answer.found, object.key.kind, &Found::kind);
        if (at == answer.found.end()) {
            answer.found.push_back(Found{.kind = object.key.kind, .objects = {}, .by_name = true});
            at = answer.found.end() - 1;
        }
        get_by_name(*context.store, *at, object.key, answer.errors);
    }
    return answer;
}

ColumnContext column_context(store::Store& store) {
    ColumnContext context;
    if (const auto object = store.get({Kind::bgp_configuration, "", "default"})) {
        const auto decoded = codec::decode(Kind::bgp_configuration, *object->document, codec::Mode::lenient);
        if (const auto view = model::as<model::BgpConfiguration>(decoded.resource)) {
            context.global_as = view->spec.as_number;
        }
    }
    return context;
}

/// The columns that the format asks for; an error names one that the kind does not have.
Result<std::vector<const Column*>> chosen_columns(Kind kind, std::string_view format) {
    std::vector<const Column*> chosen;
    constexpr std::string_view kCustom = "custom-columns=";
    if (!format.starts_with(kCustom)) {
        for (const Column& column : model::columns_of(kind)) {
            if (format == "wide" ? column.in_wide : column.in_default) {
                chosen.push_back(&column);
            }
        }
        return chosen;
    }
    for (std::string wanted : split(format.substr(kCustom.size()), ',')) {
        std::ranges::transform(wanted, wanted.begin(),
                               [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        const auto columns = model::columns_of(kind);
        const auto at = std::ranges::find(columns, wanted, &Column::heading);
        if (at == columns.end()) {
            std::string known;
            for (const Column& column : columns) {
                known += known.empty() ? "" : ", ";
                known += column.heading;
            }
            return fail("unknown column '" + wanted + "' for " + std::string(model::info(kind).name) + "; there are " +
                        known);
        }
        chosen.push_back(&*at);
    }
    return chosen;
}

Result<std::string> as_table(const Context& context, const Found& found, const GetOptions& options) {
    MANUL_TRY(const std::vector<const Column*> columns, chosen_columns(found.kind, options.format));
    const bool with_namespace = model::info(found.kind).namespaced && (options.all_namespaces || options.input.ns);
    std::vector<std::string> heading;
    if (with_namespace) {
        heading.emplace_back("NAMESPACE");
    }
    for (const Column* column : columns) {
        heading.emplace_back(column->heading);
    }
    Table table(std::move(heading));
    const ColumnContext cells = found.kind == Kind::node ? column_context(*context.store) : ColumnContext{};
    for (const store::Object& object : found.objects) {
        std::vector<std::string> row;
        if (with_namespace) {
            row.push_back(object.key.ns);
        }
        const auto decoded = codec::decode(found.kind, *object.document, codec::Mode::lenient);
        for (const Column* column : columns) {
            row.push_back(decoded.resource ? column->cell(*decoded.resource, cells)
                                           : object.key.name + " (unreadable)");
        }
        table.add(std::move(row));
    }
    return table.plain();
}

/// One object as it is, several as a list of their kind (or `List` of several kinds).
Result<std::string> as_document(const Answer& answer, bool export_) {
    std::vector<std::string> documents;
    std::set<Kind> kinds;
    bool single = answer.found.size() == 1 && answer.found.front().by_name && answer.found.front().objects.size() == 1;
    for (const Found& found : answer.found) {
        kinds.insert(found.kind);
        for (const store::Object& object : found.objects) {
            if (export_ && found.by_name) {
                MANUL_TRY(std::string document, exported(*object.document));
                documents.push_back(std::move(document));
            } else {
                documents.push_back(*object.document);
            }
        }
    }
    if (single) {
        return documents.front();
    }
    const bool one_kind = kinds.size() == 1;
    std::string text = R"({"apiVersion":")" + (one_kind ? model::api_version(*kinds.begin()) : std::string("v1")) +
                       R"(","kind":")" + (one_kind ? std::string(model::info(*kinds.begin()).name) : std::string()) +
                       R"(List","items":[)";
    for (std::size_t i = 0; i < documents.size(); ++i) {
        text += (i == 0 ? "" : ",") + documents[i];
    }
    return text + "]}";
}

std::string as_names(const Answer& answer) {
    std::string text;
    for (const Found& found : answer.found) {
        const model::KindInfo& kind = model::info(found.kind);
        for (const store::Object& object : found.objects) {
            text += std::string(kind.singular) + (kind.group.empty() ? "" : "." + std::string(kind.group)) + "/" +
                    object.key.name + "\n";
        }
    }
    return text;
}

Result<std::string> formatted(const Context& context, const Answer& answer, const GetOptions& options) {
    if (options.format == "yaml" || options.format == "json") {
        MANUL_TRY(const std::string document, as_document(answer, options.export_));
        return options.format == "yaml" ? codec::to_yaml(document) : pretty_json(document);
    }
    if (options.format == "name") {
        return as_names(answer);
    }
    if (!options.format.empty() && options.format != "ps" && options.format != "wide" &&
        !options.format.starts_with("custom-columns=")) {
        return fail("unknown output format '" + options.format +
                    "'; there are ps, wide, yaml, json, name, custom-columns=A,B");
    }
    std::string text;
    for (const Found& found : answer.found) {
        if (found.by_name && found.objects.empty()) {
            continue;
        }
        MANUL_TRY(const std::string table, as_table(context, found, options));
        text += table;
    }
    return text;
}

}  // namespace

ExitCode get_objects(const Context& context, const GetOptions& options) {
    if (options.all_namespaces && options.input.ns) {
        return context.fail("-n and -A exclude each other");
    }
    Answer answer = options.words.empty() ? fetch_files(context, options) : fetch_words(context, options);
    if (const auto masked = mask_secrets(answer); !masked) {
        return context.fail(masked.error().message);
    }
    const bool any = std::ranges::any_of(answer.found, [](const Found& f) { return !f.objects.empty() || !f.by_name; });
    if (any) {
        const auto text = formatted(context, answer, options);
        if (!text) {
            return context.fail(text.error().message);
        }
        context.print(*text);
    }
    for (const std::string& error : answer.errors) {
        context.err("manulctl: " + error + "\n");
    }
    return answer.errors.empty() ? ExitCode::ok : ExitCode::failed;
}

}  // namespace manul::ctl
