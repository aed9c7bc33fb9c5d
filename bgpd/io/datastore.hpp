#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/daemon.hpp"
#include "bgpd/io/password.hpp"
#include "bgpd/speaker/originate.hpp"
#include "bgpd/speaker/peers.hpp"
#include "config/model/calico_node_status.hpp"
#include "config/model/kind.hpp"
#include "config/model/node_report.hpp"
#include "config/model/resource.hpp"
#include "config/store/store.hpp"
#include "config/store_in_force.hpp"

namespace boost::asio {
class io_context;
}

namespace manul::bgp::io {

/// The resources that bgpd lives by, followed in the store: listed and decoded on the worker (a locked store must not
/// delay a keepalive), then watched. An object that cannot be used as stored keeps its last good version in force and
/// is reported; while the store is away nothing changes. An empty store in the place of the one that is in force is
/// looked at again and again, and otherwise left alone until it has something that people made.
class Datastore {
public:
    /// `on_change` comes after each group of changes, first when everything has been listed once, and when is_lost()
    /// has become true.
    Datastore(boost::asio::io_context& io, Worker& worker, std::unique_ptr<store::Store> store,
              config::StoreInForce in_force, std::string node_name, std::function<void()> on_change);

    void start() { connect(); }

    [[nodiscard]] speaker::PeerResources peer_resources() const;
    [[nodiscard]] speaker::OriginResources origin_resources() const;
    /// Of namespace manul-system.
    [[nodiscard]] StoredSecrets secrets() const;
    /// Those that ask about this node.
    [[nodiscard]] std::vector<std::shared_ptr<const model::CalicoNodeStatus>> status_requests() const;

    /// Everything has been listed at least once.
    [[nodiscard]] bool in_sync() const noexcept { return in_sync_; }
    /// Everything that happens in the store comes here.
    [[nodiscard]] bool connected() const noexcept { return watch_ != nullptr && !problem_; }
    /// Why it does not, as far as it is known.
    [[nodiscard]] std::string problem() const { return problem_.value_or(std::string()); }
    /// There is a new and empty store in the place of the one that is in force.
    [[nodiscard]] bool is_lost() const noexcept { return lost_; }
    [[nodiscard]] std::size_t node_count() const;
    /// For the NodeReport: the last token of each kind that people apply, and what is not in force as stored.
    [[nodiscard]] const std::map<std::string, std::string>& tokens() const noexcept { return tokens_; }
    [[nodiscard]] std::vector<model::NotInForce> not_in_force() const;

private:
    struct Followed {
        store::Revision revision;           ///< stored
        store::Revision in_force_revision;  ///< of `resource`; empty: none
        model::ResourcePtr resource;        ///< in force; null: never a good one
        std::string refused;                ///< why `revision` is not in force
    };
    struct Listed {
        model::Kind kind;
        store::Revision revision;
        std::vector<model::Key> keys;  ///< all that are stored, the damaged ones included
        std::vector<std::pair<model::Key, Followed>> items;
        bool damaged;  ///< some of them, and perhaps in their names
    };
    struct Snapshot;

    [[nodiscard]] static Followed decode(const store::Object& object);
    void connect();
    /// All of it or nothing: of a store that goes away meanwhile no part counts as read.
    [[nodiscard]] static store::StoreResult<Snapshot> read(store::Store& store);
    void take(Snapshot snapshot);
    void changed();
    void hold();
    void on_readable();
    void put(const model::Key& key, Followed next);
    void note_token(model::Kind kind, const store::Revision& revision);
    void failed(const store::StoreError& error);
    void report_away(const store::StoreError& error);
    /// Objects of other nodes that do not concern this one are not kept.
    [[nodiscard]] bool concerns(const model::Resource& resource) const;

    template <class T>
    [[nodiscard]] std::vector<std::shared_ptr<const T>> all() const;

    boost::asio::io_context& io_;
    Worker& worker_;
    std::shared_ptr<store::Store> store_;
    config::StoreInForce in_force_;
    std::string node_name_;
    std::function<void()> on_change_;
    std::map<model::Kind, std::unordered_map<model::Key, Followed>> objects_;
    std::map<std::string, std::string> tokens_;
    std::string uid_;  ///< of the store that is followed
    bool in_sync_ = false;
    std::optional<std::string> problem_;  ///< that was reported and is not over
    bool lost_ = false;
    std::int64_t pause_us_;
    Timer retry_;
    std::unique_ptr<store::Watch> watch_;
    std::unique_ptr<ReadableWatch> readable_;
};

}  // namespace manul::bgp::io
