#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/try.hpp"
#include "ipam/core/names.hpp"
#include "ipam/service/service.hpp"

// What the service knows of the attachments of its node.

namespace manul::ipam {

namespace {

constexpr const char* kPodIpAnnotation = "cni.projectcalico.org/podIP";

/// Where endpoints follow from Pods, most of those of a node that is busy starting pods have no container yet, and
/// those of pods that ended have nothing any more.
bool is_attached(const model::WorkloadEndpoint& endpoint, bool on_kubernetes) {
    if (endpoint.spec.container_id.empty()) {
        return false;
    }
    const auto recorded = endpoint.metadata.annotations.find(kPodIpAnnotation);
    return !on_kubernetes || !endpoint.spec.ip_networks.empty() ||
           (recorded != endpoint.metadata.annotations.end() && !recorded->second.empty());
}

/// The first of these addresses that no block says to be one of the handles'.
Outcome<std::optional<net::Ip>> not_allocated(Draft& draft, const std::vector<std::string>& handles,
                                              const std::vector<net::Ip>& addresses) {
    std::set<net::Ip> allocated;
    for (const std::string& handle : handles) {
        MANUL_TRY(const auto stored, draft.handle(handle));
        if (!stored) {
            continue;
        }
        for (const auto& [cidr, count] : stored->blocks) {
            MANUL_TRY(const auto block, draft.block(cidr));
            const auto ordinals = block ? block->of_handle(handle) : std::vector<Block::Ordinal>{};
            for (const Block::Ordinal ordinal : ordinals) {
                allocated.insert(block->address(ordinal));
            }
        }
    }
    const auto missing =
        std::ranges::find_if(addresses, [&](const net::Ip& address) { return !allocated.contains(address); });
    return missing == addresses.end() ? std::nullopt : std::optional(*missing);
}

}  // namespace

PodName pod_of(const model::WorkloadEndpoint& endpoint) {
    return {endpoint.metadata.ns, endpoint.spec.pod.empty() ? endpoint.spec.container_id : endpoint.spec.pod};
}

KnownAttachment Service::describe(const model::WorkloadEndpoint& endpoint) const {
    const auto boot = endpoint.metadata.annotations.find(kBootIdAnnotation);
    KnownAttachment known{network_of(endpoint), attachment_of(endpoint), endpoint.spec.interface_name};
    known.of_this_boot =
        boot == endpoint.metadata.annotations.end() || host_.boot_id.empty() || boot->second == host_.boot_id;
    known.policy_only = is_policy_only(endpoint);
    known.pod = host_.on_kubernetes ? pod_of(endpoint) : PodName{};
    return known;
}

Outcome<std::vector<KnownAttachment>> Service::attachments() {
    MANUL_TRY(const StoreSource::Endpoints* endpoints, source_.own_endpoints());
    std::vector<KnownAttachment> out;
    out.reserve(endpoints->size());
    for (const auto& [key, endpoint] : *endpoints) {
        if (is_attached(*endpoint, host_.on_kubernetes)) {
            out.push_back(describe(*endpoint));
        }
    }
    return out;
}

Outcome<std::optional<KnownAttachment>> Service::find(const Attachment& attachment) {
    MANUL_TRY(const auto endpoint, source_.find(attachment.container_id, attachment.ifname));
    return endpoint ? std::optional(describe(*endpoint)) : std::nullopt;
}

Outcome<std::optional<KnownAttachment>> Service::predecessor_of(const Request& request) {
    MANUL_TRY(const StoreSource::Endpoints* endpoints, source_.own_endpoints());
    const auto at = endpoints->find(endpoint_key(request, host_));
    if (at == endpoints->end() || at->second->spec.container_id.empty() ||
        attachment_of(*at->second) == request.attachment) {
        return std::nullopt;
    }
    return describe(*at->second);
}

Outcome<bool> Service::is_of_pod(Transaction& transaction, const std::string& handle, const PodName& pod) {
    MANUL_TRY(const auto stored, transaction.ipam().handle(handle));
    if (!stored) {
        return true;
    }
    for (const auto& [cidr, count] : stored->blocks) {
        MANUL_TRY(const auto block, transaction.ipam().block(cidr));
        if (!block) {
            continue;
        }
        for (const Block::Ordinal ordinal : block->of_handle(handle)) {
            const model::StringMap& attributes = block->owner(ordinal)->attributes;
            const auto ns = attributes.find("namespace");
            const auto name = attributes.find("pod");
            if (ns == attributes.end() || name == attributes.end() || ns->second != pod.ns ||
                name->second != pod.name) {
                return false;
            }
        }
    }
    return true;
}

Answer Service::check(const Request& request) {
    if (const auto why = not_ready()) {
        return to_answer(*why);
    }
    const auto endpoint = source_.find(request.attachment.container_id, request.attachment.ifname);
    if (!endpoint) {
        return to_answer(endpoint.error());
    }
    const std::string name =
        fmt::format("container {} interface {}", request.attachment.container_id, request.attachment.ifname);
    if (!*endpoint || !is_of_network(**endpoint, request.network)) {
        return failure(ErrorCode::unknown_container,
                       fmt::format("{} has no endpoint on this node in network {}", name, request.network));
    }
    Transaction transaction(source_);
    Answer answer;
    answer.policy_only = is_policy_only(**endpoint);
    const std::string handle = handle_id(request.network, request.attachment);
    for (const net::Prefix& network : (*endpoint)->spec.ip_networks) {
        answer.ips.push_back(network.address());
    }
    for (const net::Ip& ip : request.ips) {
        if (std::ranges::find(answer.ips, ip) == answer.ips.end()) {
            return failure(ErrorCode::check_failed, fmt::format("{} should have {}, but its endpoint {} has not", name,
                                                                ip.to_string(), (*endpoint)->key().to_string()));
        }
    }
    if (!answer.policy_only && !is_unmanaged(**endpoint)) {
        const auto missing =
            not_allocated(transaction.ipam(),
                          {handle, calico_handle_id(request.network, request.attachment.container_id)}, answer.ips);
        source_.end();
        if (!missing) {
            return to_answer(missing.error());
        }
        if (*missing) {
            return failure(ErrorCode::check_failed, fmt::format("{} has an endpoint, but its {} is not allocated to {}",
                                                                name, (*missing)->to_string(), handle));
        }
    }
    answer.host_interface = (*endpoint)->spec.interface_name;
    answer.endpoint = (*endpoint)->metadata.ns + "/" + (*endpoint)->metadata.name;
    return answer;
}

bool Service::owns_handle(const std::string& handle, const Request& request) {
    Transaction transaction(source_);  // only reads
    const auto theirs =
        is_of_pod(transaction, handle, {endpoint_namespace(request), std::string(request.arg("K8S_POD_NAME"))});
    source_.end();
    return theirs.value_or(false);
}

}  // namespace manul::ipam
