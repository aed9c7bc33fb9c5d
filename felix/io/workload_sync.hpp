#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "felix/io/endpoint_mark.hpp"
#include "felix/io/interface_watch.hpp"
#include "felix/io/route_sync.hpp"
#include "felix/io/shaper.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/render/renderer.hpp"
#include "net/ip.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::io {

/// The workloads of this node and their links. Each link is put into the link group of its endpoint's classes
/// (felix/render/renderer.hpp) and gets the endpoint's bandwidth. An endpoint whose rules, link group and routes are in
/// the kernel is marked as programmed, which the CNI plugin waits for. A link whose endpoint went is taken out of its
/// group.
///
/// Addresses that left the node, or went to another workload, are remembered until somebody has ended their
/// connections.
class WorkloadSync {
public:
    /// `links`, `routes` and `renderer` outlive this.
    WorkloadSync(InterfaceWatch& links, const RouteSync& routes, const render::Renderer& renderer, EndpointMarks marks,
                 Shaper shaper)
        : links_(links), routes_(routes), renderer_(renderer), marks_(std::move(marks)), shaper_(std::move(shaper)) {}

    /// Sets marks of an earlier run aside. Once, before anything else.
    void start() { left_marks_ = marks_.clear(); }

    void want(const Endpoint& endpoint);
    void forget(const EndpointKey& key);
    /// All workloads are known now: what marks of an earlier run say can be compared with them.
    void compare_left_marks();

    /// The group of the link may be another.
    void touch_link(const std::string& name) { dirty_links_.insert(name); }
    void touch_all_links();
    /// The link appeared, changed or vanished.
    void link_changed(const std::string& name);

    /// Puts links into their groups. After the commit that made the groups.
    void move_links();
    /// Some links could not be moved: another attempt is worthwhile, and groups that nobody has may still be in use.
    [[nodiscard]] bool has_failures() const noexcept { return !dirty_links_.empty(); }
    /// Marks the endpoints that are complete.
    void write_marks();
    /// Some endpoints are not yet marked that have a link.
    [[nodiscard]] bool has_unmarked() const noexcept { return !unmarked_.empty(); }
    void shape();
    /// Reads bandwidths back; shape() corrects what differs.
    void check_shaping() { shaper_.check(); }

    /// Whether workloads have links of such names.
    [[nodiscard]] bool is_workload_name(const std::string& name) const;
    /// Whether the link has such a name or an endpoint.
    [[nodiscard]] bool is_workload_link(const std::string& name) const {
        return is_workload_name(name) || workloads_.contains(name);
    }

    /// The address has no workload here any more, or another one.
    void address_left(const net::Ip& address) { gone_addresses_.insert(address); }
    struct Gone {
        std::set<net::Ip> addresses;
        std::vector<std::string> marks;  ///< no longer needed when the connections of the addresses were ended
    };
    /// Since the last call.
    [[nodiscard]] Gone take_gone();
    void forget_marks(const std::vector<std::string>& marks) { marks_.forget_left(marks); }

    struct EndpointStatus {
        std::string ns;
        std::string name;
        std::string interface;
        std::vector<std::string> addresses;
        std::optional<std::uint32_t> group;
        bool programmed = false;
    };
    [[nodiscard]] std::vector<EndpointStatus> endpoints() const;
    [[nodiscard]] std::size_t count() const noexcept { return workloads_.size(); }

private:
    struct Workload {
        EndpointKey key;
        std::string container_id;
        std::string resource_version;
        std::vector<net::Ip> addresses;
        bool programmed = false;
    };

    [[nodiscard]] std::optional<std::uint32_t> wanted_group(const netlink::Link& link) const;
    [[nodiscard]] static bool belongs_to(const netlink::Link& link, const Workload& workload);
    void report_foreign_group(const std::string& name, const netlink::Link& link);

    InterfaceWatch& links_;
    const RouteSync& routes_;
    const render::Renderer& renderer_;
    EndpointMarks marks_;
    Shaper shaper_;

    std::map<std::string, Workload> workloads_;  ///< by interface
    std::map<EndpointKey, std::string> interface_of_;
    std::set<std::string> dirty_links_;
    std::set<std::string> released_;  ///< links of ended endpoints that other plugins made and may keep
    std::set<std::string> unmarked_;
    std::set<net::Ip> gone_addresses_;
    std::vector<EndpointMarks::Left> left_marks_;  ///< until all workloads are known
    std::set<std::string> reported_groups_;
};

}  // namespace manul::felix::io
