#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "ctl/verbs/convert.hpp"
#include "ctl/verbs/edit.hpp"
#include "test/ctl/moving.hpp"

using namespace manul;
using namespace manul::ctl;
using manul::test::kPool;
using manul::test::MovingTool;
using model::Key;
using model::Kind;

namespace {

const Key kPod{Kind::pod, "default", "web"};

struct Editor : MovingTool {
    Editor() {
        put(kPool,
            R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p","labels":{"zone":"a"}},"spec":{"cidr":"10.0.0.0/24","allowedUses":["Workload"]}})");
        put(kPod,
            R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"default"},"spec":{"containers":[{"name":"a","image":"i"}]}})");
    }
    ExitCode patch(const std::string& kind, const std::string& name, const std::string& text,
                   const std::string& patch_type = "strategic") {
        return patch_objects(context(),
                             {.targets = {.objects = {.words = {kind, name}}}, .patch = text, .type = patch_type});
    }
    ExitCode label(std::vector<std::string> words, bool overwrite = false, bool remove = false) {
        words.insert(words.begin(), {"ippools", "p"});
        return label_objects(context(),
                             {.targets = {}, .words = std::move(words), .overwrite = overwrite, .remove = remove});
    }
    bool pool_has(std::string_view text) { return document(kPool).find(text) != std::string::npos; }
    ExitCode convert(std::string text, ConvertOptions options = {}) {
        input = std::move(text);
        options.input.paths = {"-"};
        return convert_files(context(), options);
    }
};

}  // namespace

TEST_CASE("patch changes fields in each of its three types, and refuses what would be invalid") {
    Editor tool;
    CHECK(tool.patch("ippool", "p", R"({"spec":{"natOutgoing":true,"allowedUses":["Tunnel"]}})") == ExitCode::ok);
    CHECK(tool.out == "Successfully patched 1 'IPPool' resource\n");
    CHECK(tool.pool_has(R"("natOutgoing":true)"));
    CHECK(tool.pool_has(R"("allowedUses":["Tunnel"])"));
    CHECK(tool.patch("ippool", "p", "spec: {natOutgoing: null}", "merge") == ExitCode::ok);
    CHECK_FALSE(tool.pool_has("natOutgoing"));
    CHECK(tool.patch("ippool", "p",
                     R"([{"op":"test","path":"/spec/cidr","value":"10.0.0.0/24"},)"
                     R"({"op":"add","path":"/spec/disabled","value":true}])",
                     "json") == ExitCode::ok);
    CHECK(tool.pool_has(R"("disabled":true)"));

    const std::string before = tool.document(kPool);
    for (const auto& [patch, patch_type] : std::vector<std::pair<std::string, std::string>>{
             {R"({"spec":{"cidr":"10.9.0.0/24"}})", "merge"},
             {R"({"spec":{"natOutgoing":"maybe","diabled":true}})", "merge"},
             {R"([{"op":"test","path":"/spec/cidr","value":"x"},{"op":"remove","path":"/spec"}])", "json"},
             {R"({"kind":"Tier"})", "merge"},
             {R"({"metadata":{"name":"q"}})", "merge"},
             {"7", "merge"},
             {"{", "json"}}) {
        CAPTURE(patch);
        CHECK(tool.patch("ippool", "p", patch, patch_type) == ExitCode::failed);
        CHECK_FALSE(tool.err.empty());
        CHECK(tool.document(kPool) == before);
    }
    CHECK(tool.patch("ippool", "p", "{}", "xml") == ExitCode::usage);
    CHECK(tool.patch("ippool", "absent", "{}") == ExitCode::failed);
    CHECK(tool.complains("does not exist"));
    CHECK(tool.patch("nokind", "p", "{}") == ExitCode::failed);
}

TEST_CASE("a strategic patch merges the lists of Kubernetes' kinds by their key") {
    Editor tool;
    CHECK(tool.patch("pod", "web", R"({"spec":{"containers":[{"name":"b","image":"j"}]}})") == ExitCode::ok);
    const std::string pod = tool.document(kPod);
    CHECK(pod.find(R"("name":"a")") != std::string::npos);
    CHECK(pod.find(R"("name":"b")") != std::string::npos);
}

TEST_CASE("labels are set, overwritten when asked for, and removed in both spellings") {
    Editor tool;
    CHECK(tool.label({"tier=front"}) == ExitCode::ok);
    CHECK(tool.out == "Successfully set label tier on ippools p\n");
    CHECK(tool.label({"zone=b"}) == ExitCode::failed);
    CHECK(tool.complains("--overwrite"));
    CHECK(tool.pool_has(R"("zone":"a")"));
    CHECK(tool.label({"zone=a"}) == ExitCode::ok);
    CHECK(tool.label({"zone=b"}, true) == ExitCode::ok);
    CHECK(tool.out == "Successfully updated label zone on ippools p\n");
    CHECK(tool.label({"zone-", "rack=7"}) == ExitCode::ok);
    CHECK(tool.says("Successfully removed label zone from ippools p"));
    CHECK(tool.pool_has(R"("rack":"7")"));
    CHECK(tool.label({"rack"}, false, true) == ExitCode::ok);
    CHECK(tool.label({"rack"}, false, true) == ExitCode::failed);
    CHECK(tool.complains("key rack does not exist"));
    CHECK(tool.label({"good=1", "bad=not a value!"}) == ExitCode::failed);  // all or none
    CHECK_FALSE(tool.pool_has("good"));
    for (const char* word : {"nothing", "=x", "-"}) {
        CAPTURE(word);
        CHECK(tool.label({word}) == ExitCode::usage);
    }
    CHECK(tool.label({"a=1", "a=2"}) == ExitCode::usage);
    CHECK(tool.label({"tier-"}) == ExitCode::ok);
    CHECK_FALSE(tool.pool_has("labels"));
}

TEST_CASE("convert prints manifests of Calico's first API in today's form") {
    Editor tool;
    const auto done = tool.convert(R"(
- apiVersion: v1
  kind: policy
  metadata: {name: Allow_TCP-6379}
  spec:
    selector: role == 'database' && calico/k8s_ns == 'prod'
    ingress:
    - action: allow
      protocol: tcp
      source: {selector: role == 'frontend', tag: blue, net: 10.0.0.1/24}
      destination: {ports: [6379, "80:90"]}
    egress:
    - action: next-tier
- apiVersion: v1
  kind: profile
  metadata: {name: k8s_ns.prod, tags: [blue], labels: {team: red}}
  spec: {ingress: [{action: deny}]}
- apiVersion: v1
  kind: ipPool
  metadata: {cidr: 10.1.0.0/16}
  spec: {ipip: {enabled: true, mode: cross-subnet}, nat-outgoing: true, disabled: true}
- apiVersion: v1
  kind: bgpPeer
  metadata: {scope: node, node: Rack1_Host, peerIP: "fd00::1"}
  spec: {asNumber: 64512}
- apiVersion: v1
  kind: hostEndpoint
  metadata: {name: eth0, node: host1, labels: {type: production}}
  spec: {interfaceName: eth0, profiles: [k8s_ns.prod], expectedIPs: [192.0.2.1], ports: [{name: web, protocol: tcp, port: 80}]}
- apiVersion: v1
  kind: node
  metadata: {name: Rack1_Host}
  spec: {bgp: {asNumber: 64512, ipv4Address: 192.0.2.1/24}}
- apiVersion: v1
  kind: workloadEndpoint
  metadata: {name: eth0, workload: prod.web, orchestrator: k8s, node: host1, activeInstanceID: abc, labels: {calico/k8s_ns: prod}}
  spec: {interfaceName: cali1, mac: "ee:ee:ee:ee:ee:ee", ipNetworks: [10.0.0.2/32], profiles: [k8s_ns.prod]}
)");
    INFO(tool.err);
    REQUIRE(done == ExitCode::ok);
    for (const char* part :
         {"kind: GlobalNetworkPolicy", "name: allow-tcp-6379-4b137d48", "- Ingress", "- Egress",
          "projectcalico.org/namespace == 'prod'", "(role == 'frontend') && blue == ''", "10.0.0.0/24", "protocol: TCP",
          "action: Pass", "name: kns.prod", "ipipMode: CrossSubnet", "10-1-0-0-16", "natOutgoing: true",
          "name: rack1-host.fd00-0000-0000-0000-0000-0000-0000-0001", "name: host1.eth0", "name: rack1-host",
          "name: host1-k8s-web-eth0", "namespace: prod"}) {
        CAPTURE(part, tool.out);
        CHECK(tool.says(part));
    }
    // What it prints is what `apply` takes.
    MovingTool other;
    CHECK(other.import_text(tool.out) == ExitCode::ok);
}

TEST_CASE("convert names the fields that it leaves out, and refuses them when asked to be strict") {
    Editor tool;
    constexpr const char* kOld = R"(apiVersion: v1
kind: policy
metadata: {name: p, labels: {a: b}}
spec:
  applyOnForward: true
  egress: allow
  ingress:
  - action: allow
    source: {selectr: x == 'y', tag: blue}
    http: {methods: [GET]}
extra: null
more: 1
---
apiVersion: v1
kind: ipPool
metadata: {cidr: 10.1.0.0/16}
spec: {ipip: {enabled: true, modes: always}, blockSize: 26}
)";
    CHECK(tool.convert(kOld) == ExitCode::ok);
    CHECK(tool.says("applyOnForward: true"));
    const std::string remarks = tool.err;
    for (const char* path :
         {":3: metadata.labels: left out", ":6: spec.egress: left out", ":9: spec.ingress[0].source.selectr: left out",
          ":10: spec.ingress[0].http: left out", ":12: more: left out", ":17: spec.ipip.modes: left out",
          ":17: spec.blockSize: left out"}) {
        CAPTURE(path, remarks);
        CHECK(remarks.find(path) != std::string::npos);
    }
    CHECK(std::ranges::count(remarks, '\n') == 7);
    ConvertOptions strict;
    strict.strict = true;
    CHECK(tool.convert(kOld, strict) == ExitCode::failed);
    CHECK(tool.complains("the input has 7 errors"));
    CHECK(tool.complains("spec.ingress[0].source.selectr: Calico's first API has no such field"));
    CHECK(tool.out.empty());
}

TEST_CASE("convert takes custom resources and Kubernetes' policies too, and names what it cannot take") {
    Editor tool;
    CHECK(tool.convert("apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: p, uid: x}\n"
                       "spec: {cidr: 10.0.0.0/24}\n") == ExitCode::ok);
    CHECK(tool.says("apiVersion: projectcalico.org/v3"));
    CHECK_FALSE(tool.says("uid"));
    ConvertOptions json;
    json.format = "json";
    CHECK(
        tool.convert("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: front, namespace: prod}\n"
                     "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{}]}\n",
                     json) == ExitCode::ok);
    CHECK(tool.says(R"("apiVersion": "projectcalico.org/v3")"));
    CHECK(tool.says(R"("order": 1000)"));
    CHECK(tool.says("app == "));

    constexpr const char* kBad =
        "apiVersion: v1\nkind: bgpPeer\nmetadata: {scope: global, peerIP: nowhere}\n---\n"
        "apiVersion: v1\nkind: ConfigMap\n---\n"
        "apiVersion: v1\nkind: policy\nmetadata: {name: p}\nspec: {selector: '((('}\n";
    CHECK(tool.convert(kBad) == ExitCode::failed);
    CHECK(tool.complains("the input has 3 errors"));
    CHECK(tool.complains("metadata.peerIP is no address"));
    CHECK(tool.complains("ConfigMap"));
    CHECK(tool.complains("spec.selector"));
    CHECK(tool.out.empty());
    ConvertOptions lenient;
    lenient.ignore_validation = true;
    CHECK(tool.convert("apiVersion: v1\nkind: policy\nmetadata: {name: p}\nspec: {selector: '((('}\n", lenient) ==
          ExitCode::ok);
}
