#include "ipam/io/teardown.hpp"

#include <utility>

namespace manul::ipam {

bool is_host_end(const netlink::Link& link) noexcept {
    return link.name.starts_with("cali") || link.name.starts_with(kAsidePrefix);
}

std::vector<netlink::Link> unrecorded_links(std::span<const KnownAttachment> attachments,
                                            std::span<const netlink::Link> links) {
    std::set<std::pair<std::string_view, std::string_view>> recorded;
    for (const KnownAttachment& known : attachments) {
        recorded.emplace(known.interface_name, known.attachment.container_id);
    }
    std::vector<netlink::Link> out;
    for (const netlink::Link& link : links) {
        if (is_host_end(link) && !link.alias.empty() && link.group != kDoomedGroup &&
            !recorded.contains({link.name, link.alias})) {
            out.push_back(link);
        }
    }
    return out;
}

std::vector<netlink::Link> links_of(const Deletion& deletion, std::span<const netlink::Link> links,
                                    const LinkClaims& claims) {
    const std::string& container = deletion.release.attachment.container_id;
    std::vector<netlink::Link> found;
    if (deletion.policy_only) {
        return found;
    }
    for (const netlink::Link& link : links) {
        const bool of_name = link.name == deletion.interface_name && !link.name.empty();
        bool mine = false;
        if (link.alias == container && !container.empty()) {
            // Another interface of the same container has an endpoint of its own.
            mine = (of_name && deletion.known) || (is_host_end(link) && !claims.owned.contains(link.name));
        } else if (link.alias.empty() && of_name) {
            // Its plugin died before it gave the link its alias, or has not come so far yet.
            mine = deletion.known || (!claims.owned.contains(link.name) && !claims.awaited.contains(link.name));
        }
        if (mine) {
            found.push_back(link);
        }
    }
    return found;
}

bool may_put_aside(const netlink::Link& link, const Attachment& old, const Attachment& wanted, bool follows_pod) {
    if (link.alias.empty() || link.alias == wanted.container_id) {
        return false;
    }
    return link.alias == old.container_id || (follows_pod && is_host_end(link));
}

std::string aside_name(std::uint32_t index) { return std::string(kAsidePrefix) + std::to_string(index); }

std::vector<Release> Presence::observe(std::span<const KnownAttachment> attachments,
                                       std::span<const netlink::Link> links, SteadyTime now) {
    std::map<std::string_view, const netlink::Link*> by_name;
    for (const netlink::Link& link : links) {
        by_name.emplace(link.name, &link);
    }
    std::vector<Release> dead;
    std::map<Attachment, SteadyTime> absent;
    for (const KnownAttachment& known : attachments) {
        if (!known.of_this_boot) {
            dead.push_back({known.network, known.attachment, known.pod});
            continue;
        }
        const auto link = by_name.find(known.interface_name);
        if (link != by_name.end() &&
            (link->second->alias.empty() || link->second->alias == known.attachment.container_id)) {
            continue;
        }
        const auto before = absent_since_.find(known.attachment);
        const SteadyTime since = before == absent_since_.end() ? now : before->second;
        if (now - since >= kGrace) {
            dead.push_back({known.network, known.attachment, known.pod});
        } else {
            absent.emplace(known.attachment, since);
        }
    }
    absent_since_ = std::move(absent);
    return dead;
}

}  // namespace manul::ipam
