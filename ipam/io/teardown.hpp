#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ipam/core/garbage.hpp"
#include "ipam/service/service.hpp"
#include "net/netlink/decode.hpp"

/// Which links on the host belong to attachments that end, and which attachments ended with their link. Decisions
/// only: the links are values that somebody read, and somebody else removes them.
///
/// A host end is named after its pod and carries the container's id as alias. The alias decides: a link of that name
/// with another alias belongs to a newer container of the same pod.
namespace manul::ipam {

/// Link group of host ends that are being deleted. No rule lets their packets pass, and felix leaves them alone.
inline constexpr std::uint32_t kDoomedGroup = 0x6d000000;
/// A link whose name a newer pod needs is called this and its index until it is deleted.
inline constexpr std::string_view kAsidePrefix = "mxl";

struct Deletion {
    Release release;
    std::string interface_name;  ///< of the endpoint, else as the plugin worked it out
    bool known = false;          ///< the attachment has an endpoint
    bool policy_only = false;    ///< whose link is another plugin's: none is deleted
};

/// What must not be touched.
struct LinkClaims {
    std::set<std::string> owned;    ///< names of host ends that other endpoints have
    std::set<std::string> awaited;  ///< names that an ADD under way is about to make
};

/// Whether, by its name, the link is this project's host end of a pod, or one that was renamed out of the way.
[[nodiscard]] bool is_host_end(const netlink::Link& link) noexcept;

/// Pod links that no endpoint refers to: the datastore was lost, or is older than they are. Links that other programs
/// made, or that are about to be deleted, are not included.
[[nodiscard]] std::vector<netlink::Link> unrecorded_links(std::span<const KnownAttachment> attachments,
                                                          std::span<const netlink::Link> links);

/// The links of one deletion.
[[nodiscard]] std::vector<netlink::Link> links_of(const Deletion& deletion, std::span<const netlink::Link> links,
                                                  const LinkClaims& claims);

/// Whether the link blocks an ADD whose predecessor is `old`, and may be renamed out of the way. If the record of a
/// pod's container disappeared with the Pod or with a datastore (`follows_pod`), any older container's link may be: its
/// name says which pod it belongs to.
[[nodiscard]] bool may_put_aside(const netlink::Link& link, const Attachment& old, const Attachment& wanted,
                                 bool follows_pod);
[[nodiscard]] std::string aside_name(std::uint32_t index);

/// Attachments live as long as their host end: the pair dies with the pod's namespace, whether or not a DEL came.
class Presence {
public:
    static constexpr std::chrono::seconds kGrace{60};

    /// The attachments whose link has been gone for the grace period, or that are of an earlier boot. Time counts from
    /// the first observation: a restart of this process begins anew.
    [[nodiscard]] std::vector<Release> observe(std::span<const KnownAttachment> attachments,
                                               std::span<const netlink::Link> links, SteadyTime now);

private:
    std::map<Attachment, SteadyTime> absent_since_;
};

}  // namespace manul::ipam
