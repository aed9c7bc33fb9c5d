#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "ipam/core/affinity.hpp"
#include "ipam/core/garbage.hpp"
#include "ipam/core/lease.hpp"
#include "ipam/core/load_balancer.hpp"
#include "ipam/service/store_source.hpp"
#include "ipam/service/transaction.hpp"

/// The cluster's chore that gives Services of type LoadBalancer their addresses, writes them into
/// `status.loadBalancer.ingress`, and frees them when the Service goes or becomes something else. One process at a
/// time; blocking, on the store's thread.
///
/// A Service keeps its addresses as long as they are what it asks for. Addresses that Calico's controller gave are kept
/// and used; those of Services that do not exist are freed only when this chore gave them, or where the store is the
/// Kubernetes API, which has all Services.
namespace manul::ipam {

class ServiceAddresses {
public:
    /// `store` outlives this object.
    explicit ServiceAddresses(store::Store& store) : store_(&store) {}

    struct Done {
        std::vector<std::string> given;  ///< "prod/web: 192.0.2.1"
        std::vector<std::string> freed;
        std::vector<std::string> problems;
        std::size_t blocks_given_up = 0;  ///< that stayed empty, or whose pool is gone
    };
    /// Kinds whose changes ask for work.
    [[nodiscard]] static std::vector<model::Kind> kinds();

    /// Acts when something `changed`, and each minute.
    [[nodiscard]] Outcome<Done> run(bool changed, SteadyTime steady, WallTime wall);

private:
    /// An address that some Service has.
    struct Given {
        net::Ip address;
        net::Prefix block;
        std::string handle;
    };
    using GivenByService = std::map<std::string, std::vector<Given>>;               ///< by "namespace/name"
    using Services = std::map<std::string, std::shared_ptr<const model::Service>>;  ///< likewise
    /// What one call of run() works with.
    struct Round {
        Committer& committer;
        const World& world;
        const Services& services;
        WallTime now;
        Done& done;
    };

    [[nodiscard]] Outcome<World> read_world();
    [[nodiscard]] Outcome<GivenByService> read_given(StoreSource& source, const World& world) const;
    [[nodiscard]] Outcome<std::vector<net::Ip>> serve(Transaction& transaction, const World& world,
                                                      const model::Service& service, const std::vector<Given>& given,
                                                      WallTime now) const;
    /// Gives each Service that wants addresses what it asks for, and removes it from `given`.
    void serve_all(const Round& round, model::AssignIps assign_ips, GivenByService& given) const;
    /// Frees what is left in `given`: addresses of Services that are gone or want none any more.
    void free_unwanted(const Round& round, const GivenByService& given) const;
    [[nodiscard]] Outcome<void> take_back(Committer& committer, const World& world, const model::Service* service,
                                          const std::vector<Given>& given, WallTime now) const;
    [[nodiscard]] Outcome<std::size_t> give_up_empty(StoreSource& source, Committer& committer, const World& world,
                                                     SteadyTime steady, WallTime now);

    store::Store* store_;
    std::optional<SteadyTime> last_;
    EmptyBlocks empty_blocks_{0};
};

}  // namespace manul::ipam
