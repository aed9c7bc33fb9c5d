#include "config/model/convert_kubernetes.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "config/codec/json.hpp"
#include "config/codec/yaml.hpp"
#include "config/model/finding.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/resource.hpp"

using namespace manul;

namespace {

/// The converted policy as the spec of a NetworkPolicy, in YAML.
std::string converted(const std::string& spec) {
    const auto loaded = codec::load_yaml(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: n}\nspec: " + spec, "f");
    REQUIRE(loaded.objects.size() == 1);
    const auto result = model::convert(*model::as<model::KubernetesNetworkPolicy>(*loaded.objects[0].resource));
    model::NetworkPolicy policy;
    policy.metadata.name = "x";
    policy.spec = result.spec;
    std::string text = *codec::to_yaml(codec::encode(policy));
    text.erase(0, text.find("spec:"));
    for (const model::Finding& finding : result.dropped) {
        text += finding.to_string() + "\n";
    }
    return text;
}

}  // namespace

TEST_CASE("a policy for all pods without rules denies both directions that it names") {
    CHECK(converted("{podSelector: {}, policyTypes: [Ingress, Egress]}") == R"(spec:
  order: 1000
  selector: projectcalico.org/orchestrator == "k8s"
  types:
  - Ingress
  - Egress
)");
}

TEST_CASE("a type that is given twice counts once") {
    CHECK(converted("{podSelector: {}, policyTypes: [Egress, Egress]}") == R"(spec:
  order: 1000
  selector: projectcalico.org/orchestrator == "k8s"
  types:
  - Egress
)");
}

TEST_CASE("without types a policy covers ingress alone") {
    CHECK(converted(
              "{podSelector: {matchLabels: {b: '2', a: '1'}, matchExpressions: [{key: c, operator: NotIn, values: [y, "
              "x]},"
              "{key: d, operator: Exists}, {key: e, operator: DoesNotExist}, {key: f, operator: In, values: [z]}]}}") ==
          R"j(spec:
  order: 1000
  selector: (projectcalico.org/orchestrator == "k8s" && (a == "1" && b == "2" && c not in {"x", "y"} && has(d) && !has(e) && f in {"z"}))
  types:
  - Ingress
)j");
}

TEST_CASE("one rule for each protocol and peer, ports merged") {
    CHECK(converted(R"({podSelector: {}, ingress: [{
        from: [{podSelector: {matchLabels: {a: b}}}, {namespaceSelector: {}}, {namespaceSelector: {matchLabels: {c: d}}, podSelector: {}},
               {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}],
        ports: [{port: 443}, {port: 80}, {port: 81, endPort: 90}, {port: http}, {protocol: SCTP}, {protocol: SCTP, port: 7}]}]})") ==
          R"j(spec:
  order: 1000
  selector: projectcalico.org/orchestrator == "k8s"
  types:
  - Ingress
  ingress:
  - action: Allow
    protocol: SCTP
    source:
      selector: (projectcalico.org/orchestrator == "k8s" && a == "b")
  - action: Allow
    protocol: SCTP
    source:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: all()
  - action: Allow
    protocol: SCTP
    source:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: c == "d"
  - action: Allow
    protocol: SCTP
    source:
      nets:
      - 10.0.0.0/8
      notNets:
      - 10.1.0.0/16
  - action: Allow
    protocol: TCP
    source:
      selector: (projectcalico.org/orchestrator == "k8s" && a == "b")
    destination:
      ports:
      - "80:90"
      - 443
      - http
  - action: Allow
    protocol: TCP
    source:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: all()
    destination:
      ports:
      - "80:90"
      - 443
      - http
  - action: Allow
    protocol: TCP
    source:
      selector: projectcalico.org/orchestrator == "k8s"
      namespaceSelector: c == "d"
    destination:
      ports:
      - "80:90"
      - 443
      - http
  - action: Allow
    protocol: TCP
    source:
      nets:
      - 10.0.0.0/8
      notNets:
      - 10.1.0.0/16
    destination:
      ports:
      - "80:90"
      - 443
      - http
)j");
}

TEST_CASE("empty lists restrict nothing, and the peer of egress is the destination") {
    CHECK(converted("{podSelector: {}, policyTypes: [Egress], egress: [{}, {to: [{podSelector: {}}], ports: "
                    "[{protocol: UDP, port: dns}]}]}") ==
          R"j(spec:
  order: 1000
  selector: projectcalico.org/orchestrator == "k8s"
  types:
  - Egress
  egress:
  - action: Allow
  - action: Allow
    protocol: UDP
    destination:
      selector: projectcalico.org/orchestrator == "k8s"
      ports:
      - dns
)j");
}

TEST_CASE("a rule that cannot be converted is left out, so less is allowed, and it is said") {
    CHECK(converted("{podSelector: {}, ingress: [{from: [{}]}, {ports: [{port: http, endPort: 90}]}, {ports: [{port: "
                    "9, endPort: 8}]},"
                    "{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}, {ports: [{port: 1}]}]}") ==
          R"j(spec:
  order: 1000
  selector: projectcalico.org/orchestrator == "k8s"
  types:
  - Ingress
  ingress:
  - action: Allow
    protocol: TCP
    destination:
      ports:
      - 1
spec.ingress[0].from[0]: a peer needs podSelector, namespaceSelector or ipBlock; the rule was left out
spec.ingress[1].ports[0]: endPort needs a port number, not the name "http"; the rule was left out
spec.ingress[2].ports[0]: the ports 9 to 8 are not a range; the rule was left out
spec.ingress[3].from[0]: ipBlock cannot stand beside podSelector or namespaceSelector; the rule was left out
)j");
}

TEST_CASE("every port at once") {
    CHECK_THAT(converted("{podSelector: {}, ingress: [{ports: [{port: 65535}, {port: 1, endPort: 65534}]}]}"),
               Catch::Contains("- \"1:65535\"\n"));
}

TEST_CASE("unknown fields of a rule are passed on") {
    model::KubernetesNetworkPolicy policy;
    policy.spec.ingress.resize(1);
    policy.spec.ingress[0].has_unknown_fields = true;
    const auto result = model::convert(policy);
    REQUIRE(result.spec.ingress.size() == 1);
    CHECK(result.spec.ingress[0].has_unknown_fields);
}
