#include <catch2/catch.hpp>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "config/codec/yaml.hpp"
#include "config/codec/yaml_tree.hpp"
#include "config/model/kind.hpp"
#include "config/model/rbac.hpp"
#include "config/settings.hpp"

// The manifests of config/kubernetes against what the code needs.

using namespace manul;

namespace {

std::string read(const std::string& name) {
    std::ifstream file(std::string(MANUL_MANIFESTS) + "/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    REQUIRE(file);
    return text.str();
}

std::vector<codec::Tree> documents(const std::string& name) {
    const codec::YamlFile file = codec::parse_yaml(read(name));
    CHECK(file.findings.empty());
    std::vector<codec::Tree> out;
    for (const codec::YamlDocument& document : file.documents) {
        CHECK(document.findings.empty());
        out.push_back(document.tree);
    }
    return out;
}

const codec::Tree& at(const codec::Tree& tree, const std::string& key) {
    const codec::Tree* found = tree.find(key);
    INFO(key);
    REQUIRE(found != nullptr);
    return *found;
}

/// Kinds that are custom resources.
bool is_custom(const model::KindInfo& kind) {
    using model::Kind;
    return kind.group == "manul.io" || (kind.group == "projectcalico.org" && kind.kind != Kind::node &&
                                        kind.kind != Kind::workload_endpoint && kind.kind != Kind::profile);
}

}  // namespace

TEST_CASE("every kind that is a custom resource has its definition") {
    std::set<std::string> defined;
    for (const codec::Tree& crd : documents("crds.yaml")) {
        const codec::Tree& spec = at(crd, "spec");
        const std::string plural(spec.text_at("names", "plural"));
        const std::string name(crd.text_at("metadata", "name"));
        CAPTURE(name);
        CHECK(name == plural + "." + std::string(spec.text_at("group")));
        const auto kind = model::find_kind_by_alias(name);
        REQUIRE(kind);
        const model::KindInfo& info = model::info(*kind);
        CHECK(spec.text_at("names", "kind") == info.name);
        CHECK(spec.text_at("names", "singular") == info.singular);
        CHECK(spec.text_at("scope") == (info.namespaced ? "Namespaced" : "Cluster"));
        CHECK(at(spec, "versions").children.at(0).text_at("name") == info.version);
        defined.insert(name);
    }
    for (const model::KindInfo& kind : model::all_kinds()) {
        CAPTURE(kind.name);
        CHECK(defined.contains(std::string(kind.plural) + "." + std::string(kind.group)) == is_custom(kind));
    }
}

TEST_CASE("rights and defaults are valid objects, and every kind that daemons read is allowed") {
    std::set<std::string> readable;
    for (const char* name : {"rbac.yaml", "defaults.yaml"}) {
        const auto loaded = codec::load_yaml(read(name), name);
        for (const auto& finding : loaded.all_findings()) {
            FAIL_CHECK(finding.to_string());
        }
        for (const codec::LoadedObject& object : loaded.objects) {
            if (const auto* local = model::as<model::Role>(*object.resource)) {
                for (const model::PolicyRule& rule : local->rules) {
                    const bool secrets = std::ranges::find(rule.resources, "secrets") != rule.resources.end();
                    CHECK((!secrets || !rule.resource_names.empty()));
                }
            }
            const auto* role = model::as<model::ClusterRole>(*object.resource);
            for (const model::PolicyRule& rule : role == nullptr ? std::vector<model::PolicyRule>{} : role->rules) {
                for (const std::string& group : rule.api_groups) {
                    for (const std::string& resource : rule.resources) {
                        CHECK(resource != "*");
                        CHECK(group != "*");
                        if (std::set<std::string>(rule.verbs.begin(), rule.verbs.end()).contains("watch")) {
                            readable.insert(resource + "." + group);
                        }
                    }
                }
            }
        }
    }
    for (const model::KindInfo& kind : model::all_kinds()) {
        using model::Kind;
        const bool read_by_daemons = is_custom(kind) || kind.group == "policy.networking.k8s.io" ||
                                     kind.group == "networking.k8s.io" || kind.group == "discovery.k8s.io" ||
                                     (kind.group.empty() && kind.kind != Kind::secret);
        if (read_by_daemons) {
            CAPTURE(kind.name);
            CHECK(readable.contains(std::string(kind.plural) + "." + std::string(kind.group)));
        }
    }
    CHECK_FALSE(readable.contains("secrets."));
}

TEST_CASE("the settings that the pods get are settings") {
    const auto manifest = documents("daemonset.yaml");
    REQUIRE(manifest.size() == 2);
    CHECK(manifest[0].text_at("kind") == "ConfigMap");
    const std::string text(at(manifest[0], "data").text_at("manul.yaml"));
    const auto settings =
        config::parse_settings(text, "manul.yaml", [](const std::string&) { return std::nullopt; }, "n");
    REQUIRE(settings);
    CHECK(settings->datastore.type == config::DatastoreType::kubernetes);
    CHECK(settings->datastore.kubeconfig.empty());
    const codec::Tree& pod = at(at(at(manifest[1], "spec"), "template"), "spec");
    CHECK(pod.text_at("serviceAccountName") == "manul-node");
    const codec::Tree& container = at(pod, "containers").children.at(0);
    std::set<std::string> mounted;
    for (const codec::Tree& mount : at(container, "volumeMounts").children) {
        mounted.insert(std::string(mount.text_at("mountPath")));
    }
    for (const std::string& directory : {settings->run_dir, settings->state_dir, settings->log_dir}) {
        CHECK(mounted.contains(directory));
    }
    CHECK(at(container, "env").children.at(0).text_at("name") == "MANUL_NODE_NAME");
}
