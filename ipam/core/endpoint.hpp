#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/model/kubernetes.hpp"
#include "config/model/profile.hpp"
#include "config/model/workload_endpoint.hpp"
#include "ipam/core/allocator.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/core/timestamp.hpp"
#include "ipam/local/protocol.hpp"

/// The WorkloadEndpoint of an attachment: made at ADD, kept in step with the Pod object afterwards. Pure.
///
/// ipamd is the only writer of endpoints and nobody else joins Pods, so everything that policy needs to know of a pod
/// stands in its endpoint: labels, service account, named ports, profiles.
namespace manul::ipam {

/// An endpoint of an earlier boot is dead: its namespace went with the boot.
inline constexpr const char* kBootIdAnnotation = "manul.io/boot-id";
/// Name of the CNI network that the attachment belongs to: a GC names attachments of one network only.
inline constexpr const char* kNetworkAnnotation = "manul.io/network";
/// The endpoint's addresses were given by its pod's annotation and are no allocations.
inline constexpr const char* kUnmanagedAnnotation = "manul.io/addresses-without-ipam";

/// On endpoints whose link another plugin made: policy alone is this project's, so the link is never deleted here.
inline constexpr const char* kPolicyOnlyAnnotation = "manul.io/policy-only";

/// What is the same for every endpoint of this process.
struct HostIdentity {
    std::string node;
    std::string boot_id;  ///< empty: cannot be read, and nothing is taken for an earlier boot's
    /// The store is the Kubernetes API: endpoints follow from Pods, and only their addresses are written here.
    bool on_kubernetes = false;
};

/// Namespace of the endpoint: the pod's, "default" for bare containers.
[[nodiscard]] std::string endpoint_namespace(const Request& request);

/// Where the endpoint of a request is stored; its name is empty when the request's names cannot make one.
[[nodiscard]] model::Key endpoint_key(const Request& request, const HostIdentity& host);

/// The endpoint without addresses; its metadata.name follows from spec. Fails when the request's names cannot make
/// one. `pod` may be null: its labels follow once it appears.
[[nodiscard]] Outcome<model::WorkloadEndpoint> make_endpoint(const Request& request, const HostIdentity& host,
                                                             const model::Pod* pod);

/// What the pod's annotations add once its addresses are known: floating addresses (allowed by the network's
/// configuration only) and sources that it may use besides its own.
[[nodiscard]] Outcome<void> add_translations(model::WorkloadEndpoint& endpoint, const Request& request,
                                             const model::Pod* pod);

/// Brings labels, service account, profiles and named ports in step with the Pod; published ports stay. True when
/// something changed. Does nothing to endpoints of bare containers.
bool sync_with_pod(model::WorkloadEndpoint& endpoint, const model::Pod& pod);

/// Refuses an endpoint that breaks the rules of its kind: labels and names come from people, and the store does not
/// validate this daemon's writes.
[[nodiscard]] Outcome<void> check_endpoint(const model::WorkloadEndpoint& endpoint);

[[nodiscard]] bool is_policy_only(const model::WorkloadEndpoint& endpoint);
/// Whether its addresses came without IPAM.
[[nodiscard]] bool is_unmanaged(const model::WorkloadEndpoint& endpoint);

/// The attachment that an endpoint stands for.
[[nodiscard]] Attachment attachment_of(const model::WorkloadEndpoint& endpoint);
/// Whether the endpoint is an attachment of that network, as far as both say which they are of.
[[nodiscard]] bool is_of_network(const model::WorkloadEndpoint& endpoint, std::string_view network);
/// From its annotation, empty when absent.
[[nodiscard]] std::string network_of(const model::WorkloadEndpoint& endpoint);

/// The owner, for records: "default/web", or "default/<container id>".
[[nodiscard]] std::string owner_of(const model::WorkloadEndpoint& endpoint);

/// What the allocator is asked for: pools and addresses by the pod's annotations, then the namespace's, then the
/// network's configuration. Fails on an annotation that cannot be read.
[[nodiscard]] Outcome<Demand> make_demand(const Request& request, const HostIdentity& host, const model::Pod* pod,
                                          const model::Namespace* ns, WallTime now);

/// The labels that every namespace has, and those of its object.
[[nodiscard]] model::StringMap namespace_labels(std::string_view name, const model::Namespace* ns);

/// The profile of bare containers, as Calico's plugin makes it: traffic from containers of the same network and all
/// traffic out is allowed.
[[nodiscard]] model::Profile make_network_profile(const std::string& network);

}  // namespace manul::ipam
