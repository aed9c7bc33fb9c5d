#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"
#include "ipam/io/history_file.hpp"
#include "ipam/io/host_links.hpp"
#include "ipam/io/teardown.hpp"
#include "ipam/service/service.hpp"

namespace manul::ipam {

/// The Service with what it does not know by itself: this host's clocks, links and files. Blocking, on the worker that
/// owns the store; only identity() and the counters of service().committer() may be read from elsewhere.
class HostService {
public:
    /// `store` and `settings` outlive this object.
    HostService(store::Store& store, const config::Settings& settings);

    /// Opens its own netlink socket.
    [[nodiscard]] Result<void> open();

    struct Connected {
        std::size_t pools = 0;
        std::size_t endpoints = 0;  ///< of this node
        UniqueFd readable;          ///< see Taken; none for want of descriptors
    };
    /// Makes this node's Node if it is absent, reads the datastore and begins to watch it. To be called until it
    /// succeeds.
    [[nodiscard]] Result<Connected> connect();

    struct Taken {
        Outcome<Service::Changes> changes;
        /// Where the watch began anew: a duplicate of its descriptor, readable when there are changes to take. The
        /// worker may close its own at any time, and its number may be anybody's a moment later.
        UniqueFd readable;
    };
    [[nodiscard]] Taken take_changes();

    struct Added {
        std::vector<AddResult> results;  ///< one for each request
        std::optional<Taken> taken;      ///< if changes of the store were read meanwhile
    };
    [[nodiscard]] Added add(std::span<const Request> requests);
    /// The attachment whose link has the name that the request's link is to get.
    [[nodiscard]] std::optional<KnownAttachment> predecessor_of(const Request& request);
    /// Of a CHECK or STATUS.
    [[nodiscard]] Answer answer(const Request& request);
    /// Whether there is an endpoint, an address or a link that a DEL would remove.
    [[nodiscard]] bool has_anything_of(const Request& del);

    /// Releases attachments whose link has been gone for a while; the others say which MTU pods get.
    void observe(const std::vector<netlink::Link>& links);
    /// As Service does.
    [[nodiscard]] Outcome<std::vector<std::string>> sync_tunnels();
    /// What addresses were given and freed since the last call.
    void write_history() { history_.append(service_.take_history()); }

    [[nodiscard]] const HostIdentity& identity() const noexcept { return identity_; }
    [[nodiscard]] Service& service() noexcept { return service_; }
    [[nodiscard]] const Service& service() const noexcept { return service_; }

private:
    [[nodiscard]] UniqueFd duplicate_watch() const;
    void find_unrecorded();
    [[nodiscard]] std::string why_not_writable() const;

    store::Store& store_;
    const config::Settings& settings_;
    HostIdentity identity_;
    Service service_;
    std::optional<HostLinks> links_;
    Presence presence_;
    HistoryFile history_;
    std::size_t unrecorded_ = 0;  ///< addresses in use without a record that were reported
    /// Only a write shows whether writing works again, so a refusal is forgotten after a while.
    std::chrono::steady_clock::time_point write_refused_at_;
};

/// All links except those of pods.
[[nodiscard]] std::vector<Uplink> uplinks_of(const std::vector<netlink::Link>& links);

}  // namespace manul::ipam
