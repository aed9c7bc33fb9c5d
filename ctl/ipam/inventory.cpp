#include "ctl/ipam/inventory.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/ipam_handle.hpp"
#include "config/model/node.hpp"
#include "config/model/service.hpp"
#include "config/model/workload_endpoint.hpp"
#include "ipam/core/endpoint.hpp"
#include "ipam/core/names.hpp"
#include "ipam/core/tunnels.hpp"

namespace manul::ctl {

namespace {

using ipam::Inventory;
using ipam::User;

class Reader {
public:
    explicit Reader(store::Store& store) : store_(store) {}

    store::StoreResult<Inventory> run() {
        MANUL_CHECK(each<model::IpPool>([&](const model::IpPool& pool) {
            auto compiled = ipam::Pool::from_model(pool);
            if (!compiled) {
                out_.unreadable.push_back(compiled.error().message);
                return;
            }
            out_.pools.push_back(*std::move(compiled));
        }));
        MANUL_CHECK(each<model::IpReservation>([&](const model::IpReservation& reservation) {
            out_.reservations.insert(out_.reservations.end(), reservation.spec.reserved_cidrs.begin(),
                                     reservation.spec.reserved_cidrs.end());
        }));
        MANUL_CHECK(each<model::IpamConfiguration>([&](const model::IpamConfiguration& configuration) {
            if (configuration.metadata.name == "default") {
                out_.settings = ipam::settings_of(configuration.spec);
            }
        }));
        MANUL_CHECK(each<model::Node>([&](const model::Node& node) { add_node(node); }));
        // Users before blocks: an ADD in between makes an address that seems unused rather than one that is used and
        // not allocated; the second look tells.
        MANUL_CHECK(
            each<model::WorkloadEndpoint>([&](const model::WorkloadEndpoint& endpoint) { add_endpoint(endpoint); }));
        MANUL_CHECK(each<model::Service>([&](const model::Service& service) { add_service(service); }));
        MANUL_CHECK(each<model::IpamBlock>([&](const model::IpamBlock& block) { out_.blocks.push_back(block.spec); }));
        MANUL_CHECK(each<model::BlockAffinity>([&](const model::BlockAffinity& affinity) {
            out_.affinities.push_back(
                {{affinity.spec.node, affinity.spec.cidr,
                  affinity.spec.deleted ? model::AffinityState::pending_deletion : affinity.spec.state,
                  affinity.spec.type},
                 ipam::parse_timestamp(affinity.metadata.creation_timestamp)});
        }));
        MANUL_CHECK(each<model::IpamHandle>([&](const model::IpamHandle& handle, const store::Revision& revision) {
            out_.handles.push_back({handle.spec.handle_id, handle.spec.block});
            out_.handle_revisions.insert_or_assign(handle.spec.handle_id, revision);
        }));
        return std::move(out_);
    }

private:
    template <class T, class Use>
    store::StoreResult<void> each(Use use) {
        MANUL_TRY(const store::Listing listing, store_.list({.kind = T::kKind, .ns = std::nullopt, .name_prefix = {}}));
        for (const store::DamagedObject& damaged : listing.damaged) {
            out_.unreadable.push_back(damaged.key.to_string() + ": " + damaged.error.message);
        }
        for (const store::Object& object : listing.items) {
            const auto decoded = codec::decode(T::kKind, *object.document, codec::Mode::lenient);
            const auto view = decoded.ok() ? model::as<T>(decoded.resource) : nullptr;
            if (view) {
                if constexpr (std::is_invocable_v<Use, const T&, const store::Revision&>) {
                    use(*view, object.revision);
                } else {
                    use(*view);
                }
            } else {
                out_.unreadable.push_back(object.key.to_string());
            }
        }
        return {};
    }

    void add_node(const model::Node& node) {
        const std::string& name = node.metadata.name;
        out_.nodes.insert(name);
        for (const ipam::Tunnel tunnel : ipam::kTunnels) {
            if (const auto address = ipam::tunnel_address(node.spec, tunnel)) {
                User user{.kind = User::Kind::tunnel,
                          .name = fmt::format("{} of {}", ipam::tunnel_type(tunnel), name),
                          .node = name,
                          .handles = {ipam::tunnel_handle(tunnel, name)}};
                user.attributes = {{"node", name}, {"type", std::string(ipam::tunnel_type(tunnel))}};
                out_.users.emplace(*address, std::move(user));
            }
        }
    }

    void add_service(const model::Service& service) {
        if (service.spec.type != model::ServiceType::load_balancer) {
            return;
        }
        out_.services.insert(service.metadata.ns + "/" + service.metadata.name);
        for (const model::LoadBalancerIngress& told : service.status.load_balancer.ingress) {
            const bool from_pool =
                told.ip && std::ranges::any_of(out_.pools, [&](const ipam::Pool& pool) {
                    return pool.allows(model::AllowedUse::load_balancer) && pool.cidr.contains(*told.ip);
                });
            if (from_pool) {  // others may be another controller's
                out_.users.emplace(*told.ip,
                                   User{.kind = User::Kind::load_balancer, .name = service.key().to_string()});
            }
        }
    }

    void add_endpoint(const model::WorkloadEndpoint& endpoint) {
        const model::WorkloadEndpointSpec& spec = endpoint.spec;
        User user{.kind = User::Kind::workload, .name = endpoint.key().to_string(), .node = spec.node};
        user.managed =
            !endpoint.metadata.annotations.contains(ipam::kUnmanagedAnnotation) && !ipam::is_policy_only(endpoint);
        const std::string network = ipam::network_of(endpoint);
        if (!network.empty()) {
            user.handles = {ipam::handle_id(network, ipam::attachment_of(endpoint)),
                            ipam::calico_handle_id(network, spec.container_id)};
        }
        user.attributes = {{"node", spec.node},
                           {"namespace", endpoint.metadata.ns},
                           {"pod", spec.pod.empty() ? spec.container_id : spec.pod}};
        for (const net::Prefix& network_address : spec.ip_networks) {
            out_.users.emplace(network_address.address(), user);
        }
    }

    store::Store& store_;
    Inventory out_;
};

}  // namespace

store::StoreResult<Inventory> read_inventory(store::Store& store) { return Reader(store).run(); }

store::StoreResult<ipam::ReportHeader> read_report_header(store::Store& store) {
    const auto object = store.get({model::Kind::cluster_information, {}, "default"});
    ipam::ReportHeader header;
    header.version = MANUL_VERSION;
    if (!object && object.error().code == store::StoreError::Code::not_found) {
        MANUL_TRY(header.cluster_guid, store.identity());  // on Kubernetes nobody makes one before the first lock
        return header;
    }
    if (!object) {
        return std::unexpected(object.error());
    }
    header.cluster_revision = object->revision;
    const auto decoded = codec::decode(object->key.kind, *object->document, codec::Mode::lenient);
    if (const auto cluster = model::as<model::ClusterInformation>(decoded.resource)) {
        header.cluster_guid = cluster->spec.cluster_guid;
        header.datastore_locked = !cluster->spec.datastore_ready;
    }
    return header;
}

ipam::WallTime wall_now() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

}  // namespace manul::ctl
