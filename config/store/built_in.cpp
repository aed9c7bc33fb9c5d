#include "config/store/built_in.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/model/kind.hpp"
#include "config/model/tier.hpp"

namespace manul::store {

namespace json = boost::json;

namespace {

BuiltInObject make(model::Kind kind, std::string_view name, json::object spec) {
    const json::object document{{"apiVersion", model::api_version(kind)},
                                {"kind", model::info(kind).name},
                                {"metadata", json::object{{"name", name}}},
                                {"spec", std::move(spec)}};
    return {model::Key{kind, {}, std::string(name)}, json::serialize(document)};
}

}  // namespace

std::vector<BuiltInObject> built_in_objects(const std::string& cluster_guid) {
    std::vector<BuiltInObject> objects;
    objects.reserve(model::kBuiltInTiers.size() + 2);
    for (const model::BuiltInTier& tier : model::kBuiltInTiers) {
        objects.push_back(make(
            model::Kind::tier, tier.name,
            json::object{{"order", static_cast<std::int64_t>(tier.order)},
                         {"defaultAction", tier.default_action == model::TierDefaultAction::deny ? "Deny" : "Pass"}}));
    }
    objects.push_back(
        make(model::Kind::cluster_information, "default",
             json::object{{"clusterGUID", cluster_guid}, {"clusterType", "manul,bgp"}, {"datastoreReady", true}}));
    objects.push_back(
        make(model::Kind::ipam_configuration, "default",
             json::object{{"strictAffinity", false}, {"autoAllocateBlocks", true}, {"maxBlocksPerHost", 0}}));
    return objects;
}

}  // namespace manul::store
