#include "config/store/admission.hpp"

#include <algorithm>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/try.hpp"
#include "config/codec/document.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/finding.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/kind.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/staged_policy.hpp"
#include "config/model/tier.hpp"
#include "config/model/validate.hpp"
#include "config/store/backend.hpp"
#include "config/store/document.hpp"
#include "config/store/namespaces.hpp"
#include "config/store/store.hpp"
#include "net/prefix.hpp"

namespace manul::store {

using codec::Tree;
using model::Kind;
using Code = StoreError::Code;

namespace {

/// Kubernetes' API server writes it on every Namespace, and policies rely on it.
constexpr std::string_view kNamespaceNameLabel = "kubernetes.io/metadata.name";
constexpr std::size_t kNamedAtMost = 5;

/// A namespace that is there is in use (clients wait for that) until its deletion is asked for. Its writers say nothing
/// about either: spec (its finalizers) and status stay as stored.
void set_life(Tree& document, std::string_view before) {
    const auto stored = codec::parse_json(before);
    const auto keep = [&](std::string_view field, std::string_view part, Tree at_first) {
        Tree& place = document.make(field);
        const Tree* old = stored ? stored->find(field) : nullptr;
        if (old != nullptr && old->is_map()) {
            place.assign(*old);
        } else {
            place.assign(Tree{.type = Tree::Type::map});
            place.make(part).assign(std::move(at_first));
        }
    };
    keep("spec", "finalizers", Tree{.type = Tree::Type::list, .children = {Tree::of_text("kubernetes")}});
    keep("status", "phase", Tree::of_text("Active"));
}

void add_errors(const model::Key& key, const model::Findings& findings, std::vector<std::string>& out) {
    for (const model::Finding& finding : findings) {
        if (finding.severity == model::Finding::Severity::error) {
            out.push_back(key.to_string() + ": " + finding.to_string());
        }
    }
}

/// The tier of a policy; null for other kinds.
const std::string* tier_of(const model::ResourcePtr& resource) {
    if (const auto policy = model::as<model::NetworkPolicy>(resource)) {
        return &policy->spec.tier;
    }
    if (const auto policy = model::as<model::GlobalNetworkPolicy>(resource)) {
        return &policy->spec.tier;
    }
    if (const auto policy = model::as<model::StagedNetworkPolicy>(resource)) {
        return &policy->spec.tier;
    }
    if (const auto policy = model::as<model::StagedGlobalNetworkPolicy>(resource)) {
        return &policy->spec.tier;
    }
    return nullptr;
}

model::ResourcePtr decode_stored(Kind kind, std::string_view body) {
    return body.empty() ? nullptr : codec::decode(kind, body, codec::Mode::lenient).resource;
}

/// The store as the transaction would leave it, and the checks on that.
class TransactionChecks {
public:
    TransactionChecks(Backend& backend, std::span<const PlannedWrite> writes) : backend_(backend), writes_(writes) {}

    StoreResult<Dependencies> run() {
        for (const PlannedWrite& write : writes_) {
            MANUL_CHECK(check_write(write));
        }
        MANUL_CHECK(check_removed_tiers());
        MANUL_CHECK(check_new_pools());
        if (!findings_.empty()) {
            return std::unexpected(invalid(std::move(findings_)));
        }
        return std::move(dependencies_);
    }

private:
    StoreResult<void> check_write(const PlannedWrite& write) {
        const model::Key& key = write.key;
        if (!write.after) {
            const bool is_cluster =
                key.kind == Kind::cluster_information;  // who the cluster is, and whether it is locked
            if (is_cluster || (key.kind == Kind::tier && model::built_in_tier(key.name) != nullptr)) {
                return std::unexpected(
                    error(Code::unsupported, fmt::format("{} is built in and cannot be deleted", key.to_string())));
            }
            return {};
        }
        if (write.before && model::has_update_rules(key.kind)) {
            if (const model::ResourcePtr before = decode_stored(key.kind, *write.before)) {
                add_errors(key, model::validate_update(*before, *write.after), findings_);
            }
        }
        if (!write.before && !key.ns.empty() && backend_.transactional()) {  // Kubernetes sees to it by itself
            MANUL_CHECK(check_namespace_stays(key));
        }
        if (const std::string* tier = tier_of(write.after)) {
            return check_tier_exists(key, *tier);
        }
        if (const auto peer = model::as<model::BgpPeer>(write.after)) {
            return check_filters_exist(*peer);
        }
        return {};
    }

    /// What the transaction itself does to a key.
    const PlannedWrite* planned(const model::Key& key) const {
        const auto found = std::ranges::find(writes_, key, &PlannedWrite::key);
        return found == writes_.end() ? nullptr : &*found;
    }

    StoreResult<void> check_tier_exists(const model::Key& policy, const std::string& name) {
        const model::Key tier{Kind::tier, {}, name};
        if (model::built_in_tier(name) != nullptr) {
            return {};  // exists also where it is not stored
        }
        MANUL_TRY(const bool exists, will_exist(tier));
        if (!exists) {
            findings_.push_back(fmt::format("{}: spec.tier: tier \"{}\" does not exist", policy.to_string(), name));
        }
        return {};
    }

    StoreResult<void> check_filters_exist(const model::BgpPeer& peer) {
        for (std::size_t i = 0; i < peer.spec.filters.size(); ++i) {
            MANUL_TRY(const bool exists, will_exist({Kind::bgp_filter, {}, peer.spec.filters[i]}));
            if (!exists) {
                findings_.push_back(fmt::format("{}: spec.filters[{}]: BGPFilter \"{}\" does not exist",
                                                peer.key().to_string(), i, peer.spec.filters[i]));
            }
        }
        return {};
    }

    /// Whether there is an object of that key after the transaction. What is stored becomes a precondition.
    StoreResult<bool> will_exist(const model::Key& key) {
        if (const PlannedWrite* write = planned(key)) {
            return write->after != nullptr;
        }
        MANUL_TRY(const Snapshot snapshot, backend_.read(std::span(&key, 1)));
        const std::optional<Row>& row = snapshot.rows.front();
        if (row && needed_.insert(key).second) {
            dependencies_.keys.push_back({Mutation::Type::check, key, {}, Precondition{false, row->revision}});
        }
        return row.has_value();
    }

    /// Nothing new in a Namespace that is being deleted; one that does not exist is no obstacle.
    StoreResult<void> check_namespace_stays(const model::Key& key) {
        const model::Key ns{Kind::namespace_, {}, key.ns};
        if (planned(ns) != nullptr) {
            return {};
        }
        MANUL_TRY(const Snapshot snapshot, backend_.read(std::span(&ns, 1)));
        const std::optional<Row>& row = snapshot.rows.front();
        if (row && row->body && is_ending(*row->body)) {
            return std::unexpected(
                error(Code::unsupported,
                      fmt::format("unable to create new content in namespace {} {}", key.ns, kBeingTerminated)));
        }
        if (row && needed_.insert(ns).second) {
            dependencies_.keys.push_back({Mutation::Type::check, ns, {}, Precondition{false, row->revision}});
        }
        return {};
    }

    /// Every object of a kind after the transaction that is not itself written by it.
    StoreResult<std::vector<Object>> others(Kind kind) {
        MANUL_TRY(Listing listing, backend_.scan({kind, {}, {}}));
        dependencies_.kinds.push_back({kind, std::move(listing.revision)});
        std::erase_if(listing.items, [&](const Object& object) { return planned(object.key) != nullptr; });
        return std::move(listing.items);
    }

    StoreResult<void> check_removed_tiers() {
        std::vector<std::string> removed;
        for (const PlannedWrite& write : writes_) {
            if (write.key.kind == Kind::tier && !write.after) {
                removed.push_back(write.key.name);
            }
        }
        if (removed.empty()) {
            return {};
        }
        std::vector<std::string> holders;
        const auto check = [&](const model::Key& key, const model::ResourcePtr& resource) {
            const std::string* tier = resource ? tier_of(resource) : nullptr;
            if (tier != nullptr && std::ranges::find(removed, *tier) != removed.end()) {
                holders.push_back(key.to_string());
            }
        };
        for (const Kind kind : {Kind::network_policy, Kind::global_network_policy, Kind::staged_network_policy,
                                Kind::staged_global_network_policy}) {
            MANUL_TRY(const std::vector<Object> stored, others(kind));
            for (const Object& object : stored) {
                check(object.key, decode_stored(kind, *object.document));
            }
        }
        if (!holders.empty()) {
            const std::size_t named = std::min(holders.size(), kNamedAtMost);
            return std::unexpected(error(
                Code::unsupported,
                fmt::format("non-empty tier: {} still holds {} {}: {}{}", fmt::join(removed, ", "), holders.size(),
                            holders.size() == 1 ? "policy" : "policies",
                            fmt::join(holders.begin(), holders.begin() + static_cast<std::ptrdiff_t>(named), ", "),
                            named < holders.size() ? ", ..." : "")));
        }
        return {};
    }

    StoreResult<void> check_new_pools() {
        std::vector<std::shared_ptr<const model::IpPool>> created;
        std::vector<std::shared_ptr<const model::IpPool>> pools;  // those that the transaction writes
        for (const PlannedWrite& write : writes_) {
            if (auto pool = model::as<model::IpPool>(write.after)) {
                if (!write.before) {
                    created.push_back(pool);
                }
                pools.push_back(std::move(pool));
            }
        }
        if (created.empty()) {
            return {};
        }
        MANUL_TRY(const std::vector<Object> stored, others(Kind::ip_pool));
        for (const Object& object : stored) {
            if (auto pool = model::as<model::IpPool>(decode_stored(Kind::ip_pool, *object.document))) {
                pools.push_back(std::move(pool));
            }
        }
        for (const auto& pool : created) {
            for (const auto& other : pools) {
                // Of two new pools that overlap, the one named later is reported.
                const bool compare =
                    other->metadata.name != pool->metadata.name &&
                    (std::ranges::find(created, other) == created.end() || other->metadata.name < pool->metadata.name);
                if (compare && other->spec.cidr.overlaps(pool->spec.cidr)) {
                    findings_.push_back(fmt::format("{}: spec.cidr: {} overlaps {} of IPPool({})",
                                                    pool->key().to_string(), pool->spec.cidr.to_string(),
                                                    other->spec.cidr.to_string(), other->metadata.name));
                }
            }
        }
        return check_blocks(created);
    }

    /// Blocks that an earlier pool of the range left behind. No precondition: without a pool nobody makes new ones.
    StoreResult<void> check_blocks(std::span<const std::shared_ptr<const model::IpPool>> created) {
        MANUL_TRY(const Listing listing, backend_.scan({Kind::ipam_block, {}, {}}));
        for (const Object& object : listing.items) {
            const auto block = model::as<model::IpamBlock>(decode_stored(Kind::ipam_block, *object.document));
            for (const auto& pool : created) {
                if (block && pool->spec.cidr.overlaps(block->spec.cidr) &&
                    pool->spec.effective_block_size() != block->spec.cidr.length()) {
                    const bool empty = std::ranges::none_of(block->spec.allocations,
                                                            [](const auto& owner) { return owner.has_value(); });
                    findings_.push_back(fmt::format(
                        "{}: spec.blockSize: {} {} {}; only blockSize {} fits it", pool->key().to_string(),
                        empty ? "block" : "addresses of block", block->spec.cidr.to_string(),
                        empty ? "is empty, but not given up yet (its node does so in a moment)" : "are in use",
                        block->spec.cidr.length()));
                }
            }
        }
        return {};
    }

    Backend& backend_;
    std::span<const PlannedWrite> writes_;
    Dependencies dependencies_;
    std::set<model::Key> needed_;
    std::vector<std::string> findings_;
};

}  // namespace

StoreError invalid(std::vector<std::string> findings) {
    if (findings.size() == 1) {
        return error(Code::invalid, std::move(findings.front()));
    }
    std::string message = fmt::format("{} errors", findings.size());
    return StoreError{Code::invalid, std::move(message), std::move(findings)};
}

void drop_kept_fields(model::Findings& findings, const Tree& after, const Tree& stored) {
    std::erase_if(findings, [&](const model::Finding& finding) {
        if (!finding.unknown_field) {
            return false;
        }
        const Tree& now = codec::nearest(after, finding.path);
        const Tree& old = codec::nearest(stored, finding.path);
        return !now.key.empty() && finding.path.ends_with(now.key) && now.key == old.key && now.same_value(old);
    });
}

StoreResult<Admitted> admit_document(const model::Key& key, std::string_view text, std::string_view before) {
    // On updates too: a file without these fields, applied again, must change nothing.
    auto completed = codec::complete_and_validate(key.kind, text);
    if (!completed) {
        return std::unexpected(error(Code::invalid, key.to_string() + ": " + completed.error().message));
    }
    Tree& document = completed->document;
    MANUL_CHECK(check_envelope(key, document));
    codec::Decoded& decoded = completed->decoded;
    if (!decoded.ok() && !before.empty()) {
        if (const auto stored = codec::parse_json(before)) {
            drop_kept_fields(decoded.findings, document, *stored);
        }
    }
    if (!decoded.ok()) {
        std::vector<std::string> findings;
        add_errors(key, decoded.findings, findings);
        return std::unexpected(invalid(std::move(findings)));
    }
    if (key.kind == Kind::namespace_) {
        document.make("metadata").make("labels").make(kNamespaceNameLabel).assign(Tree::of_text(key.name));
        set_life(document, before);
    }
    if (key.kind == Kind::secret && document.find("type") == nullptr) {
        document.make("type").assign(Tree::of_text("Opaque"));  // as Kubernetes' API server has it
    }
    return Admitted{std::move(document), std::move(decoded.resource)};
}

StoreResult<Dependencies> admit_writes(Backend& backend, std::span<const PlannedWrite> writes) {
    return TransactionChecks(backend, writes).run();
}

}  // namespace manul::store
