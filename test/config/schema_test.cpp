#include "config/codec/schema.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "config/codec/explain.hpp"
#include "config/codec/felix_settings.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/duration.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/field.hpp"
#include "config/model/finding.hpp"
#include "config/model/kind.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/resource.hpp"
#include "config/model/scalar.hpp"
#include "config/model/tables.hpp"
#include "net/port_range.hpp"

using namespace manul;
using codec::Mode;
using codec::Tree;
using model::Field;
using model::ObjectInfo;
using model::TypeInfo;
using Shape = TypeInfo::Shape;

namespace {

/// A value of the type, as a document would hold it; different for different numbers where the type allows.
class Maker {
public:
    explicit Maker(unsigned seed) : random_(seed) {}

    Tree value(const TypeInfo& type, const Field& field) {
        switch (type.shape) {
            case Shape::any:
                return {};
            case Shape::optional:
                return value(*type.element, field);
            case Shape::list: {
                Tree out{.type = Tree::Type::list};
                const std::size_t most = field.max_items == 0 ? 3 : std::min<std::size_t>(field.max_items, 3);
                for (std::size_t i = 1 + below(most); i > 0; --i) {
                    out.children.push_back(value(*type.element, field));
                }
                return out;
            }
            case Shape::map: {
                Tree out{.type = Tree::Type::map};
                const bool by_number = field.name == "sequenceNumberForAllocation";
                const char* key = by_number ? "7" : field.name == "block" ? "10.1.2.0/26" : "a.b/c";
                out.make(key).assign(value(*type.element, field));
                return out;
            }
            case Shape::object:
                return object(*type.object, below(2) == 0);
            case Shape::scalar:
                return scalar(*type.scalar, field);
        }
        return {};
    }

    Tree object(const ObjectInfo& info, bool everything) {
        Tree out = info.base == nullptr ? Tree{.type = Tree::Type::map} : object(*info.base, everything);
        for (const Field& field : info.fields) {
            if (field.member != nullptr && (everything || field.is_required || field.name == "spec" || below(2) == 0)) {
                out.make(field.name).assign(value(*field.type, field));
            }
        }
        return out;
    }

private:
    std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }

    Tree scalar(const model::ScalarInfo& info, const Field& field) {
        if (!info.names.empty()) {
            return Tree::of_text(std::string(info.names[below(info.names.size())]));
        }
        if (!field.allowed.empty()) {
            return Tree::of_text(std::string(field.allowed[below(field.allowed.size())]));
        }
        if (info.max != 0) {
            const std::int64_t low = std::max({field.min, info.min, std::int64_t{0}});
            const auto high = std::min(static_cast<std::uint64_t>(field.max), info.max);
            return Tree::of_number(std::to_string(below(2) == 0 ? static_cast<std::uint64_t>(low) : high));
        }
        const std::string_view name = info.name;
        if (name == "boolean") {
            return {.type = Tree::Type::boolean, .text = below(2) == 0 ? "true" : "false"};
        }
        if (name == "number") {
            return Tree::of_number(below(2) == 0 ? "-2.5" : "1000000");
        }
        if (name == "ASN") {
            return Tree::of_number("65001");
        }
        if (name == "integer") {  // ipVersion
            return Tree::of_number("6");
        }
        if (name == "DSCP") {
            return Tree::of_number("46");
        }
        const auto text = [&]() -> std::string {
            if (name == "duration") {
                return below(2) == 0 ? "1m30s" : "250ms";
            }
            if (name == "CIDR") {
                return below(2) == 0 ? "10.1.0.0/16" : "fd00:1::/64";
            }
            if (name == "IP" || name == "IPv4" || name == "address") {
                return "10.1.2.3";
            }
            if (name == "IPv6") {
                return "fd00::1";
            }
            if (name == "MAC") {
                return "ee:ee:ee:ee:ee:01";
            }
            if (name == "protocol") {
                return below(2) == 0 ? "UDP" : "SCTP";
            }
            if (name == "ports" || (name == "port" && below(2) == 0)) {
                return name == "port" ? "http" : "8080:8090";
            }
            return name == "port" ? "https" : "text";
        };
        return Tree::of_text(text());
    }

    std::mt19937 random_;
};

std::string text_of(const model::Findings& findings) {
    std::string text;
    for (const model::Finding& finding : findings) {
        text += finding.to_string() + "\n";
    }
    return text;
}

Tree document(const model::KindInfo& kind, Tree body) {
    Tree out{.type = Tree::Type::map};
    out.make("apiVersion").assign(Tree::of_text(model::api_version(kind.kind)));
    out.make("kind").assign(Tree::of_text(std::string(kind.name)));
    out.make("metadata").make("name").assign(Tree::of_text("x"));
    for (Tree& child : body.children) {
        out.children.push_back(std::move(child));
    }
    return out;
}

void check_table(const ObjectInfo& info) {
    CAPTURE(info.name);
    if (info.base != nullptr) {
        check_table(*info.base);
    }
    REQUIRE(info.initial != nullptr);
    for (const Field& field : info.fields) {
        CAPTURE(field.name, field.default_text);
        CHECK_FALSE(field.doc.empty());
        CHECK(field.doc.back() != ' ');
        if (const ObjectInfo* inner = codec::object_of(*field.type)) {
            check_table(*inner);
        }
        const bool is_plain = field.member != nullptr && field.type->shape == Shape::scalar;
        if (!is_plain || field.default_text.empty() || field.name == "nodeSelector") {
            continue;
        }
        // What the table says an absent field means is what the struct starts with.
        const auto encoded = codec::encode_value(*field.type, field.member(const_cast<void*>(info.initial())));
        CHECK(codec::to_json(encoded) == codec::to_json(codec::default_tree(field)));
    }
}

}  // namespace

TEST_CASE("the tables agree with the structs") {
    for (const model::KindInfo& kind : model::all_kinds()) {
        CAPTURE(kind.name);
        check_table(*model::table(kind.kind).object);
    }
    check_table(model::metadata_table());
}

TEST_CASE("every field of every kind decodes, and encodes to what was decoded") {
    Maker maker(7);
    for (const model::KindInfo& kind : model::all_kinds()) {
        for (int round = 0; round < 20; ++round) {
            const Tree tree = document(kind, maker.object(*model::table(kind.kind).object, round == 0));
            const std::string text = codec::to_json(tree);
            CAPTURE(kind.name, text);
            const auto decoded = codec::decode(kind.kind, text, Mode::strict);
            REQUIRE(text_of(decoded.findings).empty());
            const std::string encoded = codec::encode(*decoded.resource);
            const auto again = codec::decode(kind.kind, encoded, Mode::strict);
            REQUIRE(text_of(again.findings).empty());
            CHECK(codec::encode(*again.resource) == encoded);
            CHECK(model::table(kind.kind).object->fields.empty() == false);
            CHECK(codec::merge(text, *decoded.resource, *again.resource) == text);
        }
    }
}

TEST_CASE("a value of the wrong type is refused in every field, by name") {
    for (const model::KindInfo& kind : model::all_kinds()) {
        const ObjectInfo& top = *model::table(kind.kind).object;
        const ObjectInfo* spec = codec::object_of(*top.fields.front().type);
        if (spec == nullptr || top.fields.front().name != "spec") {
            continue;
        }
        for (const Field& field : spec->fields) {
            CAPTURE(kind.name, field.name);
            Tree body{.type = Tree::Type::map};
            Tree wrong{.type = Tree::Type::list};  // for lists: an item that nothing can be
            wrong.children.push_back(Tree{.type = Tree::Type::list});
            body.make("spec").make(field.name).assign(wrong);
            const auto decoded = codec::decode(kind.kind, codec::to_json(document(kind, body)), Mode::strict);
            CHECK_THAT(text_of(decoded.findings), Catch::Contains("spec." + std::string(field.name)));
            CHECK_FALSE(decoded.ok());
        }
    }
}

TEST_CASE("ranges, lengths and numbers of items are checked") {
    struct Row {
        const char* spec;
        const char* finding;
    };
    const auto row = GENERATE(values<Row>({
        {R"({"listenPort":0})", "spec.listenPort: expected an integer from 1 to 65535, found 0"},
        {R"({"listenPort":70000})", "spec.listenPort: expected an integer from 1 to 65535, found 70000"},
        {R"({"listenPort":-1})", "spec.listenPort: expected an integer from 1 to 65535, found -1"},
        {R"({"listenPort":1.5})", "spec.listenPort: expected an integer from 1 to 65535, found 1.5"},
        {R"({"listenPort":"179"})", "found \"179\"; write it without quotes"},
        {R"({"listenPort":"0179"})", "found \"0179\"; decimal, without leading zeros"},
        {R"({"listenPort":"0x1F"})", "only decimal numbers are read"},
        {R"({"nodeToNodeMeshEnabled":"true"})", "expected true or false, found \"true\"; without quotes"},
        {R"({"nodeToNodeMeshEnabled":"yes"})", "expected true or false, found \"yes\""},
        {R"({"nodeMeshMaxRestartTime":120})", "found 120; did you mean \"120s\"?"},
        {R"({"ignoredInterfaces":[80]})", "spec.ignoredInterfaces[0]: expected text, found 80; put it in quotes"},
        {R"({"logSeverityScreen":"Inf"})", "did you mean \"Info\"?"},
        {R"({"localWorkloadPeeringIPV4":"fd00::1"})", "expected an IPv4 address, found \"fd00::1\""},
        {R"({"multipath":{"max":0}})", "spec.multipath.max: expected an integer from 1 to 1024, found 0"},
        {R"({"asNumber":4294967296})", "expected an AS number"},
        {R"({"bmpCollectors":[{}]})", "spec.bmpCollectors[0].address: required, but missing"},
        {R"({"communities":"x"})", "spec.communities: expected a list, found \"x\"; write [x]"},
    }));
    CAPTURE(row.spec);
    const std::string text =
        R"({"apiVersion":"projectcalico.org/v3","kind":"BGPConfiguration","metadata":{"name":"default"},"spec":)" +
        std::string(row.spec) + "}";
    const auto decoded = codec::decode(model::Kind::bgp_configuration, text, Mode::strict);
    CHECK_THAT(text_of(decoded.findings), Catch::Contains(row.finding));
    CHECK_FALSE(decoded.ok());
}

TEST_CASE("letter case is free where Calico leaves it free, and AS 0 means none") {
    const auto decoded = codec::decode(
        model::Kind::bgp_configuration,
        R"({"apiVersion":"projectcalico.org/v3","kind":"BGPConfiguration","metadata":{"name":"default"},"spec":{"logSeverityScreen":"dEbug","asNumber":0}})",
        Mode::strict);
    REQUIRE(decoded.ok());
    const auto& spec = model::as<model::BgpConfiguration>(*decoded.resource)->spec;
    CHECK(spec.log_severity_screen == model::LogSeverity::debug);
    CHECK_FALSE(spec.as_number);
}

TEST_CASE("objects of Kubernetes have more fields than are read") {
    const auto decoded =
        codec::decode(model::Kind::pod,
                      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n","managedFields":[]},
            "spec":{"nodeName":"a","dnsPolicy":"ClusterFirst","containers":[{"name":"c","image":"i","ports":[{"containerPort":80,"name":"http"}]}]},
            "status":{"phase":"Running","podIPs":[{"ip":"10.0.0.1"}],"conditions":[]}})",
                      Mode::strict);
    CHECK(text_of(decoded.findings).empty());
    REQUIRE(decoded.ok());
    const auto* pod = model::as<model::Pod>(*decoded.resource);
    CHECK(pod->spec.node_name == "a");
    CHECK(pod->spec.containers.at(0).ports.at(0).name == "http");
    CHECK(pod->status.pod_ips.at(0).ip.to_string() == "10.0.0.1");
    CHECK(pod->status.phase == "Running");
}

TEST_CASE("explain shows a kind, a field and what is below it") {
    const auto kind = codec::explain(model::Kind::ip_pool, "");
    REQUIRE(kind);
    CHECK_THAT(*kind, Catch::Contains("KIND:     IPPool\nVERSION:  projectcalico.org/v3\n") &&
                          Catch::Contains("Addresses for pods.") && Catch::Contains("  spec <IPPool>\n"));
    const auto field = codec::explain(model::Kind::ip_pool, "spec.blockSize");
    REQUIRE(field);
    CHECK_THAT(*field, Catch::Contains("FIELD:    spec.blockSize <integer>  (immutable, default 26 (IPv4), 122 (IPv6), "
                                       "stored on creation)"));
    const auto rule = codec::explain(model::Kind::global_network_policy, "spec.ingress[0].source");
    REQUIRE(rule);
    CHECK_THAT(*rule, Catch::Contains("<EntityRule>") && Catch::Contains("  nets <[]CIDR>\n"));
    CHECK_THAT(*codec::explain(model::Kind::global_network_policy, "spec"),
               Catch::Contains("  preDNAT <boolean>  (default false)\n") &&
                   Catch::Contains("  types <[]Ingress|Egress>") && Catch::Contains("Manul's own"));
    CHECK_THAT(*codec::explain(model::Kind::pod, "metadata.labels"), Catch::Contains("<map[string]string>"));
    CHECK(codec::explain(model::Kind::ip_pool, "spec.cdir").error().message ==
          "there is no field \"cdir\" in spec, did you mean \"cidr\"?");
    CHECK_FALSE(codec::explain(model::Kind::ip_pool, "spec.cidr.x"));
}

TEST_CASE("the list of fields goes down to the last one") {
    const auto fields = codec::list_fields(model::Kind::network_policy);
    const auto has = [&](std::string_view path) {
        return std::ranges::find(fields, path, &codec::FieldDoc::path) != fields.end();
    };
    CHECK(has("metadata.name"));
    CHECK(has("spec.ingress.destination.serviceAccounts.selector"));
    CHECK(has("spec.egress.denyAction"));
    CHECK(codec::list_fields(model::Kind::felix_configuration).size() > 190);
}

TEST_CASE("settings of felix from the environment, and those without effect") {
    model::FelixConfigurationSpec spec;
    spec.log_prefix = "x";
    spec.bpf_enabled = true;
    CHECK(codec::fields_without_effect(spec) == std::vector<std::string>{"bpfEnabled"});

    CHECK(codec::set_from_environment(spec, "IPV6SUPPORT", "False"));
    CHECK(spec.ipv6_support == false);
    CHECK(codec::set_from_environment(spec, "ROUTEREFRESHINTERVAL", "2.5"));
    CHECK(spec.route_refresh_interval == model::Duration{std::chrono::milliseconds(2500)});
    CHECK(codec::set_from_environment(spec, "logSeverityScreen", "debug"));
    CHECK(codec::set_from_environment(spec, "FAILSAFEOUTBOUNDHOSTPORTS", "none"));
    CHECK(spec.failsafe_outbound_host_ports->empty());
    CHECK(codec::set_from_environment(spec, "FailsafeInboundHostPorts",
                                      "22,udp:53,tcp:[fd00::/8]:179,tcp:10.0.0.0/8:80"));
    REQUIRE(spec.failsafe_inbound_host_ports->size() == 4);
    CHECK(spec.failsafe_inbound_host_ports->at(0).protocol == model::PortProtocol::tcp);
    CHECK(spec.failsafe_inbound_host_ports->at(2).net->to_string() == "fd00::/8");
    CHECK(spec.failsafe_inbound_host_ports->at(3).port == 80);
    // As Calico's daemons are set up: other names than the field's, words for booleans, blanks in lists.
    CHECK(codec::set_from_environment(spec, "IPINIPENABLED", "Yes"));
    CHECK(spec.ipip_enabled == true);
    CHECK(codec::set_from_environment(spec, "VXLANENABLED", "0"));
    CHECK(spec.vxlan_enabled == false);
    CHECK(codec::set_from_environment(spec, "EXTERNALNODESCIDRLIST", "192.0.2.1, 198.51.100.0/24,"));
    REQUIRE(spec.external_nodes_list->size() == 2);
    CHECK(spec.external_nodes_list->at(1).to_string() == "198.51.100.0/24");
    CHECK(codec::set_from_environment(spec, "FAILSAFEINBOUNDHOSTPORTS", "tcp:22, udp:68"));
    CHECK(spec.failsafe_inbound_host_ports->size() == 2);
    CHECK_FALSE(codec::set_from_environment(spec, "IPINIPENABLED", "maybe"));
    CHECK(codec::set_from_environment(spec, "VXLANPORT", "0").error().message ==
          "expected an integer from 1 to 65535, found 0");
    CHECK_FALSE(codec::set_from_environment(spec, "NOSUCHTHING", "1"));
    CHECK_FALSE(spec.vxlan_port);
}
