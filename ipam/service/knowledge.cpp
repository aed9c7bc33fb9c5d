#include "ipam/service/knowledge.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "config/codec/json.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/node.hpp"
#include "config/store/namespaces.hpp"

namespace manul::ipam {

namespace {

constexpr const char* kDefaultName = "default";

}  // namespace

Knowledge::Knowledge(std::string node) { world_.node = std::move(node); }

std::vector<model::Kind> Knowledge::kinds() {
    return {model::Kind::ip_pool,
            model::Kind::ip_reservation,
            model::Kind::ipam_configuration,
            model::Kind::cluster_information,
            model::Kind::node,
            model::Kind::felix_configuration};
}

void Knowledge::replace(model::Kind kind, const store::Listing& listing) {
    std::set<model::Key> present;
    for (const store::Object& object : listing.items) {
        present.insert(object.key);
    }
    std::vector<model::Key> gone;
    for (const auto& [key, revision] : in_force_) {
        if (key.kind == kind && !present.contains(key)) {
            gone.push_back(key);
        }
    }
    std::erase_if(refused_, [&](const auto& one) { return one.first.kind == kind && !present.contains(one.first); });
    for (const model::Key& key : gone) {
        remove(key);
    }
    for (const store::Object& object : listing.items) {
        put(object);
    }
    note_token(kind, listing.revision);
    rebuild();
}

void Knowledge::apply(const store::Event& event) {
    if (event.type == store::Event::Type::put) {
        put(event.object);
    } else if (event.type == store::Event::Type::removed) {
        remove(event.object.key);
    } else {
        return;
    }
    note_token(event.object.key.kind, event.object.revision);
    rebuild();
}

void Knowledge::put(const store::Object& object) {
    auto refusal = take(object);
    if (!refusal) {
        in_force_[object.key] = object.revision;
        refused_.erase(object.key);
        return;
    }
    const auto last_good = in_force_.find(object.key);
    refused_[object.key] = {model::reported_kind(object.key.kind),
                            object.key.ns,
                            object.key.name,
                            *std::move(refusal),
                            object.revision,
                            last_good == in_force_.end() ? std::string{} : last_good->second};
}

std::optional<std::string> Knowledge::take(const store::Object& object) {
    const std::string& name = object.key.name;
    if (object.key.kind == model::Kind::node) {
        nodes_.insert(name);
        if (name != world_.node) {
            return std::nullopt;
        }
    }
    const codec::Decoded decoded = codec::decode(object.key.kind, *object.document, codec::Mode::lenient);
    if (!decoded.ok()) {
        for (const model::Finding& finding : decoded.findings) {
            if (finding.severity == model::Finding::Severity::error) {
                return finding.to_string();
            }
        }
        return "cannot be understood";
    }
    if (const auto* pool = model::as<model::IpPool>(*decoded.resource)) {
        auto compiled = Pool::from_model(*pool);
        if (!compiled) {
            return compiled.error().message;
        }
        if (store::is_ending(*object.document)) {
            compiled->set_being_deleted();
        }
        pools_.insert_or_assign(name, *std::move(compiled));
    } else if (const auto* reservation = model::as<model::IpReservation>(*decoded.resource)) {
        reservations_[name] = reservation->spec.reserved_cidrs;
    } else if (const auto* configuration = model::as<model::IpamConfiguration>(*decoded.resource)) {
        if (name == kDefaultName) {
            world_.settings = settings_of(configuration->spec);
        }
    } else if (const auto* cluster = model::as<model::ClusterInformation>(*decoded.resource)) {
        if (name == kDefaultName) {
            datastore_ready_ = cluster->spec.datastore_ready;
        }
    } else if (const auto* felix = model::as<model::FelixConfiguration>(*decoded.resource)) {
        if (name == kDefaultName) {
            mtu_ = MtuSettings::from_model(felix->spec);
            wireguard_ = {felix->spec.wireguard_enabled, felix->spec.wireguard_enabled_v6};
        } else if (name == "node." + world_.node) {
            own_wireguard_ = {felix->spec.wireguard_enabled, felix->spec.wireguard_enabled_v6};
        }
    } else if (const auto* node = model::as<model::Node>(*decoded.resource)) {
        world_.node_labels = node->metadata.labels;
        has_wireguard_key_ = !node->status.wireguard_public_key.empty();
        has_wireguard_key_v6_ = !node->status.wireguard_public_key_v6.empty();
    }
    return std::nullopt;
}

void Knowledge::remove(const model::Key& key) {
    pools_.erase(key.kind == model::Kind::ip_pool ? key.name : std::string{});
    reservations_.erase(key.kind == model::Kind::ip_reservation ? key.name : std::string{});
    if (key.kind == model::Kind::ipam_configuration && key.name == kDefaultName) {
        world_.settings = {};
    } else if (key.kind == model::Kind::cluster_information && key.name == kDefaultName) {
        datastore_ready_ = true;
    } else if (key.kind == model::Kind::felix_configuration && key.name == kDefaultName) {
        mtu_ = {};
        wireguard_ = {};
    } else if (key.kind == model::Kind::felix_configuration && key.name == "node." + world_.node) {
        own_wireguard_ = {};
    }
    if (key.kind == model::Kind::node) {
        nodes_.erase(key.name);
    }
    // A Node that was deleted is written back by this daemon: its labels stay meanwhile.
    in_force_.erase(key);
    refused_.erase(key);
}

void Knowledge::rebuild() {
    world_.pools.clear();
    for (const auto& [name, pool] : pools_) {
        world_.pools.push_back(pool);
    }
    std::vector<net::Prefix> reserved;
    for (const auto& [name, cidrs] : reservations_) {
        reserved.insert(reserved.end(), cidrs.begin(), cidrs.end());
    }
    world_.reservations = Reservations(std::move(reserved));
}

void Knowledge::note_token(model::Kind kind, const store::Revision& revision) {
    // Nodes are written by daemons: reporting their tokens would answer each such write with another.
    if (kind != model::Kind::node) {
        tokens_[model::reported_kind(kind)] = revision;
    }
}

TunnelSettings Knowledge::tunnel_settings() const noexcept {
    const auto either = [](const std::optional<bool>& own, const std::optional<bool>& all) {
        return own.value_or(all.value_or(false));
    };
    return {has_wireguard_key_ && either(own_wireguard_.v4, wireguard_.v4),
            has_wireguard_key_v6_ && either(own_wireguard_.v6, wireguard_.v6)};
}

model::NodeReportSpec Knowledge::report() const {
    model::NodeReportSpec report;
    report.daemon = model::ReportDaemon::ipamd;
    report.node = world_.node;
    report.version = MANUL_VERSION;
    report.last_tokens = tokens_;
    report.not_in_force = not_in_force();
    return report;
}

std::vector<model::NotInForce> Knowledge::not_in_force() const {
    std::vector<model::NotInForce> out;
    for (const auto& [key, refusal] : refused_) {
        out.push_back(refusal);
    }
    return out;
}

}  // namespace manul::ipam
