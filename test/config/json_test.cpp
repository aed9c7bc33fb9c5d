#include "config/codec/json.hpp"
#include "config/codec/document.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/finding.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/kind.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/tier.hpp"
#include "net/prefix.hpp"

using namespace manul;
using codec::Mode;
using model::Kind;

namespace {

std::string pool(const std::string& spec) {
    return R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":)" + spec + "}";
}
std::string policy(const std::string& spec) {
    return R"({"apiVersion":"projectcalico.org/v3","kind":"NetworkPolicy","metadata":{"name":"p","namespace":"n"},"spec":)" +
           spec + "}";
}

std::string text_of(const model::Findings& findings) {
    std::string text;
    for (const model::Finding& finding : findings) {
        text += finding.to_string() + "\n";
    }
    return text;
}

}  // namespace

TEST_CASE("JSON text that is refused, with the place") {
    struct Row {
        const char* text;
        const char* message;
    };
    const auto row = GENERATE(values<Row>({
        {"", "line 1, column 1: expected a JSON value"},
        {"{", "expected a key in quotes"},
        {"{\"a\":1,}", "expected a key in quotes"},
        {"{\"a\":1 \"b\":2}", "expected ',' or '}'"},
        {"{\"a\" 1}", "expected ':'"},
        {"[1,]", "expected a JSON value"},
        {"[1 2]", "expected ',' or ']'"},
        {"{\"a\":1,\n\"a\":2}", "line 2, column 4: the key \"a\" is given twice"},
        {"01", "expected a JSON value"},
        {"1.", "expected a JSON value"},
        {"+1", "expected a JSON value"},
        {"nul", "expected a JSON value"},
        {"\"a", "never closed"},
        {"\"\x01\"", "control character"},
        {"\"\\x\"", "unknown escape"},
        {"\"\\u12g4\"", "four hexadecimal digits"},
        {"\"\\u0000\"", "not 0000"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\xc3\"", "not UTF-8"},
        {"\"\xed\xa0\x80\"", "not UTF-8"},
        {"1 2", "expected nothing more"},
    }));
    CAPTURE(row.text);
    const auto parsed = codec::parse_json(row.text);
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().message, Catch::Contains(row.message));
}

TEST_CASE("nesting is limited") {
    CHECK(codec::parse_json(std::string(64, '[') + std::string(64, ']')));
    CHECK_FALSE(codec::parse_json(std::string(65, '[') + std::string(65, ']')));
    CHECK_FALSE(codec::parse_json(std::string(1'000'000, '[')));
}

TEST_CASE("a key that is given twice is found among many, too, and soon") {
    std::string many = "{";
    for (int i = 0; i < 200'000; ++i) {
        many += "\"" + std::to_string(i) + "\":0,\n";
    }
    CHECK(codec::parse_json(many + "\"x\":0}"));
    const auto parsed = codec::parse_json(many + "\"77\":0}");
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().message, Catch::Contains("the key \"77\" is given twice"));
}

TEST_CASE("the last value of a key that is given twice counts for who asks for it") {
    std::vector<std::string> repeated;
    const auto parsed =
        codec::parse_json(R"({"a":1,"b":{"x.y":1,"x.y":2},"a":{},"c":[{"d":1,"d":2,"d":3}],"a":4})", repeated);
    REQUIRE(parsed);
    CHECK(codec::to_json(*parsed) == R"({"b":{"x.y":2},"c":[{"d":3}],"a":4})");
    CHECK(repeated == std::vector<std::string>{"a", R"(b["x.y"])", "c[0].d"});
}

TEST_CASE("JSON passes through unchanged, digits and order included") {
    const std::string text =
        GENERATE(as<std::string>{}, "{}", "[]", "null", "true", "-0.50e+10", "12345678901234567890123",
                 R"({"b":1,"a":[{},[],null,false],"":"\"\\\n\t\u0001ä😀"})");
    const auto parsed = codec::parse_json(text);
    REQUIRE(parsed);
    CHECK(codec::to_json(*parsed) == text);
}

TEST_CASE("escapes become the characters they stand for") {
    CHECK(codec::parse_json(R"("\u00e4\ud83d\ude00\/\b\f")")->text == "ä😀/\b\f");
}

TEST_CASE("a pool decodes into its struct") {
    const auto decoded = codec::decode_and_validate(
        Kind::ip_pool,
        pool(R"({"cidr":"10.0.0.0/16","blockSize":28,"ipipMode":"CrossSubnet","natOutgoing":true,"disabled":false,
                 "allowedUses":["Workload"],"nodeSelector":"rack == 'a'"})"),
        Mode::strict);
    REQUIRE(decoded.ok());
    CHECK(decoded.findings.empty());
    const auto* ip_pool = model::as<model::IpPool>(*decoded.resource);
    REQUIRE(ip_pool);
    CHECK(ip_pool->metadata.name == "p");
    CHECK(ip_pool->spec.cidr == net::Prefix::parse("10.0.0.0/16"));
    CHECK(ip_pool->spec.block_size == 28);
    CHECK(ip_pool->spec.ipip_mode == model::EncapMode::cross_subnet);
    CHECK(ip_pool->spec.nat_outgoing);
    CHECK(ip_pool->spec.allowed_uses == std::vector{model::AllowedUse::workload});
}

TEST_CASE("every mistake is reported at once, with path and what would be right") {
    const auto decoded = codec::decode(Kind::network_policy, policy(R"j({"order":"100","ingress":[
        {"action":"Alow","protcol":"TCP","destination":{"ports":[80,{},"a b",70000]}},
        {"source":{"nets":["10.0.0.1/8"],"selectr":"x"}}],
        "types":"Ingress","selectr":"all()","source":{},"egress":[{"action":"deny","protocol":"tcp","ipVersion":5}]})j"),
                                       Mode::strict);
    CHECK(text_of(decoded.findings) ==
          R"(spec.order: expected a number, found "100"; write it without quotes
spec.types: expected a list, found "Ingress"; write [Ingress]
spec.ingress[0].action: expected one of Allow, Deny, Log, Pass, found "Alow", did you mean "Allow"?
spec.ingress[0].destination.ports[1]: expected a port from 1 to 65535, a range such as "8080:8090" or the name of a port, found a map
spec.ingress[0].destination.ports[2]: expected a port from 1 to 65535, a range such as "8080:8090" or the name of a port, found "a b"
spec.ingress[0].destination.ports[3]: expected a port from 1 to 65535, a range such as "8080:8090" or the name of a port, found 70000
spec.ingress[0].protcol: unknown field, did you mean "protocol"?
spec.ingress[1].action: required, but missing
spec.ingress[1].source.nets[0]: expected a CIDR such as 10.0.0.0/8 or fd00::/8, found "10.0.0.1/8"; bits beyond the length must be zero; did you mean 10.0.0.0/8?
spec.ingress[1].source.selectr: unknown field, did you mean "selector"?
spec.egress[0].action: expected one of Allow, Deny, Log, Pass, found "deny", did you mean "Deny"?
spec.egress[0].ipVersion: expected 4 or 6, found 5
spec.egress[0].protocol: expected TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or a number from 1 to 255, found "tcp"; did you mean "TCP"?
spec.selectr: unknown field, did you mean "selector"?
spec.source: unknown field, it belongs inside "ingress"
)");
    REQUIRE(decoded.resource);
    CHECK_FALSE(decoded.ok());
}

TEST_CASE("a reader keeps rules with unknown fields and marks them") {
    const auto decoded = codec::decode(Kind::network_policy, policy(R"({"ingress":[
        {"action":"Allow"},{"action":"Allow","newField":1},{"action":"Deny","source":{"domains":["x"]}}]})"),
                                       Mode::lenient);
    REQUIRE(decoded.ok());
    const auto& spec = model::as<model::NetworkPolicy>(*decoded.resource)->spec;
    REQUIRE(spec.ingress.size() == 3);
    CHECK_FALSE(spec.ingress[0].has_unknown_fields);
    CHECK(spec.ingress[1].has_unknown_fields);
    CHECK(spec.ingress[2].has_unknown_fields);
    REQUIRE(decoded.findings.size() == 2);
    CHECK(decoded.findings[0].unknown_field);
    CHECK(decoded.findings[0].severity == model::Finding::Severity::warning);
}

TEST_CASE("the document's kind is checked, and spec may be missing only where nothing in it is required") {
    CHECK(text_of(codec::decode(Kind::tier, pool("{}"), Mode::strict).findings) ==
          "kind: expected \"Tier\", found \"IPPool\"\n");
    CHECK(text_of(codec::decode(Kind::ip_pool,
                                R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"x"}})",
                                Mode::strict)
                      .findings) == "spec.cidr: required, but missing\n");
    CHECK(text_of(codec::decode(Kind::tier, R"({"apiVersion":"projectcalico.org/v3","kind":"Tier"})", Mode::strict)
                      .findings) == "metadata.name: required, but missing\n");
    CHECK_FALSE(codec::decode(Kind::tier, "[]", Mode::strict).resource);
    CHECK_FALSE(codec::decode(Kind::tier, "{", Mode::strict).resource);
}

TEST_CASE("a bare address in a rule is taken, with a warning") {
    const auto decoded =
        codec::decode(Kind::network_policy,
                      policy(R"({"ingress":[{"action":"Allow","source":{"nets":["10.0.0.1"]}}]})"), Mode::strict);
    CHECK(decoded.ok());
    CHECK(text_of(decoded.findings) ==
          "warning: spec.ingress[0].source.nets[0]: the address is taken as 10.0.0.1/32; write it so\n");
}

TEST_CASE("encoding leaves out what equals the default, and names the kind") {
    model::Tier tier;
    tier.metadata.name = "t";
    CHECK(codec::encode(tier) ==
          R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"t"},"spec":{}})");
    tier.spec.order = 1'000'000;
    tier.spec.default_action = model::TierDefaultAction::pass;
    CHECK(
        codec::encode(tier) ==
        R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"t"},"spec":{"order":1000000,"defaultAction":"Pass"}})");
    tier.spec.order = -0.5;
    CHECK_THAT(codec::encode(tier), Catch::Contains(R"("order":-0.5)"));
}

TEST_CASE("a changed struct is merged into its document, and everything else stays") {
    const std::string document = policy(
        R"({"future":{"x":1},"order":10.0,"selector":"","types":[],"ingress":[{"action":"Allow","new":[1]},{"action":"Deny"}],"egress":[]})");
    const auto before = codec::decode(Kind::network_policy, document, Mode::lenient);
    const auto* view = model::as<model::NetworkPolicy>(*before.resource);
    REQUIRE(view);

    SECTION("no change") { CHECK(codec::merge(document, *view, *view) == document); }
    SECTION("a field of a list item, by position") {
        model::NetworkPolicy after = *view;
        after.spec.ingress[0].action = model::Action::pass;
        after.spec.ingress[1].source.selector = "a == 'b'";
        CHECK(
            codec::merge(document, *view, after) ==
            policy(
                R"({"future":{"x":1},"order":10.0,"selector":"","types":[],)"
                R"("ingress":[{"action":"Pass","new":[1]},{"action":"Deny","source":{"selector":"a == 'b'"}}],"egress":[]})"));
    }
    SECTION("another length: the list as a whole") {
        model::NetworkPolicy after = *view;
        after.spec.ingress.pop_back();
        CHECK(
            codec::merge(document, *view, after) ==
            policy(
                R"({"future":{"x":1},"order":10.0,"selector":"","types":[],"ingress":[{"action":"Allow"}],"egress":[]})"));
    }
    SECTION("a field that goes away, one that comes, metadata") {
        model::NetworkPolicy after = *view;
        after.spec.order.reset();
        after.spec.selector = "all()";
        after.metadata.labels["a"] = "b";
        const auto merged = codec::merge(document, *view, after);
        REQUIRE(merged);
        CHECK(codec::same_content(
            *merged,
            R"j({"apiVersion":"projectcalico.org/v3","kind":"NetworkPolicy","metadata":{"name":"p","namespace":"n","labels":{"a":"b"}},
                "spec":{"future":{"x":1},"selector":"all()","types":[],"ingress":[{"action":"Allow","new":[1]},{"action":"Deny"}],"egress":[]}})j"));
    }
}

TEST_CASE("what Go's types cannot tell from nothing is nothing") {
    struct Row {
        Kind kind;
        const char* spec;
        const char* completed;  ///< a part of the document
    };
    const auto complete = [](Kind kind, const std::string& spec) {
        return codec::complete_and_validate(kind, R"({"apiVersion":")" + model::api_version(kind) + R"(","kind":")" +
                                                      std::string(model::info(kind).name) +
                                                      R"(","metadata":{"name":"default"},"spec":)" + spec + "}");
    };
    for (const Row& row : std::vector<Row>{
             {Kind::ip_pool, R"x({"cidr":"10.0.0.0/16","ipipMode":"","blockSize":0,"nodeSelector":""})x",
              R"x("ipipMode":"Never","blockSize":26,"nodeSelector":"all()")x"},
             {Kind::global_network_policy, R"x({"tier":"","types":[]})x", R"x("tier":"default","types":["Ingress"])x"},
             {Kind::bgp_peer, R"x({"peerSelector":"all()","peerIP":"","sourceAddress":"","reachableBy":""})x", ""},
             {Kind::felix_configuration, R"x({"natOutgoingAddress":"","ipForwarding":"","logSeverityFile":""})x", ""},
             {Kind::bgp_filter, R"x({"exportV4":[{"action":"Accept","cidr":"","matchOperator":"","peerType":""}]})x",
              ""}}) {
        CAPTURE(row.spec);
        const auto done = complete(row.kind, row.spec);
        REQUIRE(done);
        CHECK(done->decoded.ok());
        CHECK_THAT(codec::to_json(done->document), Catch::Contains(row.completed));
    }
    for (const auto& [kind, spec] :
         {std::pair(Kind::bgp_filter, R"x({"exportV4":[{"action":""}]})x"),
          std::pair(Kind::bgp_filter, R"x({"exportV4":[{"action":"Accept","priority":""}]})x"),
          std::pair(Kind::tier, R"x({"order":[]})x"), std::pair(Kind::tier, R"x({"order":""})x"),
          std::pair(Kind::tier, R"x({"defaultAction":[]})x")}) {
        CAPTURE(spec);
        const auto done = complete(kind, spec);
        REQUIRE(done);
        CHECK_FALSE(done->decoded.ok());
    }
}

TEST_CASE("defaults that are written on create") {
    CHECK(
        codec::with_creation_defaults(Kind::ip_pool, pool(R"({"cidr":"fd00::/48","vxlanMode":"Always"})")) ==
        pool(R"j({"cidr":"fd00::/48","vxlanMode":"Always","blockSize":122,"ipipMode":"Never","nodeSelector":"all()",)j"
             R"("allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic"})"));
    CHECK(
        *codec::with_creation_defaults(Kind::network_policy, policy(R"({"types":[],"egress":[{"action":"Allow"}]})")) ==
        R"({"apiVersion":"projectcalico.org/v3","kind":"NetworkPolicy","metadata":{"name":"p","namespace":"n",)"
        R"("labels":{"projectcalico.org/tier":"default"}},"spec":{"types":["Egress"],"egress":[{"action":"Allow"}],"tier":"default"}})");
    const std::string built_in =
        R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"kube-admin"}})";
    CHECK_THAT(*codec::with_creation_defaults(Kind::tier, built_in),
               Catch::Contains(R"("spec":{"order":1000,"defaultAction":"Pass"})"));
    CHECK(*codec::with_creation_defaults(Kind::node, "anything") == "anything");
}

TEST_CASE("a document's header and stored fields") {
    const std::string document =
        R"({"kind":"Tier","apiVersion":"projectcalico.org/v3","x":[1.50],"metadata":{"name":"t","resourceVersion":"7"}})";
    const auto header = codec::read_header(document);
    REQUIRE(header);
    CHECK(model::find_kind(header->api_version, header->kind_name) == Kind::tier);
    CHECK(header->name == "t");
    CHECK(header->resource_version == "7");
    CHECK(
        codec::with_stored_fields(document, {.resource_version = "", .uid = "u", .generation = 3}) ==
        R"({"kind":"Tier","apiVersion":"projectcalico.org/v3","x":[1.50],"metadata":{"name":"t","uid":"u","generation":3}})");
    CHECK(codec::same_content(
        document, R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"t"},"x":[1.50]})"));
    CHECK_FALSE(codec::same_content(document,
                                    R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"t"}})"));
}
