#include "felix/io/workload_sync.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "felix/io/endpoint_mark.hpp"
#include "felix/io/interface_watch.hpp"
#include "felix/io/messages.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

namespace {

/// Stores may hold an endpoint without saying which container it is.
bool is_other_container(const std::string& before, const std::string& now) {
    return !before.empty() && !now.empty() && before != now;
}

}  // namespace

// --- workloads ------------------------------------------------------------------------------------------------------

void WorkloadSync::want(const Endpoint& endpoint) {
    if (const auto known = interface_of_.find(endpoint.key);
        known != interface_of_.end() && known->second != endpoint.interface) {
        forget(endpoint.key);
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

void WorkloadSync::forget(const EndpointKey& key) {
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

/// Of what an earlier run had put into force: addresses whose workloads went while nobody was here.
void WorkloadSync::compare_left_marks() {
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

WorkloadSync::Gone WorkloadSync::take_gone() { return {std::exchange(gone_addresses_, {}), marks_.take_left()}; }

bool WorkloadSync::is_workload_name(const std::string& name) const {
    const auto& prefixes = renderer_.config().interface_prefixes;
    return std::ranges::any_of(prefixes, [&name](const std::string& prefix) { return name.starts_with(prefix); });
}

std::vector<WorkloadSync::EndpointStatus> WorkloadSync::endpoints() const {
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

// --- links ----------------------------------------------------------------------------------------------------------

void WorkloadSync::touch_all_links() {
    for (const auto& [name, link] : links_.links()) {
        dirty_links_.insert(name);
    }
}

void WorkloadSync::link_changed(const std::string& name) {
    const netlink::Link* link = links_.find(name);
    dirty_links_.insert(name);
    shaper_.link_changed(name);
    if (const auto workload = workloads_.find(name); workload != workloads_.end()) {
        workload->second.programmed = false;
        // Without a link, or with one on its way out, there is nothing to mark before the next event.
        if (link != nullptr && link->group != render::kClosedGroup) {
            unmarked_.insert(name);
        } else {
            unmarked_.erase(name);
        }
    }
    if (link == nullptr) {
        released_.erase(name);
    } else {
        report_foreign_group(name, *link);
    }
}

/// Once for each link that is no workload's but carries a group of ours.
void WorkloadSync::report_foreign_group(const std::string& name, const netlink::Link& link) {
    const bool foreign = !is_workload_link(name) && !released_.contains(name) && link.group > render::kClosedGroup &&
                         link.group < render::kEndGroup;
    if (foreign && reported_groups_.insert(name).second) {
        log::emit(kForeignGroup, name, link.group, name);
    }
}

/// The group that the link must be put into; nothing when it is right or not ours to change.
std::optional<std::uint32_t> WorkloadSync::wanted_group(const netlink::Link& link) const {
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
    const bool to_close = is_workload_link(link.name) || released_.contains(link.name);
    return ours && to_close ? std::optional<std::uint32_t>(0) : std::nullopt;
}

bool WorkloadSync::belongs_to(const netlink::Link& link, const Workload& workload) {
    return is_of_container(workload.container_id, link.alias);
}

void WorkloadSync::move_links() {
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

void WorkloadSync::write_marks() {
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

void WorkloadSync::shape() {
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

}  // namespace manul::felix::io
