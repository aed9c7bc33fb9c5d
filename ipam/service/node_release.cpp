#include "ipam/service/node_release.hpp"

#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/node_report.hpp"
#include "ipam/core/allocator.hpp"
#include "ipam/core/endpoint.hpp"
#include "ipam/core/names.hpp"
#include "ipam/service/transaction.hpp"

namespace manul::ipam {

namespace {

using store::StoreError;

/// What the blocks of the cluster say of one node.
struct Holdings {
    std::set<std::string> handles;
    std::vector<std::pair<net::Ip, net::Prefix>> without_handle;
    std::set<net::Prefix> blocks;
};

Outcome<Holdings> holdings_of(store::Store& store, const std::string& node) {
    const auto listing = store.list({.kind = model::Kind::ipam_block, .ns = std::nullopt, .name_prefix = {}});
    if (!listing) {
        return std::unexpected(store_failure(listing.error()));
    }
    Holdings out;
    for (const store::Object& object : listing->items) {
        const auto decoded = codec::decode(object.key.kind, *object.document, codec::Mode::lenient);
        const auto* view = decoded.ok() ? model::as<model::IpamBlock>(*decoded.resource) : nullptr;
        const auto block = view != nullptr ? Block::from_model(view->spec) : std::unexpected(std::string());
        if (!block) {
            continue;  // nobody may touch it; `ipam check` tells
        }
        if (block->affinity() == host_affinity(node)) {
            out.blocks.insert(block->cidr());
        }
        for (std::size_t i = 0; i < block->size(); ++i) {
            const auto ordinal = static_cast<Block::Ordinal>(i);
            const OwnerPtr& owner = block->owner(ordinal);
            if (!owner || owner->is_cooling() || owner->node() != node) {
                continue;
            }
            if (owner->handle.empty()) {
                out.without_handle.emplace_back(block->address(ordinal), block->cidr());
            } else {
                out.handles.insert(owner->handle);
            }
        }
    }
    return out;
}

/// A living node writes its Node back.
Outcome<void> check_absent(store::Store& store, const std::string& node) {
    const auto present = store.get({model::Kind::node, {}, node});
    if (present) {
        return refuse(ErrorCode::try_again, fmt::format("node {} exists (a living node writes its Node back); nothing "
                                                        "of it is freed",
                                                        node));
    }
    if (present.error().code != StoreError::Code::not_found) {
        return std::unexpected(store_failure(present.error()));
    }
    return {};
}

Outcome<std::size_t> remove_reports(store::Store& store, const std::string& node) {
    const auto listing = store.list({.kind = model::Kind::node_report, .ns = std::nullopt, .name_prefix = node + "."});
    if (!listing) {
        return std::unexpected(store_failure(listing.error()));
    }
    std::size_t count = 0;
    for (const store::Object& object : listing->items) {
        const auto decoded = codec::decode(object.key.kind, *object.document, codec::Mode::lenient);
        const auto* view = decoded.resource ? model::as<model::NodeReport>(*decoded.resource) : nullptr;
        if (view == nullptr || view->spec.node != node) {
            continue;
        }
        const auto removed = store.remove(object.key, std::nullopt);
        if (!removed && removed.error().code != StoreError::Code::not_found) {
            return std::unexpected(store_failure(removed.error()));
        }
        count += removed ? 1U : 0U;
    }
    return count;
}

}  // namespace

Outcome<IpamSettings> read_settings(store::Store& store) {
    const auto object = store.get({model::Kind::ipam_configuration, {}, "default"});
    if (!object) {
        if (object.error().code == StoreError::Code::not_found) {
            return IpamSettings{};
        }
        return std::unexpected(store_failure(object.error()));
    }
    const auto decoded = codec::decode(object->key.kind, *object->document, codec::Mode::lenient);
    const auto* view = decoded.resource ? model::as<model::IpamConfiguration>(*decoded.resource) : nullptr;
    return view != nullptr ? settings_of(view->spec) : IpamSettings{};
}

std::vector<std::string> VanishedNodes::observe(const std::set<std::string>& existing,
                                                const std::map<std::string, std::string>& mentioned, SteadyTime now) {
    std::map<std::string, Absence> absences;
    std::vector<std::string> gone;
    for (const auto& [node, signs] : mentioned) {
        if (node.empty() || existing.contains(node)) {
            continue;
        }
        const auto before = absences_.find(node);
        const bool silent = before != absences_.end() && before->second.signs == signs;
        const SteadyTime since = silent ? before->second.since : now;
        absences.emplace(node, Absence{since, signs});
        if (now - since >= kGrace) {
            gone.push_back(node);
        }
    }
    absences_ = std::move(absences);
    return gone;
}

Outcome<NodeRelease> release_node(store::Store& store, const std::string& node, WallTime now) {
    MANUL_CHECK(check_absent(store, node));
    World world;
    world.node = node;
    MANUL_TRY(world.settings, read_settings(store));
    MANUL_TRY(Holdings held, holdings_of(store, node));
    StoreSource source(store, node);
    Committer committer(store, source);
    source.begin(now);
    std::vector<Change> changes;
    NodeRelease out;
    MANUL_TRY(const StoreSource::Endpoints* endpoints, source.own_endpoints());
    if (!store.transactional() && !endpoints->empty()) {
        // The Kubernetes API, where nobody but the kubelet can write a Node back, and Pods outlive it for a time.
        const auto& [key, endpoint] = *endpoints->begin();
        return refuse(ErrorCode::try_again, fmt::format("Pods are scheduled to node {} ({}/{}); nothing of it is freed",
                                                        node, key.ns, endpoint->spec.pod));
    }
    for (const auto& [key, endpoint] : *endpoints) {
        ++out.endpoints;
        held.handles.insert(handle_id(network_of(*endpoint), attachment_of(*endpoint)));
        changes.emplace_back(
            [gone = key](Transaction& transaction) { return transaction.put_endpoint(gone, nullptr); });
    }
    std::vector<std::size_t> freed(held.handles.size());
    std::size_t index = 0;
    for (const std::string& handle : held.handles) {
        changes.emplace_back([&, handle, index](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY(const auto addresses, release_handle(transaction.ipam(), world, handle, now));
            freed[index] = addresses.size();
            return {};
        });
        ++index;
    }
    for (const auto& [address, cidr] : held.without_handle) {
        ++out.addresses;
        changes.emplace_back([&, single = address, block = cidr](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY([[maybe_unused]] const Released done,
                      release_address(transaction.ipam(), world, single, block, std::nullopt, now));
            return {};
        });
    }
    MANUL_TRY(const auto claimed, source.blocks_of(node));
    held.blocks.insert(claimed.begin(), claimed.end());
    for (const net::Prefix& cidr : held.blocks) {
        ++out.blocks;
        changes.emplace_back([&, cidr](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY([[maybe_unused]] const bool done, give_up(transaction.ipam(), world, cidr, false, now));
            return {};
        });
    }
    for (const auto& result : committer.run(changes)) {
        MANUL_CHECK(result);
    }
    for (const std::size_t count : freed) {
        out.addresses += count;
    }
    MANUL_TRY(out.reports, remove_reports(store, node));
    return out;
}

}  // namespace manul::ipam
