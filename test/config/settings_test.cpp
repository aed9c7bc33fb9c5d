#include "config/settings.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "config/address_detection.hpp"

using namespace manul::config;
using Variables = std::map<std::string, std::string>;

namespace {

manul::Result<Settings> parse(const std::string& text, const Variables& variables = {}) {
    return parse_settings(
        text, "manul.yaml",
        [&](const std::string& name) -> std::optional<std::string> {
            const auto found = variables.find(name);
            return found == variables.end() ? std::nullopt : std::optional(found->second);
        },
        "Host-A.example");
}

}  // namespace

TEST_CASE("without a file everything has its default, and the node is the host in lower case") {
    for (const char* empty : {"", "# nothing\n", "---\n", "bgpd:\n"}) {
        const auto settings = parse(empty);
        REQUIRE(settings);
        CHECK(settings->node_name == "host-a.example");
        CHECK(settings->datastore.type == DatastoreType::sqlite);
        CHECK(settings->datastore.path == "/var/lib/manul/store.db");
        CHECK(settings->run_dir == "/run/manul");
        CHECK(settings->bgpd_kernel);
        CHECK(settings->listeners.bgpd_metrics_port == 0);
        CHECK(settings->detection_v4.method == AddressDetection::Method::first_found);
    }
}

TEST_CASE("every setting is read from the file") {
    const auto settings = parse(R"(
node:
  name: rack1-node2
  address_detection:
    ipv4: interface=eth.*,en.*
    ipv6: none
datastore:
  type: etcd
  path: /data/store.db
  etcd:
    endpoints: [https://10.0.0.1:2379, "https://10.0.0.2:2379"]
    ca_file: /etc/manul/ca.pem
    cert_file: /etc/manul/cert.pem
    key_file: /etc/manul/key.pem
    username: manul
    password_file: /etc/manul/password
    prefix: /site/manul
    timeout: 1m30s
  kubernetes:
    kubeconfig: /etc/manul/kubeconfig
    context: prod
run_dir: /run/m
state_dir: /var/lib/m
log_dir: /var/log/m
log:
  level: debug
  format: json
bgpd:
  kernel: false
  metrics_port: 9092
  health_port: 9100
ipamd:
  metrics_port: 9095
  health_port: 9101
metrics_host: "::1"
felix:
  felix_names: true
serve:
  listen: 0.0.0.0:6443
  tls_cert_file: /etc/manul/tls.pem
  tls_key_file: /etc/manul/tls.key
  client_ca_file: /etc/manul/clients.pem
  tokens_file: /etc/manul/tokens.csv
)");
    REQUIRE(settings);
    CHECK(settings->node_name == "rack1-node2");
    CHECK(settings->detection_v4.patterns == std::vector<std::string>{"eth.*", "en.*"});
    CHECK(settings->detection_v6.method == AddressDetection::Method::none);
    CHECK(settings->datastore.type == DatastoreType::etcd);
    CHECK(settings->datastore.path == "/data/store.db");
    const EtcdSettings& etcd = settings->datastore.etcd;
    CHECK(etcd.endpoints == std::vector<std::string>{"https://10.0.0.1:2379", "https://10.0.0.2:2379"});
    CHECK(etcd.ca_file == "/etc/manul/ca.pem");
    CHECK(etcd.cert_file == "/etc/manul/cert.pem");
    CHECK(etcd.key_file == "/etc/manul/key.pem");
    CHECK(etcd.username == "manul");
    CHECK(etcd.password_file == "/etc/manul/password");
    CHECK(etcd.prefix == "/site/manul");
    CHECK(etcd.timeout_ms == 90000);
    CHECK(settings->datastore.kubeconfig == "/etc/manul/kubeconfig");
    CHECK(settings->datastore.context == "prod");
    CHECK(settings->run_dir == "/run/m");
    CHECK(settings->state_dir == "/var/lib/m");
    CHECK(settings->log_dir == "/var/log/m");
    CHECK(settings->log_level == manul::log::Level::debug);
    CHECK(settings->log_format == manul::log::Format::json);
    CHECK(!settings->bgpd_kernel);
    CHECK(settings->listeners.bgpd_metrics_port == 9092);
    CHECK(settings->listeners.bgpd_health_port == 9100);
    CHECK(settings->listeners.ipamd_metrics_port == 9095);
    CHECK(settings->listeners.ipamd_health_port == 9101);
    CHECK(settings->listeners.metrics_host == "::1");
    CHECK(settings->felix_names);
    CHECK(settings->serve.listen == "0.0.0.0:6443");
    CHECK(settings->serve.tls_cert_file == "/etc/manul/tls.pem");
    CHECK(settings->serve.tls_key_file == "/etc/manul/tls.key");
    CHECK(settings->serve.client_ca_file == "/etc/manul/clients.pem");
    CHECK(settings->serve.tokens_file == "/etc/manul/tokens.csv");
}

TEST_CASE("own variables beat the file, which beats calicoctl's") {
    const std::string file = "datastore: {type: sqlite}\nrun_dir: /run/file\n";
    const auto own = parse(file, {{"MANUL_DATASTORE_TYPE", "memory"},
                                  {"DATASTORE_TYPE", "kubernetes"},
                                  {"MANUL_RUN_DIR", "/run/own"},
                                  {"MANUL_NODE_ADDRESS_DETECTION_IPV4", "none"},
                                  {"MANUL_BGPD_METRICS_PORT", "9092"},
                                  {"MANUL_SERVICE_HOST", "10.0.0.1"}});
    REQUIRE(own);
    CHECK(own->datastore.type == DatastoreType::memory);
    CHECK(own->run_dir == "/run/own");
    CHECK(own->detection_v4.method == AddressDetection::Method::none);
    CHECK(own->listeners.bgpd_metrics_port == 9092);
    CHECK(parse(file, {{"DATASTORE_TYPE", "kubernetes"}})->datastore.type == DatastoreType::sqlite);
    CHECK(parse("", {{"DATASTORE_TYPE", "kubernetes"}})->datastore.type == DatastoreType::kubernetes);
    CHECK(parse("", {{"DATASTORE_TYPE", "etcdv3"}})->datastore.type == DatastoreType::etcd);

    const auto etcd = parse("", {{"ETCD_ENDPOINTS", "http://a:2379,http://b:2379"}, {"ETCD_CERT_FILE", "/c"}});
    REQUIRE(etcd);
    CHECK(etcd->datastore.type == DatastoreType::etcd);
    CHECK(etcd->datastore.etcd.endpoints.size() == 2);
    CHECK(etcd->datastore.etcd.cert_file == "/c");
    const auto kubeconfig = parse("", {{"KUBECONFIG", "/home/x/.kube/config"}});
    CHECK(kubeconfig->datastore.type == DatastoreType::sqlite);
    CHECK(kubeconfig->datastore.kubeconfig == "/home/x/.kube/config");
}

TEST_CASE("every error is reported, with its line") {
    struct Row {
        std::string text;
        std::string error;
    };
    const std::vector<Row> rows{
        {"run_dri: /x", "manul.yaml:1: run_dri: unknown setting, did you mean \"run_dir\"?"},
        {"log:\n  levle: info", "manul.yaml:2: log.levle: unknown setting, did you mean \"log.level\"?"},
        {"zzzzzz: 1", "manul.yaml:1: zzzzzz: unknown setting"},
        {"datastore:\n  type: postgres",
         "manul.yaml:2: datastore.type: \"postgres\" is not accepted, expected sqlite, etcd, kubernetes, server or "
         "memory"},
        {"run_dir: run", "manul.yaml:1: run_dir: \"run\" is not accepted, expected an absolute path"},
        {"bgpd: {kernel: yes}", "manul.yaml:1: bgpd.kernel: \"yes\" is not accepted, expected true or false"},
        {"bgpd: {metrics_port: 70000}",
         "manul.yaml:1: bgpd.metrics_port: \"70000\" is not accepted, expected a port number, 0 = off"},
        {"node: {name: Rack_1}",
         "manul.yaml:1: node.name: \"Rack_1\" is not accepted, expected a lower-case name of "
         "letters, digits, '-' and '.'"},
        {"node: {address_detection: {ipv4: eth0}}",
         "manul.yaml:1: node.address_detection.ipv4: \"eth0\" is none of first-found, interface=REGEX, "
         "skip-interface=REGEX, can-reach=ADDRESS, cidr=LIST or none"},
        {"datastore: {etcd: {timeout: 5}}",
         "manul.yaml:1: datastore.etcd.timeout: \"5\" is not accepted, expected a duration like 5s"},
        {"run_dir: [a]", "manul.yaml:1: run_dir: expected a single value"},
        {"run_dir: /a\nrun_dir: /b", "manul.yaml:2: run_dir: given twice"},
        {"log: text", "manul.yaml:1: log: expected keys with values below it"},
        {"- a", "manul.yaml:1: expected keys with values below it"},
        {"a: 1\n---\nb: 2", "manul.yaml:3: a settings file has one document"},
        {"log.level: info", "manul.yaml:1: log.level: unknown setting"},
        {"a: &x {b: *x}", "manul.yaml:1: a: unknown setting"},
        {"log: &x {level: *x}", "manul.yaml:1: log.level: aliases are not accepted"},
        {"run_dir: [", "manul.yaml:1: "},
        {"run_dir: /" + std::string(60, 'x'), "has 61 bytes, at most 60 are possible"},
    };
    for (const Row& row : rows) {
        const auto settings = parse(row.text);
        CAPTURE(row.text);
        REQUIRE(!settings);
        CHECK_THAT(settings.error().message, Catch::Contains(row.error));
    }
    const auto many = parse("run_dri: /x\nlog: {level: loud}\n", {{"MANUL_BGPD_KERNEL", "1"}});
    REQUIRE(!many);
    CHECK(many.error().message ==
          "manul.yaml:1: run_dri: unknown setting, did you mean \"run_dir\"?\n"
          "manul.yaml:2: log.level: \"loud\" is not accepted, expected debug, info, warning or error\n"
          "MANUL_BGPD_KERNEL: \"1\" is not accepted, expected true or false");
}

TEST_CASE("calicoctl's own file is understood as far as it is about connections") {
    const std::string head = "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n";
    const auto etcd = parse(head +
                            "  datastoreType: \"etcdv3\"\n  etcdEndpoints: \"https://a:2379,https://b:2379\"\n"
                            "  etcdUsername: me\n  etcdPassword: secret\n  etcdKeyFile: /k\n  etcdCertFile: /c\n"
                            "  etcdCACertFile: /ca\n  etcdDiscoverySrv: \"\"\n  k8sInsecureSkipTLSVerify: false\n");
    REQUIRE(etcd);
    CHECK(etcd->datastore.type == DatastoreType::etcd);
    CHECK(etcd->datastore.etcd.endpoints == std::vector<std::string>{"https://a:2379", "https://b:2379"});
    CHECK(etcd->datastore.etcd.username == "me");
    CHECK(etcd->datastore.etcd.password == "secret");
    CHECK(etcd->datastore.etcd.key_file == "/k");
    CHECK(etcd->datastore.etcd.cert_file == "/c");
    CHECK(etcd->datastore.etcd.ca_file == "/ca");
    CHECK(parse(head + "  etcdEndpoints: http://a:2379\n")->datastore.type == DatastoreType::etcd);

    const auto kubernetes = parse(head + "  kubeconfig: /kc\n  k8sCurrentContext: here\n");
    REQUIRE(kubernetes);
    CHECK(kubernetes->datastore.type == DatastoreType::kubernetes);
    CHECK(kubernetes->datastore.kubeconfig == "/kc");
    CHECK(kubernetes->datastore.context == "here");
    CHECK(parse(head + "  datastoreType: kubernetes\n", {{"MANUL_DATASTORE_TYPE", "sqlite"}})->datastore.type ==
          DatastoreType::sqlite);
    CHECK(parse(head)->datastore.type == DatastoreType::sqlite);

    const auto bad = parse(head +
                           "  etcdEndpoint: x\n  etcdKey: inline\n  k8sAPIToken: t\n  datastoreType: etcdv2\n"
                           "  etcdDiscoverySrv: example.org\nother: 1\n");
    REQUIRE(!bad);
    CHECK(bad.error().message ==
          "manul.yaml:5: spec.etcdEndpoint: unknown field, did you mean \"etcdEndpoints\"?\n"
          "manul.yaml:6: spec.etcdKey: is not supported: write the key to a file and name it in spec.etcdKeyFile\n"
          "manul.yaml:7: spec.k8sAPIToken: is not supported: name a kubeconfig file in spec.kubeconfig\n"
          "manul.yaml:9: spec.etcdDiscoverySrv: is not supported: list the members in spec.etcdEndpoints\n"
          "manul.yaml:10: other: unknown field of a CalicoAPIConfig\n"
          "manul.yaml:8: spec.datastoreType: \"etcdv2\" is not accepted, expected sqlite, etcd, kubernetes, server or "
          "memory");
}

TEST_CASE("a named file must exist") {
    CHECK(!load_settings("/nonexistent/manul.yaml"));
    const std::string path = "/tmp/manul-settings-test-" + std::to_string(::getpid()) + ".yaml";
    std::ofstream(path) << "node: {name: from-file}\n";
    const auto settings = load_settings(path);
    std::remove(path.c_str());
    REQUIRE(settings);
    CHECK(settings->node_name == "from-file");
}
