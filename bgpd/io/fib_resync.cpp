#include "bgpd/io/fib_sync.hpp"

#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/log.hpp"
#include "base/try.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/next_hop_watch.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/socket.hpp"
#include "net/prefix.hpp"

// What the kernel really has: read back after a start and after link events, and what other programs do to it.

namespace manul::bgp::io {
namespace {

constexpr std::size_t kMostNotices = 10'000;  // prefixes

}  // namespace

netlink::SocketResult<void> FibSync::begin_resync() {
    finish();
    needs_resync_ = false;
    writer_.forget_failure();
    found_.clear();
    MANUL_CHECK(objects_.resync(!loaded_));
    resync_ = Resync::reading;
    return {};
}

void FibSync::found(std::span<const netlink::Route> own) {
    for (const netlink::Route& route : own) {
        if (route.type == RTN_BLACKHOLE && route.priority == kBlackholeMetric) {
            found_[route.dst].has.blackhole = true;
        } else if (route.type == RTN_UNICAST) {
            Found& found = found_[route.dst];
            if (found.has.learned) {  // a change of its metric was cut short
                moved_.emplace_back(route.dst, route.priority);
                continue;
            }
            metrics_.insert(route.priority);
            found.has.learned = true;
            found.has.metric = route.priority;
            found.object = route.nexthop_id;
        }
    }
}

void FibSync::end_resync() {
    resync_ = Resync::comparing;
    compared_to_ = {};
    in_kernel_ = {};
    objects_.forget_routes();
    // What nobody names is left over: from an earlier run, or from a deletion that is still waiting.
    stale_.clear();
    orphans_.clear();
    if (entries_[0].empty() && entries_[1].empty()) {
        compare(0);
    }
}

/// A slice of comparing what was found with what should be there.
void FibSync::compare(std::size_t budget) {
    for (; compared_to_.family < entries_.size(); ++compared_to_.family, compared_to_.slot = 0) {
        auto& entries = entries_[compared_to_.family];
        for (; compared_to_.slot < entries.size(); ++compared_to_.slot) {
            if (budget-- == 0) {
                return;
            }
            Entry& entry = entries[compared_to_.slot];
            if (!entry.named) {
                continue;
            }
            const auto found = found_.find(entry.prefix);
            entry.has = found == found_.end() ? InKernel{} : found->second.has;
            entry.object = NexthopObjects::kNone;
            set_object(entry, found == found_.end() ? NexthopObjects::kNone : found->second.object);
            if (found != found_.end()) {
                found_.erase(found);
            }
            in_kernel_[compared_to_.family] += entry.has.any() ? 1U : 0U;
            enqueue(compared_to_);  // costs nothing when all is as wanted
        }
    }
    resync_ = Resync::none;
    stale_ = std::exchange(found_, {});
    stale_families_ = {};
    for (const auto& [prefix, found] : stale_) {
        stale_families_.add(prefix.family());
    }
    if (!std::exchange(loaded_, true) && !stale_.empty()) {
        log::emit(kAdopted, stale_.size());
    }
}

void FibSync::notice(const netlink::Route& route, bool removed) {
    if (route.table != netlink::kMainTable ||
        (route.priority != kBlackholeMetric && !metrics_.contains(route.priority))) {
        return;
    }
    if (notices_.size() >= kMostNotices) {
        needs_resync_ = true;  // reading everything back is cheaper
        return;
    }
    notices_[route.dst].push_back({removed, route.priority, route.protocol == kRouteProtocol});
}

void FibSync::heed_notices() {
    if (notices_.empty()) {
        return;
    }
    finish();  // what the kernel said to us comes first
    const auto notices = std::exchange(notices_, {});
    for (std::uint8_t family = 0; family < kFamilies; ++family) {
        for (std::uint32_t slot = 0; slot < entries_[family].size(); ++slot) {
            const Entry& entry = entries_[family][slot];
            if (!entry.named) {
                continue;
            }
            if (const auto found = notices.find(entry.prefix); found != notices.end()) {
                for (const Notice& notice : found->second) {
                    heed({family, slot}, notice);
                }
            }
        }
    }
}

void FibSync::heed(SlotRef ref, const Notice& notice) {
    Entry& entry = at(ref);
    const bool blackhole = notice.metric == kBlackholeMetric;
    if (!blackhole && notice.metric != (entry.has.learned ? entry.has.metric : entry.metric)) {
        return;  // nothing of ours is, or is to be, there
    }
    const bool before = entry.has.any();
    bool& has = blackhole ? entry.has.blackhole : entry.has.learned;
    const bool had = has;
    if (notice.own_protocol) {
        has = !notice.removed;
        if (!blackhole) {
            entry.has.metric = notice.metric;
            set_object(entry, NexthopObjects::kNone);  // whatever it leads to now
        }
    } else if (!notice.removed) {
        if (!blackhole) {
            set_object(entry, NexthopObjects::kNone);
        }
        has = false;  // two routes of one prefix and metric cannot be: it took the place of ours
    } else if (!refused_.contains(ref)) {
        return;
    }
    if (before != entry.has.any()) {
        std::size_t& count = in_kernel_[ref.family];
        before ? --count : ++count;
    }
    if (had && (!has || notice.own_protocol)) {
        log::emit(kRouteMeddled, entry.prefix.to_string());
    }
    enqueue(ref);
}

}  // namespace manul::bgp::io
