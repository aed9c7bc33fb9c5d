#include "felix/calc/last_good.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/model/admin_policy.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/kind.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/event.hpp"

namespace manul::felix {

namespace {

/// Endpoints are written by daemons and change all the time: their journal would cost more than it is worth.
bool is_journaled(model::Kind kind) noexcept {
    return kind != model::Kind::workload_endpoint && kind != model::Kind::endpoint_slice;
}

void deny_in_all_directions(model::PolicySpec& spec) {
    spec.types = model::effective_types(spec);  // they may follow from the rules, so first
    model::Rule deny;
    deny.action = model::Action::deny;
    spec.ingress.clear();
    spec.egress.clear();
    for (const model::PolicyType type : spec.types) {
        (type == model::PolicyType::ingress ? spec.ingress : spec.egress) = {deny};
    }
}

/// A rule without peers cannot be converted, and so denies all packets of its direction.
template <class Policy>
model::ResourcePtr deny_where_it_has_rules(const Policy& policy) {
    auto copy = std::make_shared<Policy>(policy);
    const auto close = []<class AdminRule>(std::vector<AdminRule>& rules) {
        if (!rules.empty()) {
            rules.assign(1, AdminRule{});
        }
    };
    close(copy->spec.ingress);
    close(copy->spec.egress);
    return copy;
}

}  // namespace

model::ResourcePtr deny_everything(const model::Resource& policy) {
    if (const auto* namespaced = model::as<model::NetworkPolicy>(policy)) {
        auto copy = std::make_shared<model::NetworkPolicy>(*namespaced);
        deny_in_all_directions(copy->spec);
        return copy;
    }
    if (const auto* global = model::as<model::GlobalNetworkPolicy>(policy)) {
        if (global->spec.do_not_track || global->spec.pre_dnat) {
            return nullptr;
        }
        auto copy = std::make_shared<model::GlobalNetworkPolicy>(*global);
        deny_in_all_directions(copy->spec);
        const std::string workloads = "has(" + std::string(model::kLabelOrchestrator) + ")";
        copy->spec.selector = copy->spec.selector.empty() ? workloads : "(" + copy->spec.selector + ") && " + workloads;
        copy->spec.apply_on_forward = false;
        return copy;
    }
    if (const auto* kubernetes = model::as<model::KubernetesNetworkPolicy>(policy)) {
        auto copy = std::make_shared<model::KubernetesNetworkPolicy>(*kubernetes);
        copy->spec.ingress.clear();
        copy->spec.egress.clear();
        return copy;  // no rule means deny
    }
    if (const auto* admin = model::as<model::AdminNetworkPolicy>(policy)) {
        return deny_where_it_has_rules(*admin);
    }
    if (const auto* baseline = model::as<model::BaselineAdminNetworkPolicy>(policy)) {
        return deny_where_it_has_rules(*baseline);
    }
    if (const auto* cluster = model::as<model::ClusterNetworkPolicy>(policy)) {
        return deny_where_it_has_rules(*cluster);
    }
    return nullptr;
}

void LastGood::restore(const model::Resource& resource) {
    entries_.insert_or_assign(resource.key(), Entry{resource.metadata.resource_version, true});
    unconfirmed_.insert(resource.key());
}

bool LastGood::is_known(const model::Resource& resource) const {
    const model::Key key = resource.key();
    const std::string& revision = resource.metadata.resource_version;
    const auto entry = entries_.find(key);
    return entry != entries_.end() && entry->second.in_force && !revision.empty() &&
           entry->second.revision_in_force == revision && !unconfirmed_.contains(key) && !refused_.contains(key);
}

void LastGood::accept(const model::Resource& resource) {
    const model::Key key = resource.key();
    unconfirmed_.erase(key);
    refused_.erase(key);
    entries_.insert_or_assign(key, Entry{resource.metadata.resource_version, true});
    note(key, resource.metadata.resource_version);
}

LastGood::Verdict LastGood::refuse(const ResourceRefused& event) {
    unconfirmed_.erase(event.key);
    const auto entry = entries_.find(event.key);
    Report report{event.key, Report::Effect::nothing, event.reason, event.revision, {}};
    Verdict verdict;
    if (entry != entries_.end() && entry->second.in_force) {
        report.effect = Report::Effect::kept;
        report.revision_in_force = entry->second.revision_in_force;
    } else if (model::ResourcePtr deny = event.readable_scope ? deny_everything(*event.readable_scope) : nullptr) {
        report.effect = Report::Effect::denies;
        entries_.insert_or_assign(event.key, Entry{});
        verdict = {Verdict::Action::put, std::move(deny)};
    } else if (entry != entries_.end()) {
        // An earlier wrong version could be read well enough to deny; this one cannot.
        entries_.erase(entry);
        verdict = {Verdict::Action::remove, nullptr};
    }
    refused_.insert_or_assign(event.key, std::move(report));
    return verdict;
}

bool LastGood::remove(const model::Key& key) {
    refused_.erase(key);
    unconfirmed_.erase(key);
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) {
        return false;
    }
    if (entry->second.in_force) {
        note(key, std::nullopt);
    }
    entries_.erase(entry);
    return true;
}

std::vector<model::Key> LastGood::confirm() {
    std::vector<model::Key> gone(unconfirmed_.begin(), unconfirmed_.end());
    std::ranges::sort(gone);
    for (const model::Key& key : gone) {
        remove(key);
    }
    return gone;
}

void LastGood::note(const model::Key& key, std::optional<std::string> revision) {
    if (is_journaled(key.kind)) {
        journal_.insert_or_assign(key, std::move(revision));
    }
}

std::vector<Report> LastGood::reports() const {
    std::vector<Report> out;
    out.reserve(refused_.size());
    for (const auto& [key, report] : refused_) {
        out.push_back(report);
    }
    std::ranges::sort(out, {}, &Report::key);
    return out;
}

std::vector<JournalChange> LastGood::take_journal_changes() {
    std::vector<JournalChange> out;
    out.reserve(journal_.size());
    for (auto& [key, revision] : journal_) {
        out.push_back(JournalChange{key, std::move(revision)});
    }
    journal_.clear();
    std::ranges::sort(out, {}, &JournalChange::key);
    return out;
}

}  // namespace manul::felix
