#include "bgpd/rib/next_hop.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace manul::bgp::rib {

InterfaceId InterfaceNames::id(std::string_view name) {
    auto known = std::ranges::find(names_, name);
    if (known == names_.end() && names_.size() < UINT16_MAX) {
        known = names_.insert(names_.end(), std::string(name));
    }
    return known == names_.end() ? kNoInterface : InterfaceId(static_cast<std::uint16_t>(known - names_.begin()));
}

std::size_t NextHopTable::Hash::operator()(const wire::NextHop& next_hop) const noexcept {
    const std::size_t first = std::hash<net::Ip>{}(next_hop.address);
    return next_hop.link_local ? first ^ (std::hash<net::Ip6>{}(*next_hop.link_local) << 1U) : first;
}

NextHopTable::NextHopTable() {
    entries_.emplace_back();
    entries_[0].reachable = true;
    entries_[0].references = 1;
}

NextHopId NextHopTable::acquire(const wire::NextHop& next_hop) {
    if (last_ != 0 && entries_[last_].references != 0 && entries_[last_].next_hop == next_hop) {
        ++entries_[last_].references;
        return NextHopId(last_);
    }
    const auto [at, added] = by_value_.try_emplace(next_hop, 0);
    if (added) {
        if (free_.empty()) {
            at->second = static_cast<std::uint32_t>(entries_.size());
            entries_.emplace_back();
        } else {
            at->second = free_.back();
            free_.pop_back();
        }
        Address& address = addresses_[next_hop.address];
        Entry entry;
        entry.next_hop = next_hop;
        entry.reachable = address.metric.has_value();
        entry.metric = address.metric.value_or(0);
        entry.interface = address.interface;
        entry.fresh = true;
        fresh_.push_back(at->second);
        entries_[at->second] = entry;
        if (++address.users == 1) {
            touched_.push_back(next_hop.address);
        }
    }
    last_ = at->second;
    ++entries_[last_].references;
    return NextHopId(last_);
}

void NextHopTable::add_reference(NextHopId id) noexcept {
    if (id != kSelfNextHop) {
        ++entries_[id.value()].references;
    }
}

void NextHopTable::release(NextHopId id) {
    if (id == kSelfNextHop) {
        return;
    }
    Entry& entry = entries_[id.value()];
    assert(entry.references > 0);
    if (--entry.references > 0) {
        return;
    }
    by_value_.erase(entry.next_hop);
    const auto address = addresses_.find(entry.next_hop.address);
    if (--address->second.users == 0) {
        touched_.push_back(entry.next_hop.address);
    }
    free_.push_back(id.value());
}

bool NextHopTable::resolve(const net::Ip& address, std::optional<std::uint32_t> metric, InterfaceId interface) {
    const auto known = addresses_.find(address);
    if (known == addresses_.end() || (known->second.metric == metric && known->second.interface == interface)) {
        return false;
    }
    const bool same_metric = known->second.metric == metric;
    known->second.metric = metric;
    known->second.interface = interface;
    bool any = false;
    for (std::size_t i = 1; i < entries_.size(); ++i) {
        Entry& entry = entries_[i];
        if (entry.references > 0 && entry.next_hop.address == address) {
            entry.reachable = metric.has_value();
            entry.metric = metric.value_or(0);
            entry.interface = interface;
            entry.changed = entry.changed || (!entry.fresh && !same_metric);
            any = any || entry.changed;
        }
    }
    any_changed_ = any_changed_ || any;
    return any;
}

void NextHopTable::clear_changed() noexcept {
    if (!std::exchange(any_changed_, false)) {
        return;
    }
    for (Entry& entry : entries_) {
        entry.changed = false;
    }
}

void NextHopTable::end_turn() noexcept {
    for (const std::uint32_t at : fresh_) {
        entries_[at].fresh = false;
    }
    fresh_.clear();
}

std::vector<NextHopTable::Watch> NextHopTable::take_watches() {
    std::vector<Watch> out;
    for (const net::Ip& ip : touched_) {
        const auto address = addresses_.find(ip);
        if (address == addresses_.end()) {
            continue;
        }
        const bool wanted = address->second.users > 0;
        if (wanted != address->second.watched) {
            out.push_back({ip, wanted});
            address->second.watched = wanted;
        }
        if (!wanted) {
            addresses_.erase(address);
        }
    }
    touched_.clear();
    return out;
}

}  // namespace manul::bgp::rib
