#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "config/codec/json.hpp"
#include "config/codec/yaml.hpp"

using namespace manul;

TEST_CASE("kinds of Cilium are refused with the reason, and not taken for something else") {
    const auto loaded =
        codec::load_yaml("apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n", "c");
    REQUIRE_FALSE(loaded.ok());
    CHECK(loaded.all_findings().front().to_string().find("is not supported, and nothing of it is enforced") !=
          std::string::npos);
}

TEST_CASE("every example manifest is accepted unchanged and survives a round trip") {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(MANUL_EXAMPLES)) {
        if (entry.path().extension() != ".yaml") {
            continue;
        }
        CAPTURE(entry.path().string());
        std::ifstream file(entry.path());
        std::ostringstream text;
        text << file.rdbuf();
        const auto loaded = codec::load_yaml(text.str(), entry.path().filename().string());
        for (const auto& finding : loaded.all_findings()) {
            if (finding.severity == model::Finding::Severity::error) {
                FAIL_CHECK(finding.to_string());
            }
        }
        REQUIRE(loaded.objects.size() == 1);
        const codec::LoadedObject& object = loaded.objects.front();
        const auto printed = codec::to_yaml(object.document);
        REQUIRE(printed);
        CHECK(codec::load_yaml(*printed, "printed").objects.at(0).document == object.document);
        const auto again =
            codec::decode_and_validate(object.kind, codec::encode(*object.resource), codec::Mode::strict);
        CHECK(again.ok());
        CHECK(codec::encode(*again.resource) == codec::encode(*object.resource));
        ++count;
    }
    CHECK(count >= 11);
}

namespace {

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<std::string> warnings_of(const std::string& text) {
    const auto loaded = codec::load_yaml(text, "f.yaml");
    std::vector<std::string> out;
    for (const model::Finding& finding : loaded.all_findings()) {
        INFO(finding.to_string());
        CHECK(finding.severity == model::Finding::Severity::warning);
        out.push_back(finding.to_string());
    }
    return out;
}

}  // namespace

TEST_CASE("the trap in each example is pointed out, with its line, and nothing else is") {
    struct Row {
        const char* file;
        std::vector<std::string> warnings;  ///< beginnings after "f.yaml:"
    };
    const std::vector<Row> rows{
        {"k8s-default-deny-all", {}},
        {"k8s-default-deny-ingress", {}},
        {"k8s-allow-dns-egress", {}},
        {"k8s-allow-api-ingress", {}},
        {"k8s-allow-frontend-to-api",
         {"10: warning: spec.ingress[0].from[0].namespaceSelector: namespaces have no label 'name'"}},
        {"k8s-frontend-or-web",
         {"10: warning: spec.ingress[0].from: these are alternatives",
          "11: warning: spec.ingress[0].from[0].namespaceSelector: namespaces have no label 'name'"}},
        {"k8s-allow-dns-only",
         {"7: warning: spec.egress: DNS is allowed by UDP alone",
          "16: warning: spec.egress[1].to[0].podSelector: {} selects every pod of the policy's namespace"}},
        {"calico-allow-api-access",
         {"4: warning: spec.types: left out, and both rule lists are there",
          "11: warning: spec.egress: no rule allows DNS"}},
        {"calico-global-default-deny",
         {"5: warning: spec.selector: denies everything to every pod, system pods and DNS included, and to host "
          "endpoints too (only failsafe ports stay open)"}},
        {"calico-deny-external-egress",
         {"5: warning: spec.selector: selects every pod of every namespace, and host endpoints too",
          "7: warning: spec.egress: no rule allows or passes: what no rule matches is denied as well"}},
        {"calico-felix-configuration",
         {"5: warning: spec.bpfEnabled: accepted and kept, but has no effect",
          "6: warning: spec.bpfLogLevel: accepted and kept, but has no effect",
          "7: warning: spec.logSeverityScreen: accepted and kept, but has no effect"}},
    };
    for (const Row& row : rows) {
        INFO(row.file);
        const auto warnings = warnings_of(read_file(std::string(MANUL_EXAMPLES) + "/" + row.file + ".yaml"));
        REQUIRE(warnings.size() == row.warnings.size());
        for (std::size_t i = 0; i < warnings.size(); ++i) {
            INFO(warnings[i]);
            CHECK(warnings[i].starts_with("f.yaml:" + row.warnings[i]));
        }
    }
}

TEST_CASE("what Calico accepts though nobody reads it is pointed out") {
    struct Row {
        const char* kind;
        const char* rest;
        const char* warning;  ///< its beginning; empty: none
    };
    for (const Row& row :
         std::vector<Row>{{"BGPPeer", "metadata: {name: x}, spec: {node: n, ttlSecurity: 1}", "spec: names no peer"},
                          {"BGPPeer", "metadata: {name: x}, spec: {peerSelector: has(rr)}", ""},
                          {"BGPConfiguration", "metadata: {name: bgp-1}, spec: {}", "metadata.name: has no effect"},
                          {"BGPConfiguration", "metadata: {name: node.a}, spec: {}", ""},
                          {"FelixConfiguration", "metadata: {name: felix-1}, spec: {}", "spec.nodeSelector: missing"},
                          {"FelixConfiguration", "metadata: {name: felix-1}, spec: {nodeSelector: all()}", ""}}) {
        CAPTURE(row.kind, row.rest);
        const auto warnings =
            warnings_of(std::string("{apiVersion: projectcalico.org/v3, kind: ") + row.kind + ", " + row.rest + "}");
        REQUIRE(warnings.size() == (*row.warning == '\0' ? 0U : 1U));
        CHECK((warnings.empty() || warnings[0].find(row.warning) != std::string::npos));
    }
}

TEST_CASE("other traps are pointed out, and what is meant that way is left alone") {
    struct Row {
        const char* spec;
        std::vector<std::string> warnings;  ///< parts of them, in order
    };
    const std::vector<Row> rows{
        {"{selector: a == 'b', types: [Ingress], ingress: [{action: Allow}, {action: Deny, protocol: TCP}]}",
         {"spec.ingress[0]: matches everything"}},
        {"{selector: a == 'b', types: [Ingress], ingress: [{action: Log}, {action: Allow, protocol: TCP}]}", {}},
        {"{selector: a == 'b', types: [Ingress], ingress: [{action: Allow, notICMP: {type: 8}}]}",
         {"spec.ingress[0].notICMP: without 'protocol: ICMP'"}},
        {"{selector: a == 'b', types: [Ingress], ingress: [{action: Deny, protocol: TCP}, {action: Pass}]}", {}},
        {"{selector: a == 'b', types: [Egress], egress: [{action: Allow, protocol: TCP, destination: {ports: [443]}}]}",
         {"spec.egress: no rule allows DNS"}},
        {"{selector: a == 'b', types: [Egress], egress: [{action: Allow, protocol: UDP, destination: {ports: ['50:60', "
         "443]}}]}",
         {}},
        {"{selector: a == 'b', types: [Egress], egress: [{action: Allow}]}", {}},
        {"{selector: a == 'b', types: [Ingress], ingress: [{action: Deny, protocol: TCP}]}",
         {"spec.ingress: no rule allows or passes"}},
        {"{selector: a == 'b', types: [Ingress], ingress: [{action: Deny, protocol: TCP}, {action: Deny}]}", {}},
    };
    for (const Row& row : rows) {
        INFO(row.spec);
        const auto warnings = warnings_of(
            std::string("{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: p}, spec: ") +
            row.spec + "}");
        REQUIRE(warnings.size() == row.warnings.size());
        for (std::size_t i = 0; i < warnings.size(); ++i) {
            CHECK(warnings[i].find(row.warnings[i]) != std::string::npos);
        }
    }
    CHECK(warnings_of(
              "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: p}, spec: {selector: "
              "has(host), preDNAT: true, applyOnForward: true, types: [Ingress], ingress: [{action: Deny, protocol: "
              "TCP, destination: {ports: ['30000:32767']}}]}}")
              .empty());
}

TEST_CASE(
    "a namespaceSelector that holds for hosts, and egress rules of a policy that covers ingress alone, are traps") {
    const auto global = [](const std::string& spec) {
        return warnings_of(
            "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: p}, spec: {" + spec +
            ", types: [Ingress]}}");
    };
    for (const char* trap : {"namespaceSelector: \"team != 'x'\"", "selector: all(), namespaceSelector: '!has(team)'",
                             "namespaceSelector: '!all()', serviceAccountSelector: \"role not in {'x'}\""}) {
        INFO(trap);
        const auto warnings = global(trap);
        REQUIRE(warnings.size() == 1);
        CHECK(warnings.front().find("spec.namespaceSelector: host endpoints have no namespace") != std::string::npos);
    }
    for (const char* fine :
         {"namespaceSelector: all()", "namespaceSelector: \"has(projectcalico.org/name) && team != 'x'\"",
          "selector: app == 'web', namespaceSelector: \"team != 'x'\"",
          "namespaceSelector: \"team != 'x'\", serviceAccountSelector: all()"}) {
        INFO(fine);
        CHECK(global(fine).empty());
    }
    const auto warnings = warnings_of(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: {podSelector: {matchLabels:"
        " {a: b}}, egress: [{ports: [{port: 443}]}]}}");
    REQUIRE(warnings.size() == 1);
    CHECK(warnings.front().find("covers Ingress alone, so its egress rules have no effect") != std::string::npos);
}
