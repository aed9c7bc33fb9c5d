#include "felix/io/dataplane.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "felix/io/messages.hpp"
#include "felix/model/update.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

namespace {

/// A pod's link makes half a dozen messages within a millisecond, most of them before its endpoint is known.
constexpr std::int64_t kGatherLinksUs = 2'000;
/// With somebody who keeps changing rules or routes of ours, they are repaired a few times a second.
constexpr std::int64_t kRepairPauseUs = 200'000;

std::int64_t now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// 0: never.
void arm(Timer& timer, std::chrono::milliseconds interval) {
    if (interval.count() > 0) {
        timer.after_us(std::chrono::microseconds(interval).count());
    } else {
        timer.cancel();
    }
}

void enable_forwarding() {
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

}  // namespace

Dataplane::Dataplane(boost::asio::io_context& io, const Options& options, RulesetSync rules, InterfaceWatch links,
                     RouteSync routes, OverlaySync overlay, EndpointMarks marks, Shaper shaper)
    : io_(io),
      retry_first_us_(options.retry_first_us),
      retry_last_us_(options.retry_last_us),
      rules_(std::move(rules)),
      links_(std::move(links)),
      routes_(std::move(routes)),
      overlay_(std::move(overlay)),
      renderer_(options.dispatch),
      workloads_(links_, routes_, renderer_, std::move(marks), std::move(shaper)),
      retry_us_(retry_first_us_),
      started_us_(now_us()),
      retry_(io, [this] { try_again(); }),
      refresh_rules_(io, [this] { refresh_rules(); }),
      refresh_routes_(io, [this] { refresh_routes(); }),
      links_soon_(io,
                  [this] {
                      watch_links();
                      on_links_changed();
                  }),
      watch_rules_(io, rules_.fd(), [this] { on_rules_changed(); }),
      watch_links_(std::in_place, io, links_.fd(), [this] { on_links_readable(); }) {}

Result<std::unique_ptr<Dataplane>> Dataplane::open(boost::asio::io_context& io, const Options& options) {
    MANUL_TRY(RulesetSync rules, RulesetSync::open());
    MANUL_TRY(InterfaceWatch links, InterfaceWatch::open());
    MANUL_TRY(RouteSync routes, RouteSync::open());
    MANUL_TRY(OverlaySync overlay, OverlaySync::open());
    MANUL_TRY(EndpointMarks marks, EndpointMarks::open(options.run_dir));
    MANUL_TRY(Shaper shaper, Shaper::open());
    return std::unique_ptr<Dataplane>(new Dataplane(io, options, std::move(rules), std::move(links), std::move(routes),
                                                    std::move(overlay), std::move(marks), std::move(shaper)));
}

Result<void> Dataplane::start() {
    workloads_.start();
    MANUL_TRY(const RulesetSync::Found found, rules_.start());
    found_rules_ = found.rules;
    for (const auto& [pair, group] : found.groups) {
        renderer_.reserve_group(pair, group);
    }
    MANUL_CHECK(routes_.list());
    MANUL_TRY(const auto changes, links_.list());
    links_changed(changes);
    return {};
}

// --- what is wanted -------------------------------------------------------------------------------------------------

void Dataplane::apply(const Batch& batch) {
    take_gathered_links();
    bool configured = false;
    for (const Update& u : batch) {
        std::visit([this](const auto& known) { update(known); }, u);
        configured = configured || std::holds_alternative<ConfigChanged>(u);
    }
    if (in_sync_) {
        workloads_.compare_left_marks();
    }
    render(batch);
    if (configured) {
        settings_changed();
    }
    synchronize();
}

void Dataplane::update(const ConfigChanged& u) {
    if (u.config->interface_prefixes != renderer_.config().interface_prefixes) {
        workloads_.touch_all_links();
    }
    routes_.configure(*u.config);
    overlay_.configure(*u.config);
    if (const auto hears = links_.follow_routes(u.config->route_protocol); !hears) {
        log::emit(kListFailed, "removed routes", hears.error().message);
    }
}

void Dataplane::update(const RouteUpdated& u) {
    if (routes_.wants(u.route.prefix)) {
        workloads_.address_left(u.route.prefix.address());
    }
    routes_.want(u.route);
}

void Dataplane::update(const RouteRemoved& u) {
    workloads_.address_left(u.prefix.address());
    routes_.forget(u.prefix);
}

void Dataplane::update(const InSync& /*u*/) {
    in_sync_ = true;
    routes_.sweep();
}

void Dataplane::render(const Batch& batch) {
    const render::Output output = renderer_.apply(batch);
    for (const render::Change& change : output.changes) {
        rules_.want(change);
    }
    for (const render::LinkGroup& link : output.links) {
        workloads_.touch_link(link.interface);
    }
}

void Dataplane::settings_changed() {
    schedule_rules_refresh();
    schedule_routes_refresh();
    list_routes();
    if (in_force_ && renderer_.config().ip_forwarding) {
        enable_forwarding();
    }
}

/// Before all workloads are known nobody can tell whose addresses the marks of an earlier run are now.
Dataplane::Gone Dataplane::take_gone() { return in_sync_ ? workloads_.take_gone() : Gone{}; }

// --- bringing it into force -----------------------------------------------------------------------------------------

/// Brings the kernel to what is wanted, as far as that is known and possible now.
void Dataplane::synchronize() {
    if (!in_sync_) {
        return;
    }
    const bool was_refused = rules_.is_pending();
    if (!in_force_) {
        if (renderer_.config().ip_forwarding) {
            enable_forwarding();
        }
        rules_.compare_members();
    }
    if (const auto ready = rules_.prepare(); !ready) {
        retry_later([&](std::uint64_t pause_ms) { log::emit(kReadBackFailed, pause_ms, ready.error().message); });
        return;
    }
    if (!commit(nft::Scope::keep_unused)) {
        return;
    }
    workloads_.move_links();
    repair_removed_routes();
    routes_.program();
    overlay_.program();
    if (!workloads_.has_failures()) {  // else some link may still be in a group that nobody has any more
        renderer_.settle();
    }
    if (!commit(nft::Scope::everything)) {
        return;
    }
    retry_us_ = retry_first_us_;
    workloads_.write_marks();
    workloads_.shape();
    if (!std::exchange(in_force_, true)) {
        log::emit(kInSync, workloads_.count(), (now_us() - started_us_) / 1000);
    }
    if (routes_.has_failures() || overlay_.has_failures() || workloads_.has_failures() || rules_.has_withheld()) {
        retry_soon();
    }
    if (was_refused && on_recovered_) {
        on_recovered_();
    }
}

bool Dataplane::commit(nft::Scope scope) {
    const RulesetSync::Commit result = rules_.commit(scope);
    if (result.overlapped) {
        retry_.after_us(kRepairPauseUs);
    }
    if (!result.done) {
        retry_later([&](std::uint64_t pause_ms) { log::emit(kCommitRefused, pause_ms, result.reason); });
    }
    return result.done;
}

void Dataplane::retry_later(const std::function<void(std::uint64_t)>& report) {
    report(retry_us_ / 1000);
    retry_.after_us(static_cast<std::int64_t>(retry_us_));
    retry_us_ = std::min(retry_us_ * 2, retry_last_us_);
}

/// Rules are in force; something else could not be done.
void Dataplane::retry_soon() { retry_.after_us(static_cast<std::int64_t>(retry_last_us_ / 10)); }

/// With the objects that were left out: the reason may have gone.
void Dataplane::try_again() {
    rules_.release_withheld();
    if (overlay_.has_failures()) {
        overlay_.queue_resync();
    }
    synchronize();
}

void Dataplane::check_overlay() {
    overlay_.queue_resync();
    overlay_.program();
    if (overlay_.has_failures()) {
        retry_soon();
    }
}

void Dataplane::list_routes() {
    routes_.set_own_addresses(own_addresses());
    if (const auto listed = routes_.list(); !listed) {
        log::emit(kListFailed, "routes", listed.error().message);
    }
}

/// At once the first time; with somebody who keeps removing our routes, a few times a second.
void Dataplane::repair_removed_routes() {
    if (!links_.has_removed_routes()) {
        return;
    }
    if (now_us() - routes_repaired_us_ < kRepairPauseUs) {
        retry_.after_us(kRepairPauseUs);
        return;
    }
    const InterfaceWatch::RemovedRoutes removed = links_.take_removed_routes();
    bool ours = removed.incomplete;
    for (const netlink::Route& route : removed.routes) {
        if (route.hops.size() == 1 && route.hops.front().gateway) {
            overlay_.queue_resync();
            ours = true;
        }
        ours = routes_.removed(route) || ours;
    }
    if (removed.incomplete) {
        list_routes();
        overlay_.queue_resync();
    }
    if (ours) {
        routes_repaired_us_ = now_us();
    }
}

// --- comparing at intervals -----------------------------------------------------------------------------------------

void Dataplane::schedule_rules_refresh() { arm(refresh_rules_, renderer_.config().ruleset_refresh); }

void Dataplane::schedule_routes_refresh() { arm(refresh_routes_, renderer_.config().route_refresh); }

/// Nothing changes without a new generation.
void Dataplane::refresh_rules() {
    if (rules_.check_generation()) {
        synchronize();
    }
    schedule_rules_refresh();
}

void Dataplane::refresh_routes() {
    if (const auto listed = routes_.list(); !listed) {
        log::emit(kListFailed, "routes", listed.error().message);
    } else if (in_sync_) {
        routes_.program();
        check_overlay();
        workloads_.check_shaping();
        workloads_.shape();
    }
    schedule_routes_refresh();
}

// --- events of the kernel -------------------------------------------------------------------------------------------

/// At once the first time; with somebody who keeps changing our tables, a few times a second.
void Dataplane::on_rules_changed() {
    if (!rules_.take_foreign_changes()) {
        return;
    }
    if (now_us() - rules_repaired_us_ < kRepairPauseUs) {
        retry_.after_us(kRepairPauseUs);
        return;
    }
    rules_repaired_us_ = now_us();
    synchronize();
}

void Dataplane::watch_links() {
    if (!watch_links_) {
        watch_links_.emplace(io_, links_.fd(), [this] { on_links_readable(); });
    }
}

/// Links that no endpoint waits for are looked at in one go, a moment later: what begins with them (a pod is added, or
/// goes) needs the processors more.
void Dataplane::on_links_readable() {
    if (!in_sync_ || workloads_.has_unmarked()) {
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
    if (in_sync_ && !rules_.is_pending()) {
        synchronize();
    }
    publish_addresses();
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
        if (!workloads_.is_workload_link(change.name)) {
            overlay_.queue_resync();
        }
        workloads_.link_changed(change.name);
    }
}

void Dataplane::on_interfaces(std::function<void(const InterfaceAddresses&)> callback) {
    on_interfaces_ = std::move(callback);
    published_addresses_ = links_.addresses();
    on_interfaces_(published_addresses_);
}

void Dataplane::publish_addresses() {
    if (!on_interfaces_) {
        return;
    }
    if (InterfaceAddresses now = links_.addresses(); now != published_addresses_) {
        if (in_sync_ && differ_besides_workloads(now.addresses, published_addresses_.addresses)) {
            check_overlay();
        }
        published_addresses_ = std::move(now);
        if (routes_.names_sources()) {
            list_routes();
        }
        on_interfaces_(published_addresses_);
    }
}

bool Dataplane::differ_besides_workloads(const std::map<std::string, std::set<net::Ip>>& now,
                                         const std::map<std::string, std::set<net::Ip>>& before) const {
    const auto lacks = [this](const auto& one, const auto& other) {
        return std::ranges::any_of(one, [&](const auto& link) {
            const auto& [name, addresses] = link;
            const auto same = other.find(name);
            return (same == other.end() || same->second != addresses) && !workloads_.is_workload_name(name);
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

// --- status ---------------------------------------------------------------------------------------------------------

Dataplane::Status Dataplane::status() const {
    const RulesetSync::Status& rules = rules_.status();
    Status status;
    status.in_sync = in_force_;
    status.commit_pending = rules_.is_pending();
    status.problems = rules.problems;
    std::ranges::move(overlay_.problems(), std::back_inserter(status.problems));
    status.commits = rules.commits;
    status.last_commit_us = rules.last_commit_us;
    status.commit_us_total = rules.commit_us_total;
    status.failures = rules.failures;
    status.drifts = rules.drifts;
    status.endpoints = workloads_.count();
    status.routes = routes_.wanted();
    status.cluster_routes = overlay_.routes();
    return status;
}

}  // namespace manul::felix::io
