#include "config/codec/yaml.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "config/model/bgp_peer.hpp"
#include "config/model/finding.hpp"
#include "config/model/resource.hpp"

using namespace manul;

namespace {

std::string text_of(const model::Findings& findings) {
    std::string text;
    for (const model::Finding& finding : findings) {
        text += finding.to_string() + "\n";
    }
    return text;
}

/// JSON of a document of any content, or the errors.
std::string json(const std::string& yaml) {
    const auto result = codec::yaml_to_json(yaml, "f");
    return result ? *result : result.error().message;
}

std::string tier(const std::string& spec) {
    return "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: t}\nspec: " + spec + "\n";
}

}  // namespace

TEST_CASE("what YAML scalars are read as") {
    struct Row {
        const char* yaml;
        const char* json;
    };
    const auto row = GENERATE(values<Row>({
        {"true", "true"},
        {"false", "false"},
        {"True", "\"True\""},
        {"yes", "\"yes\""},
        {"on", "\"on\""},
        {"y", "\"y\""},
        {"'true'", "\"true\""},
        {"80", "80"},
        {"'80'", "\"80\""},
        {"\"80\"", "\"80\""},
        {"-1.50", "-1.50"},
        {"1e3", "1e3"},
        {"010", "\"010\""},
        {"0x1F", "\"0x1F\""},
        {"0o17", "\"0o17\""},
        {"1_000", "\"1_000\""},
        {"+5", "\"+5\""},
        {".5", "\".5\""},
        {"1:30", "\"1:30\""},
        {"2026-08-05", "\"2026-08-05\""},
        {".inf", "\".inf\""},
        {"a: ~", "{\"a\":null}"},
        {"a: null", "{\"a\":null}"},
        {"a:", "{\"a\":null}"},
        {"a: 'null'", "{\"a\":\"null\"}"},
        {"a: !!str 80", "{\"a\":\"80\"}"},
        {"80: x", "{\"80\":\"x\"}"},
        {"\"\\u00e4\\x41\"", "\"äA\""},
        {"|\n  a\n  b\n", "\"a\\nb\\n\""},
        {">\n  a\n  b\n", "\"a b\\n\""},
        {"[a, {b: 1}, []]", "[\"a\",{\"b\":1},[]]"},
        {"- a\n- - b\n  - c\n", "[\"a\",[\"b\",\"c\"]]"},
        {"a: &x 1", "{\"a\":1}"},
        {"# only\n---\na: 1\n", "{\"a\":1}"},
        {"\xef\xbb\xbf"
         "a: 1",
         "{\"a\":1}"},
        {"{\"a\": \"\\ud83d\\ude00\"}", "{\"a\":\"😀\"}"},
        {"a: 1\r\nb: 2\r\n", "{\"a\":1,\"b\":2}"},
    }));
    CAPTURE(row.yaml);
    CHECK(json(row.yaml) == row.json);
}

TEST_CASE("what of YAML is refused") {
    struct Row {
        const char* yaml;
        const char* message;
    };
    const auto row = GENERATE(values<Row>({
        {"a: 1\nb: 2\na: 3\n", "f:3: a: given twice, first in line 1"},
        {"x:\n  - {a: 1, a: 2}\n", "f:2: x[0].a: given twice, first in line 2"},
        {"a: &a [*a]", "f:1: a[0]: aliases (*name) are not supported"},
        {"a: &a {x: 1}\nb:\n  <<: *a\n", "f:3: b[\"<<\"]: merge keys (<<) are not supported"},
        {"a: !foo 1", "f:1: a: tags (!foo) are not supported"},
        {"a: !!int '1'", "tags (tag:yaml.org,2002:int) are not supported"},
        {"? [a, b]\n: 1\nc: 2\n", "a key must be text"},
        {"a: \x01", "f:1: control character 1 in the text"},
        {"a: \xff", "f:1: the text is not UTF-8"},
        {"a: [1", "not YAML"},
        {"a: 'x", "not YAML"},
        {"{a: 1}}", "f:1: not YAML"},
        {"]", "f:1: not YAML"},
        {"{a: 1},", "f:1: not YAML: unexpected ','"},
        {", a", "f:1: not YAML: unexpected ','"},
        {"a: 1\n}\n", "not YAML"},
        {"- a\nb: 1\n", "f: expected one document, found 2"},
        {"a: 1\n---\nb: 1\n", "f: expected one document, found 2"},
        {"", "f: expected one document, found 0"},
    }));
    CAPTURE(row.yaml);
    CHECK_THAT(json(row.yaml), Catch::StartsWith(row.message) || Catch::Contains(row.message));
}

TEST_CASE("deep nesting, loops and bombs of aliases end quickly") {
    CHECK_THAT(json(std::string(100, '[') + std::string(100, ']')), Catch::Contains("nested more than 64 deep"));
    CHECK_THAT(json(std::string(100'000, '[')), Catch::Contains("not YAML"));
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
        const std::string before = "*a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
        for (int k = 0; k < 8; ++k) {
            bomb += ", " + before;
        }
        bomb += "]\n";
    }
    CHECK_THAT(json(bomb), Catch::Contains("aliases"));
}

TEST_CASE("every finding of a file names file, line and field") {
    const auto loaded = codec::load_yaml(R"(apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: Bad_Name, namespace: n}
spec:
  order: "100"
  ingress:
  - action: Alow
    protcol: TCP
    destination:
      ports: [80, 443, {a: 1}]
  - action: Allow
    action: Deny
    source:
      selector: app = 'x'
  types: Ingress
  selectr: all()
---
apiVersion: projectcalico.org/v3
kind: Teir
metadata: {name: t}
---
- a
---
apiVersion: v1
kind: NetworkPolicy
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: ok}
)",
                                         "p.yaml");
    CHECK_FALSE(loaded.ok());
    CHECK(
        text_of(loaded.all_findings()) ==
        R"j(p.yaml:3: metadata.name: expected one or two parts joined by '.', each of lower-case letters, digits and '-', at most 253 in all
p.yaml:5: spec.order: expected a number, found "100"; write it without quotes
p.yaml:7: spec.ingress[0].action: expected one of Allow, Deny, Log, Pass, found "Alow", did you mean "Allow"?
p.yaml:8: spec.ingress[0].protcol: unknown field, did you mean "protocol"?
p.yaml:10: spec.ingress[0].destination.ports[2]: expected a port from 1 to 65535, a range such as "8080:8090" or the name of a port, found a map
p.yaml:10: spec.ingress[0].destination.ports[0]: needs protocol TCP, UDP or SCTP in the rule
p.yaml:10: spec.ingress[0].destination.ports[1]: needs protocol TCP, UDP or SCTP in the rule
p.yaml:12: spec.ingress[1].action: given twice, first in line 11
p.yaml:14: spec.ingress[1].source.selector: at character 5: expected "==", "!=", "in", "not in", "contains", "starts with" or "ends with" after the label, found "="
p.yaml:15: spec.types: expected a list, found "Ingress"; write [Ingress]
p.yaml:16: spec.selectr: unknown field, did you mean "selector"?
p.yaml:19: kind: unknown kind "Teir", did you mean "Tier"?
p.yaml:22: [0]: expected an object, found "a"
p.yaml:25: kind: there is no NetworkPolicy in "v1", did you mean projectcalico.org/v3 or networking.k8s.io/v1?
)j");
    REQUIRE(loaded.objects.size() == 2);
    CHECK_FALSE(loaded.objects[0].ok());
    CHECK(loaded.objects[1].ok());
    CHECK(loaded.objects[1].line == 27);
}

TEST_CASE("what stands in a cluster as a custom resource is to be converted") {
    const auto loaded =
        codec::load_yaml("apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: p}\n", "f");
    CHECK(text_of(loaded.all_findings()) ==
          "f:2: kind: there is no IPPool in \"crd.projectcalico.org/v1\", did you mean projectcalico.org/v3? 'manulctl "
          "convert' makes that of it\n");
}

TEST_CASE("a syntax error keeps what stands before it") {
    const auto loaded = codec::load_yaml(tier("{order: 1}") + "---\na: [\n", "f");
    CHECK_FALSE(loaded.ok());
    REQUIRE(loaded.objects.size() == 1);
    CHECK(loaded.objects[0].ok());
    REQUIRE(loaded.findings.size() == 1);
    CHECK_THAT(loaded.findings[0].to_string(), Catch::StartsWith("f:") && Catch::Contains("not YAML"));
}

TEST_CASE("lists are taken apart, and their findings are those of the items") {
    const auto loaded = codec::load_yaml(R"(kind: List
apiVersion: v1
items:
- apiVersion: projectcalico.org/v3
  kind: Tier
  metadata: {name: a}
- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: b, name: c}, spec: {order: x}}
- 7
---
apiVersion: projectcalico.org/v3
kind: TierList
metadata: {resourceVersion: "1"}
items:
- metadata: {name: d}
)",
                                         "f");
    REQUIRE(loaded.objects.size() == 3);
    CHECK(loaded.objects[0].ok());
    CHECK(text_of(loaded.objects[1].findings) ==
          "f:7: metadata.name: given twice, first in line 7\n"
          "f:7: spec.order: expected a number, found \"x\"\n");
    CHECK(loaded.objects[2].resource->metadata.name == "d");
    CHECK(text_of(loaded.findings) == "f:8: items[2]: expected an object, found 7\n");

    const auto bare = codec::load_yaml(R"(- apiVersion: projectcalico.org/v3
  kind: Tier
  metadata: {name: a}
- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: b, name: c}, spec: {order: x}}
)",
                                       "f");
    REQUIRE(bare.objects.size() == 2);
    CHECK(bare.objects[0].ok());
    CHECK(text_of(bare.objects[1].findings) ==
          "f:4: metadata.name: given twice, first in line 4\n"
          "f:4: spec.order: expected a number, found \"x\"\n");

    // What calicoctl printed for several objects and a whole kind, in one file.
    const auto nested = codec::load_yaml(R"(- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}}
- apiVersion: projectcalico.org/v3
  kind: TierList
  items:
  - {metadata: {name: b}}
  - {metadata: {name: c, name: d}, spec: {order: x}}
)",
                                         "f");
    REQUIRE(nested.objects.size() == 3);
    CHECK(nested.objects[1].resource->metadata.name == "b");
    CHECK(text_of(nested.objects[2].findings) ==
          "f:6: metadata.name: given twice, first in line 6\n"
          "f:6: spec.order: expected a number, found \"x\"\n");
    CHECK(nested.findings.empty());
}

TEST_CASE("namespaced objects get the default namespace, in the document too") {
    const std::string text = "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: p}\n";
    const auto loaded = codec::load_yaml(text, "f", "mine");
    REQUIRE(loaded.ok());
    CHECK(loaded.objects[0].resource->metadata.ns == "mine");
    CHECK_THAT(loaded.objects[0].document, Catch::Contains(R"("namespace":"mine")"));
    CHECK(codec::load_yaml(text, "f").objects[0].resource->metadata.ns == "default");
    CHECK_FALSE(codec::load_yaml(tier("{}"), "f").objects[0].document.find("namespace") != std::string::npos);
}

TEST_CASE("JSON files are read as JSON, with lines") {
    const auto loaded = codec::load_yaml(
        "{\"apiVersion\": \"projectcalico.org/v3\",\n \"kind\": \"Tier\",\n"
        " \"metadata\": {\"name\": \"t\"},\n \"spec\": {\"order\": \"1\"}}",
        "f.json");
    CHECK(text_of(loaded.all_findings()) ==
          "f.json:4: spec.order: expected a number, found \"1\"; write it without quotes\n");
}

TEST_CASE("numbers of documents keep their digits") {
    CHECK(json("{a: 1.10, b: 100000000000000000000}") == R"({"a":1.10,"b":100000000000000000000})");
    const auto peer = codec::load_yaml(
        "apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: p}\nspec: {peerIP: 192.0.2.1, asNumber: "
        "1.10}",
        "f");
    REQUIRE(peer.ok());
    CHECK(model::as<model::BgpPeer>(*peer.objects[0].resource)->spec.as_number->number() == 65546);
}

TEST_CASE("where text is wanted, what Calico's tools take for text is text") {
    struct Row {
        const char* yaml;
        const char* json;  ///< empty: refused
    };
    const auto row = GENERATE(values<Row>({
        {"true", R"("true")"},
        {"false", R"("false")"},
        {"7", R"("7")"},
        {"1.5", R"("1.5")"},
        {"", R"("")"},
        {"null", R"("")"},
        {"010", R"("010")"},
        {"yes", R"("yes")"},
        {"1.20", ""},  // they would store "1.2"
        {"1e3", ""},
        {"-0", ""},
        {"123456789012345678901234567890", ""},
        {"[7]", ""},
    }));
    CAPTURE(row.yaml);
    const auto loaded = codec::load_yaml(
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata:\n  name: s\n  labels:\n    rack: " +
            std::string(row.yaml) + "\n",
        "f");
    REQUIRE(loaded.objects.size() == 1);
    const codec::LoadedObject& object = loaded.objects[0];
    CHECK(loaded.ok() == (*row.json != '\0'));
    if (loaded.ok()) {
        CHECK_THAT(object.document, Catch::Contains(std::string(R"("labels":{"rack":)") + row.json + "}"));
        CHECK("\"" + object.resource->metadata.labels.at("rack") + "\"" == row.json);
    }
}

TEST_CASE("a word that Calico's tools take for true or false is text, with a warning") {
    const auto loaded = codec::load_yaml(
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata:\n  name: s\n  labels: {a: yes, b: 'no', "
        "c: y}\n",
        "f");
    REQUIRE(loaded.ok());
    CHECK(loaded.objects[0].resource->metadata.labels.at("a") == "yes");
    CHECK(text_of(loaded.all_findings()) ==
          "f:5: warning: metadata.labels.a: Calico's tools read yes as true; put it in quotes, or write true\n");
}

TEST_CASE("fields of Calico's kinds are known in any letter case, as Calico's tools take them") {
    const auto filter = codec::load_yaml(
        "apiVersion: projectcalico.org/v3\nkind: BGPFilter\nmetadata: {Name: f, labels: {Name: x}}\n"
        "spec: {exportv4: [{Action: Accept}]}\n",
        "f");
    REQUIRE(filter.ok());
    CHECK_THAT(filter.objects[0].document, Catch::Contains(R"({"name":"f","labels":{"Name":"x"}})") &&
                                               Catch::Contains(R"("spec":{"exportV4":[{"action":"Accept"}]})"));
    for (const char* text :
         {"apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: t}\nspec: {order: 1, Order: 2}\n",
          "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: t}\n"
          "spec: {PodSelector: {}}\n"}) {
        CAPTURE(text);
        CHECK_FALSE(codec::load_yaml(text, "f").ok());
    }
}

TEST_CASE("a range of services without a CIDR is accepted, as Calico does") {
    CHECK(codec::load_yaml("apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {name: default}\n"
                           "spec: {serviceClusterIPs: [{cidr: 10.96.0.0/12}, {}]}\n",
                           "f")
              .ok());
}

TEST_CASE("printed YAML quotes what could be read as something else") {
    struct Row {
        const char* json;
        const char* yaml;
    };
    const auto row = GENERATE(values<Row>({
        {R"("a b")", "a b\n"},
        {R"("")", "\"\"\n"},
        {R"("yes")", "\"yes\"\n"},
        {R"("NO")", "\"NO\"\n"},
        {R"("y")", "\"y\"\n"},
        {R"("null")", "\"null\"\n"},
        {R"("~")", "\"~\"\n"},
        {R"("80")", "\"80\"\n"},
        {R"("010")", "\"010\"\n"},
        {R"("1e3")", "\"1e3\"\n"},
        {R"("0x1F")", "\"0x1F\"\n"},
        {R"("1:30")", "\"1:30\"\n"},
        {R"("2026-08-05T10:00:00Z")", "\"2026-08-05T10:00:00Z\"\n"},
        {R"("10.0.0.0/8")", "10.0.0.0/8\n"},
        {R"("10.0.0.1")", "10.0.0.1\n"},
        {R"("1.5")", "\"1.5\"\n"},
        {R"("fd00::")", "\"fd00::\"\n"},
        {R"("fd00::1")", "fd00::1\n"},
        {R"("a: b")", "\"a: b\"\n"},
        {R"("a #b")", "\"a #b\"\n"},
        {R"(" a")", "\" a\"\n"},
        {R"("- a")", "\"- a\"\n"},
        {R"("*")", "\"*\"\n"},
        {R"("a\nb")", "\"a\\nb\"\n"},
        {R"({"a":{"b":[1,{"c":"x","d":[]},[true]]},"e":{},"80":null})",
         "a:\n  b:\n  - 1\n  - c: x\n    d: []\n  - - true\ne: {}\n\"80\": null\n"},
    }));
    CAPTURE(row.json);
    CHECK(codec::to_yaml(row.json) == row.yaml);
    CHECK(json(*codec::to_yaml(row.json)) == row.json);
}
