#include "config/model/convert_admin_policy.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "config/codec/json.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/admin_policy.hpp"
#include "config/model/finding.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/kind.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/staged_policy.hpp"

using namespace manul;

namespace {

/// The converted policy as the spec of a GlobalNetworkPolicy, in YAML, and what was dropped.
std::string text_of(const model::ConvertedGlobalPolicy& converted) {
    std::string text;
    if (converted.spec) {
        model::GlobalNetworkPolicy policy;
        policy.metadata.name = "x";
        policy.spec = *converted.spec;
        text = *codec::to_yaml(codec::encode(policy));
        text.erase(0, text.find("spec:"));
    }
    for (const model::Finding& finding : converted.dropped) {
        text += finding.to_string() + "\n";
    }
    return text;
}

template <class T>
const T& load(codec::LoadResult& loaded, const std::string& spec) {
    const model::KindInfo& kind = model::info(T::kKind);
    loaded = codec::load_yaml("apiVersion: " + model::api_version(T::kKind) + "\nkind: " + std::string(kind.name) +
                                  "\nmetadata: {name: default" + (kind.namespaced ? ", namespace: n" : "") +
                                  "}\nspec: " + spec,
                              "f");
    REQUIRE(loaded.objects.size() == 1);
    return *model::as<T>(*loaded.objects[0].resource);
}

template <class T>
std::string converted(const std::string& spec) {
    codec::LoadResult loaded;
    return text_of(model::convert(load<T>(loaded, spec)));
}

}  // namespace

TEST_CASE("an admin policy comes before the policies of namespaces, by priority, for pods alone") {
    CHECK(converted<model::AdminNetworkPolicy>(R"({priority: 7, subject: {namespaces: {}}, ingress: [
        {name: monitoring, action: Allow, from: [{namespaces: {matchLabels: {a: b}}},
            {pods: {namespaceSelector: {}, podSelector: {matchLabels: {c: d}}}}],
            ports: [{portNumber: {protocol: TCP, port: 80}}, {portRange: {start: 81, end: 90}}]},
        {action: Pass, from: [{namespaces: {}}]},
        {action: Deny, from: [{namespaces: {}}]}]})") == R"j(spec:
  tier: kube-admin
  order: 7
  selector: projectcalico.org/orchestrator == "k8s"
  types:
  - Ingress
  ingress:
  - action: Allow
    metadata:
      annotations:
        policy.networking.k8s.io/rule-name: monitoring
    protocol: TCP
    source:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: a == "b"
    destination:
      ports:
      - "80:90"
  - action: Allow
    metadata:
      annotations:
        policy.networking.k8s.io/rule-name: monitoring
    protocol: TCP
    source:
      selector: (projectcalico.org/orchestrator == "k8s" && c == "d")
      namespaceSelector: all()
    destination:
      ports:
      - "80:90"
  - action: Pass
    source:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: all()
  - action: Deny
    source:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: all()
  namespaceSelector: all()
)j");
}

TEST_CASE("networks are split by family, and the baseline has one place in its tier") {
    CHECK(converted<model::BaselineAdminNetworkPolicy>(
              R"({subject: {pods: {namespaceSelector: {matchLabels: {e: f}}, podSelector: {matchLabels: {g: h}}}},
        egress: [{action: Deny, to: [{networks: [10.0.0.0/8, 'fd00::/8', 192.168.0.0/16]}]}]})") == R"j(spec:
  tier: kube-baseline
  order: 1000
  selector: (projectcalico.org/orchestrator == "k8s" && g == "h")
  types:
  - Egress
  egress:
  - action: Deny
    destination:
      nets:
      - 10.0.0.0/8
      - 192.168.0.0/16
  - action: Deny
    destination:
      nets:
      - fd00::/8
  namespaceSelector: e == "f"
)j");
}

TEST_CASE("the second generation: tier, actions and protocols") {
    CHECK(converted<model::ClusterNetworkPolicy>(R"({tier: Baseline, priority: 3, subject: {namespaces: {}},
        egress: [{action: Accept, to: [{namespaces: {}}], protocols: [{udp: {destinationPort: {number: 53}}},
            {tcp: {}}, {tcp: {destinationPort: {number: 5}}}, {sctp: {destinationPort: {range: {start: 1, end: 9}}}},
            {destinationNamedPort: web}]}]})") == R"j(spec:
  tier: kube-baseline
  order: 3
  selector: projectcalico.org/orchestrator == "k8s"
  types:
  - Egress
  egress:
  - action: Allow
    protocol: SCTP
    destination:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: all()
      ports:
      - "1:9"
  - action: Allow
    protocol: TCP
    destination:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: all()
  - action: Allow
    protocol: UDP
    destination:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: all()
      ports:
      - 53
  - action: Allow
    destination:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: all()
      ports:
      - web
  namespaceSelector: all()
)j");
    CHECK_THAT(converted<model::ClusterNetworkPolicy>("{tier: Admin, priority: 0, subject: {namespaces: {}}}"),
               Catch::Contains("tier: kube-admin\n  order: 0\n"));
}

TEST_CASE("what cannot be converted denies where it would deny or pass, and is left out where it would allow") {
    struct Row {
        const char* rule;  ///< without its action
        const char* why;
    };
    const auto row = GENERATE(values<Row>({
        {"to: [{nodes: {}}]", "nodes are not supported"},
        {"to: [{domainNames: [example.org]}]", "domainNames are not supported"},
        {"to: [{}]", "exactly one of namespaces and pods is needed"},
        {"to: [{futurePeer: {}}]", "exactly one of namespaces and pods is needed"},
        {"to: [{namespaces: {}}, {nodes: {}}]", "nodes are not supported"},
        {"to: [{networks: [10.0.0.0/8], namespaces: {}}]", "networks cannot stand beside namespaces or pods"},
        {"to: []", "at least one peer is needed"},
        {"to: [{namespaces: {}}], ports: [{namedPort: web}]", "namedPort is not supported"},
        {"to: [{namespaces: {}}], ports: [{}]", "exactly one of portNumber and portRange is needed"},
        {"to: [{namespaces: {}}], ports: [{portRange: {start: 9, end: 8}}]", "the ports 9 to 8 are not a range"},
    }));
    CAPTURE(row.rule);
    for (const char* action : {"Deny", "Pass"}) {
        CHECK(converted<model::AdminNetworkPolicy>("{priority: 1, subject: {namespaces: {}}, egress: [{action: " +
                                                   std::string(action) + ", " + row.rule + "}]}") ==
              std::string("spec:\n  tier: kube-admin\n  order: 1\n  selector: projectcalico.org/orchestrator == "
                          "\"k8s\"\n  types:\n  - Egress\n  egress:\n  - action: Deny\n  namespaceSelector: "
                          "all()\nspec.egress[0]: ") +
                  row.why + "; the rule denies all instead\n");
    }
    CHECK_THAT(
        converted<model::AdminNetworkPolicy>(
            std::string("{priority: 1, subject: {namespaces: {}}, egress: [{action: Allow, ") + row.rule + "}]}"),
        Catch::Contains("types:\n  - Egress\n  namespaceSelector: all()\n") &&
            Catch::Contains("spec.egress[0]: " + std::string(row.why) + "; the rule was left out\n"));
}

TEST_CASE("protocols of the second generation that cannot be converted") {
    for (const char* protocol : {"{}", "{tcp: {}, udp: {}}", "{icmp: {}}", "{tcp: {destinationPort: {}}}",
                                 "{tcp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}"}) {
        CAPTURE(protocol);
        CHECK_THAT(converted<model::ClusterNetworkPolicy>(
                       "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: "
                       "[{namespaces: {}}], protocols: [" +
                       std::string(protocol) + "]}]}"),
                   Catch::Contains("- action: Deny\n  namespaceSelector: all()\n") &&
                       Catch::Contains("the rule denies all instead"));
    }
}

TEST_CASE("a policy whose subject cannot be read has no effect, and that is said") {
    for (const char* subject : {"{}", "{namespaces: {}, pods: {namespaceSelector: {}, podSelector: {}}}"}) {
        CHECK(converted<model::AdminNetworkPolicy>("{priority: 1, subject: " + std::string(subject) + "}") ==
              "spec.subject: exactly one of namespaces and pods is needed; the policy has no effect\n");
    }
}

TEST_CASE("fields of a rule that this version does not know are passed on") {
    codec::LoadResult loaded;
    const auto result = model::convert(load<model::ClusterNetworkPolicy>(
        loaded,
        "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: "
        "{}}], when: night}]}"));
    REQUIRE(result.spec);
    REQUIRE(result.spec->ingress.size() == 1);
    CHECK(result.spec->ingress[0].has_unknown_fields);
}

TEST_CASE("a staged policy of Kubernetes is converted as an enforced one") {
    codec::LoadResult loaded;
    const auto result = model::convert(load<model::StagedKubernetesNetworkPolicy>(
        loaded, "{podSelector: {matchLabels: {a: b}}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}]}]}"));
    CHECK(result.spec.order == model::kKubernetesPolicyOrder);
    CHECK(result.spec.selector == R"((projectcalico.org/orchestrator == "k8s" && a == "b"))");
    CHECK(result.spec.ingress.size() == 1);
    CHECK(result.dropped.empty());
}
