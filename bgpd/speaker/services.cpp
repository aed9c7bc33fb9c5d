#include "bgpd/speaker/services.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace manul::bgp::speaker {

namespace {

using model::Service;
using ServiceName = std::pair<std::string, std::string>;  // namespace, name

constexpr const char* kExcluded = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Where a service has ready endpoints, by family (0 = IPv4).
struct Ready {
    std::array<bool, 2> here{};
    std::array<bool, 2> anywhere{};
};

std::map<ServiceName, Ready> ready_endpoints(const ServiceResources& resources) {
    std::map<ServiceName, Ready> out;
    for (const auto& slice : resources.slices) {
        const auto name = slice->metadata.labels.find(model::kLabelServiceName);
        if (name == slice->metadata.labels.end() || slice->address_type == model::SliceAddressType::fqdn) {
            continue;
        }
        const std::size_t family = slice->address_type == model::SliceAddressType::ipv4 ? 0 : 1;
        Ready& ready = out[{slice->metadata.ns, name->second}];
        for (const model::SliceEndpoint& endpoint : slice->endpoints) {
            if (endpoint.is_ready()) {
                ready.anywhere[family] = true;
                ready.here[family] = ready.here[family] || endpoint.node_name == resources.node_name;
            }
        }
    }
    return out;
}

std::vector<net::Ip> cluster_addresses(const Service& service) {
    std::vector<net::Ip> out;
    std::vector<std::string> texts = service.spec.cluster_ips;
    texts.push_back(service.spec.cluster_ip);
    for (const std::string& text : texts) {
        if (const auto ip = net::Ip::parse(text)) {
            out.push_back(*ip);
        }
    }
    return out;
}

std::vector<net::Ip> load_balancer_addresses(const Service& service) {
    std::vector<net::Ip> out;
    if (service.spec.type == model::ServiceType::load_balancer) {
        for (const auto& ingress : service.status.load_balancer.ingress) {
            if (ingress.ip) {
                out.push_back(*ingress.ip);
            }
        }
    }
    return out;
}

class Collector {
public:
    explicit Collector(const ServiceResources& resources) : services_(resources.services) {
        ready_ = ready_endpoints(resources);
    }

    template <class Addresses>
    void add(const std::vector<model::CidrEntry>& entries, bool aggregate, Addresses&& addresses_of) {
        const std::vector<net::Prefix> ranges = model::ranges_of(entries);
        std::set<net::Prefix> without;  // single addresses of services without an endpoint here
        for (const auto& service : services_) {
            if (service->spec.is_headless()) {
                continue;
            }
            const auto known = ready_.find({service->metadata.ns, service->metadata.name});
            const Ready ready = known == ready_.end() ? Ready{} : known->second;
            const bool local = service->spec.external_traffic_policy == model::TrafficPolicy::local;
            for (const net::Ip& address : addresses_of(*service)) {
                const std::size_t family = address.is_v4() ? 0 : 1;
                const net::Prefix host = net::Prefix::host(address);
                if (!std::ranges::any_of(ranges, [&](const net::Prefix& range) { return range.contains(host); })) {
                    continue;
                }
                if (local ? ready.here[family] : !aggregate && ready.anywhere[family]) {
                    prefixes_.insert(host);
                } else if (local) {
                    without.insert(host);
                }
            }
        }
        for (const net::Prefix& range : ranges) {
            if (aggregate && !without.contains(range)) {
                prefixes_.insert(range);
            }
        }
    }
    [[nodiscard]] std::vector<net::Prefix> take() const { return {prefixes_.begin(), prefixes_.end()}; }

private:
    const std::vector<std::shared_ptr<const Service>>& services_;
    std::map<ServiceName, Ready> ready_;
    std::set<net::Prefix> prefixes_;
};

}  // namespace

std::vector<net::Prefix> service_prefixes(const ServiceResources& resources,
                                          const model::BgpConfigurationSpec& configuration) {
    if (resources.node) {
        const auto& labels = resources.node->metadata.labels;
        if (const auto excluded = labels.find(kExcluded); excluded != labels.end() && excluded->second == "true") {
            return {};
        }
    }
    Collector collector(resources);
    collector.add(configuration.service_cluster_ips, true, cluster_addresses);
    collector.add(configuration.service_external_ips, true,
                  [](const Service& service) -> const std::vector<net::Ip>& { return service.spec.external_ips; });
    collector.add(configuration.service_load_balancer_ips,
                  configuration.service_load_balancer_aggregation == model::OnOff::enabled, load_balancer_addresses);
    return collector.take();
}

}  // namespace manul::bgp::speaker
