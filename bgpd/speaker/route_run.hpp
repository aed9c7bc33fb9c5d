#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "bgpd/rib/loc_rib.hpp"
#include "bgpd/speaker/monitor.hpp"
#include "bgpd/wire/nlri.hpp"
#include "bgpd/wire/update_writer.hpp"

namespace manul::bgp::speaker {

/// Routes of one table of one peer, packed as they come: routes next to each other that share attributes share
/// messages, and none overtakes another.
class RouteRun {
public:
    RouteRun(const rib::RibCore& core, MonitoredRoutes routes, bool path_ids)
        : core_(core), routes_(std::move(routes)), path_ids_(path_ids) {}

    /// `attributes` kNoAttributes: the route is gone. `self`: next hop of routes that start here.
    template <class Key>
    void add(const Key& key, rib::AttributeId attributes, std::uint32_t path_id, const net::Ip& self) {
        const bool announces = attributes != rib::kNoAttributes;
        if (!writer_ || attributes != attributes_ || family_ != Key::kFamily) {
            finish();
            // Small messages, which every station takes, wherever the attributes leave room in them.
            const bool large = announces && core_.attributes[attributes].size > wire::kMaxMessage / 2;
            writer_.emplace(routes_.updates,
                            wire::WriteContext{true, large ? wire::kMaxExtendedMessage : wire::kMaxMessage, path_ids_});
            attributes_ = attributes;
            family_ = Key::kFamily;
            if (announces) {
                const rib::AttributeSet& set = core_.attributes[attributes];
                const wire::NextHop& via = core_.next_hops[set.next_hop].next_hop;
                writer_->announce(Key::kFamily,
                                  set.next_hop == rib::kSelfNextHop ? wire::NextHop{self, std::nullopt} : via,
                                  set.canonical());
            } else {
                writer_->withdraw(Key::kFamily);
            }
        }
        encoded_.clear();
        if (path_ids_) {
            ByteWriter(encoded_).u32(path_id);
        }
        wire::encode_prefix(key.to_prefix(), encoded_);
        static_cast<void>(writer_->add(encoded_));
    }

    /// Appends what was gathered to `out`, if anything was.
    void take(std::vector<MonitorEvent>& out) {
        finish();
        if (!routes_.updates.empty()) {
            out.emplace_back(std::move(routes_));
        }
    }

private:
    void finish() {
        if (writer_) {
            writer_->finish();
            writer_.reset();
        }
    }

    const rib::RibCore& core_;
    MonitoredRoutes routes_;
    bool path_ids_;
    std::optional<wire::UpdateWriter> writer_;
    rib::AttributeId attributes_;
    net::Family family_ = net::Family::v4;
    Bytes encoded_;
};

}  // namespace manul::bgp::speaker
