#include "bgpd/io/own_address.hpp"

#include <memory>
#include <optional>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/node.hpp"
#include "config/model/resource.hpp"
#include "config/own_node.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"

namespace manul::bgp::io {

store::StoreResult<void> refresh_own_node(store::Store& store, const config::Settings& settings) {
    MANUL_TRY(const store::Object object, config::ensure_own_node(store, settings));
    const codec::Decoded decoded = codec::decode(model::Kind::node, *object.document, codec::Mode::lenient);
    const auto node = model::as<model::Node>(decoded.resource);
    if (!node) {
        return {};  // unreadable: reported by whoever follows it
    }
    const auto source = node->metadata.annotations.find(config::kAddressSourceAnnotation);
    if (source == node->metadata.annotations.end() || source->second != config::kAddressSourceDetected) {
        return {};
    }
    const auto found = config::detect_node_addresses(settings);
    if (!found) {
        return std::unexpected(store::StoreError{store::StoreError::Code::unavailable, found.error().message, {}});
    }
    model::Node changed = *node;
    if (!changed.spec.bgp) {
        changed.spec.bgp.emplace();
    }
    if (found->ipv4) {
        changed.spec.bgp->ipv4_address = found->ipv4;
    }
    if (found->ipv6) {
        changed.spec.bgp->ipv6_address = found->ipv6;
    }
    if (changed.spec == node->spec || (!node->spec.bgp && !found->ipv4 && !found->ipv6)) {
        return {};
    }
    const auto document = codec::merge(*object.document, *node, changed);
    if (!document) {
        return std::unexpected(store::StoreError{store::StoreError::Code::invalid, document.error().message, {}});
    }
    const auto written = store.update(object.key, *document, object.revision);
    if (!written) {
        return std::unexpected(written.error());
    }
    return {};
}

}  // namespace manul::bgp::io
