#include "ctl/verbs/verbs.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "config/settings.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"
#include "ctl/output/json.hpp"

using namespace manul::ctl;

namespace {

using manul::model::Key;
using manul::store::Object;
using manul::store::StoreResult;
using Version = std::optional<manul::store::Revision>;

/// A manulctl over a store in memory; what it prints is kept.
struct Tool {
    std::unique_ptr<manul::store::Store> store = manul::store::make_memory();
    std::string input;
    std::string out;
    std::string err;

    Context context() {
        return Context{.settings = {},
                       .store = store.get(),
                       .out = [this](std::string_view text) { out += text; },
                       .err = [this](std::string_view text) { err += text; },
                       .read_standard_input = [this] { return input; },
                       .out_is_terminal = false};
    }

    void clear() {
        out.clear();
        err.clear();
    }

    ExitCode write(WriteVerb verb, std::string text) {
        clear();
        input = std::move(text);
        return write_objects(context(), verb, WriteOptions{.input = {.paths = {"-"}}});
    }

    ExitCode get(GetOptions options) {
        clear();
        return get_objects(context(), options);
    }

    ExitCode remove(DeleteOptions options) {
        clear();
        return delete_objects(context(), options);
    }
};

constexpr const char* kPolicy = R"(
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny-all}
spec: {order: 100, selector: all(), types: [Ingress]}
)";

constexpr const char* kPools = R"(
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: b}
spec: {cidr: 10.1.0.0/16, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: a}
spec: {cidr: 10.0.0.0/16, nodeSelector: rack == 'one'}
)";

}  // namespace

TEST_CASE("create, apply and replace report in calicoctl's words") {
    Tool tool;
    CHECK(tool.write(WriteVerb::replace, kPolicy) == ExitCode::failed);
    CHECK(tool.err.find("GlobalNetworkPolicy(deny-all)") != std::string::npos);
    CHECK(tool.write(WriteVerb::create, kPolicy) == ExitCode::ok);
    CHECK(tool.out == "Successfully created 1 'GlobalNetworkPolicy' resource(s)\n");
    CHECK(tool.write(WriteVerb::create, kPolicy) == ExitCode::failed);
    CHECK(tool.write(WriteVerb::apply, kPolicy) == ExitCode::ok);
    CHECK(tool.write(WriteVerb::apply, std::string(kPolicy) + "---" + kPools) == ExitCode::ok);
    CHECK(tool.out == "Successfully applied 3 resource(s)\n");
    CHECK(tool.write(WriteVerb::replace, kPools) == ExitCode::ok);
    CHECK(tool.out == "Successfully replaced 2 'IPPool' resource(s)\n");
}

TEST_CASE("where the datastore is away, objects behind the first are not tried") {
    using Type = manul::config::DatastoreType;
    /// Away from the first write on.
    class Away final : public manul::store::Store {
    public:
        int asked = 0;

        StoreResult<Object> get(const Key&) override { return away(); }
        std::vector<StoreResult<Object>> get_all(std::span<const Key> keys) override {
            return std::vector<StoreResult<Object>>(keys.size(), away());
        }
        StoreResult<manul::store::Listing> list(const manul::store::ListQuery&) override { return away(); }
        StoreResult<Object> create(const Key&, std::string_view) override { return away(); }
        StoreResult<Object> update(const Key&, std::string_view, const Version&) override { return away(); }
        StoreResult<Object> remove(const Key&, const Version&) override { return away(); }
        StoreResult<manul::store::Revision> transact(std::span<const manul::store::Op>, manul::store::Checks) override {
            return away();
        }
        bool transactional() const noexcept override { return true; }
        StoreResult<std::string> identity() override { return away(); }
        StoreResult<std::unique_ptr<manul::store::Watch>> watch(std::span<const manul::store::WatchStart>) override {
            return away();
        }

    private:
        std::unexpected<manul::store::StoreError> away() {
            ++asked;
            return std::unexpected(
                manul::store::StoreError{manul::store::StoreError::Code::unavailable, "no answer", {}});
        }
    };
    const std::string file = std::string(kPolicy) + "---" + kPools;
    for (const auto& [type, deletes, tried] :
         {std::tuple(Type::etcd, false, 1), std::tuple(Type::etcd, true, 1), std::tuple(Type::sqlite, false, 1),
          std::tuple(Type::sqlite, true, 3), std::tuple(Type::kubernetes, false, 3)}) {
        CAPTURE(static_cast<int>(type), deletes);
        Tool tool;
        Away store;
        Context context = tool.context();
        context.settings.datastore.type = type;
        context.store = &store;
        tool.input = file;
        const InputOptions input{.paths = {"-"}};
        CHECK((deletes ? delete_objects(context, DeleteOptions{.objects = {.input = input}})
                       : write_objects(context, WriteVerb::create, WriteOptions{.input = input})) == ExitCode::failed);
        CHECK(store.asked == tried);
        CHECK((tool.err.find("\n  2 more were not tried") != std::string::npos) == (tried == 1));
        if (tried == 1) {
            store.asked = 0;
            tool.clear();
            CHECK(write_objects(context, WriteVerb::apply, WriteOptions{.input = input}) == ExitCode::failed);
            CHECK(store.asked == 1);
            CHECK_THAT(tool.err, Catch::Contains("no answer\n  2 more were not tried"));
        }
    }
}

TEST_CASE("a long file is applied in few commits, and an object that is refused keeps no other from being applied") {
    const auto pools = [](int count) {
        std::string text;
        for (int i = 0; i < count; ++i) {
            text += "---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p" + std::to_string(i) +
                    "}\nspec: {cidr: 10." + std::to_string(i) + ".0.0/16}\n";
        }
        return text;
    };
    Tool tool;
    CHECK(tool.write(WriteVerb::apply, pools(120)) == ExitCode::ok);
    CHECK(tool.out == "Successfully applied 120 'IPPool' resource(s)\n");
    const manul::store::ListQuery query{.kind = manul::model::Kind::ip_pool, .ns = std::nullopt, .name_prefix = {}};
    std::set<std::string> commits;
    const auto applied = tool.store->list(query);
    REQUIRE(applied);
    for (const Object& object : applied->items) {
        commits.insert(object.revision);
    }
    CHECK(commits.size() == 3);

    // One that overlaps another, one of a name twice, one at an old version: between the others.
    CHECK(tool.write(WriteVerb::apply, pools(130) + R"(
---
{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: overlapping}, spec: {cidr: 10.7.1.0/24}}
---
{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: p129}, spec: {cidr: 10.129.0.0/16, disabled: true}}
---
{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: p3, resourceVersion: "1"}, spec: {cidr: 10.3.0.0/16}}
---
{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: last}, spec: {cidr: 10.200.0.0/16}}
)") == ExitCode::failed);
    CHECK(tool.out == "Partial success: applied 132 out of 134 'IPPool' resources\n");
    CHECK_THAT(tool.err, Catch::Contains("IPPool(overlapping)") && Catch::Contains("IPPool(p3): update conflict") &&
                             !Catch::Contains("IPPool(p129)"));
    const auto then = tool.store->list(query);
    REQUIRE(then);
    CHECK(then->items.size() == 131);
    const auto twice = tool.store->get({manul::model::Kind::ip_pool, "", "p129"});
    REQUIRE(twice);
    CHECK_THAT(*twice->document, Catch::Contains(R"("disabled":true)"));
}

TEST_CASE("one error anywhere in the input writes nothing, and every error is named with its line") {
    Tool tool;
    const std::string bad = std::string(kPolicy) + R"(---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: bad}
spec:
  selectr: all()
  ingress:
  - action: Alow
)";
    CHECK(tool.write(WriteVerb::apply, bad) == ExitCode::failed);
    CHECK(tool.err.find("nothing was changed") != std::string::npos);
    CHECK(tool.err.find("standard input:11: spec.selectr") != std::string::npos);
    CHECK(tool.err.find("did you mean") != std::string::npos);
    CHECK(tool.err.find("spec.ingress[0].action") != std::string::npos);
    CHECK(tool.get({.objects = {.input = {}, .words = {"gnp", "deny-all"}}}) == ExitCode::failed);
}

TEST_CASE("an empty input is an error unless it may be") {
    Tool tool;
    CHECK(tool.write(WriteVerb::apply, "# nothing\n") == ExitCode::failed);
    tool.clear();
    CHECK(write_objects(tool.context(), WriteVerb::apply,
                        WriteOptions{.input = {.paths = {"-"}}, .skip_empty = true}) == ExitCode::ok);
    CHECK(tool.out == "No resources specified\n");
}

TEST_CASE("namespaces come from the file, from -n, or are `default`") {
    Tool tool;
    static constexpr const char* kPolicyIn =
        "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: p%}\nspec: {selector: all()}\n";
    const auto text = [&](const std::string& ns) {
        std::string policy = kPolicyIn;
        return policy.replace(policy.find('%'), 1, ns.empty() ? "" : ", namespace: " + ns);
    };
    CHECK(tool.write(WriteVerb::create, text("")) == ExitCode::ok);
    CHECK(tool.write(WriteVerb::create, text("shop")) == ExitCode::ok);
    tool.clear();
    tool.input = text("shop");
    CHECK(write_objects(tool.context(), WriteVerb::apply, WriteOptions{.input = {.paths = {"-"}, .ns = "bank"}}) ==
          ExitCode::failed);
    CHECK(tool.err.find("-n says 'bank'") != std::string::npos);
    CHECK(tool.get({.objects = {.input = {}, .words = {"np"}, .all_namespaces = true}}) == ExitCode::ok);
    CHECK(tool.out == "NAMESPACE   NAME   TIER\ndefault     p      default\nshop        p      default\n\n");
    CHECK(tool.get({.objects = {.input = {}, .words = {"np"}}}) == ExitCode::ok);
    CHECK(tool.out == "NAME   TIER\np      default\n\n");
    CHECK(tool.get({.objects = {.input = {.ns = "shop"}, .words = {"pools"}}}) == ExitCode::failed);
    CHECK(tool.err.find("IPPool is not namespaced") != std::string::npos);
}

TEST_CASE("get prints calicoctl's columns, objects and names") {
    Tool tool;
    REQUIRE(tool.write(WriteVerb::create, kPools) == ExitCode::ok);
    CHECK(tool.get({.objects = {.input = {}, .words = {"ippools"}}}) == ExitCode::ok);
    CHECK(tool.out ==
          "NAME   CIDR          SELECTOR\na      10.0.0.0/16   rack == 'one'\nb      10.1.0.0/16   all()\n\n");
    CHECK(tool.get({.objects = {.input = {}, .words = {"pool", "b"}}, .format = "wide"}) == ExitCode::ok);
    CHECK(tool.out ==
          "NAME   CIDR          NAT    IPIPMODE   VXLANMODE   DISABLED   DISABLEBGPEXPORT   SELECTOR   ASSIGNMENTMODE\n"
          "b      10.1.0.0/16   true   Never      Never       false      false              all()      Automatic\n\n");
    CHECK(tool.get({.objects = {.input = {}, .words = {"ippools"}}, .format = "name"}) == ExitCode::ok);
    CHECK(tool.out == "ippool.projectcalico.org/a\nippool.projectcalico.org/b\n");
    CHECK(tool.get({.objects = {.input = {}, .words = {"ippool", "a"}}, .format = "yaml"}) == ExitCode::ok);
    CHECK(tool.out.find("kind: IPPool\n") != std::string::npos);
    CHECK(tool.out.find("blockSize: 26\n") != std::string::npos);
    CHECK(tool.get({.objects = {.input = {}, .words = {"ippool"}}, .format = "json"}) == ExitCode::ok);
    CHECK(tool.out.find("\"kind\": \"IPPoolList\"") != std::string::npos);
    CHECK(tool.get({.objects = {.input = {}, .words = {"ippool"}}, .format = "custom-columns=name,colour"}) ==
          ExitCode::failed);
    CHECK(tool.err.find("unknown column 'COLOUR'") != std::string::npos);
    CHECK(tool.get({.objects = {.input = {}, .words = {"tiers"}}, .format = "yml"}) == ExitCode::ok);
    CHECK(tool.get({.objects = {.input = {}, .words = {"ippool"}}, .format = "xml"}) == ExitCode::failed);
    CHECK(tool.get({.objects = {.input = {}, .words = {"ippool", "zzz"}}}) == ExitCode::failed);
    CHECK(tool.get({.objects = {.input = {}, .words = {"gadgets"}}}) == ExitCode::failed);
}

TEST_CASE("templates of calicoctl's users get lists of what was asked for, with Go's names") {
    Tool tool;
    REQUIRE(tool.write(WriteVerb::create, kPools) == ExitCode::ok);
    const auto print = [&](std::vector<std::string> words, const std::string& text) {
        const GetOptions options{.objects = {.input = {}, .words = std::move(words)}, .format = "go-template=" + text};
        REQUIRE(tool.get(options) == ExitCode::ok);
        return tool.out;
    };
    const std::string list = "{{range .}}{{range .Items}}{{.ObjectMeta.Name}},{{.Spec.CIDR}} {{end}}{{end}}";
    CHECK(print({"ippool"}, list) == "a,10.0.0.0/16 b,10.1.0.0/16 ");
    CHECK(print({"ippool", "b", "a"}, "{{range .}}{{.Name}},{{.Spec.NodeSelector}} {{end}}") ==
          "b,all() a,rack == 'one' ");
    CHECK(print({"ippool", "b"}, "{{.metadata.name}}") == "b");
}

TEST_CASE("columns that calicoctl has beside those of its tables, and its order of tiers") {
    Tool tool;
    REQUIRE(
        tool.write(WriteVerb::create,
                   "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n---\n"
                   "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: z}\nspec: {order: 5}\n") ==
        ExitCode::ok);
    CHECK(tool.get({.objects = {.input = {.ns = "shop"}, .words = {"np"}},
                    .format = "custom-columns=NAME,NAMESPACE"}) == ExitCode::ok);
    CHECK(tool.out == "NAME   NAMESPACE\np      shop\n\n");
    CHECK(tool.get({.objects = {.input = {}, .words = {"tiers"}}, .format = "custom-columns=NAME"}) == ExitCode::ok);
    CHECK(tool.out == "NAME\nz\nkube-admin\ndefault\nkube-baseline\n\n");
}

TEST_CASE("what get prints can be applied again") {
    Tool tool;
    REQUIRE(tool.write(WriteVerb::create, kPools) == ExitCode::ok);
    for (const char* format : {"yaml", "json"}) {
        CAPTURE(format);
        REQUIRE(tool.get({.objects = {.input = {}, .words = {"ippools"}}, .format = format}) == ExitCode::ok);
        CHECK(tool.write(WriteVerb::apply, tool.out) == ExitCode::ok);
    }
    REQUIRE(tool.get({.objects = {.input = {}, .words = {"ippool", "a"}}, .format = "yaml", .export_ = true}) ==
            ExitCode::ok);
    CHECK(tool.out.find("uid") == std::string::npos);
    CHECK(tool.out.find("resourceVersion") == std::string::npos);
    const std::string other_life =
        "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: a, uid: of-another-cluster}\n"
        "spec: {cidr: 10.0.0.0/16}\n";
    CHECK(tool.write(WriteVerb::apply, other_life) == ExitCode::ok);
    CHECK(tool.write(WriteVerb::replace, other_life) == ExitCode::ok);
}

TEST_CASE("what is exported from one namespace can be applied to another") {
    Tool tool;
    REQUIRE(tool.write(WriteVerb::create,
                       "apiVersion: projectcalico.org/v3\nkind: NetworkSet\nmetadata: {name: s, namespace: prod}\n") ==
            ExitCode::ok);
    REQUIRE(tool.get({.objects = {.input = {.ns = "prod"}, .words = {"networkset", "s"}},
                      .format = "yaml",
                      .export_ = true}) == ExitCode::ok);
    tool.input = tool.out;
    CHECK(write_objects(tool.context(), WriteVerb::apply, WriteOptions{.input = {.paths = {"-"}, .ns = "test"}}) ==
          ExitCode::ok);
}

TEST_CASE("delete works by name and by file, tiers after their policies") {
    Tool tool;
    const std::string tiered = R"(
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: security.x}
spec: {tier: security, selector: all()}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: security}
spec: {order: 5}
)";
    REQUIRE(tool.write(WriteVerb::apply, tiered) == ExitCode::ok);
    CHECK(tool.remove({.objects = {.input = {}, .words = {"tier", "security"}}}) == ExitCode::failed);
    tool.input = tiered;
    CHECK(tool.remove({.objects = {.input = {.paths = {"-"}}, .words = {}}}) == ExitCode::ok);
    CHECK(tool.out == "Successfully deleted 2 resource(s)\n");
    CHECK(tool.remove({.objects = {.input = {}, .words = {"tier", "security"}}}) == ExitCode::failed);
    CHECK(tool.remove({.objects = {.input = {}, .words = {"tier", "security"}}, .skip_not_exists = true}) ==
          ExitCode::ok);
    CHECK(tool.remove({.objects = {.input = {}, .words = {"tier", "default"}}}) == ExitCode::failed);
    CHECK(tool.remove({.objects = {.input = {}, .words = {"clusterinfo", "default"}}}) == ExitCode::failed);
    CHECK(tool.err.find("ClusterInformation(default) is built in and cannot be deleted") != std::string::npos);
}

TEST_CASE("files that name objects for get and delete need say nothing else, or nothing valid") {
    Tool tool;
    REQUIRE(tool.write(WriteVerb::apply, kPolicy) == ExitCode::ok);
    const std::string named =
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: deny-all, labels: [x]}\n"
        "spec: {order: soon, unheard: of}\n";
    tool.input = named;
    CHECK(tool.get({.objects = {.input = {.paths = {"-"}}, .words = {}}, .format = "name"}) == ExitCode::ok);
    tool.input = named + "---\napiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {}\n";
    CHECK(tool.remove({.objects = {.input = {.paths = {"-"}}, .words = {}}}) == ExitCode::failed);
    CHECK_THAT(tool.err, Catch::Contains("nothing was changed; the input has 1 error") &&
                             Catch::Contains("metadata.name: required, but missing"));
    tool.input = named;
    CHECK(tool.remove({.objects = {.input = {.paths = {"-"}}, .words = {}}}) == ExitCode::ok);
    CHECK(tool.out == "Successfully deleted 1 'GlobalNetworkPolicy' resource(s)\n");
}

TEST_CASE("a namespace is deleted with what is in it, unless pods of it run") {
    const auto database = manul::store::make_memory_database();
    Tool tool{.store = manul::store::make_memory(database), .input = {}, .out = {}, .err = {}};
    const std::string content = R"(
apiVersion: v1
kind: Namespace
metadata: {name: prod}
---
apiVersion: projectcalico.org/v3
kind: NetworkSet
metadata: {name: nets, namespace: prod}
spec: {nets: [10.0.0.0/8]}
)";
    const std::string endpoint = R"(---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {name: n1-k8s-web-eth0, namespace: prod, annotations: {manul.io/boot-id: b}}
spec: {node: n1, orchestrator: k8s, pod: web, endpoint: eth0, interfaceName: cali12345678901}
)";
    REQUIRE(tool.write(WriteVerb::create, content + endpoint) == ExitCode::ok);
    CHECK(tool.remove({.objects = {.input = {}, .words = {"namespace", "prod"}}, .last_pods_wait = {}}) ==
          ExitCode::failed);
    CHECK(tool.err.find("1 pods of it run") != std::string::npos);
    CHECK(tool.get({.objects = {.input = {.ns = "prod"}, .words = {"networkset", "nets"}}}) == ExitCode::ok);
    bool ended = false;
    std::thread last_pod_ends([&] {  // its DEL was answered before
        ended = manul::store::make_memory(database)
                    ->remove({manul::model::Kind::workload_endpoint, "prod", "n1-k8s-web-eth0"}, std::nullopt)
                    .has_value();
    });
    CHECK(tool.remove({.objects = {.input = {}, .words = {"namespace", "prod"}},
                       .last_pods_wait = std::chrono::minutes(1)}) == ExitCode::ok);
    last_pod_ends.join();
    CHECK(ended);
    CHECK(tool.get({.objects = {.input = {.ns = "prod"}, .words = {"networkset", "nets"}}}) == ExitCode::failed);
    CHECK(tool.get({.objects = {.input = {}, .words = {"namespace", "prod"}}}) == ExitCode::failed);
}

TEST_CASE("explain and validate need no datastore") {
    Tool tool;
    Context context = tool.context();
    context.store = nullptr;
    CHECK(explain_kind(context, "networkpolicy.spec.ingress.action") == ExitCode::ok);
    CHECK(tool.out.find("Allow") != std::string::npos);
    CHECK(explain_kind(context, "networkpolicies.networking.k8s.io") == ExitCode::ok);
    CHECK(explain_kind(context, "networkpolicy.spec.ingres") == ExitCode::failed);
    CHECK(explain_kind(context, "gadget") == ExitCode::failed);
    CHECK(explain_kind(context, "") == ExitCode::ok);
    CHECK(tool.out.find("globalnetworkpolicies") != std::string::npos);
    tool.clear();
    tool.input = kPools;
    CHECK(validate_files(context, {.paths = {"-"}}, false) == ExitCode::ok);
    CHECK(tool.out == "Successfully validated 2 'IPPool' resource(s)\n");
    CHECK(validate_files(context, {.paths = {"/nonexistent/file.yaml"}}, false) == ExitCode::failed);
}

TEST_CASE("JSON is printed for people") {
    CHECK(pretty_json(R"({"a":[1,2.0,1e3],"b":{},"c":[],"d":"x\"y"})") ==
          "{\n  \"a\": [\n    1,\n    2,\n    1000\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": \"x\\\"y\"\n}\n");
    CHECK_FALSE(pretty_json("{"));
}
