#include "ipam/service/store_source.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_handle.hpp"
#include "ipam/core/names.hpp"

namespace manul::ipam {

namespace {

using store::StoreError;

/// As blocks name it: a node, or kVirtual and who is none.
std::string owner_of(const model::BlockAffinitySpec& spec) {
    return (spec.type == model::AffinityType::virtual_ ? std::string(kVirtual) : std::string()) + spec.node;
}

/// The whole octets of an IPv4 range as names begin with them ("10-1-"); empty when there is none.
std::string name_prefix_of(const net::Prefix& range) {
    if (range.family() != net::Family::v4) {
        return {};
    }
    std::string prefix;
    const net::Ip first = range.address();  // bytes() is a view: the address must outlive it
    const auto bytes = first.bytes();
    for (std::size_t i = 0; i < range.length() / 8U; ++i) {
        prefix += std::to_string(bytes[i]) + "-";
    }
    return prefix;
}

}  // namespace

model::Key block_key(const net::Prefix& cidr) { return {model::Kind::ipam_block, {}, block_name(cidr)}; }

model::Key affinity_key(const std::string& node, const net::Prefix& cidr) {
    return {model::Kind::block_affinity, {}, affinity_name(node, cidr)};
}

model::Key handle_key(const std::string& id) { return {model::Kind::ipam_handle, {}, handle_name(id)}; }

Failure store_failure(const StoreError& error) {
    std::string details;
    for (const std::string& line : error.details) {
        details += (details.empty() ? "" : "; ") + line;
    }
    switch (error.code) {
        case StoreError::Code::invalid:
        case StoreError::Code::unsupported:
            return {static_cast<std::uint16_t>(ErrorCode::invalid_config),
                    "the datastore refuses the endpoint: " + error.message, details};
        default:
            return {static_cast<std::uint16_t>(ErrorCode::try_again), "the datastore cannot be used: " + error.message,
                    details};
    }
}

bool lost_a_race(const StoreError& error) noexcept {
    return error.code == StoreError::Code::conflict || error.code == StoreError::Code::already_exists ||
           error.code == StoreError::Code::not_found;
}

StoreSource::StoreSource(store::Store& store, std::string node) : store_(store), node_(std::move(node)) {}

const StoreSource::Stored* StoreSource::stored(const model::Key& key) const {
    const auto at = objects_.find(key);
    return at == objects_.end() ? nullptr : &at->second;
}

const StoreSource::Stored* StoreSource::remember(const store::Object& object) {
    Stored stored{object.revision, object.document, nullptr, {}};
    const codec::Decoded decoded = codec::decode(object.key.kind, *object.document, codec::Mode::lenient);
    stored.has_unknown_fields = std::ranges::any_of(decoded.findings, &model::Finding::unknown_field);
    if (decoded.ok()) {
        stored.view = decoded.resource;
    } else {
        stored.problem = "cannot be understood";
        for (const model::Finding& finding : decoded.findings) {
            if (finding.severity == model::Finding::Severity::error) {
                stored.problem = finding.to_string();
                break;
            }
        }
    }
    if (!objects_.contains(object.key)) {
        transient_.insert(object.key);
    }
    if (const auto* block = stored.view ? model::as<model::IpamBlock>(*stored.view) : nullptr) {
        forget_block(block->spec.cidr);
    }
    return &objects_.insert_or_assign(object.key, std::move(stored)).first->second;
}

Outcome<const StoreSource::Stored*> StoreSource::read(const model::Key& key) {
    if (const Stored* known = stored(key)) {
        return known;
    }
    if (absent_.contains(key)) {
        return nullptr;
    }
    const auto object = store_.get(key);
    if (object) {
        return remember(*object);
    }
    if (object.error().code == StoreError::Code::not_found) {
        return nullptr;
    }
    if (object.error().code == StoreError::Code::corrupt) {
        Stored damaged;
        damaged.problem = object.error().message;
        transient_.insert(key);
        return &objects_.insert_or_assign(key, std::move(damaged)).first->second;
    }
    return std::unexpected(store_failure(object.error()));
}

void StoreSource::prefetch(std::span<const model::Key> keys) {
    std::set<model::Key> unknown;
    for (const model::Key& key : keys) {
        if (!objects_.contains(key) && !absent_.contains(key)) {
            unknown.insert(key);
        }
    }
    const std::vector<model::Key> wanted(unknown.begin(), unknown.end());
    const auto found = wanted.empty() ? std::vector<store::StoreResult<store::Object>>{} : store_.get_all(wanted);
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i]) {
            remember(*found[i]);
        } else if (found[i].error().code == StoreError::Code::not_found) {
            absent_.insert(wanted[i]);
        }
    }
}

Outcome<std::vector<const StoreSource::Stored*>> StoreSource::read_all(model::Kind kind,
                                                                       const std::string& name_prefix) {
    const auto listing = store_.list({.kind = kind, .ns = std::nullopt, .name_prefix = name_prefix});
    if (!listing) {
        return std::unexpected(store_failure(listing.error()));
    }
    std::vector<const Stored*> all;
    all.reserve(listing->items.size());
    for (const store::Object& object : listing->items) {
        const Stored* known = stored(object.key);
        all.push_back(known != nullptr && known->revision == object.revision ? known : remember(object));
    }
    return all;
}

Versioned<Block> StoreSource::to_block(const Stored& stored) {
    Versioned<Block> out;
    out.revision = stored.revision;
    out.problem = stored.problem;
    const auto* resource = stored.view ? model::as<model::IpamBlock>(*stored.view) : nullptr;
    if (resource == nullptr) {
        return out;
    }
    if (resource->spec.deleted) {
        out.problem = "is being deleted";
    } else if (auto block = Block::from_model(resource->spec)) {
        out.value = std::make_shared<const Block>(*std::move(block));
    } else {
        out.problem = block.error();
    }
    return out;
}

Versioned<Affinity> StoreSource::to_affinity(const Stored& stored) {
    Versioned<Affinity> out;
    out.revision = stored.revision;
    out.problem = stored.problem;
    if (const auto* resource = stored.view ? model::as<model::BlockAffinity>(*stored.view) : nullptr) {
        const model::BlockAffinitySpec& spec = resource->spec;
        out.value = std::make_shared<const Affinity>(Affinity{
            owner_of(spec), spec.cidr, spec.deleted ? model::AffinityState::pending_deletion : spec.state, spec.type});
    }
    return out;
}

Outcome<Versioned<Block>> StoreSource::block(const net::Prefix& cidr) {
    if (const auto known = blocks_.find(cidr); known != blocks_.end()) {
        return known->second;
    }
    MANUL_TRY(const Stored* found, read(block_key(cidr)));
    if (found == nullptr) {
        return Versioned<Block>{};
    }
    return keep_block(cidr, to_block(*found));
}

Outcome<Versioned<Affinity>> StoreSource::affinity(const std::string& node, const net::Prefix& cidr) {
    MANUL_TRY(const Stored* found, read(affinity_key(node, cidr)));
    return found == nullptr ? Versioned<Affinity>{} : to_affinity(*found);
}

Outcome<Versioned<Handle>> StoreSource::handle(const std::string& id) {
    MANUL_TRY(const Stored* found, read(handle_key(id)));
    Versioned<Handle> out;
    if (found == nullptr) {
        return out;
    }
    out.revision = found->revision;
    out.problem = found->problem;
    if (const auto* resource = found->view ? model::as<model::IpamHandle>(*found->view) : nullptr) {
        out.value = std::make_shared<const Handle>(Handle{id, resource->spec.block});
    } else {
        // Nobody may guess which addresses these are.
        return refuse(ErrorCode::try_again, fmt::format("handle {}: {}", id, out.problem));
    }
    return out;
}

Outcome<void> StoreSource::load_own_affinities() {
    MANUL_TRY(const auto all, read_all(model::Kind::block_affinity, affinity_prefix(node_)));
    std::set<net::Prefix> own;
    for (const Stored* found : all) {
        const auto* resource = found->view ? model::as<model::BlockAffinity>(*found->view) : nullptr;
        if (resource != nullptr && owner_of(resource->spec) == node_) {
            own.insert(resource->spec.cidr);
            transient_.erase(resource->key());
        }
    }
    own_blocks_ = std::move(own);
    return {};
}

Outcome<std::vector<net::Prefix>> StoreSource::blocks_of(const std::string& node) {
    if (node == node_) {
        if (!own_blocks_) {
            MANUL_CHECK(load_own_affinities());
        }
        return std::vector<net::Prefix>(own_blocks_->begin(), own_blocks_->end());
    }
    std::vector<net::Prefix> found;
    MANUL_TRY(const auto all, read_all(model::Kind::block_affinity, affinity_prefix(node)));
    for (const Stored* one : all) {
        const auto affinity = to_affinity(*one);
        if (affinity.value && affinity.value->node == node) {
            found.push_back(affinity.value->cidr);
        }
    }
    return found;
}

Outcome<std::vector<net::Prefix>> StoreSource::roomy_blocks_of(const std::string& node) {
    if (node != node_) {
        return blocks_of(node);
    }
    if (!own_blocks_) {
        MANUL_CHECK(load_own_affinities());
    }
    std::vector<net::Prefix> roomy;
    auto full = full_.begin();  // both are in order
    for (const net::Prefix& cidr : *own_blocks_) {
        while (full != full_.end() && *full < cidr) {
            ++full;
        }
        if (full == full_.end() || *full != cidr) {
            roomy.push_back(cidr);
        }
    }
    return roomy;
}

const Versioned<Block>& StoreSource::keep_block(const net::Prefix& cidr, Versioned<Block> block) {
    const Versioned<Block>& kept = blocks_.insert_or_assign(cidr, std::move(block)).first->second;
    bool full = kept.value && kept.value->free_count() == 0 && kept.value->cooling_count() == 0 &&
                kept.value->affinity() == host_affinity(node_);
    if (full) {  // a claim that is not confirmed has to be met again, to be completed
        const Stored* claim = stored(affinity_key(node_, cidr));
        const auto affinity = claim == nullptr ? nullptr : to_affinity(*claim).value;
        full = affinity && affinity->is_confirmed();
    }
    if (full) {
        full_.insert(cidr);
    } else {
        full_.erase(cidr);
    }
    return kept;
}

void StoreSource::forget_block(const net::Prefix& cidr) {
    blocks_.erase(cidr);
    full_.erase(cidr);
}

Outcome<std::vector<Affinity>> StoreSource::affinities_in(const net::Prefix& range) {
    MANUL_TRY(const auto all, read_all(model::Kind::block_affinity, {}));
    std::vector<Affinity> found;
    for (const Stored* one : all) {
        const auto affinity = to_affinity(*one);
        if (affinity.value && range.overlaps(affinity.value->cidr)) {
            found.push_back(*affinity.value);
        }
    }
    return found;
}

Outcome<std::vector<net::Prefix>> StoreSource::blocks_in(const net::Prefix& range) {
    MANUL_TRY(const auto all, read_all(model::Kind::ipam_block, name_prefix_of(range)));
    std::set<net::Prefix> found;
    for (const Stored* one : all) {
        const auto* resource = one->view ? model::as<model::IpamBlock>(*one->view) : nullptr;
        if (resource != nullptr && range.overlaps(resource->spec.cidr)) {
            found.insert(resource->spec.cidr);
        }
    }
    return std::vector<net::Prefix>(found.begin(), found.end());
}

Outcome<std::vector<net::Prefix>> StoreSource::odd_blocks(const net::Prefix& range, std::uint8_t block_size) {
    const std::pair key(range, block_size);
    if (const auto known = odd_blocks_.find(key); known != odd_blocks_.end()) {
        return known->second;
    }
    MANUL_TRY(auto odd, Source::odd_blocks(range, block_size));
    return odd_blocks_.insert_or_assign(key, std::move(odd)).first->second;
}

Outcome<std::uint64_t> StoreSource::next_sequence() {
    const auto wall_clock = static_cast<std::uint64_t>(std::chrono::nanoseconds(now_.time_since_epoch()).count());
    if (!store_.transactional()) {
        return wall_clock;  // as Calico's, whose blocks may have been here before
    }
    const auto listing = store_.list({.kind = model::Kind::ipam_configuration, .ns = std::nullopt, .name_prefix = {}});
    if (!listing) {
        return std::unexpected(store_failure(listing.error()));
    }
    // One counter for all kinds grows with every write, so with every number that any block reached. Where revisions
    // are no such counter, the wall clock in nanoseconds is as good as it gets.
    std::uint64_t revision = 0;
    const std::string& text = listing->revision;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), revision);
    if (ec != std::errc{} || end != text.data() + text.size()) {
        return wall_clock;
    }
    return revision;
}

Outcome<Versioned<model::Profile>> StoreSource::profile(const model::Key& key) {
    MANUL_TRY(const Stored* found, read(key));
    Versioned<model::Profile> out;
    if (found != nullptr) {
        out = {model::as<model::Profile>(found->view), found->revision, found->problem};
    }
    return out;
}

Outcome<Versioned<model::Node>> StoreSource::node(const model::Key& key) {
    MANUL_TRY(const Stored* found, read(key));
    Versioned<model::Node> out;
    if (found != nullptr) {
        out = {model::as<model::Node>(found->view), found->revision, found->problem};
    }
    return out;
}

Outcome<Versioned<model::Service>> StoreSource::service(const model::Key& key) {
    MANUL_TRY(const Stored* found, read(key));
    Versioned<model::Service> out;
    if (found != nullptr) {
        out = {model::as<model::Service>(found->view), found->revision, found->problem};
    }
    return out;
}

Outcome<std::shared_ptr<const model::Pod>> StoreSource::pod(const std::string& ns, const std::string& name) {
    MANUL_TRY(const Stored* found, read({model::Kind::pod, ns, name}));
    return found == nullptr ? nullptr : model::as<model::Pod>(found->view);
}

Outcome<std::shared_ptr<const model::Namespace>> StoreSource::name_space(const std::string& name) {
    MANUL_TRY(const Stored* found, read({model::Kind::namespace_, {}, name}));
    return found == nullptr ? nullptr : model::as<model::Namespace>(found->view);
}

bool StoreSource::is_own(const model::Key& key) const {
    const Stored* found = stored(key);
    if (found == nullptr || !found->view) {
        return false;
    }
    if (const auto* block = model::as<model::IpamBlock>(*found->view)) {
        return block->spec.affinity == host_affinity(node_);
    }
    if (const auto* affinity = model::as<model::BlockAffinity>(*found->view)) {
        return owner_of(affinity->spec) == node_;
    }
    if (const auto* endpoint = model::as<model::WorkloadEndpoint>(*found->view)) {
        // Where endpoints follow from Pods, others change them all the time.
        return store_.transactional() && endpoint->spec.node == node_;
    }
    return false;
}

void StoreSource::drop(const model::Key& key) {
    const auto at = objects_.find(key);
    if (at != objects_.end()) {
        if (const auto* block = at->second.view ? model::as<model::IpamBlock>(*at->second.view) : nullptr) {
            forget_block(block->spec.cidr);
        }
        objects_.erase(at);
    }
    transient_.erase(key);
}

void StoreSource::forget(const model::Key& key) {
    absent_.erase(key);
    drop(key);  // an endpoint stays in the index: the next transaction must find its key to read it again
    if (key.kind == model::Kind::block_affinity || key.kind == model::Kind::ipam_block) {
        own_blocks_.reset();  // somebody may have taken a block away
    }
}

void StoreSource::forget_all() {
    objects_.clear();
    blocks_.clear();
    full_.clear();
    transient_.clear();
    absent_.clear();
    own_blocks_.reset();
    odd_blocks_.clear();
    endpoints_.reset();
    by_attachment_.clear();
}

void StoreSource::wrote(const model::Key& key, const store::Revision& revision, std::string document,
                        model::ResourcePtr view) {
    const Stored* former = stored(key);
    const bool has_unknown_fields = former != nullptr && former->has_unknown_fields;
    absent_.erase(key);
    drop(key);
    const auto* affinity = view ? model::as<model::BlockAffinity>(*view) : nullptr;
    const auto claimed =
        affinity != nullptr && owner_of(affinity->spec) == node_ ? std::optional(affinity->spec.cidr) : std::nullopt;
    if (claimed && own_blocks_) {
        own_blocks_->insert(*claimed);
    }
    if (key.kind == model::Kind::workload_endpoint && endpoints_) {
        index_endpoint(key, view);
    }
    objects_.insert_or_assign(key, Stored{revision,
                                          std::make_shared<const std::string>(std::move(document)),
                                          std::move(view),
                                          {},
                                          has_unknown_fields});
    if (!is_own(key)) {
        transient_.insert(key);
    }
    if (const auto known = claimed ? blocks_.find(*claimed) : blocks_.end(); known != blocks_.end()) {
        keep_block(*claimed, Versioned<Block>(known->second));  // with its claim confirmed it may count as full
    }
}

void StoreSource::wrote_block(const net::Prefix& cidr, const store::Revision& revision,
                              std::shared_ptr<const Block> block) {
    keep_block(cidr, Versioned<Block>{std::move(block), revision, {}});
}

void StoreSource::removed(const model::Key& key) {
    const Stored* former = stored(key);
    const auto* affinity = former != nullptr && former->view ? model::as<model::BlockAffinity>(*former->view) : nullptr;
    if (affinity != nullptr && owner_of(affinity->spec) == node_ && own_blocks_) {
        own_blocks_->erase(affinity->spec.cidr);
    }
    drop(key);
    if (key.kind == model::Kind::workload_endpoint && endpoints_) {
        index_endpoint(key, nullptr);
    }
}

void StoreSource::end() {
    absent_.clear();
    for (const model::Key& key : std::exchange(transient_, {})) {
        if (!is_own(key)) {
            drop(key);
        }
    }
}

}  // namespace manul::ipam
