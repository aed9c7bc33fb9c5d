#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/model/node_report.hpp"
#include "config/store/store.hpp"
#include "ipam/core/affinity.hpp"
#include "ipam/core/mtu.hpp"
#include "ipam/core/tunnels.hpp"

/// What people configure: pools, reservations, settings, and this node's labels, followed by a watch. An object that
/// turns invalid is not treated as deleted: its last good version stays in force and is reported.
namespace manul::ipam {

class Knowledge {
public:
    explicit Knowledge(std::string node);

    /// Kinds whose objects are followed.
    [[nodiscard]] static std::vector<model::Kind> kinds();

    /// The complete list of one kind.
    void replace(model::Kind kind, const store::Listing& listing);
    void apply(const store::Event& event);

    [[nodiscard]] const World& world() const noexcept { return world_; }
    void set_unrecorded(std::map<net::Ip, std::string> addresses) { world_.unrecorded = std::move(addresses); }
    /// False: an administrator has locked the datastore (ClusterInformation datastoreReady).
    [[nodiscard]] bool datastore_ready() const noexcept { return datastore_ready_; }
    [[nodiscard]] const MtuSettings& mtu_settings() const noexcept { return mtu_; }
    /// What this node's tunnel ends depend on besides the pools.
    [[nodiscard]] TunnelSettings tunnel_settings() const noexcept;
    [[nodiscard]] std::vector<model::NotInForce> not_in_force() const;
    /// What this daemon has in force, for its NodeReport.
    [[nodiscard]] model::NodeReportSpec report() const;
    [[nodiscard]] std::size_t node_count() const noexcept { return nodes_.size(); }

private:
    void put(const store::Object& object);
    void remove(const model::Key& key);
    /// Nothing when it was applied, else why not.
    [[nodiscard]] std::optional<std::string> take(const store::Object& object);
    void rebuild();
    void note_token(model::Kind kind, const store::Revision& revision);

    World world_;
    MtuSettings mtu_;
    /// WireGuard as FelixConfiguration says: for all nodes, and for this one.
    struct Wireguard {
        std::optional<bool> v4;
        std::optional<bool> v6;
    };
    Wireguard wireguard_;
    Wireguard own_wireguard_;
    bool has_wireguard_key_ = false;  ///< felix has one for this node
    bool has_wireguard_key_v6_ = false;
    bool datastore_ready_ = true;
    std::map<std::string, Pool> pools_;
    std::map<std::string, std::vector<net::Prefix>> reservations_;
    std::map<model::Key, store::Revision> in_force_;
    std::map<model::Key, model::NotInForce> refused_;
    std::map<std::string, std::string> tokens_;  ///< by kind, as NodeReport names them
    std::set<std::string> nodes_;
};

}  // namespace manul::ipam
