#include "felix/io/dataplane.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/overloaded.hpp"
#include "base/try.hpp"
#include "felix/io/messages.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/update.hpp"
#include "felix/render/names.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

namespace {

/// A pod's link makes half a dozen messages within a millisecond, most of them before its endpoint is known.
constexpr std::int64_t kGatherLinksUs = 2'000;
constexpr std::int64_t kRouteRepairPauseUs = 200'000;

/// Stores may hold an endpoint without saying which container it is.
bool is_other_container(const std::string& before, const std::string& now) {
    return !before.empty() && !now.empty() && before != now;
}

}  // namespace

Dataplane::Dataplane(boost::asio::io_context& io, Options options, NftSocket nft, NftMonitor nft_monitor,
                     InterfaceWatch links, RouteSync routes, OverlaySync overlay, EndpointMarks marks, Shaper shaper)
    : io_(io),
      options_(std::move(options)),
      nft_(std::move(nft)),
      nft_monitor_(std::move(nft_monitor)),
      links_(std::move(links)),
      routes_(std::move(routes)),
      overlay_(std::move(overlay)),
      marks_(std::move(marks)),
      shaper_(std::move(shaper)),
      renderer_(options_.dispatch),
      retry_us_(options_.retry_first_us),
      started_us_(now_us()),
      retry_(io, [this] { try_again(); }),
      refresh_rules_(io, [this] { refresh_rules(); }),
      refresh_routes_(io, [this] { refresh_routes(); }),
      links_soon_(io,
                  [this] {
                      watch_links();
                      on_links_changed();
                  }),
      watch_rules_(io, nft_monitor_.fd(), [this] { on_rules_changed(); }),
      watch_links_(std::in_place, io, links_.fd(), [this] { on_links_readable(); }) {}

void Dataplane::watch_links() {
    if (!watch_links_) {
        watch_links_.emplace(io_, links_.fd(), [this] { on_links_readable(); });
    }
}

Result<std::unique_ptr<Dataplane>> Dataplane::open(boost::asio::io_context& io, Options options) {
    MANUL_TRY(NftSocket nft, NftSocket::open_owner());
    MANUL_TRY(NftMonitor monitor, NftMonitor::open());
    MANUL_TRY(InterfaceWatch links, InterfaceWatch::open());
    MANUL_TRY(RouteSync routes, RouteSync::open());
    MANUL_TRY(OverlaySync overlay, OverlaySync::open());
    MANUL_TRY(EndpointMarks marks, EndpointMarks::open(options.run_dir));
    MANUL_TRY(Shaper shaper, Shaper::open());
    return std::unique_ptr<Dataplane>(new Dataplane(io, std::move(options), std::move(nft), std::move(monitor),
                                                    std::move(links), std::move(routes), std::move(overlay),
                                                    std::move(marks), std::move(shaper)));
}

Result<void> Dataplane::start() {
    left_marks_ = marks_.clear();
    MANUL_TRY(const auto snapshot, nft_.read());
    generation_ = snapshot.generation;
    found_rules_ = !snapshot.state.empty();
    for (const auto& [pair, group] : nft::class_groups(snapshot.state)) {
        renderer_.reserve_group(pair, group);
    }
    tracker_.adopt(snapshot.state);
    MANUL_CHECK(routes_.list());
    MANUL_TRY(const auto changes, links_.list());
    links_changed(changes);
    return {};
}

void Dataplane::apply(const Batch& batch) {
    take_gathered_links();
    bool configured = false;
    for (const Update& update : batch) {
        std::visit(overloaded{
                       [&](const ConfigChanged& u) {
                           if (u.config->interface_prefixes != renderer_.config().interface_prefixes) {
                               for (const auto& [name, link] : links_.links()) {
                                   dirty_links_.insert(name);
                               }
                           }
                           routes_.configure(*u.config);
                           overlay_.configure(*u.config);
                           if (const auto hears = links_.follow_routes(u.config->route_protocol); !hears) {
                               log::emit(kListFailed, "removed routes", hears.error().message);
                           }
                           configured = true;
                       },
                       [&](const EndpointUpdated& u) { note_endpoint(*u.endpoint); },
                       [&](const EndpointRemoved& u) { forget_endpoint(u.key); },
                       [&](const RouteUpdated& u) {
                           if (routes_.wants(u.route.prefix)) {
                               gone_addresses_.insert(u.route.prefix.address());
                           }
                           routes_.want(u.route);
                       },
                       [&](const RouteRemoved& u) {
                           gone_addresses_.insert(u.prefix.address());
                           routes_.forget(u.prefix);
                       },
                       [&](const TunnelDeviceUpdated& u) { overlay_.want(u.device); },
                       [&](const TunnelDeviceRemoved& u) { overlay_.forget(u.kind); },
                       [&](const ClusterRouteUpdated& u) { overlay_.want(u.route); },
                       [&](const ClusterRouteRemoved& u) { overlay_.forget(u.prefix); },
                       [&](const InSync&) {
                           in_sync_ = true;
                           routes_.sweep();
                       },
                       [](const auto&) {},
                   },
                   update);
    }
    if (in_sync_) {
        note_gone_meanwhile();
    }
    const render::Output output = renderer_.apply(batch);
    for (const render::Change& change : output.changes) {
        tracker_.change(change);
    }
    for (const render::LinkGroup& link : output.links) {
        dirty_links_.insert(link.interface);
    }
    if (configured) {
        schedule_rules_refresh();
        schedule_routes_refresh();
        list_routes();
        if (status_.in_sync) {
            enable_forwarding();
        }
    }
    synchronize();
}

void Dataplane::note_endpoint(const Endpoint& endpoint) {
    if (const auto known = interface_of_.find(endpoint.key);
        known != interface_of_.end() && known->second != endpoint.interface) {
        forget_endpoint(endpoint.key);
    }
    interface_of_[endpoint.key] = endpoint.interface;
    // A pod that came again before it was seen to go: its connections were the other container's.
    if (const auto before = workloads_.find(endpoint.interface);
        before != workloads_.end() && is_other_container(before->second.container_id, endpoint.container_id)) {
        gone_addresses_.insert(before->second.addresses.begin(), before->second.addresses.end());
    }
    workloads_[endpoint.interface] = {endpoint.key, endpoint.container_id, endpoint.resource_version,
                                      endpoint.addresses, false};
    unmarked_.insert(endpoint.interface);
    dirty_links_.insert(endpoint.interface);
    shaper_.want(endpoint.interface, endpoint.to_workload, endpoint.from_workload);
}

/// Of what an earlier run had put into force: addresses whose workloads went while nobody was here.
void Dataplane::note_gone_meanwhile() {
    for (const EndpointMarks::Left& left : std::exchange(left_marks_, {})) {
        const auto workload = workloads_.find(left.interface);
        const bool same =
            workload != workloads_.end() && !is_other_container(left.container_id, workload->second.container_id);
        for (const net::Ip& address : left.addresses) {
            if (!same || std::ranges::find(workload->second.addresses, address) == workload->second.addresses.end()) {
                gone_addresses_.insert(address);
            }
        }
        if (workload == workloads_.end() && !is_workload_name(left.interface)) {
            released_.insert(left.interface);
            dirty_links_.insert(left.interface);
        }
    }
}

/// Before all workloads are known nobody can tell whose addresses the marks of an earlier run are now.
Dataplane::Gone Dataplane::take_gone() {
    return in_sync_ ? Gone{std::exchange(gone_addresses_, {}), marks_.take_left()} : Gone{};
}

void Dataplane::forget_endpoint(const EndpointKey& key) {
    const auto known = interface_of_.find(key);
    if (known == interface_of_.end()) {
        return;
    }
    const std::string interface = known->second;
    interface_of_.erase(known);
    if (const auto workload = workloads_.find(interface); workload != workloads_.end() && workload->second.key == key) {
        workloads_.erase(workload);
        unmarked_.erase(interface);
        marks_.remove(interface);
        shaper_.forget(interface);
        dirty_links_.insert(interface);
        if (!is_workload_name(interface)) {
            released_.insert(interface);
        }
    }
}

/// Brings the kernel to what is wanted, as far as that is known and possible now.
void Dataplane::synchronize() {
    if (!in_sync_) {
        return;
    }
    const bool was_refused = commit_pending_;
    if (!status_.in_sync) {
        enable_forwarding();
        read_members();
    }
    if (must_read_back_ && !read_back()) {
        return;
    }
    read_rules();
    if (!commit(nft::Scope::keep_unused)) {
        return;
    }
    move_links();
    take_removed_routes();
    routes_.program();
    overlay_.program();
    if (dirty_links_.empty()) {  // else some link may still be in a group that nobody has any more
        renderer_.settle();
    }
    if (!commit(nft::Scope::everything)) {
        return;
    }
    retry_us_ = options_.retry_first_us;
    write_marks();
    shape();
    if (!std::exchange(status_.in_sync, true)) {
        log::emit(kInSync, workloads_.size(), (now_us() - started_us_) / 1000);
    }
    if (routes_.has_failures() || overlay_.has_failures() || !dirty_links_.empty() || !withheld_.empty()) {
        retry_.after_us(static_cast<std::int64_t>(options_.retry_last_us / 10));
    }
    if (was_refused && on_recovered_) {
        on_recovered_();
    }
}

// --- links, marks ---------------------------------------------------------------------------------------------------

bool Dataplane::is_workload_name(const std::string& name) const {
    const auto& prefixes = renderer_.config().interface_prefixes;
    return std::ranges::any_of(prefixes, [&name](const std::string& prefix) { return name.starts_with(prefix); });
}

void Dataplane::shape() {
    if (shaper_.is_idle()) {
        return;
    }
    std::set<std::string> workloads;
    for (const auto& [interface, workload] : workloads_) {
        workloads.insert(interface);
    }
    shaper_.program(
        [this](const std::string& name) -> const netlink::Link* {
            const netlink::Link* link = links_.find(name);
            const auto workload = workloads_.find(name);
            const bool theirs =
                workload == workloads_.end() || (link != nullptr && belongs_to(*link, workload->second));
            return theirs ? link : nullptr;
        },
        workloads);
}

/// The group that the link must be put into; nothing when it is right or not ours to change.
std::optional<std::uint32_t> Dataplane::wanted_group(const netlink::Link& link) const {
    if (link.group == render::kClosedGroup) {
        return std::nullopt;  // on its way out
    }
    const auto workload = workloads_.find(link.name);
    const auto group = renderer_.group_of(link.name);
    if (workload != workloads_.end() && group && belongs_to(link, workload->second)) {
        return link.group == *group ? std::nullopt : group;
    }
    const bool ours = link.group >= render::kFirstGroup && link.group < render::kEndGroup;
    // A link whose endpoint went before it, or has another container now, must not keep a class, whatever its name.
    const bool to_close = is_workload_name(link.name) || released_.contains(link.name) || workload != workloads_.end();
    return ours && to_close ? std::optional<std::uint32_t>(0) : std::nullopt;
}

bool Dataplane::belongs_to(const netlink::Link& link, const Workload& workload) {
    return is_of_container(workload.container_id, link.alias);
}

void Dataplane::move_links() {
    std::vector<std::pair<std::string, std::uint32_t>> groups;
    for (const std::string& name : std::exchange(dirty_links_, {})) {
        if (const netlink::Link* link = links_.find(name)) {
            if (const auto group = wanted_group(*link)) {
                groups.emplace_back(name, *group);
            }
        }
    }
    for (const InterfaceWatch::Failure& failure : links_.set_groups(groups)) {
        log::emit(kLinkRefused, failure.name, failure.reason);
        dirty_links_.insert(failure.name);
    }
}

void Dataplane::write_marks() {
    for (auto name = unmarked_.begin(); name != unmarked_.end();) {
        Workload& workload = workloads_.at(*name);
        const netlink::Link* link = links_.find(*name);
        const auto group = renderer_.group_of(*name);
        const bool in_group = link != nullptr && group && link->group == *group && belongs_to(*link, workload);
        if (in_group && routes_.complete(*name)) {
            marks_.write(*name, workload.container_id, workload.resource_version, link->index, workload.addresses);
            workload.programmed = true;
            name = unmarked_.erase(name);
        } else {
            ++name;
        }
    }
}

void Dataplane::on_interfaces(std::function<void(const InterfaceAddresses&)> told) {
    on_interfaces_ = std::move(told);
    told_addresses_ = links_.addresses();
    on_interfaces_(told_addresses_);
}

bool Dataplane::differ_besides_workloads(const std::map<std::string, std::set<net::Ip>>& now,
                                         const std::map<std::string, std::set<net::Ip>>& before) const {
    const auto lacks = [this](const auto& one, const auto& other) {
        return std::ranges::any_of(one, [&](const auto& link) {
            const auto& [name, addresses] = link;
            const auto same = other.find(name);
            return (same == other.end() || same->second != addresses) && !is_workload_name(name);
        });
    };
    return lacks(now, before) || lacks(before, now);
}

std::set<net::Ip> Dataplane::own_addresses() const {
    std::set<net::Ip> out;
    for (const auto& [interface, addresses] : links_.addresses().addresses) {
        out.insert(addresses.begin(), addresses.end());
    }
    return out;
}

void Dataplane::list_routes() {
    routes_.set_own_addresses(own_addresses());
    if (const auto listed = routes_.list(); !listed) {
        log::emit(kListFailed, "routes", listed.error().message);
    }
}

/// At once the first time; with somebody who keeps removing our routes, a few times a second.
void Dataplane::take_removed_routes() {
    if (!links_.has_removed_routes()) {
        return;
    }
    if (now_us() - routes_repaired_us_ < kRouteRepairPauseUs) {
        retry_.after_us(kRouteRepairPauseUs);
        return;
    }
    const InterfaceWatch::RemovedRoutes removed = links_.take_removed_routes();
    bool ours = removed.incomplete;
    for (const netlink::Route& route : removed.routes) {
        if (route.hops.size() == 1 && route.hops.front().gateway) {
            overlay_.look_again();
            ours = true;
        }
        ours = routes_.removed(route) || ours;
    }
    if (removed.incomplete) {
        list_routes();
        overlay_.look_again();
    }
    if (ours) {
        routes_repaired_us_ = now_us();
    }
}

void Dataplane::tell_addresses() {
    if (!on_interfaces_) {
        return;
    }
    if (InterfaceAddresses now = links_.addresses(); now != told_addresses_) {
        if (in_sync_ && differ_besides_workloads(now.addresses, told_addresses_.addresses)) {
            check_overlay();
        }
        told_addresses_ = std::move(now);
        if (routes_.names_sources()) {
            list_routes();
        }
        on_interfaces_(told_addresses_);
    }
}

/// Links that no endpoint waits for are looked at in one go, a moment later: what begins with them (a pod is added, or
/// goes) needs the processors more.
void Dataplane::on_links_readable() {
    if (!in_sync_ || !unmarked_.empty()) {
        on_links_changed();
        return;
    }
    watch_links_.reset();
    if (!links_soon_.armed()) {
        links_soon_.after_us(kGatherLinksUs);
    }
}

/// An endpoint that came is put into force over the links as they are now, and if its own is not there, as soon as it
/// is.
void Dataplane::take_gathered_links() {
    if (!links_soon_.armed()) {
        return;
    }
    watch_links();
    if (const auto changes = links_.take()) {
        links_changed(*changes);
    } else {
        log::emit(kListFailed, "network interfaces", changes.error().message);
    }
}

void Dataplane::on_links_changed() {
    const auto changes = links_.take();
    if (!changes) {
        log::emit(kListFailed, "network interfaces", changes.error().message);
        return;
    }
    links_changed(*changes);
    // Rules do not depend on links: with an unfinished commit the next attempt takes care of these too.
    if (in_sync_ && !commit_pending_) {
        synchronize();
    }
    tell_addresses();
}

void Dataplane::links_changed(const std::vector<InterfaceWatch::Change>& changes) {
    for (const InterfaceWatch::Change& change : changes) {
        if (change.renamed) {
            routes_.link_renamed(change.name);
        } else if (change.interrupted) {
            routes_.link_changed(change.name, std::nullopt);
        }
        const netlink::Link* link = links_.find(change.name);
        if (link != nullptr && link->is_up()) {
            routes_.link_changed(change.name, link->index);
        }
        dirty_links_.insert(change.name);
        shaper_.link_changed(change.name);
        if (!is_workload_name(change.name) && !workloads_.contains(change.name)) {
            overlay_.look_again();
        }
        if (const auto workload = workloads_.find(change.name); workload != workloads_.end()) {
            workload->second.programmed = false;
            // Without a link, or with one on its way out, there is nothing to mark before the next event.
            if (link != nullptr && link->group != render::kClosedGroup) {
                unmarked_.insert(change.name);
            } else {
                unmarked_.erase(change.name);
            }
        }
        if (link == nullptr) {
            released_.erase(change.name);
        }
        const bool foreign = link != nullptr && !is_workload_name(change.name) && !workloads_.contains(change.name) &&
                             !released_.contains(change.name) && link->group > render::kClosedGroup &&
                             link->group < render::kEndGroup;
        if (foreign && reported_groups_.insert(change.name).second) {
            log::emit(kForeignGroup, change.name, link->group, change.name);
        }
    }
}

void Dataplane::enable_forwarding() {
    if (!renderer_.config().ip_forwarding) {
        return;
    }
    for (const char* path : {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"}) {
        std::string value;
        std::ifstream(path) >> value;
        if (value.empty() || value == "1") {
            continue;  // a kernel without IPv6 has no such file
        }
        std::ofstream file(path);
        file << "1" << std::flush;
        if (!file) {
            log::emit(kSysctlFailed, path, std::strerror(errno));
        }
    }
}

// --- status ---------------------------------------------------------------------------------------------------------

Dataplane::Status Dataplane::status() const {
    Status status = status_;
    status.commit_pending = commit_pending_;
    status.endpoints = workloads_.size();
    status.routes = routes_.wanted();
    status.cluster_routes = overlay_.routes();
    std::ranges::move(overlay_.problems(), std::back_inserter(status.problems));
    return status;
}

Result<std::vector<nft::RuleCounter>> Dataplane::counters() {
    MANUL_TRY(auto counters, nft_.counters());
    const auto kept = counters_.kept();
    counters.insert(counters.end(), kept.begin(), kept.end());
    return counters;
}

std::vector<Dataplane::EndpointStatus> Dataplane::endpoints() const {
    std::vector<EndpointStatus> list;
    for (const auto& [interface, workload] : workloads_) {
        EndpointStatus entry{workload.key.ns,    workload.key.name, interface, {}, renderer_.group_of(interface),
                             workload.programmed};
        for (const net::Ip& address : workload.addresses) {
            entry.addresses.push_back(address.to_string());
        }
        list.push_back(std::move(entry));
    }
    return list;
}

}  // namespace manul::felix::io
