#include "ipam/service/host_endpoints.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/node.hpp"
#include "ipam/core/auto_host_endpoints.hpp"
#include "ipam/service/read_all.hpp"
#include "ipam/service/store_source.hpp"

namespace manul::ipam {

namespace {

using store::StoreError;

constexpr std::chrono::seconds kPeriod{60};

/// Null when it cannot be read.
template <class T>
std::shared_ptr<const T> read(const store::Object& object) {
    return object.document ? model::as<T>(codec::decode(T::kKind, *object.document, codec::Mode::lenient).resource)
                           : nullptr;
}

bool is_ours(const model::HostEndpoint& endpoint) {
    const auto made = endpoint.metadata.labels.find(kCreatedByLabel);
    return made != endpoint.metadata.labels.end() && made->second == kCreatedByValue;
}

model::HostEndpoint brought_up_to_date(const model::HostEndpoint& stored, const model::HostEndpoint& wanted) {
    model::HostEndpoint after = stored;
    after.spec = wanted.spec;
    after.metadata.labels = wanted.metadata.labels;
    after.metadata.annotations = wanted.metadata.annotations;
    return after;
}

bool is_same(const model::HostEndpoint& a, const model::HostEndpoint& b) {
    return a.spec == b.spec && a.metadata == b.metadata;
}

}  // namespace

std::vector<model::Kind> HostEndpoints::kinds() {
    return {model::Kind::kube_controllers_configuration, model::Kind::node, model::Kind::host_endpoint};
}

bool HostEndpoints::concerns(const store::Event& event) const {
    const model::Kind kind = event.object.key.kind;
    if (kind == model::Kind::kube_controllers_configuration) {
        return true;
    }
    if (configuration_.auto_create != model::OnOff::enabled) {
        return false;
    }
    return (kind == model::Kind::node && concerns_node(event)) ||
           (kind == model::Kind::host_endpoint && concerns_endpoint(event));
}

bool HostEndpoints::concerns_node(const store::Event& event) const {
    const auto before = of_node_.find(event.object.key.name);
    const std::size_t count = before == of_node_.end() ? 0 : before->second;
    if (event.type != store::Event::Type::put) {
        return count != 0;
    }
    const auto node = read<model::Node>(event.object);
    if (!node) {
        return true;  // run() says what is wrong with it
    }
    const auto now = auto_host_endpoints({node}, configuration_);
    return now.size() != count || !std::ranges::all_of(now, [this](const auto& one) {
               const auto known = wanted_.find(one.first);
               return known != wanted_.end() && is_same(known->second, one.second);
           });
}

bool HostEndpoints::concerns_endpoint(const store::Event& event) const {
    const auto wanted = wanted_.find(event.object.key.name);
    if (event.type != store::Event::Type::put) {
        return wanted != wanted_.end();
    }
    const auto stored = read<model::HostEndpoint>(event.object);
    if (!stored || !is_ours(*stored)) {
        return !stored;
    }
    return wanted == wanted_.end() || !is_same(brought_up_to_date(*stored, wanted->second), *stored);
}

Outcome<void> HostEndpoints::work_out() {
    MANUL_TRY(const auto configurations, read_all<model::KubeControllersConfiguration>(*store_));
    configuration_ = {};
    for (const auto& [object, configuration] : configurations) {
        const auto& node = configuration->spec.controllers.node;
        if (object.key.name == "default" && node && node->host_endpoint) {
            configuration_ = *node->host_endpoint;
        }
    }
    std::vector<std::shared_ptr<const model::Node>> nodes;
    if (configuration_.auto_create == model::OnOff::enabled) {
        MANUL_TRY(const auto all, read_all<model::Node>(*store_));
        for (const auto& [object, node] : all) {
            nodes.push_back(node);
        }
    }
    wanted_ = auto_host_endpoints(nodes, configuration_);
    of_node_.clear();
    for (const auto& [name, endpoint] : wanted_) {
        ++of_node_[endpoint.spec.node];
    }
    return {};
}

Outcome<std::size_t> HostEndpoints::run(bool changed, SteadyTime steady) {
    if (!changed && last_ && steady - *last_ < kPeriod) {
        return 0;
    }
    last_ = steady;
    MANUL_CHECK(work_out());
    MANUL_TRY(const auto existing, read_all<model::HostEndpoint>(*store_));
    std::size_t changes = 0;
    std::optional<Failure> refused;
    const auto count = [&](const auto& result) -> Outcome<void> {
        if (!result && result.error().code == StoreError::Code::invalid) {
            refused = store_failure(result.error());  // the others do not wait for it
        } else if (!result && !lost_a_race(result.error())) {
            return std::unexpected(store_failure(result.error()));
        }
        changes += result ? 1U : 0U;
        return {};
    };
    auto missing = wanted_;
    for (const auto& [object, endpoint] : existing) {
        const auto at = wanted_.find(object.key.name);
        if (at == wanted_.end()) {
            if (is_ours(*endpoint)) {
                MANUL_CHECK(count(store_->remove(object.key, object.revision)));
            }
            continue;
        }
        missing.erase(object.key.name);
        const model::HostEndpoint after = brought_up_to_date(*endpoint, at->second);
        if (!is_ours(*endpoint) || is_same(after, *endpoint)) {
            continue;  // a person's own of that name stays
        }
        const auto document = codec::merge(*object.document, *endpoint, after);
        if (!document) {
            return refuse(ErrorCode::internal, document.error().message);
        }
        MANUL_CHECK(count(store_->update(object.key, *document, object.revision)));
    }
    for (const auto& [name, endpoint] : missing) {
        MANUL_CHECK(count(store_->create(endpoint.key(), codec::encode(endpoint))));
    }
    if (refused) {
        return std::unexpected(*std::move(refused));
    }
    return changes;
}

}  // namespace manul::ipam
