#include "ctl/verbs/rehearse.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "config/store/rehearsal.hpp"
#include "ctl/verbs/edit.hpp"
#include "ctl/verbs/verbs.hpp"
#include "test/ctl/moving.hpp"

using namespace manul;
using namespace manul::ctl;
using manul::test::kPool;
using manul::test::MovingTool;
using model::Key;
using model::Kind;

namespace {

constexpr const char* kPoolText =
    "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/24}\n";
constexpr const char* kTierAndPolicy = R"(
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: soon.deny}
spec: {tier: soon, selector: all(), types: [Ingress]}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: soon}
spec: {order: 50}
)";

struct RehearsalTool : MovingTool {
    RehearsalTool() {
        put(kPool,
            R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/24"}})");
    }
    ExitCode dry(WriteVerb verb, std::string text) {
        input = std::move(text);
        return write_objects(context(), verb, {.input = {.paths = {"-"}}, .dry_run = true});
    }
    ExitCode diff(std::string text) {
        input = std::move(text);
        return diff_objects(context(), {.input = {.paths = {"-"}}});
    }
    std::string everything() {
        std::string all;
        for (const model::KindInfo& kind : model::all_kinds()) {
            const auto listing = store->list({.kind = kind.kind, .ns = {}, .name_prefix = {}});
            REQUIRE(listing);
            for (const store::Object& object : listing->items) {
                all += *object.document + "\n";
            }
        }
        return all;
    }
};

}  // namespace

TEST_CASE("a dry run says what would happen and writes nothing") {
    RehearsalTool tool;
    const std::string before = tool.everything();
    CHECK(tool.dry(WriteVerb::apply, kPoolText) == ExitCode::ok);
    CHECK(tool.out == "ippool.projectcalico.org/p unchanged (dry run)\n");
    CHECK(tool.dry(WriteVerb::apply, std::string(kPoolText) + "---" + kTierAndPolicy) == ExitCode::ok);
    CHECK(tool.says("tier.projectcalico.org/soon created (dry run)\n"));  // and the policy's check found it
    CHECK(tool.says("globalnetworkpolicy.projectcalico.org/soon.deny created (dry run)\n"));
    CHECK(tool.dry(WriteVerb::replace, std::string(kPoolText) + "  natOutgoing: true\n") ==
          ExitCode::failed);  // not YAML
    CHECK(tool.dry(WriteVerb::replace,
                   "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\n"
                   "spec: {cidr: 10.0.0.0/24, natOutgoing: true}\n") == ExitCode::ok);
    CHECK(tool.out == "ippool.projectcalico.org/p configured (dry run)\n");
    CHECK(tool.dry(WriteVerb::create, kPoolText) == ExitCode::failed);
    CHECK(tool.complains("would fail (dry run):\n  standard input:1: IPPool(p): resource already exists"));
    CHECK(
        tool.dry(WriteVerb::apply,
                 "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: q}\nspec: {cidr: 10.0.0.0/25}\n") ==
        ExitCode::failed);
    CHECK(tool.complains("IPPool(q)"));  // overlaps
    CHECK(delete_objects(tool.context(), {.objects = {.words = {"ippool", "p"}}, .dry_run = true}) == ExitCode::ok);
    CHECK(tool.out == "ippool.projectcalico.org/p deleted (dry run)\n");
    CHECK(delete_objects(tool.context(), {.objects = {.words = {"tier", "default"}}, .dry_run = true}) ==
          ExitCode::failed);
    CHECK(patch_objects(tool.context(), {.targets = {.objects = {.words = {"ippool", "p"}}, .dry_run = true},
                                         .patch = "spec: {natOutgoing: true}"}) == ExitCode::ok);
    CHECK(tool.out == "Successfully patched 1 'IPPool' resource (dry run)\n");
    CHECK(tool.everything() == before);
}

TEST_CASE("diff shows what apply would store, and tells by its exit code whether that is something") {
    RehearsalTool tool;
    CHECK(tool.diff(kPoolText) == ExitCode::ok);
    CHECK(tool.out.empty());
    CHECK(tool.diff("apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p, labels: {a: b}}\n"
                    "spec: {cidr: 10.0.0.0/24}\n") == ExitCode::failed);
    CHECK(tool.out.starts_with("--- stored IPPool(p)\n+++ applied IPPool(p)\n@@ -1,"));
    CHECK(tool.says("\n metadata:\n+  labels:\n+    a: b\n   name: p\n spec:\n"));
    CHECK_FALSE(tool.says("uid"));
    CHECK_FALSE(tool.says("generation"));
    CHECK(tool.diff(kTierAndPolicy) == ExitCode::failed);
    CHECK(tool.out.starts_with("--- /dev/null\n+++ applied Tier(soon)\n@@ -0,0 +1,"));
    CHECK(tool.diff("kind: [") == ExitCode::trouble);
    CHECK(
        tool.diff("apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.9.0.0/24}\n") ==
        ExitCode::trouble);  // a pool's CIDR does not change
    CHECK(tool.complains("IPPool(p)"));
    CHECK_FALSE(tool.has({Kind::tier, "", "soon"}));
}

TEST_CASE("diff says that a secret differs, not how") {
    RehearsalTool tool;
    tool.put(
        {Kind::secret, "default", "s"},
        R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"default"},"data":{"a":"b25l","b":"dHdv"}})");
    CHECK(tool.diff("apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\n"
                    "data: {a: b25l, b: dGhyZWU=}\n") == ExitCode::failed);
    CHECK(tool.says("   a: Kioq\n"));
    CHECK(tool.says("-  b: Kioq (before)\n+  b: Kioq (after)\n"));
    for (const char* value : {"b25l", "dHdv", "dGhyZWU"}) {
        CHECK_FALSE(tool.says(value));
    }
}

TEST_CASE("labels, patches and deletions reach several objects, by name and by selector") {
    RehearsalTool tool;
    for (const char* name : {"q", "r"}) {
        tool.put({Kind::ip_pool, "", name},
                 std::string(R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":")") + name +
                     R"(","labels":{"zone":"z"}},"spec":{"cidr":")" + (*name == 'q' ? "10.1.0.0/24" : "10.2.0.0/24") +
                     R"("}})");
    }
    const auto pool_has = [&tool](const char* name, const char* text) {
        return tool.document({Kind::ip_pool, "", name}).find(text) != std::string::npos;
    };
    CHECK(label_objects(tool.context(), {.targets = {}, .words = {"ippool", "p", "q", "a=1", "zone-"}}) ==
          ExitCode::ok);
    CHECK(tool.out ==
          "Successfully set label a on ippool p\nNo label zone on ippool p\n"
          "Successfully set label a on ippool q\nSuccessfully removed label zone from ippool q\n");
    CHECK(pool_has("p", R"("labels":{"a":"1"})"));
    CHECK(label_objects(tool.context(), {.targets = {}, .words = {"ippool", "p", "zone"}, .remove = true}) ==
          ExitCode::failed);
    CHECK(tool.complains("cannot remove label of ippool p, key zone does not exist"));
    CHECK(label_objects(tool.context(), {.targets = {.objects = {.labels = "zone=z"}}, .words = {"pools", "rack=7"}}) ==
          ExitCode::ok);
    CHECK(tool.out == "Successfully set label rack on pools r\n");
    CHECK(label_objects(tool.context(), {.targets = {.all = true}, .words = {"ippool", "n=1"}, .annotations = true}) ==
          ExitCode::ok);
    CHECK(tool.says("Successfully set annotation n on ippool p\n"));
    CHECK(pool_has("r", R"("annotations":{"n":"1"})"));
    CHECK(label_objects(tool.context(), {.targets = {}, .words = {"ippool/p", "x=1"}}) == ExitCode::ok);
    CHECK(tool.out == "Successfully set label x on ippool p\n");
    CHECK(label_objects(tool.context(), {.targets = {}, .words = {"ippool", "x=1"}}) == ExitCode::failed);
    CHECK(tool.complains("name the objects, or give --selector or --all"));
    CHECK(label_objects(tool.context(), {.targets = {}, .words = {"ippool", "p", "x"}, .remove = true}) ==
          ExitCode::ok);
    CHECK(label_objects(tool.context(), {.targets = {.objects = {.labels = "zone=nowhere"}},
                                         .words = {"ippool", "x=1"}}) == ExitCode::ok);
    CHECK(tool.out == "No resources found\n");
    CHECK(patch_objects(tool.context(), {.targets = {.objects = {.words = {"ippool"}, .labels = "zone"}},
                                         .patch = "spec: {natOutgoing: true}"}) == ExitCode::ok);
    CHECK(pool_has("r", R"("natOutgoing":true)"));
    CHECK_FALSE(pool_has("q", R"("natOutgoing":true)"));
    CHECK(patch_objects(tool.context(), {.targets = {.objects = {.words = {"ippool", "p", "q"}}},
                                         .patch = "spec: {natOutgoing: true}"}) == ExitCode::ok);
    CHECK(tool.out == "Successfully patched 2 'IPPool' resources\n");
    CHECK(delete_objects(tool.context(), {.objects = {.words = {"ippool"}}}) == ExitCode::failed);
    CHECK(tool.complains("name the objects to delete: ippool NAME..., or give --selector or --all"));
    CHECK(delete_objects(tool.context(), {.objects = {.words = {"ippool", "p"}, .labels = "zone"}}) ==
          ExitCode::failed);
    CHECK(tool.complains("give either names or a selector"));
    CHECK(delete_objects(tool.context(), {.objects = {.words = {"ippool"}, .fields = "metadata.name!=p"}}) ==
          ExitCode::ok);
    CHECK(tool.out == "Successfully deleted 2 'IPPool' resource(s)\n");
    CHECK(tool.has(kPool));
    CHECK(delete_objects(tool.context(), {.objects = {.words = {"ippool"}, .labels = "zone=nowhere"}}) == ExitCode::ok);
    CHECK(tool.out == "No resources found\n");
}

TEST_CASE("a rehearsal keeps what is written to itself") {
    RehearsalTool tool;
    const auto rehearsal = store::make_rehearsal(*tool.store);
    const Key tier{Kind::tier, "", "t"};
    REQUIRE(rehearsal->create(tier, R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"t"}})"));
    CHECK(rehearsal->get(tier));
    CHECK_FALSE(tool.has(tier));
    REQUIRE(rehearsal->remove(kPool, std::nullopt));
    CHECK_FALSE(rehearsal->get(kPool));
    CHECK(tool.has(kPool));
    const auto tiers = rehearsal->list({.kind = Kind::tier, .ns = {}, .name_prefix = "t"});
    REQUIRE(tiers);
    REQUIRE(tiers->items.size() == 1);
    CHECK(tiers->items.front().document->find("resourceVersion") != std::string::npos);
    CHECK(rehearsal->list({.kind = Kind::ip_pool, .ns = {}, .name_prefix = {}})->items.empty());
}
