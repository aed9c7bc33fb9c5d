#include <catch2/catch.hpp>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "cni/net_conf.hpp"
#include "cni/result.hpp"
#include "ipam/local/protocol.hpp"

using namespace manul;
using namespace manul::cni;
namespace json = boost::json;

namespace {

NetConf parsed(const std::string& text, Verb verb = Verb::add) {
    auto conf = parse_net_conf(text, verb);
    if (!conf) {
        FAIL(conf.error().msg);
    }
    return *conf;
}

const char* const kMinimal = R"({"cniVersion":"1.0.0","name":"pods","type":"manul"})";

Environment environment() {
    return {.command = "ADD", .container_id = "0123abc", .netns = "/run/netns/x", .ifname = "eth0"};
}

}  // namespace

TEST_CASE("a minimal configuration has the documented defaults") {
    const NetConf conf = parsed(kMinimal);
    CHECK(conf.name == "pods");
    CHECK(conf.run_dir == "/run/manul");
    CHECK(conf.state_dir == "/var/lib/manul");
    CHECK(conf.mtu == 0);
    CHECK(conf.policy_timeout == std::chrono::seconds(10));
    CHECK(conf.assign_ipv4);
    CHECK_FALSE(conf.assign_ipv6);
}

TEST_CASE("Calico's keys are read, those about datastore and logging are accepted") {
    const NetConf conf = parsed(R"({
        "cniVersion": "0.3.1", "name": "k8s-pod-network", "type": "manul",
        "log_level": "info", "log_file_path": "/var/log/calico/cni/cni.log", "datastore_type": "kubernetes",
        "nodename": "n1", "mtu": 1450, "num_queues": 1, "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"}, "capabilities": {"portMappings": true},
        "ipam": {"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": true,
                 "ipv4_pools": ["a", "10.0.0.0/16"], "ipv6_pools": ["six"]},
        "policy_setup_timeout_seconds": 0, "container_settings": {"allow_ip_forwarding": true},
        "feature_control": {"ip_addrs_no_ipam": true, "floating_ips": true, "other": 1},
        "run_dir": "/run/x", "state_dir": "/var/lib/x", "dns": {"nameservers": ["10.96.0.10"]}})");
    CHECK(conf.mtu == 1450);
    CHECK(conf.assign_ipv6);
    CHECK(conf.ipv4_pools == std::vector<std::string>{"a", "10.0.0.0/16"});
    CHECK(conf.ipv6_pools == std::vector<std::string>{"six"});
    CHECK(conf.policy_timeout == std::chrono::seconds(0));
    CHECK(conf.allow_ip_forwarding);
    CHECK(conf.allow_addresses_without_ipam);
    CHECK(conf.allow_floating_addresses);
    CHECK(conf.run_dir == "/run/x");
    CHECK(conf.dns == Dns{.nameservers = {"10.96.0.10"}});
}

TEST_CASE("what a runtime adds is read in any case of its keys") {
    const NetConf conf = parsed(R"({"cniVersion": "1.0.0", "name": "pods", "runtimeConfig": {
        "portMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""},
                         {"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"}],
        "bandwidth": {"IngressRate": 1000000, "ingressBurst": 1e6, "EgressRate": 0},
        "ips": ["10.0.0.7/24"], "mac": "02:00:00:00:00:07",
        "io.kubernetes.cri.pod-annotations": {"a/b": "c"}},
        "args": {"cni": {"ips": ["10.0.0.9"], "labels": [{"key": "app", "value": "web"}, {"Key": "tier", "Value": ""}]}}})");
    REQUIRE(conf.port_mappings.size() == 2);
    CHECK(conf.port_mappings[0] == ipam::PortMapping{8080, 80, "tcp", std::nullopt});
    CHECK(conf.port_mappings[1] == ipam::PortMapping{53, 53, "udp", net::Ip::parse("127.0.0.1")});
    CHECK(conf.bandwidth == ipam::Bandwidth{1'000'000, 1'000'000, 0, 0});
    CHECK(conf.ips == std::vector<net::Ip>{*net::Ip::parse("10.0.0.7")});  // the capability counts more
    CHECK(conf.mac == net::Mac::parse("02:00:00:00:00:07"));
    CHECK(conf.annotations.at("a/b") == "c");
    CHECK(conf.labels == std::map<std::string, std::string>{{"app", "web"}, {"tier", ""}});
}

TEST_CASE("a configuration that cannot be used is refused with its code and the reason") {
    struct Row {
        const char* text;
        Verb verb;
        Code code;
        const char* reason;
    };
    const auto row = GENERATE(values<Row>({
        {"", Verb::add, Code::cannot_decode, "not JSON"},
        {"{", Verb::del, Code::cannot_decode, "not JSON"},
        {"[1]", Verb::add, Code::cannot_decode, "not a JSON object"},
        {R"({"name":"pods"})", Verb::add, Code::incompatible_version, "cniVersion is missing"},
        {R"({"cniVersion":"9.9.9","name":"pods"})", Verb::add, Code::incompatible_version, "9.9.9 is not supported"},
        {R"({"cniVersion":"0.2.0","name":"pods"})", Verb::del, Code::incompatible_version, "0.2.0 is not supported"},
        {R"({"cniVersion":"0.3.1","name":"pods","prevResult":{}})", Verb::check, Code::incompatible_version,
         "CHECK came"},
        {R"({"cniVersion":"1.0.0","name":"pods"})", Verb::gc, Code::incompatible_version, "1.1.0"},
        {R"({"cniVersion":"1.0.0","name":"pods"})", Verb::status, Code::incompatible_version, "1.1.0"},
        {R"({"cniVersion":"1.0.0"})", Verb::add, Code::invalid_config, "name: is missing"},
        {R"({"cniVersion":"1.0.0","name":"a/b"})", Verb::add, Code::invalid_config, "name: \"a/b\""},
        {R"({"cniVersion":"1.0.0","name":".a"})", Verb::del, Code::invalid_config, "name: \".a\""},
        {R"({"cniVersion":"1.0.0","name":5})", Verb::del, Code::invalid_config, "name: is 5, should be text"},
        {R"({"cniVersion":"1.0.0","name":"pods","mtu":"big"})", Verb::add, Code::invalid_config, "mtu: is \"big\""},
        {R"({"cniVersion":"1.1.0","name":"pods","ipam":{"type":"host-local"}})", Verb::add, Code::invalid_config,
         "ipam.type: \"host-local\" is not run"},
        {R"({"cniVersion":"1.1.0","name":"pods","ipam":{"type":"dhcp"}})", Verb::status, Code::invalid_config,
         "ipam.type"},
        {R"({"cniVersion":"1.0.0","name":"pods","mtu":20})", Verb::add, Code::invalid_config, "mtu: 20 must be"},
        {R"({"cniVersion":"1.0.0","name":"pods","mtu":1000,"ipam":{"assign_ipv6":true}})", Verb::add,
         Code::invalid_config, "1280"},
        {R"({"cniVersion":"1.0.0","name":"pods","ipam":{"assign_ipv4":false}})", Verb::add, Code::invalid_config,
         "both false"},
        {R"({"cniVersion":"1.0.0","name":"pods","ipam":[]})", Verb::add, Code::invalid_config,
         "ipam: is [], should be an object"},
        {R"({"cniVersion":"1.0.0","name":"pods","run_dir":"run"})", Verb::add, Code::invalid_config, "run_dir"},
        {R"({"cniVersion":"1.0.0","name":"pods","runtimeConfig":{"ips":["10.0.0.300"]}})", Verb::add,
         Code::invalid_config, "ips[0]"},
        {R"({"cniVersion":"1.0.0","name":"pods","runtimeConfig":{"mac":"zz"}})", Verb::add, Code::invalid_config,
         "mac"},
        {R"({"cniVersion":"1.0.0","name":"pods","runtimeConfig":{"portMappings":[{"hostPort":1,"containerPort":1,"protocol":"icmp"}]}})",
         Verb::add, Code::invalid_config, "icmp"},
        {R"({"cniVersion":"1.0.0","name":"pods","prevResult":7})", Verb::add, Code::invalid_config, "prevResult: is 7"},
        {R"({"cniVersion":"1.0.0","name":"pods","prevResult":{"routes":[{"dst":"all"}]}})", Verb::add,
         Code::invalid_config, "prevResult.routes[0].dst"},
        {R"({"cniVersion":"1.0.0","name":"pods","prevResult":{"interfaces":[{"mac":"x"}]}})", Verb::add,
         Code::invalid_config, "prevResult.interfaces[0].mac"},
        {R"({"cniVersion":"1.0.0","name":"pods","dns":{"nameservers":"10.0.0.1"}})", Verb::add, Code::invalid_config,
         "dns.nameservers"},
        {R"({"cniVersion":"1.0.0","name":"pods","runtimeConfig":{"mac":"01:00:00:00:00:01"}})", Verb::add,
         Code::invalid_config, "that one interface can have"},
        {R"({"cniVersion":"1.0.0","name":"pods","runtimeConfig":{"mac":"00:00:00:00:00:00"}})", Verb::add,
         Code::invalid_config, "that one interface can have"},
        {R"({"cniVersion":"1.0.0","name":"pods","runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"cni.projectcalico.org/hwAddr":"x"}}})",
         Verb::add, Code::invalid_config, "cni.projectcalico.org/hwAddr"},
        {R"({"cniVersion":"1.0.0","name":"pods"})", Verb::check, Code::invalid_config, "prevResult: is null"},
        {R"({"cniVersion":"1.0.0","name":"pods","prevResult":{"ips":[{"address":"x"}]}})", Verb::check,
         Code::invalid_config, "prevResult.ips[0].address"},
        {R"({"cniVersion":"1.0.0","name":"pods","prevResult":{"cniVersion":"9.9.9"}})", Verb::check,
         Code::invalid_config, "prevResult.cniVersion: is \"9.9.9\""},
        {R"({"cniVersion":"1.1.0","name":"pods","cni.dev/valid-attachments":[{"containerID":"c"}]})", Verb::gc,
         Code::invalid_config, "cni.dev/valid-attachments[0].ifname"},
        {R"({"cniVersion":"1.1.0","name":"pods","cni.dev/valid-attachments":[{"ifname":"eth0"}]})", Verb::gc,
         Code::invalid_config, "cni.dev/valid-attachments[0].containerID"},
        {R"({"cniVersion":"1.1.0","name":"pods","cni.dev/valid-attachments":7})", Verb::gc, Code::invalid_config,
         "cni.dev/valid-attachments"},
    }));
    CAPTURE(row.text);
    const auto conf = parse_net_conf(row.text, row.verb);
    REQUIRE_FALSE(conf);
    CHECK(conf.error().code == static_cast<std::uint16_t>(row.code));
    CHECK_THAT(conf.error().msg, Catch::Contains(row.reason));
}

TEST_CASE("name resolution comes from the configuration, and what the pod asks for counts more") {
    const NetConf conf = parsed(R"({"cniVersion":"1.0.0","name":"pods",
        "DNS":{"Nameservers":["10.0.0.1"],"domain":"d","search":["s"],"options":["o"]},
        "runtimeConfig":{"dns":{"Servers":["10.96.0.10"],"Searches":["svc.cluster.local"]}}})");
    CHECK(conf.dns == Dns{{"10.96.0.10"}, "d", {"svc.cluster.local"}, {"o"}});
    CHECK(json::parse(print_result(AddResult{.dns = conf.dns}, "1.0.0")).at("dns") ==
          json::parse(R"({"nameservers":["10.96.0.10"],"domain":"d","search":["svc.cluster.local"],"options":["o"]})"));
}

TEST_CASE("the MAC address comes by capability, else by annotation, else by CNI_ARGS") {
    const std::string annotation =
        R"("io.kubernetes.cri.pod-annotations":{"cni.projectcalico.org/hwAddr":"02:00:00:00:00:02"})";
    const std::string capability = R"("mac":"02:00:00:00:00:01")";
    const auto mac_of = [](const std::string& runtime_config) {
        Environment env = environment();
        env.args = "MAC=02:00:00:00:00:03";
        const auto request =
            make_request(ipam::Op::add, env,
                         parsed(R"({"cniVersion":"1.0.0","name":"pods","runtimeConfig":{)" + runtime_config + "}}"));
        return request->mac->to_string();
    };
    CHECK(mac_of(capability + "," + annotation) == "02:00:00:00:00:01");
    CHECK(mac_of(annotation) == "02:00:00:00:00:02");
    CHECK(mac_of(R"("mac":"")") == "02:00:00:00:00:03");  // podman's word for none
    CHECK(mac_of("") == "02:00:00:00:00:03");
}

TEST_CASE("an earlier result tells the pod's interface and its addresses") {
    const auto previous = [](const std::string& text) {
        return *parsed(R"({"cniVersion":"1.0.0","name":"pods","prevResult":)" + text + "}").prev_result;
    };
    const PrevResult full =
        previous(R"({"interfaces":[{"name":"eth0"},{"name":"eth0","sandbox":"/n","mac":"02:00:00:00:00:01","mtu":1400},
        {"name":"net1","sandbox":"/n"}],"ips":[{"address":"10.0.0.5/24","interface":1},{"address":"10.0.0.6/24","interface":2},
        {"address":"10.0.0.7/24"}],"routes":[{"dst":"10.1.2.3/8","gw":""},{"dst":"::/0","gw":"fe80::1"}]})");
    REQUIRE(full.pod_interface("eth0") != nullptr);
    CHECK(full.pod_interface("eth0")->mtu == 1400);
    CHECK(full.pod_interface("net2") == nullptr);
    REQUIRE(full.ips_of("eth0").size() == 1);  // the last one names none, and there are two that it may mean
    CHECK(full.ips_of("eth0")[0].to_string() == "10.0.0.5/24");
    CHECK(full.routes[0].dst.to_string() == "10.0.0.0/8");
    CHECK_FALSE(full.routes[0].gateway);
    CHECK(full.routes[1].gateway == net::Ip::parse("fe80::1"));
    CHECK(previous(R"({"ips":[{"address":"10.0.0.7/24"}]})").ips_of("eth0").size() == 1);
    CHECK(previous(R"({"interfaces":[{"name":"x","sandbox":"/n"}],"ips":[{"address":"10.0.0.7/24","interface":9}]})")
              .ips_of("x")
              .empty());
}

TEST_CASE("a deletion looks only at what names the attachment") {
    CHECK(parse_net_conf(
        R"({"cniVersion":"1.0.0","name":"pods","mtu":"big","prevResult":7,"ipam":[],"runtimeConfig":1})", Verb::del));
}

TEST_CASE("garbage collection takes the list under either of its names") {
    for (const char* key : {"cni.dev/valid-attachments", "cni.dev/attachments"}) {
        const NetConf conf = parsed(std::string(R"({"cniVersion":"1.1.0","name":"pods",")") + key +
                                        R"(":[{"containerID":"a","ifname":"eth0"}]})",
                                    Verb::gc);
        CHECK(conf.valid_attachments == std::vector<ipam::Attachment>{{"a", "eth0"}});
    }
    CHECK_FALSE(parsed(R"({"cniVersion":"1.1.0","name":"pods"})", Verb::gc).valid_attachments);
    // The reference library writes a list without entries so.
    CHECK(parsed(R"({"cniVersion":"1.1.0","name":"pods","cni.dev/attachments":null,"cni.dev/valid-attachments":null})",
                 Verb::gc)
              .valid_attachments->empty());
    CHECK(parsed(R"({"cniVersion":"1.1.0","name":"pods","cni.dev/valid-attachments":[]})", Verb::gc)
              .valid_attachments->empty());
}

TEST_CASE("the environment of an attachment is checked, and the variable is named") {
    struct Row {
        const char* container_id;
        const char* netns;
        const char* ifname;
        const char* reason;  // empty: good
    };
    const auto row = GENERATE(values<Row>({
        {"0123abc", "/run/netns/x", "eth0", ""},
        {"default-container_1.x", "/proc/7/ns/net", "0123456789abcde", ""},
        {"", "/run/netns/x", "eth0", "CNI_CONTAINERID is missing"},
        {"../a", "/run/netns/x", "eth0", "CNI_CONTAINERID"},
        {"a b", "/run/netns/x", "eth0", "CNI_CONTAINERID"},
        {"", "", "", "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME is missing"},
        {"a", "", "eth0", "CNI_NETNS is missing"},
        {"a", "/run/netns/x", "", "CNI_IFNAME is missing"},
        {"a", "/run/netns/x", "0123456789abcdef", "CNI_IFNAME"},
        {"a", "/run/netns/x", "..", "CNI_IFNAME"},
        {"a", "/run/netns/x", "a/b", "CNI_IFNAME"},
        {"a", "/run/netns/x", "a:b", "CNI_IFNAME"},
        {"a", "/run/netns/x", "a b", "CNI_IFNAME"},
    }));
    CAPTURE(row.container_id, row.netns, row.ifname);
    const auto checked =
        check_attachment({.container_id = row.container_id, .netns = row.netns, .ifname = row.ifname}, true);
    if (*row.reason == '\0') {
        CHECK(checked);
    } else {
        REQUIRE_FALSE(checked);
        CHECK(checked.error().code == 4);
        CHECK_THAT(checked.error().msg, Catch::Contains(row.reason));
    }
}

TEST_CASE("CNI_ARGS are pairs, in any order") {
    const auto args = parse_args("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web=0;;X=");
    REQUIRE(args);
    CHECK(args->at("K8S_POD_NAME") == "web=0");
    CHECK(args->at("X").empty());
    CHECK(args->size() == 4);
    CHECK(parse_args("")->empty());
    CHECK(parse_args("a").error().code == 4);
    CHECK(check_args(*args));
    CHECK_THAT(check_args(*parse_args("K8S_POD_NAME=a;COLOUR=b")).error().msg, Catch::Contains("COLOUR"));
    CHECK(check_args(*parse_args("COLOUR=b;IgnoreUnknown=0")).error().code == 4);
    CHECK(check_args(*parse_args("COLOUR=b;IgnoreUnknown=true")));
    CHECK(check_args(*parse_args("K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;K8S_POD_UID=c;IP=d;MAC=e")));
    CHECK(parse_args("=a").error().code == 4);
}

TEST_CASE("the request to ipamd carries identity, wishes and the host interface's name") {
    Environment env = environment();
    env.args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;IP=10.0.0.7;MAC=02:00:00:00:00:07";
    const auto request = make_request(ipam::Op::add, env, parsed(kMinimal));
    REQUIRE(request);
    CHECK(request->attachment == ipam::Attachment{"0123abc", "eth0"});
    CHECK(request->network == "pods");
    CHECK(request->is_kubernetes());
    CHECK(request->args.size() == 2);
    CHECK(request->ips == std::vector<net::Ip>{*net::Ip::parse("10.0.0.7")});
    CHECK(request->mac == net::Mac::parse("02:00:00:00:00:07"));
    CHECK(request->host_interface == ipam::host_interface_name(*request));

    const NetConf with_ips = parsed(R"({"cniVersion":"1.0.0","name":"pods","args":{"cni":{"ips":["10.0.0.9"]}}})");
    CHECK(make_request(ipam::Op::add, env, with_ips)->ips == std::vector<net::Ip>{*net::Ip::parse("10.0.0.9")});
    env.args = "IP=x";
    CHECK(make_request(ipam::Op::add, env, parsed(kMinimal)).error().code == 4);
    env.args = "MAC=x";
    CHECK(make_request(ipam::Op::add, env, parsed(kMinimal)).error().code == 4);
    env.args = "K8S_POD_NAMESPACE=a;nonsense;COLOUR=red";
    CHECK(make_request(ipam::Op::check, env, parsed(kMinimal)).error().code == 4);
    CHECK(make_request(ipam::Op::del, env, parsed(kMinimal)));  // a pod must be able to go
}

TEST_CASE("a result has the form of the version that was asked for") {
    const AddResult result{.host_name = "cali0",
                           .host_mac = net::Mac({0xee, 0xee, 0xee, 0xee, 0xee, 0xee}),
                           .pod_name = "eth0",
                           .pod_mac = net::Mac({2, 0, 0, 0, 0, 7}),
                           .sandbox = "/run/netns/x",
                           .mtu = 1450,
                           .ips = {*net::Ip::parse("10.0.0.7"), *net::Ip::parse("fd00::7")},
                           .routes = {{*net::Prefix::parse("0.0.0.0/0"), *net::Ip::parse("169.254.1.1")}},
                           .dns = {}};
    struct Row {
        const char* version;
        const char* text;
    };
    const auto row = GENERATE(values<Row>({
        {"0.3.1",
         R"({"cniVersion":"0.3.1","interfaces":[{"name":"cali0","mac":"ee:ee:ee:ee:ee:ee"},{"name":"eth0","mac":"02:00:00:00:00:07","sandbox":"/run/netns/x"}],"ips":[{"version":"4","address":"10.0.0.7/32","interface":1},{"version":"6","address":"fd00::7/128","interface":1}],"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}],"dns":{}})"},
        {"0.4.0",
         R"({"cniVersion":"0.4.0","interfaces":[{"name":"cali0","mac":"ee:ee:ee:ee:ee:ee"},{"name":"eth0","mac":"02:00:00:00:00:07","sandbox":"/run/netns/x"}],"ips":[{"version":"4","address":"10.0.0.7/32","interface":1},{"version":"6","address":"fd00::7/128","interface":1}],"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}],"dns":{}})"},
        {"1.0.0",
         R"({"cniVersion":"1.0.0","interfaces":[{"name":"cali0","mac":"ee:ee:ee:ee:ee:ee"},{"name":"eth0","mac":"02:00:00:00:00:07","sandbox":"/run/netns/x"}],"ips":[{"address":"10.0.0.7/32","interface":1},{"address":"fd00::7/128","interface":1}],"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}],"dns":{}})"},
        {"1.1.0",
         R"({"cniVersion":"1.1.0","interfaces":[{"name":"cali0","mac":"ee:ee:ee:ee:ee:ee","mtu":1450},{"name":"eth0","mac":"02:00:00:00:00:07","sandbox":"/run/netns/x","mtu":1450}],"ips":[{"address":"10.0.0.7/32","interface":1},{"address":"fd00::7/128","interface":1}],"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}],"dns":{}})"},
    }));
    CHECK(json::parse(print_result(result, row.version)) == json::parse(row.text));
}

TEST_CASE("errors and the list of versions are answered in the version of the request, else in our newest") {
    CHECK(print_error({11, "no address", "add a pool"}, "0.4.0") ==
          R"({"cniVersion":"0.4.0","code":11,"msg":"no address","details":"add a pool"})");
    CHECK(print_error({6, "not JSON", {}}, "") == R"({"cniVersion":"1.1.0","code":6,"msg":"not JSON"})");
    CHECK(print_versions("0.4.0") == R"({"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]})");
}

TEST_CASE("every truncation of a configuration is refused, none crashes") {
    const std::string text =
        R"({"cniVersion":"1.0.0","name":"pods","runtimeConfig":{"portMappings":[{"hostPort":1,"containerPort":2}]},"args":{"cni":{"labels":[{"key":"a","value":"b"}]}}})";
    for (std::size_t length = 0; length < text.size(); ++length) {
        CHECK_FALSE(parse_net_conf(std::string_view(text).substr(0, length), Verb::add));
    }
    CHECK(parse_net_conf(text, Verb::add));
}
