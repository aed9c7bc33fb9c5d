// The contract of the store over a real API server with Manul's custom resources: MANUL_TEST_KUBECONFIG names it. All
// of Manul's objects in it are removed by each test.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/kubernetes.hpp"
#include "config/store/store.hpp"
#include "test/config/store_contract.hpp"

namespace manul::test {

namespace {

void remove_all(store::Store& store) {
    for (const model::KindInfo& kind : model::all_kinds()) {
        const bool ours = kind.group == "projectcalico.org" || kind.group == "manul.io";
        if (!ours || kind.kind == model::Kind::node || kind.kind == model::Kind::workload_endpoint ||
            kind.kind == model::Kind::tier) {
            continue;
        }
        const auto listing = store.list({.kind = kind.kind, .ns = {}, .name_prefix = {}});
        REQUIRE(listing);
        for (const store::Object& object : listing->items) {
            REQUIRE(store.remove(object.key, std::nullopt));
        }
    }
    const auto tiers = store.list({.kind = model::Kind::tier, .ns = {}, .name_prefix = {}});
    REQUIRE(tiers);
    for (const store::Object& tier : tiers->items) {
        static_cast<void>(store.remove(tier.key, std::nullopt));  // built-in ones stay
    }
}

}  // namespace

std::vector<StoreFixture> store_fixtures() {
    const char* file = std::getenv("MANUL_TEST_KUBECONFIG");
    REQUIRE(file != nullptr);
    const store::KubernetesOptions options{.kubeconfig = file, .context = {}};
    const auto store = store::open_kubernetes(options);
    remove_all(*store);
    for (const char* name : {"default", "kube-admin", "kube-baseline"}) {
        const model::Key key{model::Kind::tier, "", name};
        static_cast<void>(store->create(key, document(key, "{}")));  // as the manifests do
    }
    for (const char* name : {"prod", "a", "b"}) {
        const model::Key key{model::Kind::namespace_, "", name};
        static_cast<void>(store->create(key, document(key, "{}")));  // there already after the first test
    }
    static_cast<void>(store->remove({model::Kind::secret, "prod", "s"}, std::nullopt));
    return {{.name = "kubernetes",
             .open = [options] { return store::open_kubernetes(options); },
             .open_small_log = {},
             .backend = {}}};
}

}  // namespace manul::test
