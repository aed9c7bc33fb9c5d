#include "config/store/kubernetes/documents.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "config/codec/json.hpp"
#include "config/model/kind.hpp"
#include "config/store/kubernetes/access.hpp"
#include "config/store/kubernetes/exec_plugin.hpp"
#include "config/store/kubernetes/http.hpp"

namespace json = boost::json;
using namespace manul;
using namespace manul::store::kubernetes;
using model::Kind;

namespace {

json::object parse(const std::string& text) { return json::parse(text).as_object(); }

/// The endpoint that follows from a pod with this metadata, spec and status; "none" when there is none.
std::string endpoint(const std::string& metadata, const std::string& spec, const std::string& status) {
    const auto place = place_of(Kind::workload_endpoint, CalicoGroup::v3);
    const auto translated =
        to_document(Kind::workload_endpoint, place,
                    parse(R"({"metadata":{"name":"web-1","namespace":"prod","resourceVersion":"5")" + metadata +
                          R"(},"spec":{)" + spec + R"(},"status":{)" + status + "}}"));
    if (!translated) {
        return "none";
    }
    const std::string text = json::serialize(translated->document);
    const auto decoded = codec::decode_and_validate(Kind::workload_endpoint, text, codec::Mode::strict);
    for (const auto& finding : decoded.findings) {
        FAIL_CHECK(finding.to_string() + " in " + text);
    }
    CHECK(translated->key.name == "node--a-k8s-web--1-eth0");
    CHECK(translated->revision == "5");
    return json::serialize(translated->document.at("spec"));
}

constexpr const char* kOnNode = R"("nodeName":"node-a")";

}  // namespace

TEST_CASE("where kinds live") {
    CHECK(place_of(Kind::pod, CalicoGroup::v3).object("n", "p") == "/api/v1/namespaces/n/pods/p");
    CHECK(place_of(Kind::pod, CalicoGroup::v3).collection("") == "/api/v1/pods");
    // What the manifests allow the daemons to read.
    CHECK(place_of(Kind::secret, CalicoGroup::v3).collection("") == "/api/v1/namespaces/manul-system/secrets");
    CHECK(place_of(Kind::secret, CalicoGroup::v3).object("n", "s") == "/api/v1/namespaces/n/secrets/s");
    CHECK(place_of(Kind::secret, CalicoGroup::served).collection("") == "/api/v1/secrets");
    CHECK(place_of(Kind::lease, CalicoGroup::v3).collection("") == "/apis/coordination.k8s.io/v1/leases");
    CHECK(place_of(Kind::network_policy, CalicoGroup::v3).collection("n") ==
          "/apis/projectcalico.org/v3/namespaces/n/networkpolicies");
    CHECK(place_of(Kind::ip_pool, CalicoGroup::classic).object("", "p") == "/apis/crd.projectcalico.org/v1/ippools/p");
    CHECK(place_of(Kind::ipam_configuration, CalicoGroup::classic).object("", "default") ==
          "/apis/crd.projectcalico.org/v1/ipamconfigs/default");
    CHECK(place_of(Kind::node_report, CalicoGroup::classic).collection("") == "/apis/manul.io/v1/nodereports");
    CHECK(place_of(Kind::node, CalicoGroup::classic).object("", "a") == "/api/v1/nodes/a");
}

TEST_CASE("an endpoint follows from its pod") {
    CHECK(endpoint("", "", "") == "none");
    CHECK(endpoint("", R"("nodeName":"a","hostNetwork":true)", "") == "none");
    const std::string plain = endpoint(
        "",
        R"("nodeName":"node-a","serviceAccountName":"api","containers":[{"ports":[{"name":"http","containerPort":80,"hostPort":8080},{"containerPort":81}]}])",
        R"("phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}])");
    CHECK(plain ==
          R"({"orchestrator":"k8s","node":"node-a","pod":"web-1","endpoint":"eth0","serviceAccountName":"api",)"
          R"("ipNetworks":["10.0.0.1/32","fd00::1/128"],"profiles":["kns.prod","ksa.prod.api"],)"
          R"("interfaceName":"cali91bef8fbcc9","ports":[{"name":"http","port":80,"protocol":"TCP"}]})");
}

TEST_CASE("addresses are those of the status; annotations, which whoever may change the Pod can write, give none") {
    const auto addresses = [](const std::string& annotations, const std::string& status) {
        const std::string text = endpoint(R"(,"annotations":{)" + annotations + "}", kOnNode, status);
        const json::object spec = parse(text);
        return spec.contains("ipNetworks") ? json::serialize(spec.at("ipNetworks")) : std::string("none");
    };
    const std::string status = R"("phase":"Running","podIPs":[{"ip":"10.0.0.9"}])";
    CHECK(addresses("", status) == R"(["10.0.0.9/32"])");
    CHECK(addresses(R"("cni.projectcalico.org/podIP":"10.0.0.1/32")", status) == R"(["10.0.0.9/32"])");
    const std::string id = R"("cni.projectcalico.org/containerID":"c1",)";
    const std::string claim =
        id + R"("cni.projectcalico.org/podIP":"10.0.0.1/32","cni.projectcalico.org/podIPs":"10.0.0.1/32")";
    CHECK(addresses(claim, status) == R"(["10.0.0.9/32"])");
    CHECK(addresses(claim, R"("phase":"Pending")") == "none");
    CHECK(addresses(id + R"("cni.projectcalico.org/podIP":"","cni.projectcalico.org/podIPs":"")", status) == "none");
    for (const char* phase : {"Succeeded", "Failed"}) {
        CHECK(addresses("", R"("podIPs":[{"ip":"10.0.0.9"}],"phase":")" + std::string(phase) + "\"") == "none");
    }
    // What ipamd recorded counts before what the kubelet will say or said of the sandbox before.
    const auto recorded = [&](const std::string& networks, const std::string& more) {
        return R"("conditions":[{"type":"Ready","status":"True"},{"type":"manul.io/Attached","status":"True",)"
               R"("message":"{\"containerID\":\"c2\",\"ipNetworks\":[)" +
               networks + R"(]}"}])" + more;
    };
    const std::string two = R"(\"10.0.0.2/32\",\"fd00::2/128\")";
    CHECK(addresses(claim, recorded(two, "," + status)) == R"(["10.0.0.2/32","fd00::2/128"])");
    CHECK(addresses(claim, recorded(two, "")) == R"(["10.0.0.2/32","fd00::2/128"])");
    CHECK(addresses(claim, recorded("", "," + status)) == "none");
    CHECK(addresses("", recorded(two, R"(,"phase":"Failed")")) == "none");
    CHECK(addresses("", R"("conditions":[7,{"type":"manul.io/Attached","message":"?"}],)" + status) ==
          R"(["10.0.0.9/32"])");
}

TEST_CASE("of its attachment a Pod says what ipamd recorded, whatever its annotations became") {
    const auto translated =
        to_document(Kind::workload_endpoint, place_of(Kind::workload_endpoint, CalicoGroup::v3),
                    parse(R"({"metadata":{"name":"p","namespace":"n","annotations":{"a":"b","manul.io/network":"forged",
            "manul.io/policy-only":"true","cni.projectcalico.org/containerID":"forged",
            "cni.projectcalico.org/podIP":"10.0.0.1/32"}},"spec":{"nodeName":"a"},
            "status":{"conditions":[{"type":"manul.io/Attached","status":"True","message":
            "{\"containerID\":\"c2\",\"ipNetworks\":[\"10.0.0.2/32\"],\"annotations\":{\"manul.io/network\":\"net\"}}"}]}})"));
    REQUIRE(translated);
    CHECK(translated->document.at("spec").at("containerID") == "c2");
    CHECK(
        json::serialize(translated->document.at("metadata").at("annotations")) ==
        R"({"a":"b","cni.projectcalico.org/containerID":"c2","cni.projectcalico.org/podIP":"10.0.0.2/32","manul.io/network":"net","cni.projectcalico.org/podIPs":"10.0.0.2/32"})");
}

TEST_CASE("limits of a pod's annotations are those of its endpoint, as far as they can be") {
    const auto qos = [](const std::string& annotations) {
        const json::object spec = parse(endpoint(R"(,"annotations":{)" + annotations + "}", kOnNode, ""));
        return spec.contains("qosControls") ? json::serialize(spec.at("qosControls")) : std::string("none");
    };
    CHECK(qos(R"("qos.projectcalico.org/ingressBandwidth":"10M","qos.projectcalico.org/egressBurst":"1Mi",
        "qos.projectcalico.org/egressPacketRate":"100","qos.projectcalico.org/dscp":"EF")") ==
          R"({"ingressBandwidth":10000000,"egressBurst":1048576,"egressPacketRate":100,"dscp":46})");
    CHECK(qos(R"("kubernetes.io/ingress-bandwidth":"1.5G","kubernetes.io/egress-bandwidth":"1k",
        "qos.projectcalico.org/egressBandwidth":"2k","qos.projectcalico.org/dscp":"8")") ==
          R"({"ingressBandwidth":1500000000,"egressBandwidth":2000,"dscp":8})");
    // Out of range is the nearest that there is; what is no quantity does not count.
    CHECK(qos(R"("qos.projectcalico.org/ingressBandwidth":"999","qos.projectcalico.org/egressBandwidth":"20P",
        "qos.projectcalico.org/ingressPacketRate":"10001","qos.projectcalico.org/egressBurst":"-1k",
        "qos.projectcalico.org/ingressBurst":"1e6","qos.projectcalico.org/ingressMaxConnections":"0")") ==
          R"({"ingressBandwidth":1000,"ingressBurst":1000000,"ingressPacketRate":10000,"ingressMaxConnections":1,)"
          R"("egressBandwidth":1000000000000000,"egressBurst":1000})");
    CHECK(qos(R"("qos.projectcalico.org/egressBandwidth":"fast","qos.projectcalico.org/ingressBurst":"1x",
        "qos.projectcalico.org/ingressPacketRate":"inf","qos.projectcalico.org/dscp":"64")") == "none");
    CHECK(qos(R"("qos.projectcalico.org/egressPacketRate":"1500m","qos.projectcalico.org/egressBandwidth":"1Ei")") ==
          R"({"egressBandwidth":1000000000000000,"egressPacketRate":2})");
}

TEST_CASE("floating addresses of a pod lead to its address of the same family") {
    const auto nats = [](const std::string& addresses) {
        const json::object spec =
            parse(endpoint(R"(,"annotations":{"cni.projectcalico.org/floatingIPs":")" + addresses + "\"}", kOnNode,
                           R"("phase":"Running","podIPs":[{"ip":"10.0.0.9"}])"));
        return spec.contains("ipNATs") ? json::serialize(spec.at("ipNATs")) : std::string("none");
    };
    CHECK(nats(R"([\"192.0.2.7\",\"192.0.2.8\"])") ==
          R"([{"internalIP":"10.0.0.9","externalIP":"192.0.2.7"},{"internalIP":"10.0.0.9","externalIP":"192.0.2.8"}])");
    CHECK(nats(R"([\"2001:db8::7\"])") == "none");
    CHECK(nats("192.0.2.7") == "none");
    CHECK(nats(R"([7, \"x\"])") == "none");
}

TEST_CASE("a pod's own labels cannot pretend to come from its namespace or service account") {
    const auto translated =
        to_document(Kind::workload_endpoint, place_of(Kind::workload_endpoint, CalicoGroup::v3),
                    parse(R"({"metadata":{"name":"p","namespace":"n","uid":"01020304-0506-4708-890a-0b0c0d0e0f10",
            "labels":{"app":"x","pcns.team":"red","pcsa.a":"b","projectcalico.org/namespace":"other"}},
            "spec":{"nodeName":"a"}})"));
    REQUIRE(translated);
    const json::object& metadata = translated->document.at("metadata").as_object();
    CHECK(
        json::serialize(metadata.at("labels")) ==
        R"({"app":"x","projectcalico.org/namespace":"n","projectcalico.org/orchestrator":"k8s","projectcalico.org/serviceaccount":"default"})");
    CHECK(metadata.at("uid").as_string() == "8040c020-a060-4710-8950-d030b070f008");
}

TEST_CASE("uids of derived objects differ from those they came from, and lead back") {
    const std::string uid = "6442702a-7fd2-41e9-80aa-4291f9c44c10";
    CHECK(derived_uid(uid) != uid);
    CHECK(derived_uid(derived_uid(uid)) == uid);
    CHECK(derived_uid("no uid") == "no uid");
}

TEST_CASE("names of endpoints lead back to pods") {
    CHECK(pod_of_endpoint("node--a-k8s-web--1-eth0") == "web-1");
    CHECK(pod_of_endpoint("a-cni-0123-eth0") == std::nullopt);
    CHECK(pod_of_endpoint("a-k8s-p") == std::nullopt);
    CHECK(pod_of_endpoint("") == std::nullopt);
}

TEST_CASE("addresses are recorded for the pod with this uid alone") {
    const json::object before = parse(
        R"({"metadata":{"annotations":{"manul.io/old":"1","other":"2"}},"spec":{"containerID":"c0","ipNetworks":["10.0.0.9/32"]}})");
    const json::object document = parse(
        R"({"metadata":{"annotations":{"manul.io/network":"net","other":"3"}},"spec":{"containerID":"c1","ipNetworks":["10.0.0.1/32","fd00::1/128"]}})");
    CHECK(
        json::serialize(endpoint_patch(before, &document, "u")) ==
        R"({"metadata":{"uid":"u","annotations":{"manul.io/old":null,"manul.io/network":"net","cni.projectcalico.org/containerID":"c1","cni.projectcalico.org/podIP":"10.0.0.1/32","cni.projectcalico.org/podIPs":"10.0.0.1/32,fd00::1/128"}},)"
        R"("status":{"conditions":[{"type":"manul.io/Attached","status":"True","message":"{\"containerID\":\"c1\",\"ipNetworks\":[\"10.0.0.1/32\",\"fd00::1/128\"],\"annotations\":{\"manul.io/network\":\"net\"}}"}]}})");
    CHECK(
        json::serialize(endpoint_patch(before, nullptr, "u")) ==
        R"({"metadata":{"uid":"u","annotations":{"cni.projectcalico.org/podIP":"","cni.projectcalico.org/podIPs":""}},)"
        R"("status":{"conditions":[{"type":"manul.io/Attached","status":"False","message":"{\"containerID\":\"c0\",\"ipNetworks\":[],\"annotations\":{\"manul.io/old\":\"1\"}}"}]}})");
}

TEST_CASE("a Node is read from annotations and written back to them") {
    const auto place = place_of(Kind::node, CalicoGroup::v3);
    const auto translated =
        to_document(Kind::node, place, parse(R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"a",
        "resourceVersion":"5","labels":{"rack":"1"},"annotations":{"projectcalico.org/IPv4Address":"192.0.2.1/24",
        "projectcalico.org/ASNumber":"65001","projectcalico.org/IPv4VXLANTunnelAddr":"10.0.0.1"}},
        "spec":{"podCIDRs":["10.1.0.0/24"]},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"},
        {"type":"Hostname","address":"a"}]}})"));
    REQUIRE(translated);
    const std::string text = json::serialize(translated->document);
    CHECK(codec::decode_and_validate(Kind::node, text, codec::Mode::strict).ok());
    CHECK(
        json::serialize(translated->document.at("spec")) ==
        R"({"bgp":{"ipv4Address":"192.0.2.1/24","asNumber":"65001"},"ipv4VXLANTunnelAddr":"10.0.0.1","vxlanTunnelMACAddr":"66:86:f7:e4:37:fa","orchRefs":[{"nodeName":"a","orchestrator":"k8s"}],"addresses":[{"address":"192.0.2.1","type":"InternalIP"}]})");
    const json::object patch = node_patch(translated->document);
    const json::object& annotations = patch.at("metadata").at("annotations").as_object();
    CHECK(annotations.at("projectcalico.org/IPv4Address").as_string() == "192.0.2.1/24");
    CHECK(annotations.at("projectcalico.org/ASNumber").as_string() == "65001");
    CHECK(annotations.at("projectcalico.org/IPv6Address").is_null());
}

TEST_CASE("classic custom resources keep Calico's metadata in an annotation") {
    const auto place = place_of(Kind::block_affinity, CalicoGroup::classic);
    const json::object document =
        parse(R"({"apiVersion":"projectcalico.org/v3","kind":"BlockAffinity","metadata":{"name":"x","labels":{"a":"b"},
            "annotations":{"c":"d"}},"spec":{"cidr":"10.0.0.0/26","deleted":false}})");
    const json::object object = to_object(place, document);
    CHECK(object.at("apiVersion").as_string() == "crd.projectcalico.org/v1");
    CHECK(object.at("spec").at("deleted").as_string() == "false");
    CHECK(json::serialize(object.at("metadata").at("annotations")) ==
          R"({"projectcalico.org/metadata":"{\"labels\":{\"a\":\"b\"},\"annotations\":{\"c\":\"d\"}}"})");
    const auto back = to_document(Kind::block_affinity, place, object);
    REQUIRE(back);
    CHECK(json::serialize(back->document) == json::serialize(document));
}

TEST_CASE("kubeconfigs") {
    constexpr const char* kText = R"(
apiVersion: v1
kind: Config
current-context: b
clusters:
- name: one
  cluster: {server: 'https://one:6443', certificate-authority: ca.crt}
- name: two
  cluster: {server: 'https://two', certificate-authority-data: Y2E=, tls-server-name: kubernetes, insecure-skip-tls-verify: true}
users:
- name: cert
  user: {client-certificate: /abs/c.crt, client-key-data: a2V5}
- name: exec
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ./get-token, args: [a, b], env: [{name: X, value: y}]}}
contexts:
- name: a
  context: {cluster: one, user: cert}
- name: b
  context: {cluster: two, user: exec}
)";
    const auto a = parse_kubeconfig(kText, "/etc/kube/config", "a");
    REQUIRE(a);
    CHECK(a->server == "https://one:6443");
    CHECK(a->ca.file == "/etc/kube/ca.crt");
    CHECK(a->certificate.file == "/abs/c.crt");
    CHECK(a->key.data == "key");
    CHECK_FALSE(a->exec);
    const auto b = parse_kubeconfig(kText, "/etc/kube/config", "");
    REQUIRE(b);
    CHECK(b->ca.data == "ca");
    CHECK(b->tls_server_name == "kubernetes");
    CHECK(b->skip_verification);
    REQUIRE(b->exec);
    CHECK(b->exec->command == "/etc/kube/./get-token");
    CHECK(b->exec->arguments == std::vector<std::string>{"a", "b"});
    CHECK(parse_kubeconfig(kText, "f", "c").error().message == "f has no context \"c\"");
    CHECK(parse_kubeconfig("[]", "f", "").error().message == "f is no kubeconfig");
    CHECK(parse_kubeconfig("a: [", "f", "").error().message.starts_with("f is no kubeconfig"));
    CHECK(load_kubeconfig("/nowhere", "").error().message == "/nowhere: No such file or directory");
}

TEST_CASE("several kubeconfigs, as in $KUBECONFIG") {
    const std::filesystem::path directory =
        std::filesystem::temp_directory_path() / ("manul-kubeconfigs-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory);
    const auto write = [&](const std::string& name, const std::string& current) {
        std::ofstream(directory / name) << "current-context: " << current
                                        << "\nclusters:\n- name: c\n  cluster: {server: 'https://" << name
                                        << "'}\ncontexts:\n- name: " << name << "\n  context: {cluster: c}\n";
        return (directory / name).string();
    };
    const std::string files =
        "/nowhere:" + write("one", "''") + ":" + write("two", "two") + ":" + write("three", "three");
    const auto server = [&](std::string_view context) {
        const auto access = load_kubeconfig(files, context);
        return access ? access->server : access.error().message;
    };
    CHECK(server("one") == "https://one");
    CHECK(server("three") == "https://three");
    CHECK(server("") == "https://two");
    CHECK(server("four") == files + ": no file among these describes the context \"four\"");
    CHECK(load_kubeconfig("/nowhere:/neither", "").error().message ==
          "/nowhere:/neither: no current-context; name one in datastore.kubernetes.context");
    std::filesystem::remove_all(directory);
}

TEST_CASE("servers of kubeconfigs") {
    const auto parsed = [](const std::string& text) {
        Access access;
        access.server = text;
        const auto server = parse_server(access);
        return server ? (server->tls ? "tls " : "") + server->host + " " + server->port + " " + server->base
                      : server.error().message;
    };
    CHECK(parsed("https://a") == "tls a 443 ");
    CHECK(parsed("https://a:6443/k8s/clusters/c1/") == "tls a 6443 /k8s/clusters/c1");
    CHECK(parsed("https://[fd00::1]:6443") == "tls fd00::1 6443 ");
    CHECK(parsed("http://127.0.0.1:8001") == "127.0.0.1 8001 ");
    CHECK_THAT(parsed("a:6443"), Catch::Contains("expected the server as https://host:port"));
    CHECK_THAT(parsed("https://"), Catch::Contains("names no host"));
}

TEST_CASE("credentials of plugins") {
    const auto credential = parse_exec_credential(
        R"({"kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2026-01-01T00:10:00Z"}})", 1767225600);
    REQUIRE(credential);
    CHECK(credential->token == "t");
    CHECK(credential->life.count() == 600);
    CHECK_FALSE(parse_exec_credential(R"({"kind":"ExecCredential","status":{}})", 0));
    CHECK_FALSE(parse_exec_credential("x", 0));
    const auto run = run_exec_plugin(
        {.command = "/bin/sh",
         .arguments = {"-c", "echo '{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$TOKEN'\"}}'"},
         .environment = {{"TOKEN", "from-plugin"}},
         .api_version = "client.authentication.k8s.io/v1"});
    REQUIRE(run);
    CHECK(run->token == "from-plugin");
    CHECK(run_exec_plugin({.command = "/nowhere/x", .arguments = {}, .environment = {}, .api_version = {}})
              .error()
              .message.starts_with("the credential plugin: cannot run /nowhere/x"));
    CHECK_FALSE(run_exec_plugin({.command = "/bin/false", .arguments = {}, .environment = {}, .api_version = {}}));
}
