#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model/kubernetes.hpp"
#include "config/model/node.hpp"
#include "config/model/profile.hpp"
#include "config/model/service.hpp"
#include "config/model/workload_endpoint.hpp"
#include "config/store/store.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/core/timestamp.hpp"
#include "ipam/service/block_text.hpp"

/// The stored objects that allocation works on, read from the store and kept where they are this node's own.
///
/// Own blocks, affinities and endpoints stay in memory with their revision: this process is nearly their only writer,
/// so the common allocation reads little. When another writer was faster the commit fails, forget() drops what was
/// touched, and the next attempt reads it again. Everything else is read for one transaction and dropped with it.
namespace manul::ipam {

[[nodiscard]] model::Key block_key(const net::Prefix& cidr);
[[nodiscard]] model::Key affinity_key(const std::string& node, const net::Prefix& cidr);
[[nodiscard]] model::Key handle_key(const std::string& id);

/// What a failed store call means to a CNI client: try again, with the reason.
[[nodiscard]] Failure store_failure(const store::StoreError& error);
/// Somebody else wrote in between.
[[nodiscard]] bool lost_a_race(const store::StoreError& error) noexcept;

class StoreSource final : public Source {
public:
    /// A document as stored, and its view.
    struct Stored {
        store::Revision revision;
        std::shared_ptr<const std::string> document;
        model::ResourcePtr view;
        std::string problem;  ///< why the view cannot be used
        /// The document says more than the view: what is written must be merged into it.
        bool has_unknown_fields = false;
    };

    /// `store` outlives this object; all calls on the thread that owns the store.
    StoreSource(store::Store& store, std::string node);

    [[nodiscard]] Outcome<Versioned<Block>> block(const net::Prefix& cidr) override;
    [[nodiscard]] Outcome<Versioned<Affinity>> affinity(const std::string& node, const net::Prefix& cidr) override;
    [[nodiscard]] Outcome<Versioned<Handle>> handle(const std::string& id) override;
    [[nodiscard]] Outcome<std::vector<net::Prefix>> blocks_of(const std::string& node) override;
    [[nodiscard]] Outcome<std::vector<net::Prefix>> roomy_blocks_of(const std::string& node) override;
    [[nodiscard]] Outcome<std::vector<Affinity>> affinities_in(const net::Prefix& range) override;
    [[nodiscard]] Outcome<std::vector<net::Prefix>> blocks_in(const net::Prefix& range) override;
    [[nodiscard]] Outcome<std::vector<net::Prefix>> odd_blocks(const net::Prefix& range,
                                                               std::uint8_t block_size) override;
    /// The pools are others now.
    void forget_odd_blocks() { odd_blocks_.clear(); }
    [[nodiscard]] Outcome<std::vector<AddressInUse>> in_use(const net::Prefix& range) override;
    [[nodiscard]] Outcome<std::uint64_t> next_sequence() override;

    [[nodiscard]] Outcome<Versioned<model::WorkloadEndpoint>> endpoint(const model::Key& key);
    [[nodiscard]] Outcome<Versioned<model::Profile>> profile(const model::Key& key);
    [[nodiscard]] Outcome<Versioned<model::Node>> node(const model::Key& key);
    [[nodiscard]] Outcome<Versioned<model::Service>> service(const model::Key& key);
    /// Null when there is none.
    [[nodiscard]] Outcome<std::shared_ptr<const model::Pod>> pod(const std::string& ns, const std::string& name);
    [[nodiscard]] Outcome<std::shared_ptr<const model::Namespace>> name_space(const std::string& name);

    /// This node's endpoints by key. Read from the store once; afterwards what this process wrote.
    using Endpoints = std::map<model::Key, std::shared_ptr<const model::WorkloadEndpoint>>;
    [[nodiscard]] Outcome<const Endpoints*> own_endpoints();
    /// Reads each of them once more: where they follow from Pods, these come and go without this process.
    [[nodiscard]] Outcome<void> reread_endpoints();
    /// The endpoint of an attachment; several networks may not share one (container id and interface are unique).
    [[nodiscard]] Outcome<std::shared_ptr<const model::WorkloadEndpoint>> find(const std::string& container_id,
                                                                               const std::string& ifname);

    /// Every address that any endpoint of the cluster has, read afresh; nothing when one of them cannot be understood:
    /// then nobody knows what is unused.
    [[nodiscard]] Outcome<std::optional<std::set<net::Ip>>> addresses_in_use();

    /// Asks in one question for what a transaction is going to read of these, and remembers until its end which of them
    /// do not exist. What fails here is asked for again when it is needed.
    void prefetch(std::span<const model::Key> keys);
    /// A transaction begins: `now` is the time of it.
    void begin(WallTime now) { now_ = now; }
    /// As read or written last; null when unknown or absent.
    [[nodiscard]] const Stored* stored(const model::Key& key) const;
    void forget(const model::Key& key);
    /// Everything: the store may have been replaced.
    void forget_all();
    // A commit wrote or removed this.
    void wrote(const model::Key& key, const store::Revision& revision, std::string document, model::ResourcePtr view);
    /// After wrote(): spares decoding what was just encoded. The view of a block that was written without merging has
    /// no attributes: the block itself has them.
    void wrote_block(const net::Prefix& cidr, const store::Revision& revision, std::shared_ptr<const Block> block);
    void removed(const model::Key& key);
    [[nodiscard]] BlockText& block_text() noexcept { return block_text_; }
    /// Drops what was read for one transaction only.
    void end();

private:
    /// Reads, decodes and remembers one object.
    [[nodiscard]] Outcome<const Stored*> read(const model::Key& key);
    const Stored* remember(const store::Object& object);
    /// All objects of a kind into the cache, in order of their keys.
    [[nodiscard]] Outcome<std::vector<const Stored*>> read_all(model::Kind kind, const std::string& name_prefix);
    [[nodiscard]] Outcome<void> load_own_affinities();
    [[nodiscard]] Outcome<void> load_own_endpoints();
    void drop(const model::Key& key);
    void index_endpoint(const model::Key& key, const model::ResourcePtr& view);
    [[nodiscard]] bool is_own(const model::Key& key) const;
    /// Remembers a block as it is now, and whether it has anything to give.
    const Versioned<Block>& keep_block(const net::Prefix& cidr, Versioned<Block> block);
    void forget_block(const net::Prefix& cidr);
    [[nodiscard]] static Versioned<Block> to_block(const Stored& stored);
    [[nodiscard]] static Versioned<Affinity> to_affinity(const Stored& stored);

    store::Store& store_;
    std::string node_;
    WallTime now_{};
    BlockText block_text_;
    std::map<model::Key, Stored> objects_;
    std::map<net::Prefix, Versioned<Block>> blocks_;   ///< decoded, of objects_
    std::set<net::Prefix> full_;                       ///< of blocks_: own, and nothing free or cooling down in it
    std::set<model::Key> transient_;                   ///< in objects_ for this transaction only
    std::set<model::Key> absent_;                      ///< known not to exist, for this transaction only
    std::optional<std::set<net::Prefix>> own_blocks_;  ///< by affinity
    std::map<std::pair<net::Prefix, std::uint8_t>, std::vector<net::Prefix>> odd_blocks_;
    std::optional<Endpoints> endpoints_;
    std::map<std::pair<std::string, std::string>, model::Key> by_attachment_;
};

}  // namespace manul::ipam
