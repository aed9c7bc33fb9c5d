#include "bgpd/io/fib_sync.hpp"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/next_hop_watch.hpp"
#include "bgpd/speaker/action.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/socket.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::size_t kCompareFactor = 8;  // comparing a route costs so much less than programming it
constexpr std::size_t kFewRoutes = 64;     // are not worth waking a thread
constexpr std::size_t kMostUnderWay = 2;   // batches, so that the kernel need not wait for the next one

constexpr std::uint8_t family_index(net::Family family) { return family == net::Family::v4 ? 0 : 1; }

netlink::Route own_route(const net::Prefix& prefix, bool blackhole, std::uint32_t metric) {
    netlink::Route route;
    route.dst = prefix;
    route.protocol = kRouteProtocol;
    route.type = blackhole ? RTN_BLACKHOLE : RTN_UNICAST;
    route.priority = blackhole ? kBlackholeMetric : metric;
    return route;
}

}  // namespace

void FibSync::define(const speaker::FibGroup& definition) {
    if (objects_.define(definition)) {
        enqueue_users(definition.group);
    }
}

void FibSync::enqueue_users(speaker::FibGroupId group) {
    for (std::uint8_t family = 0; family < kFamilies; ++family) {
        for (std::uint32_t slot = 0; slot < entries_[family].size(); ++slot) {
            if (entries_[family][slot].wanted == group) {
                enqueue({family, slot});
            }
        }
    }
}

/// The learned route of the entry leads to this object now; kNone: to none, or nobody knows where.
void FibSync::set_object(Entry& entry, NexthopObjects::Id object) {
    objects_.lead(entry.object, object);
    entry.object = object;
}

void FibSync::enqueue(SlotRef ref) {
    Entry& entry = at(ref);
    refused_.erase(ref);
    if (!std::exchange(entry.queued, true)) {
        queue_.push_back(ref);
    }
}

/// The slot gets another prefix. What the kernel has for the old one goes; what it has for the new one is adopted.
void FibSync::rename(SlotRef ref, const net::Prefix& prefix) {
    if (at(ref).under_way) {
        finish();
    }
    Entry& entry = at(ref);
    const bool compared = resync_ != Resync::comparing || ref < compared_to_;
    if (entry.named && compared && entry.has.any()) {
        orphans_[entry.prefix] = {entry.has, NexthopObjects::kNone};
        --in_kernel_[ref.family];
    } else if (const auto found = found_.find(entry.prefix); entry.named && !compared && found != found_.end()) {
        orphans_[entry.prefix] = found->second;
        found_.erase(found);
    }
    set_object(entry, NexthopObjects::kNone);
    entry = Entry{.prefix = prefix, .queued = entry.queued, .named = true};
    for (auto* left : {&stale_, &orphans_, &found_}) {
        const auto found = left->find(prefix);
        if (found == left->end() || (left == &found_ && (!compared || resync_ != Resync::comparing))) {
            continue;
        }
        const Found adopted = found->second;
        left->erase(found);
        if (compared) {
            entry.has = adopted.has;
            set_object(entry, adopted.object);
            ++in_kernel_[ref.family];
        } else {
            found_[prefix] = adopted;  // compare() comes to it
        }
    }
}

void FibSync::change(const speaker::FibBatch& batch) {
    for (const speaker::FibChange& change : *batch.changes) {
        const SlotRef ref{family_index(change.prefix.family()), change.slot};
        auto& entries = entries_[ref.family];
        if (change.slot >= entries.size()) {
            entries.resize(std::max<std::size_t>(change.slot + std::size_t{1}, entries.size() + entries.size() / 4));
        }
        Entry& entry = entries[change.slot];
        if (!entry.named || entry.prefix != change.prefix) {
            rename(ref, change.prefix);
        }
        entry.wanted = change.group;
        entry.metric = change.metric;
        metrics_.insert(change.metric);
        enqueue(ref);
    }
}

void FibSync::complete() { sweeping_ = true; }

void FibSync::put(SlotRef ref, Step step, netlink::Write how, NexthopObjects::Id object) {
    const std::uint32_t metric = at(ref).metric;
    netlink::Route route = own_route(at(ref).prefix, step == Step::put_blackhole, metric);
    route.nexthop_id = object;
    netlink::put_route(requests_, route, how);
    sent_.push_back({ref, step, how == netlink::Write::add, object, metric});
}

void FibSync::plan(SlotRef ref) {
    Entry& entry = at(ref);
    if (entry.under_way) {
        deferred_.push_back(ref);
        return;
    }
    entry.queued = false;
    const auto drop = [&](bool present, Step step) {
        if (present) {
            netlink::delete_route(requests_, own_route(entry.prefix, step == Step::delete_blackhole, entry.has.metric));
            sent_.push_back({ref, step, false, NexthopObjects::kNone, 0});
        }
    };
    if (entry.wanted == speaker::kNoRoute) {
        drop(entry.has.learned, Step::delete_learned);
        drop(entry.has.blackhole, Step::delete_blackhole);
    } else if (entry.wanted == speaker::kBlackhole) {
        if (!entry.has.blackhole) {
            put(ref, Step::put_blackhole, netlink::Write::add, NexthopObjects::kNone);
        }
        drop(entry.has.learned, Step::delete_learned);
    } else if (const NexthopObjects::Id object = objects_.of(entry.wanted); object != NexthopObjects::kNone) {
        if (!entry.has.learned || entry.has.metric != entry.metric) {  // what is at another metric goes afterwards
            put(ref, Step::put_learned, netlink::Write::add, object);
        } else if (entry.object != object) {
            put(ref, Step::put_learned, netlink::Write::replace, object);
        }
        drop(entry.has.blackhole, Step::delete_blackhole);
    }
}

void FibSync::done(const Sent& sent) {
    Entry& entry = at(sent.ref);
    const bool before = entry.has.any();
    switch (sent.step) {
        case Step::put_learned:
            if (entry.has.learned && entry.has.metric != sent.metric) {
                moved_.emplace_back(entry.prefix, entry.has.metric);
            }
            entry.has.learned = true;
            entry.has.metric = sent.metric;
            set_object(entry, sent.object);
            break;
        case Step::put_blackhole:
            entry.has.blackhole = true;
            break;
        case Step::delete_learned:
            entry.has.learned = false;
            set_object(entry, NexthopObjects::kNone);
            break;
        case Step::delete_blackhole:
            entry.has.blackhole = false;
            break;
    }
    if (before != entry.has.any()) {
        std::size_t& count = in_kernel_[sent.ref.family];
        before ? --count : ++count;
    }
}

/// The exclusive addition found a route of the prefix and metric. If it is ours after all, it goes and the addition is
/// made again; if it is another owner's, nothing is changed.
bool FibSync::add_again(const Sent& sent) {
    const bool blackhole = sent.step == Step::put_blackhole;
    netlink::Route route = own_route(at(sent.ref).prefix, blackhole, sent.metric);
    netlink::RequestBuffer one;
    netlink::delete_route(one, route);
    if (!writer_.socket().request(one)) {
        return false;
    }
    one.clear();
    route.nexthop_id = sent.object;
    netlink::put_route(one, route, netlink::Write::add);
    return writer_.socket().request(one).has_value();
}

void FibSync::send_planned() {
    std::vector<Sent> sent = std::exchange(sent_, {});
    if (sent.size() <= kFewRoutes && under_way_.empty()) {
        if (const auto refused = writer_.send(requests_)) {
            apply(sent, *refused);
        }  // else what took effect is unknown: resync finds out
        return;
    }
    if (sent.empty()) {
        return;
    }
    for (const Sent& one : sent) {
        at(one.ref).under_way = true;
    }
    under_way_.push_back(std::move(sent));
    writer_.submit(std::exchange(requests_, {}));
}

/// Takes into account what became of the oldest batch under way.
void FibSync::settle(const RouteWriter::Outcome& outcome) {
    const std::vector<Sent> sent = std::move(under_way_.front());
    under_way_.pop_front();
    for (const Sent& one : sent) {
        at(one.ref).under_way = false;
    }
    queue_.insert(queue_.end(), deferred_.begin(), deferred_.end());
    deferred_.clear();
    if (outcome) {
        apply(sent, *outcome);
    } else {  // what took effect is unknown: resync finds out
        log::emit(kKernelFailed, outcome.error().message());
        needs_resync_ = true;
    }
}

/// Waits until nothing is under way: a few milliseconds.
void FibSync::finish() {
    while (!under_way_.empty()) {
        settle(writer_.wait());
    }
}

void FibSync::apply(const std::vector<Sent>& sent, std::span<const netlink::RefusedRequest> refused) {
    std::size_t next = 0;
    for (std::size_t i = 0; i < sent.size(); ++i) {
        if (next == refused.size() || refused[next].index != i) {
            done(sent[i]);
            continue;
        }
        const netlink::RefusedRequest& why = refused[next++];
        const bool deletion = sent[i].step == Step::delete_learned || sent[i].step == Step::delete_blackhole;
        if ((deletion && (why.code == ESRCH || why.code == ENOENT)) ||
            (sent[i].exclusive && why.code == EEXIST && add_again(sent[i]))) {
            done(sent[i]);
            continue;
        }
        refused_.insert(sent[i].ref);
        if (refusals_++ == 0) {
            first_refusal_ = at(sent[i].ref).prefix.to_string();
            first_reason_ = netlink::SocketError{netlink::SocketError::Kind::refused, why.code, why.text}.message();
        }
    }
    planned_ += sent.size();
}

void FibSync::report_refusals() {
    if (refusals_ > 0) {
        log::emit(kRouteRefused, refusals_, planned_, first_refusal_, first_reason_);
    }
    refusals_ = 0;
    planned_ = 0;
}

void FibSync::delete_left(std::unordered_map<net::Prefix, Found>& left, std::size_t budget) {
    for (std::size_t i = 0; i < budget && !left.empty(); ++i) {
        const auto first = left.begin();
        if (first->second.has.learned) {
            netlink::delete_route(requests_, own_route(first->first, false, first->second.has.metric));
        }
        if (first->second.has.blackhole) {
            netlink::delete_route(requests_, own_route(first->first, true, 0));
        }
        left.erase(first);
    }
    writer_.send(requests_);  // what is gone already: fine
}

/// Of learned routes whose metric is another one now: the new one is there.
void FibSync::delete_moved() {
    if (moved_.empty()) {
        return;
    }
    for (const auto& [prefix, metric] : std::exchange(moved_, {})) {
        netlink::delete_route(requests_, own_route(prefix, false, metric));
    }
    writer_.send(requests_);  // what is gone already: fine
}

bool FibSync::work(std::size_t budget) {
    if (resync_ == Resync::reading) {
        return false;
    }
    if (resync_ == Resync::comparing) {
        compare(kCompareFactor * budget);
        return true;
    }
    while (const auto outcome = writer_.take()) {
        settle(*outcome);
    }
    delete_moved();  // what a resync found, before anything is put there
    heed_notices();
    delete_left(orphans_, budget);
    if (under_way_.size() == kMostUnderWay) {
        return false;
    }
    for (std::size_t i = 0; i < budget && !queue_.empty(); ++i) {
        const SlotRef next = queue_.front();
        queue_.pop_front();
        plan(next);
    }
    send_planned();
    delete_moved();
    if (!queue_.empty() || !orphans_.empty()) {
        return under_way_.size() < kMostUnderWay;
    }
    if (!under_way_.empty()) {
        return false;
    }
    report_refusals();
    if (sweeping_ && !stale_.empty()) {
        const std::size_t before = stale_.size();
        delete_left(stale_, budget);
        swept_ += before - stale_.size();
        if (!stale_.empty()) {
            return true;
        }
        log::emit(kStaleRemoved, std::exchange(swept_, 0));
    }
    objects_.remove_unused(sweeping_);
    return false;
}

void FibSync::retry() {
    objects_.retry();
    for (const SlotRef ref : std::exchange(refused_, {})) {
        enqueue(ref);
    }
}

wire::FamilySet FibSync::families() noexcept {
    if (resync_ != Resync::none) {
        return families_;
    }
    wire::FamilySet families = stale_.empty() ? wire::FamilySet() : stale_families_;
    for (const net::Family family : wire::kFamilies) {
        if (in_kernel_[family_index(family)] > 0) {
            families.add(family);
        }
    }
    families_ = families;
    return families;
}

FibSync::Counts FibSync::counts() const noexcept {
    std::size_t waiting = queue_.size() + deferred_.size() + orphans_.size();
    for (const std::vector<Sent>& batch : under_way_) {
        waiting += batch.size();
    }
    return {in_kernel_[0] + in_kernel_[1], waiting, refused_.size(), stale_.size()};
}

}  // namespace manul::bgp::io
