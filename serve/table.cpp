#include "serve/table.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/model/columns.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"

namespace manul::serve {

namespace json = boost::json;

namespace {

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kYear = 365 * kDay;

/// kubectl adds the namespace itself.
bool is_shown(const model::Column& column) { return column.heading != "NAMESPACE"; }

/// "NODE SELECTOR" is "Node Selector" in the definition of a column.
std::string title(std::string_view heading) {
    std::string out(heading);
    for (std::size_t i = 1; i < out.size(); ++i) {
        if (out[i - 1] != ' ' && out[i - 1] != '-' && out[i] >= 'A' && out[i] <= 'Z') {
            out[i] = static_cast<char>(out[i] - 'A' + 'a');
        }
    }
    return out;
}

/// Of a Namespace people want to see whether it is being deleted; nothing else of its status is read anywhere.
bool has_phase(model::Kind kind) { return kind == model::Kind::namespace_; }

json::array definitions(model::Kind kind) {
    json::array out;
    for (const model::Column& column : model::columns_of(kind)) {
        if (is_shown(column)) {
            out.push_back(json::object{{"name", title(column.heading)},
                                       {"type", "string"},
                                       {"format", column.heading == "NAME" ? "name" : ""},
                                       {"description", title(column.heading)},
                                       {"priority", column.in_default ? 0 : 1}});
        }
    }
    if (has_phase(kind)) {
        out.push_back(json::object{{"name", "Status"},
                                   {"type", "string"},
                                   {"format", ""},
                                   {"description", "Active, or Terminating while it is being deleted."},
                                   {"priority", 0}});
    }
    out.push_back(json::object{{"name", "Age"},
                               {"type", "string"},
                               {"format", ""},
                               {"description", "Time since the object was created."},
                               {"priority", 0}});
    return out;
}

std::string age_of(const model::Resource& resource, std::int64_t now) {
    const std::int64_t born = parse_time(resource.metadata.creation_timestamp);
    return born < 0 ? "<unknown>" : age_text(now - born);
}

std::string cells_of(model::Kind kind, std::string_view document, std::int64_t now) {
    const auto decoded = codec::decode(kind, document, codec::Mode::lenient);
    if (!decoded.resource) {
        return "[\"<unreadable>\"]";
    }
    json::array cells;
    for (const model::Column& column : model::columns_of(kind)) {
        if (is_shown(column)) {
            cells.push_back(json::string(column.cell(*decoded.resource, {})));
        }
    }
    if (has_phase(kind)) {
        const auto tree = codec::parse_json(document);
        cells.push_back(json::string(tree ? tree->text_at("status", "phase") : std::string_view{}));
    }
    cells.push_back(json::string(age_of(*decoded.resource, now)));
    return json::serialize(cells);
}

std::string object_of(std::string_view document, const TableOptions& options) {
    if (options.include == "Object") {
        return std::string(document);
    }
    return partial_metadata(document, options.version);
}

}  // namespace

std::string table_of(model::Kind kind, std::span<const std::string_view> documents, std::string_view list_metadata,
                     const TableOptions& options) {
    std::string out = R"({"kind":"Table","apiVersion":"meta.k8s.io/)" + options.version + R"(","metadata":)";
    out += list_metadata;
    out += R"(,"columnDefinitions":)";
    out += options.with_columns ? json::serialize(definitions(kind)) : "[]";
    out += R"(,"rows":[)";
    bool first = true;
    for (const std::string_view document : documents) {
        out += std::exchange(first, false) ? "" : ",";
        out += R"({"cells":)" + cells_of(kind, document, options.now);
        if (options.include != "None") {
            out += R"(,"object":)" + object_of(document, options);
        }
        out += '}';
    }
    out += "]}";
    return out;
}

std::string table_of(model::Kind kind, std::string_view document, const TableOptions& options) {
    const auto tree = codec::parse_json(document);
    const json::object metadata{
        {"resourceVersion", tree ? tree->text_at("metadata", "resourceVersion") : std::string_view{}}};
    return table_of(kind, std::span(&document, 1), json::serialize(metadata), options);
}

std::string partial_metadata(std::string_view document, std::string_view version) {
    const auto tree = codec::parse_json(document);
    const codec::Tree* metadata = tree ? tree->find("metadata") : nullptr;
    std::string out = R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/)";
    out.append(version).append(R"(","metadata":)");
    return out + (metadata == nullptr ? "{}" : codec::to_json(*metadata)) + "}";
}

std::string age_text(std::int64_t seconds) {
    const auto both = [](std::int64_t value, std::int64_t unit, const char* name, std::int64_t rest, const char* part) {
        std::string out = std::to_string(value / unit) + name;
        if (value % unit / rest > 0) {
            out += std::to_string(value % unit / rest) + part;
        }
        return out;
    };
    if (seconds < 2 * kMinute) {
        return std::to_string(seconds < 0 ? 0 : seconds) + "s";
    }
    if (seconds < 10 * kMinute) {
        return both(seconds, kMinute, "m", 1, "s");
    }
    if (seconds < 3 * kHour) {
        return std::to_string(seconds / kMinute) + "m";
    }
    if (seconds < 8 * kHour) {
        return both(seconds, kHour, "h", kMinute, "m");
    }
    if (seconds < 2 * kDay) {
        return std::to_string(seconds / kHour) + "h";
    }
    if (seconds < 8 * kDay) {
        return both(seconds, kDay, "d", kHour, "h");
    }
    if (seconds < 2 * kYear) {
        return std::to_string(seconds / kDay) + "d";
    }
    return both(seconds, kYear, "y", kDay, "d");
}

std::int64_t parse_time(std::string_view text) {
    // 2026-11-21T20:00:00Z
    constexpr std::size_t kShortest = 20;
    std::array<int, 6> parts{};
    constexpr std::array<std::size_t, 6> kAt{0, 5, 8, 11, 14, 17};
    if (text.size() < kShortest) {
        return -1;
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const char* begin = text.data() + kAt[i];
        const char* wanted = begin + (i == 0 ? 4 : 2);
        if (const auto [end, failed] = std::from_chars(begin, wanted, parts[i]);
            failed != std::errc{} || end != wanted) {
            return -1;
        }
    }
    const std::chrono::year_month_day date{std::chrono::year(parts[0]),
                                           std::chrono::month(static_cast<unsigned>(parts[1])),
                                           std::chrono::day(static_cast<unsigned>(parts[2]))};
    if (!date.ok()) {
        return -1;
    }
    return std::chrono::sys_days(date).time_since_epoch().count() * kDay + parts[3] * kHour + parts[4] * kMinute +
           parts[5];
}

}  // namespace manul::serve
