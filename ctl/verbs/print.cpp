#include "ctl/verbs/print.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/read_file.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/columns.hpp"
#include "ctl/output/go_template.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/jsonpath.hpp"
#include "ctl/output/table.hpp"

namespace manul::ctl {

namespace {

using codec::Tree;
using model::Kind;

/// What stands in the format behind `name=`, or in the file behind `name-file=`; nothing when the format is another
/// one.
Result<std::optional<std::string>> argument_of(std::string_view format, std::string_view name) {
    if (!format.starts_with(name)) {
        return std::nullopt;
    }
    format.remove_prefix(name.size());
    if (format.empty() || format == "=") {
        return fail(std::string(name) + ": nothing stands behind it; expected " + std::string(name) + "=...");
    }
    if (format.starts_with('=')) {
        return std::string(format.substr(1));
    }
    if (!format.starts_with("-file=")) {
        return std::nullopt;
    }
    MANUL_TRY(std::string text, read_file(std::string(format.substr(6)), kLargestFile));
    return text;
}

// --- tables ---------------------------------------------------------------------------------------------------------

/// A column of a table: one that we have for the kind, or a path into the document.
struct ShownColumn {
    std::string heading;
    const model::Column* known = nullptr;
    JsonPath path;
};

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> out;
    for (std::string word; in >> word;) {
        out.push_back(std::move(word));
    }
    return out;
}

/// `HEADING:PATH` of each column; a column without a colon is one that we have.
using CustomColumns = std::vector<std::pair<std::string, std::optional<JsonPath>>>;

Result<void> add_custom(CustomColumns& out, std::string heading, std::string_view path) {
    auto parsed = JsonPath::parse(path);
    if (!parsed) {
        return fail("custom-columns: " + heading + ": " + parsed.error().message);
    }
    out.emplace_back(std::move(heading), *std::move(parsed));
    return {};
}

Result<CustomColumns> parse_custom(const std::string& text) {
    CustomColumns out;
    std::istringstream in(text);
    for (std::string one; std::getline(in, one, ',');) {
        const std::size_t colon = one.find(':');
        if (colon == std::string::npos) {
            std::ranges::transform(one, one.begin(),
                                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
            out.emplace_back(std::move(one), std::nullopt);
        } else {
            MANUL_CHECK(add_custom(out, one.substr(0, colon), std::string_view(one).substr(colon + 1)));
        }
    }
    return out.empty() ? fail("custom-columns: expected NAME,... or HEADING:PATH,...") : Result<CustomColumns>(out);
}

/// A line of headings, and one of paths.
Result<CustomColumns> parse_custom_file(const std::string& text) {
    std::istringstream in(text);
    std::string headings;
    std::string paths;
    std::getline(in, headings);
    std::getline(in, paths);
    const auto heading = words_of(headings);
    const auto path = words_of(paths);
    if (heading.empty() || heading.size() != path.size()) {
        return fail("custom-columns-file: expected a line of headings and a line with as many paths");
    }
    CustomColumns out;
    for (std::size_t i = 0; i < heading.size(); ++i) {
        MANUL_CHECK(add_custom(out, heading[i], path[i]));
    }
    return out;
}

/// Of every kind that has namespaces, where it is asked for by name.
constexpr model::Column kNamespace{
    "NAMESPACE", false, false,
    [](const model::Resource& resource, const model::ColumnContext& /*context*/) { return resource.metadata.ns; }};

class TablePrinter final : public Printer {
public:
    TablePrinter(const Context& context, PrintOptions options, CustomColumns custom)
        : context_(context), options_(std::move(options)), custom_(std::move(custom)) {}

    Result<std::string> print(const Answer& answer) override {
        std::string text;
        for (const Found& found : answer.found) {
            if (found.by_name && found.objects.empty()) {
                continue;
            }
            MANUL_TRY(Table table, begin(found.kind));
            for (const store::Object& object : found.objects) {
                MANUL_CHECK(add(table, object));
            }
            std::vector<std::size_t> widest;
            text += table.lines(!options_.without_heading, widest);
            text += options_.without_heading || has_paths() ? "" : "\n";
        }
        return text;
    }

    Result<std::string> print(std::span<const ObjectChange> changes) override {
        std::string text;
        while (!changes.empty()) {
            const Kind kind = changes.front().object.key.kind;
            MANUL_TRY(Table table, begin(kind));
            while (!changes.empty() && changes.front().object.key.kind == kind) {
                MANUL_CHECK(add(table, changes.front().object, changes.front().event));
                changes = changes.subspan(1);
            }
            text += table.lines(last_ != kind && !options_.without_heading, widest_[kind]);
            last_ = kind;
        }
        return text;
    }

private:
    [[nodiscard]] bool has_paths() const {
        return std::ranges::any_of(custom_, [](const auto& column) { return column.second.has_value(); });
    }
    [[nodiscard]] bool with_namespace(Kind kind) const {
        return options_.with_namespace && model::info(kind).namespaced && custom_.empty();
    }

    Result<Table> begin(Kind kind) {
        MANUL_TRY(columns_, columns_of(kind));
        std::vector<std::string> heading;
        if (options_.with_events) {
            heading.emplace_back("EVENT");
        }
        if (with_namespace(kind)) {
            heading.emplace_back("NAMESPACE");
        }
        for (const ShownColumn& column : columns_) {
            heading.push_back(column.heading);
        }
        if (options_.with_labels) {
            heading.emplace_back("LABELS");
        }
        cells_ = kind == Kind::node ? column_context() : model::ColumnContext{};
        return Table(std::move(heading));
    }

    [[nodiscard]] model::ColumnContext column_context() const {
        model::ColumnContext out;
        if (const auto object = context_.store->get({Kind::bgp_configuration, "", "default"})) {
            const auto decoded = codec::decode(Kind::bgp_configuration, *object->document, codec::Mode::lenient);
            if (const auto view = model::as<model::BgpConfiguration>(decoded.resource)) {
                out.global_as = view->spec.as_number;
            }
        }
        return out;
    }

    /// The columns that the format asks for; an error names one that the kind does not have.
    [[nodiscard]] Result<std::vector<ShownColumn>> columns_of(Kind kind) const {
        std::vector<ShownColumn> out;
        const auto known = model::columns_of(kind);
        for (const model::Column& column : known) {
            if (custom_.empty() && (options_.format == "wide" ? column.in_wide : column.in_default)) {
                out.push_back({std::string(column.heading), &column, {}});
            }
        }
        for (const auto& [heading, path] : custom_) {
            if (path) {
                out.push_back({heading, nullptr, *path});
                continue;
            }
            if (heading == kNamespace.heading && model::info(kind).namespaced) {
                out.push_back({heading, &kNamespace, {}});
                continue;
            }
            const auto at = std::ranges::find(known, heading, &model::Column::heading);
            if (at == known.end()) {
                std::string names = model::info(kind).namespaced ? std::string(kNamespace.heading) : "";
                for (const model::Column& column : known) {
                    names += (names.empty() ? "" : ", ") + std::string(column.heading);
                }
                return fail(fmt::format("unknown column '{}' for {}; there are {}, and HEADING:PATH", heading,
                                        model::info(kind).name, names));
            }
            out.push_back({heading, &*at, {}});
        }
        return out;
    }

    Result<void> add(Table& table, const store::Object& object, std::string_view event = {}) {
        std::vector<std::string> row;
        if (options_.with_events) {
            row.emplace_back(event);
        }
        if (with_namespace(object.key.kind)) {
            row.push_back(object.key.ns);
        }
        const bool needs_tree = has_paths() || options_.with_labels;
        MANUL_TRY(const Tree tree, needs_tree ? codec::parse_json(*object.document) : Result<Tree>());
        const auto decoded = codec::decode(object.key.kind, *object.document, codec::Mode::lenient);
        for (const ShownColumn& column : columns_) {
            if (column.known != nullptr) {
                row.push_back(decoded.resource ? column.known->cell(*decoded.resource, cells_)
                                               : object.key.name + " (unreadable)");
                continue;
            }
            MANUL_TRY(const auto values, column.path.find(tree));
            row.push_back(values.empty() ? "<none>" : joined_values(values, ","));
        }
        if (options_.with_labels) {
            row.push_back(labels_of(tree));
        }
        table.add(std::move(row));
        return {};
    }

    static std::string labels_of(const Tree& document) {
        const Tree* metadata = document.find("metadata");
        const Tree* labels = metadata == nullptr ? nullptr : metadata->find("labels");
        std::string out;
        for (std::size_t i = 0; labels != nullptr && i < labels->children.size(); ++i) {
            out += (i == 0 ? "" : ",") + labels->children[i].key + "=" + labels->children[i].text;
        }
        return out.empty() ? "<none>" : out;
    }

    const Context& context_;
    PrintOptions options_;
    CustomColumns custom_;
    std::vector<ShownColumn> columns_;  ///< of the kind that is printed
    model::ColumnContext cells_;
    std::optional<Kind> last_;
    std::map<Kind, std::vector<std::size_t>> widest_;
};

// --- documents ------------------------------------------------------------------------------------------------------

/// One object as it is, several as a list of their kind (or `List` of several kinds).
Result<std::string> as_document(const Answer& answer, bool export_) {
    std::vector<std::string> documents;
    std::set<Kind> kinds;
    for (const Found& found : answer.found) {
        kinds.insert(found.kind);
        for (const store::Object& object : found.objects) {
            MANUL_TRY(std::string document,
                      export_ && found.by_name ? exported(*object.document) : Result<std::string>(*object.document));
            documents.push_back(std::move(document));
        }
    }
    if (answer.found.size() == 1 && answer.found.front().by_name && documents.size() == 1) {
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

/// What calicoctl's templates get: a list of the objects that were asked for by name and of the lists of whole kinds.
Result<std::string> as_slice(const Answer& answer, bool export_) {
    std::string text;
    const auto add = [&](Found found) -> Result<void> {
        Answer one;
        one.found.push_back(std::move(found));
        MANUL_TRY(const std::string document, as_document(one, export_));
        text += (text.empty() ? "" : ",") + document;
        return {};
    };
    for (const Found& found : answer.found) {
        if (!found.by_name) {
            MANUL_CHECK(add(found));
            continue;
        }
        for (const store::Object& object : found.objects) {
            MANUL_CHECK(add(Found{.kind = found.kind, .objects = {object}, .by_name = true, .revision = {}}));
        }
    }
    return "[" + text + "]";
}

/// Prints documents as a whole: YAML, JSON, and templates.
class DocumentPrinter final : public Printer {
public:
    using Write = std::function<Result<std::string>(const std::string& document)>;

    /// `between`: what stands between the objects of a watch. `takes_slice`: the writer wants `as_slice`.
    DocumentPrinter(PrintOptions options, Write write, std::string_view between, bool takes_slice = false)
        : options_(std::move(options)), write_(std::move(write)), between_(between), takes_slice_(takes_slice) {}

    Result<std::string> print(const Answer& answer) override {
        MANUL_TRY(const std::string document,
                  takes_slice_ ? as_slice(answer, options_.export_) : as_document(answer, options_.export_));
        return write_(document);
    }

    Result<std::string> print(std::span<const ObjectChange> changes) override {
        std::string text;
        for (const auto& [event, object] : changes) {
            const std::string document =
                options_.with_events ? R"({"type":")" + std::string(event) + R"(","object":)" + *object.document + "}"
                                     : *object.document;
            MANUL_TRY(const std::string written, write_(takes_slice_ ? "[" + document + "]" : document));
            text += std::exchange(is_first_, false) ? "" : between_;
            text += written;
        }
        return text;
    }

private:
    PrintOptions options_;
    Write write_;
    std::string_view between_;
    bool takes_slice_;
    bool is_first_ = true;
};

template <class Template>
Result<std::unique_ptr<Printer>> template_printer(const PrintOptions& options, std::string_view name,
                                                  const std::string& text) {
    auto parsed = Template::parse(text);
    if (!parsed) {
        return fail(std::string(name) + ": " + parsed.error().message);
    }
    bool takes_slice = false;
    if constexpr (std::is_same_v<Template, GoTemplate>) {
        takes_slice = parsed->has_go_names();
    }
    auto write = [name, parsed = *std::move(parsed)](const std::string& document) -> Result<std::string> {
        MANUL_TRY(const Tree tree, codec::parse_json(document));
        auto printed = parsed.print(tree);
        return printed ? printed : fail(std::string(name) + ": " + printed.error().message);
    };
    return std::make_unique<DocumentPrinter>(options, std::move(write), "", takes_slice);
}

class NamePrinter final : public Printer {
public:
    Result<std::string> print(const Answer& answer) override {
        std::string text;
        for (const Found& found : answer.found) {
            for (const store::Object& object : found.objects) {
                text += object_word(object.key) + "\n";
            }
        }
        return text;
    }
    Result<std::string> print(std::span<const ObjectChange> changes) override {
        std::string text;
        for (const ObjectChange& change : changes) {
            text += object_word(change.object.key) + "\n";
        }
        return text;
    }
};

}  // namespace

std::string object_word(const model::Key& key) {
    const model::KindInfo& kind = model::info(key.kind);
    return std::string(kind.singular) + (kind.group.empty() ? "" : "." + std::string(kind.group)) + "/" + key.name;
}

Result<std::unique_ptr<Printer>> make_printer(const Context& context, const PrintOptions& options) {
    const std::string& format = options.format;
    if (format == "yaml" || format == "yml") {
        return std::make_unique<DocumentPrinter>(options, codec::to_yaml, "---\n");
    }
    if (format == "json") {
        return std::make_unique<DocumentPrinter>(options, pretty_json, "");
    }
    if (format == "name") {
        return std::make_unique<NamePrinter>();
    }
    if (format.empty() || format == "ps" || format == "wide") {
        return std::make_unique<TablePrinter>(context, options, CustomColumns{});
    }
    MANUL_TRY(const auto columns, argument_of(format, "custom-columns"));
    if (columns) {
        MANUL_TRY(CustomColumns custom,
                  format.starts_with("custom-columns=") ? parse_custom(*columns) : parse_custom_file(*columns));
        return std::make_unique<TablePrinter>(context, options, std::move(custom));
    }
    MANUL_TRY(const auto path, argument_of(format, "jsonpath"));
    if (path) {
        return template_printer<JsonPathTemplate>(options, "jsonpath", *path);
    }
    MANUL_TRY(const auto text, argument_of(format, "go-template"));
    if (text) {
        return template_printer<GoTemplate>(options, "go-template", *text);
    }
    return fail("unknown output format '" + format + "'; there are " + std::string(kFormats));
}

}  // namespace manul::ctl
