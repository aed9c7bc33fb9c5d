#include "config/codec/managed_fields.hpp"

#include <algorithm>
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/field_set.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"

namespace manul::codec {

namespace {

constexpr std::string_view kApply = "Apply";
constexpr std::string_view kUpdate = "Update";
/// Of an object that was there before owners were kept.
constexpr std::string_view kBeforeFirstApply = "before-first-apply";
/// The oldest of more than kMostUpdaters go together into one.
constexpr std::string_view kAncient = "ancient-changes";
constexpr std::size_t kMostUpdaters = 10;

/// One entry of metadata.managedFields.
struct Manager {
    std::string name;
    std::string operation;
    std::string api_version;
    std::string subresource;
    std::string time;
    FieldSet fields;

    [[nodiscard]] bool is(std::string_view wanted, const FieldWriter& by) const {
        return name == by.manager && operation == wanted && api_version == by.api_version &&
               subresource == by.subresource;
    }
    /// As Kubernetes names managers in conflicts.
    [[nodiscard]] std::string described() const {
        return "\"" + name + "\"" + (subresource.empty() ? "" : " with subresource \"" + subresource + "\"") +
               (operation == kUpdate ? " using " + api_version : "");
    }
};

using Managers = std::vector<Manager>;

Managers parse_managers(const Tree* list) {
    Managers out;
    if (list == nullptr || !list->is_list()) {
        return out;
    }
    for (const Tree& row : list->children) {
        const Tree* fields = row.find("fieldsV1");
        const std::string_view operation = row.text_at("operation");
        if (fields == nullptr || !fields->is_map() || (operation != kApply && operation != kUpdate)) {
            continue;
        }
        out.push_back({std::string(row.text_at("manager")), std::string(operation),
                       std::string(row.text_at("apiVersion")), std::string(row.text_at("subresource")),
                       std::string(row.text_at("time")), FieldSet::parse(*fields)});
    }
    return out;
}

const Tree* managed_fields_of(const Tree& document) {
    const Tree* metadata = document.find("metadata");
    return metadata == nullptr ? nullptr : metadata->find("managedFields");
}

bool is_reset(const Tree& list) {
    return list.is_list() && (list.children.empty() || (list.children.size() == 1 && list.children[0].is_map() &&
                                                        list.children[0].children.empty()));
}

void write_managers(Tree& document, Managers managers) {
    std::erase_if(managers, [](const Manager& manager) { return manager.fields.empty(); });
    std::ranges::sort(managers, {}, [](const Manager& m) {
        return std::tie(m.operation, m.time, m.name, m.api_version, m.subresource);
    });
    Tree& metadata = document.make("metadata");
    metadata.erase("managedFields");
    if (managers.empty()) {
        return;
    }
    Tree& list = metadata.make("managedFields");
    list.assign(Tree{.type = Tree::Type::list});
    for (const Manager& manager : managers) {
        Tree row{.type = Tree::Type::map};
        const auto put = [&row](std::string_view key, const std::string& value) {
            if (!value.empty()) {
                row.make(key).assign(Tree::of_text(value));
            }
        };
        put("manager", manager.name);
        put("operation", manager.operation);
        put("apiVersion", manager.api_version);
        put("time", manager.time);
        put("fieldsType", "FieldsV1");
        row.make("fieldsV1").assign(manager.fields.to_tree());
        put("subresource", manager.subresource);
        list.children.push_back(std::move(row));
    }
}

/// The entry of the writer, with these fields and, when they are others than before, this time.
void set_fields(Managers& managers, std::string_view operation, const FieldWriter& by, FieldSet fields) {
    const auto found = std::ranges::find_if(managers, [&](const Manager& m) { return m.is(operation, by); });
    if (found == managers.end()) {
        managers.push_back(
            {by.manager, std::string(operation), by.api_version, by.subresource, by.time, std::move(fields)});
    } else if (found->fields != fields) {
        found->fields = std::move(fields);
        found->time = by.time;
    }
}

void merge_oldest_updaters(Managers& managers) {
    const auto is_update = [](const Manager& manager) { return manager.operation == kUpdate; };
    auto count = static_cast<std::size_t>(std::ranges::count_if(managers, is_update));
    if (count <= kMostUpdaters) {
        return;
    }
    std::ranges::sort(managers, {}, [](const Manager& m) { return std::tie(m.time, m.name, m.api_version); });
    Manager ancient{.name = std::string(kAncient), .operation = std::string(kUpdate)};
    std::erase_if(managers, [&](const Manager& manager) {
        if (!is_update(manager) || count < kMostUpdaters) {
            return false;
        }
        --count;
        ancient.fields.add(manager.fields);
        ancient.api_version = manager.api_version;
        ancient.time = manager.time;
        return true;
    });
    managers.push_back(std::move(ancient));
}

/// A null applies nothing.
Tree without_nulls(const Tree& value) {
    Tree out = value;
    if (out.is_map()) {
        std::erase_if(out.children, [](const Tree& child) { return child.type == Tree::Type::null; });
    }
    for (Tree& child : out.children) {
        child = without_nulls(child);
    }
    return out;
}

}  // namespace

void record_update(Tree& document, const Tree* stored, const FieldWriter& by) {
    const Tree* const given = managed_fields_of(document);
    if (given != nullptr && by.subresource.empty() && is_reset(*given)) {
        document.make("metadata").erase("managedFields");
        return;
    }
    Managers managers = given != nullptr && by.subresource.empty() ? parse_managers(given) : Managers{};
    if (managers.empty() && stored != nullptr) {
        managers = parse_managers(managed_fields_of(*stored));
    }
    const FieldSet changed = stored == nullptr ? by.rules.fields_of(document) : by.rules.changed(*stored, document);
    FieldSet own = changed;
    for (Manager& manager : managers) {
        if (manager.is(kUpdate, by)) {
            own.add(manager.fields);
        } else {
            manager.fields.remove(changed);
            by.rules.keep_existing(manager.fields, document);
        }
    }
    by.rules.keep_existing(own, document);
    set_fields(managers, kUpdate, by, std::move(own));
    merge_oldest_updaters(managers);
    write_managers(document, std::move(managers));
}

std::expected<Tree, std::vector<FieldConflict>> apply_fields(const Tree* stored, const Tree& config, bool force,
                                                             const FieldWriter& by) {
    const Tree wanted = without_nulls(config);
    const FieldSet own = by.rules.fields_of(wanted);
    if (stored == nullptr) {
        Tree document = wanted;
        write_managers(document, {{by.manager, std::string(kApply), by.api_version, by.subresource, by.time, own}});
        return document;
    }
    Managers managers = parse_managers(managed_fields_of(*stored));
    if (managed_fields_of(*stored) == nullptr) {
        managers.push_back({std::string(kBeforeFirstApply), std::string(kUpdate), by.api_version, "", by.time,
                            by.rules.fields_of(*stored)});
    }
    Tree document = *stored;
    by.rules.merge(document, wanted);
    const FieldSet changed = by.rules.changed(*stored, document);
    std::vector<FieldConflict> conflicts;
    FieldSet before;
    FieldSet kept = own;
    for (Manager& manager : managers) {
        if (manager.is(kApply, by)) {
            before = manager.fields;
            continue;
        }
        for (const std::string& path : manager.fields.common(changed).paths()) {
            conflicts.push_back({manager.described(), path});
        }
        manager.fields.remove(changed);
        kept.add(manager.fields);
    }
    if (!conflicts.empty() && !force) {
        return std::unexpected(std::move(conflicts));
    }
    by.rules.prune(document, before, kept);
    for (Manager& manager : managers) {
        if (!manager.is(kApply, by)) {
            by.rules.keep_existing(manager.fields, document);
        }
    }
    set_fields(managers, kApply, by, own);
    write_managers(document, std::move(managers));
    return document;
}

Result<std::string> with_recorded_update(model::Kind kind, std::string_view document, std::string_view stored,
                                         const std::string& manager, const std::string& time) {
    MANUL_TRY(Tree after, parse_json(document));
    MANUL_TRY(const Tree before, parse_json(stored));
    record_update(after, &before,
                  {.manager = manager,
                   .api_version = model::api_version(kind),
                   .subresource = {},
                   .time = time,
                   .rules = FieldRules(kind)});
    return to_json(after);
}

}  // namespace manul::codec
