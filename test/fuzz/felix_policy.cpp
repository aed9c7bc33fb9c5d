// Any objects that a store may tell lead to a ruleset: valid ones are put in force, invalid ones refused, one after the
// other, and then taken away again. An Allow opens nothing that the evaluator does not know of: both ends are asked.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "config/codec/json.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/validate.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/graph.hpp"
#include "felix/calc/policy_source.hpp"
#include "felix/eval/path.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/render/renderer.hpp"
#include "felix/render/ruleset.hpp"

using namespace manul;
using namespace manul::felix;

namespace {

/// A pod of this node that policies for `app == 'web'`, or for everything, select.
model::ResourcePtr pod() {
    auto endpoint = std::make_shared<model::WorkloadEndpoint>();
    endpoint->metadata.name = "node1-k8s-web-eth0";
    endpoint->metadata.ns = "default";
    endpoint->metadata.labels = {{"app", "web"}, {"projectcalico.org/orchestrator", "k8s"}};
    endpoint->spec.orchestrator = "k8s";
    endpoint->spec.node = "node1";
    endpoint->spec.pod = "web";
    endpoint->spec.endpoint = "eth0";
    endpoint->spec.container_id = "c1";
    endpoint->spec.interface_name = "caliweb";
    endpoint->spec.ip_networks = {*net::Prefix::parse("10.65.0.2/32"), *net::Prefix::parse("fd65::2/128")};
    endpoint->spec.profiles = {"kns.default"};
    return endpoint;
}

/// As the daemon takes objects up.
Event event_of(const codec::LoadedObject& object, const model::Key& key) {
    codec::Decoded decoded = codec::decode_and_validate(object.kind, object.document, codec::Mode::lenient);
    if (decoded.ok()) {
        return ResourcePut{std::move(decoded.resource)};
    }
    ResourceRefused refused{key, {}, "invalid", nullptr};
    if (policy_kind(key.kind) && decoded.resource && model::policy_scope_is_readable(decoded.findings)) {
        refused.readable_scope = std::move(decoded.resource);
    }
    return refused;
}

class World {
public:
    void handle(const Event& event) {
        graph_.handle(event);
        const Batch batch = graph_.flush();
        for (const Update& update : batch) {
            snapshot_.apply(update);
        }
        for (const render::Change& change : renderer_.apply(batch).changes) {
            render::apply(ruleset_, change);
        }
        ask();
    }

private:
    void ask() const {
        Packet packet;
        packet.source = *net::Ip::parse("192.0.2.1");
        packet.destination = *net::Ip::parse("10.65.0.2");
        packet.protocol = net::kTcp;
        packet.source_port = 40000;
        packet.destination_port = 80;
        (void)evaluate(snapshot_, Journey{"eth0", "caliweb", packet, std::nullopt});
        std::swap(packet.source, packet.destination);
        (void)evaluate(snapshot_, Journey{"caliweb", "eth0", packet, std::nullopt});
        for (const auto& [key, table] : ruleset_.tables) {
            for (const auto& [name, chain] : table.chains) {
                if (chain == nullptr) {
                    std::abort();
                }
            }
        }
    }

    Graph graph_{{"node1", {}}};
    Snapshot snapshot_;
    render::Renderer renderer_;
    render::Ruleset ruleset_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto loaded = codec::load_yaml(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
    World world;
    world.handle(ResourcePut{pod()});
    world.handle(StoreInSync{});
    std::vector<model::Key> keys;
    for (const codec::LoadedObject& object : loaded.objects) {
        if (object.resource) {
            keys.push_back(object.resource->key());
            world.handle(event_of(object, keys.back()));
        }
    }
    for (const model::Key& key : keys) {
        world.handle(ResourceRemoved{key});
    }
    return 0;
}
