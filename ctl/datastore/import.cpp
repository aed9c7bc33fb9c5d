#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/error.hpp"
#include "base/sha256.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/model/tier.hpp"
#include "config/store/memory.hpp"
#include "ctl/datastore/dump_file.hpp"
#include "ctl/datastore/migrate.hpp"
#include "ctl/datastore/transfer.hpp"
#include "ctl/verbs/input.hpp"

namespace manul::ctl {

namespace {

using store::StoreError;
using store::StoreResult;

const model::Key kCluster = cluster_key();
constexpr std::size_t kNamedAtMost = 10;
/// Below the limits of a transaction, which also count keys.
constexpr std::size_t kBatchKeys = 100;
constexpr std::size_t kBatchBytes = std::size_t{900} << 10U;

/// Who objects are: uid and creation time.
using Identities = std::map<model::Key, codec::StoredFields>;

/// Of the file's objects. A Kubernetes API server gives everything it is told of an identity of its own.
Identities identities_of(const std::vector<DumpedObject>& objects, config::DatastoreType type) {
    Identities out;
    for (const DumpedObject& object : objects) {
        if (type != config::DatastoreType::kubernetes) {
            out.emplace(object.key, object.identity);
        }
    }
    return out;
}

std::string lines(std::string text, const std::vector<std::string>& findings) {
    for (const std::string& finding : findings) {
        text += "\n  " + finding;
    }
    return text;
}

/// Every object that the datastore would hold, as it would hold it: completed, and checked against each other.
Result<std::vector<store::Object>> rehearse(std::vector<DumpedObject> objects, config::DatastoreType type) {
    const auto store = store::make_memory();
    std::vector<std::string> errors;
    std::ranges::stable_sort(objects, {}, [](const DumpedObject& object) { return dependency_rank(object.key.kind); });
    for (const DumpedObject& object : objects) {
        // The full check refuses fields that it does not know; what a newer version wrote is kept as it is.
        const store::Op put = store::Put{object.key, object.document, std::nullopt};
        const auto checks = object.has_unknown_fields ? store::Checks::own_fields_only : store::Checks::full;
        const auto written = store->transact(std::span(&put, 1), checks);
        if (!written) {
            errors.push_back(object.origin + ": " + object.key.to_string() + ": " + describe(written.error()));
        }
    }
    if (!errors.empty()) {
        return fail(lines(fmt::format("nothing was changed; {} objects cannot be stored:", errors.size()), errors));
    }
    std::vector<store::Object> all;
    for (const model::KindInfo& info : model::all_kinds()) {
        if (!is_moved(info.kind, type)) {
            continue;
        }
        auto listing = store->list({.kind = info.kind, .ns = std::nullopt, .name_prefix = {}});
        if (!listing) {
            return fail(describe(listing.error()));
        }
        std::ranges::move(listing->items, std::back_inserter(all));
    }
    std::ranges::stable_sort(all, {}, [](const store::Object& object) { return dependency_rank(object.key.kind); });
    return all;
}

/// Whether a datastore that nobody used yet may hold it: built in, made by a daemon at its start, or the rights by
/// which this very command is allowed.
bool exists_anyway(const model::Key& key, config::DatastoreType type) {
    switch (key.kind) {
        case model::Kind::tier:
            return std::ranges::find(model::kBuiltInTiers, key.name, &model::BuiltInTier::name) !=
                   model::kBuiltInTiers.end();
        case model::Kind::cluster_information:
        case model::Kind::ipam_configuration:
        case model::Kind::node:
        case model::Kind::role:
        case model::Kind::cluster_role:
        case model::Kind::role_binding:
        case model::Kind::cluster_role_binding:
            return true;
        default:
            return !is_moved(key.kind, type);
    }
}

struct Target {
    std::size_t count = 0;
    std::vector<std::string> examples;
    std::string import;  ///< which import was begun
    Identities present;
};

StoreResult<Target> look_at(const Context& context) {
    Target target;
    for (const model::KindInfo& info : model::all_kinds()) {
        if (!is_moved(info.kind, context.settings.datastore.type)) {
            continue;
        }
        MANUL_TRY(const store::Listing listing,
                  context.store->list({.kind = info.kind, .ns = std::nullopt, .name_prefix = {}}));
        for (const store::Object& object : listing.items) {
            const auto header = codec::read_header(*object.document);
            target.present[object.key].uid = header ? header->uid : "";
            if (exists_anyway(object.key, context.settings.datastore.type)) {
                continue;
            }
            if (++target.count <= kNamedAtMost) {
                target.examples.push_back(object.key.to_string());
            }
        }
    }
    const auto cluster = context.store->get(kCluster);
    if (cluster) {
        const auto decoded = codec::decode(kCluster.kind, *cluster->document, codec::Mode::lenient);
        if (decoded.resource) {
            const auto& annotations = decoded.resource->metadata.annotations;
            const auto mark = annotations.find(kImportAnnotation);
            target.import = mark == annotations.end() ? "" : mark->second;
        }
    } else if (cluster.error().code != StoreError::Code::not_found) {
        return std::unexpected(cluster.error());
    }
    return target;
}

/// What a Kubernetes cluster must have before the rest can be written: its kubelets make the Nodes, its people the
/// Namespaces.
Result<void> missing_in_cluster(store::Store& store, const std::vector<store::Object>& objects) {
    std::set<model::Key> wanted;
    for (const store::Object& object : objects) {
        if (object.key.kind == model::Kind::node) {
            wanted.insert(object.key);
        }
        if (!object.key.ns.empty()) {
            wanted.insert({model::Kind::namespace_, "", object.key.ns});
        }
    }
    std::vector<std::string> missing;
    for (const model::Key& key : wanted) {
        const auto found = store.get(key);
        if (!found && found.error().code != StoreError::Code::not_found) {
            return fail(describe(found.error()));
        }
        if (!found) {
            missing.push_back(key.to_string());
        }
    }
    return missing.empty()
               ? Result<void>()
               : fail(lines("nothing was changed; the cluster lacks what only it can make. Join these nodes "
                            "(or name them otherwise by --rename-node), create these namespaces:",
                            missing));
}

/// ClusterInformation of the new place: locked, and marked with the file that is being imported.
Result<std::string> cluster_document(const std::vector<store::Object>& objects, const std::string& mark) {
    const auto found = std::ranges::find(objects, kCluster, &store::Object::key);
    auto document = codec::parse_json(found != objects.end()
                                          ? *found->document
                                          : R"({"apiVersion":"projectcalico.org/v3","kind":"ClusterInformation",)"
                                            R"("metadata":{"name":"default"}})");
    if (!document) {
        return fail(document.error().message);
    }
    document->make("spec").make("datastoreReady").assign({.type = codec::Tree::Type::boolean, .text = "false"});
    codec::Tree& metadata = document->make("metadata");
    metadata.make("annotations").make(kImportAnnotation).assign(codec::Tree::of_text(mark));
    return to_json(*document);
}

/// The document as who it was in the old datastore; what is there already stays who it is.
Result<std::string> with_identity(const store::Object& object, const Identities& wanted, const Identities& present) {
    codec::StoredFields fields{.resource_version = "", .uid = "", .creation_timestamp = "", .generation = {}};
    const auto given = wanted.find(object.key);
    const auto there = present.find(object.key);
    if (given != wanted.end() && (there == present.end() || there->second.uid == given->second.uid)) {
        fields = given->second;
    }
    return codec::with_stored_fields(*object.document, fields);
}

/// Writes all, a transaction at a time; what is there already is written over.
Result<void> write(store::Store& store, const std::vector<store::Object>& objects, const Identities& wanted,
                   const Identities& present) {
    std::vector<store::Op> batch;
    std::size_t bytes = 0;
    std::size_t done = 0;
    const auto flush = [&]() -> Result<void> {
        if (batch.empty()) {
            return {};
        }
        const auto written = store.transact(batch, store::Checks::own_fields_only);
        if (!written) {
            return fail(
                fmt::format("{}\n{} of {} objects are written. The datastore stays locked: give the same command again",
                            describe(written.error()), done, objects.size()));
        }
        done += batch.size();
        batch.clear();
        bytes = 0;
        return {};
    };
    for (const store::Object& object : objects) {
        MANUL_TRY(std::string document, with_identity(object, wanted, present));
        const std::size_t size = document.size() + object.key.ns.size() + object.key.name.size();
        if (batch.size() == kBatchKeys || bytes + size > kBatchBytes) {
            MANUL_CHECK(flush());
        }
        bytes += size;
        batch.emplace_back(store::Put{object.key, std::move(document), std::nullopt});
    }
    return flush();
}

Result<std::map<std::string, std::string, std::less<>>> parse_names(const std::vector<std::string>& pairs) {
    std::map<std::string, std::string, std::less<>> names;
    for (const std::string& pair : pairs) {
        const std::size_t equals = pair.find('=');
        if (equals == 0 || equals == std::string::npos || equals + 1 == pair.size() ||
            !names.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second) {
            return fail("--rename-node: expected OLD=NEW, each old name once, not '" + pair + "'");
        }
    }
    return names;
}

/// An import goes into an empty datastore, or into one in which the same import was interrupted.
Result<void> check_target(const Target& target, const std::string& mark) {
    if (target.count == 0 || target.import == mark) {
        return {};
    }
    return fail(
        lines(target.import.empty()
                  ? fmt::format("the datastore is not empty, it has {} objects; import into a new one. There are",
                                target.count)
                  : "another file was imported, and that was never ended by unlock; import into a new datastore. "
                    "There are",
              target.examples));
}

/// Locks and marks the datastore first: daemons act upon nothing until all is there.
Result<void> write_locked(store::Store& store, const std::vector<store::Object>& objects, const std::string& mark,
                          const Identities& wanted, const Identities& present) {
    MANUL_TRY(std::string cluster, cluster_document(objects, mark));
    const store::Object lock{kCluster, {}, std::make_shared<const std::string>(std::move(cluster))};
    MANUL_CHECK(write(store, {lock}, wanted, present));
    std::vector<store::Object> others;
    std::ranges::copy_if(objects, std::back_inserter(others),
                         [](const store::Object& object) { return object.key != kCluster; });
    return write(store, others, wanted, present);
}

}  // namespace

ExitCode import_datastore(const Context& context, const ImportOptions& options) {
    const config::DatastoreType type = context.settings.datastore.type;
    auto names = parse_names(options.nodes);
    if (!names) {
        context.fail(names.error().message);
        return ExitCode::usage;
    }
    const auto text = read_text(context, options.file, kLargestDump);
    if (!text) {
        return context.fail(text.error().message);
    }
    DumpFile dump = read_dump(*text, options.file == "-" ? "standard input" : options.file,
                              {.for_kubernetes = type == config::DatastoreType::kubernetes, .node_names = *names});
    for (const std::string& note : dump.notes) {
        context.err(note + "\n");
    }
    if (!dump.errors.empty()) {
        return context.fail(lines(fmt::format("nothing was changed; the file has {} error{}:", dump.errors.size(),
                                              dump.errors.size() == 1 ? "" : "s"),
                                  dump.errors));
    }
    if (dump.objects.empty()) {
        return context.fail("the file has no objects");
    }
    const Identities identities = identities_of(dump.objects, type);
    const auto objects = rehearse(std::move(dump.objects), type);
    if (!objects) {
        return context.fail(objects.error().message);
    }
    const auto target = look_at(context);
    if (!target) {
        return context.fail(describe(target.error()));
    }
    const std::string mark = sha256_hex(*text);
    if (const auto fit = check_target(*target, mark); !fit) {
        return context.fail(fit.error().message);
    }
    if (type == config::DatastoreType::kubernetes) {
        if (const auto missing = missing_in_cluster(*context.store, *objects); !missing) {
            return context.fail(missing.error().message);
        }
    }
    if (options.dry_run) {
        context.print(fmt::format("{} resource(s) could be imported\n", objects->size()));
        return ExitCode::ok;
    }
    if (const auto written = write_locked(*context.store, *objects, mark, identities, target->present); !written) {
        return context.fail(written.error().message);
    }
    context.print(fmt::format(
        "Imported {} resource(s). The datastore is locked; look at it, then run: manulctl datastore migrate unlock\n",
        objects->size()));
    return ExitCode::ok;
}

}  // namespace manul::ctl
