#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ipam_configuration.hpp"
#include "ctl/ipam/inventory.hpp"
#include "ctl/ipam/options.hpp"
#include "ipam/core/split.hpp"

// Settings and pools: `ipam configure` and `ipam split`.

namespace manul::ctl {

namespace {

using model::Kind;

std::string true_or_false(bool value) { return value ? "true" : "false"; }

struct StoredPool {
    std::shared_ptr<const model::IpPool> pool;
    store::Revision revision;
};

/// By its name, or by its CIDR.
Result<StoredPool> find_pool(store::Store& store, const IpamSplitOptions& options) {
    const auto listing = store.list({.kind = Kind::ip_pool, .ns = std::nullopt, .name_prefix = {}});
    if (!listing) {
        return fail(describe(listing.error()));
    }
    const auto cidr = net::Prefix::parse(options.cidr);
    StoredPool found;
    for (const store::Object& object : listing->items) {
        const auto decoded = codec::decode(Kind::ip_pool, *object.document, codec::Mode::lenient);
        const auto pool = decoded.ok() ? model::as<model::IpPool>(decoded.resource) : nullptr;
        if (pool && (pool->metadata.name == options.name || (cidr && pool->spec.cidr == *cidr))) {
            found = {pool, object.revision};
        }
    }
    if (!found.pool) {
        return fail("there is no IPPool " + (options.name.empty() ? options.cidr : options.name));
    }
    return found;
}

/// The parts overlap the whole, so the store is told not to compare them with it; the last transaction of a large split
/// removes it. Nobody allocates meanwhile: the datastore is locked.
Result<void> replace_by_parts(store::Store& store, const StoredPool& whole, const std::vector<model::IpPool>& parts) {
    constexpr std::size_t kMostKeys = 90;
    std::vector<store::Op> ops;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const model::IpPool& part = parts[i];
        MANUL_TRY(std::string document, codec::with_creation_defaults(Kind::ip_pool, codec::encode(part)));
        ops.emplace_back(store::Put{part.key(), std::move(document), std::nullopt});
        const bool last = i + 1 == parts.size();
        if (last) {
            ops.emplace_back(store::Remove{whole.pool->key(), store::Precondition{false, whole.revision}});
        }
        if (last || ops.size() >= kMostKeys) {
            if (const auto done = store.transact(ops, store::Checks::own_fields_only); !done) {
                return fail(describe(done.error()));
            }
            ops.clear();
        }
    }
    return {};
}

}  // namespace

ExitCode ipam_configure(const Context& context, const IpamConfigureOptions& options) {
    const model::Key key{Kind::ipam_configuration, {}, "default"};
    const auto object = context.store->get(key);
    const bool absent = !object && object.error().code == store::StoreError::Code::not_found;
    if (!object && !absent) {
        return context.fail(describe(object.error()));
    }
    std::shared_ptr<const model::IpamConfiguration> before;
    if (object) {
        const auto decoded = codec::decode(key.kind, *object->document, codec::Mode::lenient);
        before = model::as<model::IpamConfiguration>(decoded.resource);
        if (!before) {
            return context.fail("IPAMConfiguration(default) cannot be read");
        }
    }
    model::IpamConfiguration after = before ? *before : model::IpamConfiguration{};
    after.metadata.name = key.name;
    std::vector<std::string> lines;
    const auto set = [&lines](const char* name, const std::string& value) {
        lines.push_back(fmt::format("Successfully set {} to: {}\n", name, value));
    };
    if (options.strict_affinity) {
        after.spec.strict_affinity = *options.strict_affinity;
        set("StrictAffinity", true_or_false(*options.strict_affinity));
    }
    if (options.max_blocks_per_host) {
        after.spec.max_blocks_per_host = *options.max_blocks_per_host;
        set("MaxBlocksPerHost", std::to_string(*options.max_blocks_per_host));
    }
    if (!options.persistence.empty()) {
        after.spec.kube_virt_vm_address_persistence =
            options.persistence == "Enabled" ? model::OnOff::enabled : model::OnOff::disabled;
        set("KubeVirtVMAddressPersistence", options.persistence);
    }
    if (options.cooldown_seconds) {
        after.spec.ip_cooldown_seconds = *options.cooldown_seconds;
        set("IPCooldownSeconds", std::to_string(*options.cooldown_seconds));
    }
    if (absent) {
        if (const auto created = context.store->create(key, codec::encode(after)); !created) {
            return context.fail(describe(created.error()));
        }
    } else {
        const auto document = codec::merge(*object->document, *before, after);
        if (!document) {
            return context.fail(document.error().message);
        }
        if (const auto updated = context.store->update(key, *document, object->revision); !updated) {
            return context.fail(describe(updated.error()));
        }
    }
    for (const std::string& line : lines) {
        context.print(line);
    }
    return ExitCode::ok;
}

ExitCode ipam_split(const Context& context, const IpamSplitOptions& options) {
    const auto header = read_report_header(*context.store);
    if (!header) {
        return context.fail(describe(header.error()));
    }
    if (!header->datastore_locked) {
        return context.fail(
            "the datastore is not locked: lock it with `manulctl datastore migrate lock`, and unlock it afterwards");
    }
    const auto whole = find_pool(*context.store, options);
    if (!whole) {
        return context.fail(whole.error().message);
    }
    const auto parts = ipam::split_pool(*whole->pool, options.parts);
    if (!parts) {
        return context.fail(parts.error().message);
    }
    if (const auto replaced = replace_by_parts(*context.store, *whole, *parts); !replaced) {
        return context.fail(replaced.error().message);
    }
    const model::IpPool& pool = *whole->pool;
    context.print(fmt::format("Successfully split IP pool {} ({}) into {} pools:\n", pool.metadata.name,
                              pool.spec.cidr.to_string(), parts->size()));
    for (const model::IpPool& part : *parts) {
        context.print(fmt::format("  {} {}\n", part.metadata.name, part.spec.cidr.to_string()));
    }
    context.print("Unlock the datastore with `manulctl datastore migrate unlock`.\n");
    return ExitCode::ok;
}

}  // namespace manul::ctl
