#include "config/model/validate.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "test/config/finding_rows.hpp"

using namespace manul;

using namespace manul::test;

TEST_CASE("names, namespaces, labels and annotations") {
    static const std::string long_text(64, 'a');
    static const std::string long_name = "name: " + long_text;
    static const std::string longest_name = "name: " + std::string(253, 'a');
    static const std::string too_long_name = "name: " + std::string(254, 'a');
    static const std::string long_value = "name: x, labels: {a: " + long_text + "}";
    check(GENERATE(values<Row>({
        {"tier", "name: a-b", "", ""},
        {"tier", "name: a.b", "", "metadata.name: expected lower-case letters, digits and '-', at most 63"},
        {"tier", "name: A", "", "metadata.name: expected lower-case"},
        {"tier", "name: -a", "", "metadata.name"},
        {"tier", long_name.c_str(), "", "metadata.name"},
        {"tier", "name: ''", "", "metadata.name: required, but missing"},
        {"tier", "name: a, namespace: n", "", "metadata.namespace: Tier is a global kind"},
        {"gns", "name: a.b.c", "", ""},
        {"gns", "name: a..b", "", "metadata.name: expected lower-case letters, digits, '-' and '.'"},
        {"np", "name: a.b", "", ""},
        {"np", "name: ossg.default.a.b.c", "", ""},
        {"np", "name: a.b.c", "", "metadata.name: expected one or two parts"},
        {"np", long_name.c_str(), "", ""},
        {"gnp", longest_name.c_str(), "", ""},
        {"gnp", too_long_name.c_str(), "", "metadata.name: expected one or two parts"},
        {"np", "name: knp.default.a", "", "reserved for policies derived from Kubernetes"},
        {"np", "name: a, namespace: A", "", "metadata.namespace: expected lower-case"},
        {"gnp", "name: a.b", "", ""},
        {"gnp", "name: ossg.default.a", "", "metadata.name: expected one or two parts"},
        {"ipamconfig", "name: default", "", ""},
        {"ipamconfig", "name: other", "", "there is only one object, called \"default\""},
        {"bgpconfig", "name: node.a-1", "", ""},
        {"bgpconfig", "name: other", "", ""},
        {"bgpconfig", "name: node.", "", "metadata.name: expected lower-case"},
        {"felixconfig", "name: other", "nodeSelector: all()", ""},
        {"felixconfig", "name: other", "", ""},
        {"felixconfig", "name: default", "defaultEndpointToHostAction: drop, chainInsertMode: append, routeSource: ''",
         ""},
        {"felixconfig", "name: default", "serviceLoopPrevention: drop, iptablesFilterAllowAction: accept", ""},
        {"felixconfig", "name: default", "defaultEndpointToHostAction: dropp", "did you mean \"Drop\"?"},
        {"felixconfig", "name: default", "chainInsertMode: ''", ""},
        {"felixconfig", "name: default", "wireguardInterfaceName: 'wg&0'",
         "spec.wireguardInterfaceName: expected the name"},
        {"felixconfig", "name: default", "wireguardRoutingRulePriority: 99999", "from 1 to 32765"},
        {"felixconfig", "name: default", "nodeSelector: all()", "spec.nodeSelector: not in the objects"},
        {"nodereport", "name: a.bgpd", "daemon: bgpd, node: a", ""},
        {"nodereport", "name: a.felix", "daemon: bgpd, node: a", "metadata.name: expected \"a.bgpd\""},
        {"profile", "name: projectcalico-default-allow", "", "built in"},
        {"tier", "name: x, labels: {a.b/c-d_e: 'X.y-z_1', e: ''}", "", ""},
        {"tier", "name: x, labels: {'a b': c}", "", "metadata.labels[\"a b\"]: expected a label key"},
        {"tier", "name: x, labels: {A.b/c: d}", "", "expected a label key"},
        {"tier", "name: x, labels: {a: 'b c'}", "", "expected a label value"},
        {"tier", "name: x, labels: {a: '-b'}", "", "expected a label value"},
        {"tier", long_value.c_str(), "", "expected a label value"},
        {"tier", "name: x, annotations: {Example.COM/a: 'any text at all'}", "", ""},
        {"tier", "name: x, annotations: {'a b': c}", "", "expected an annotation key"},
        {"netset", "name: x, labels: {projectcalico.org/namespace: n}", "", "follows from the namespace"},
        {"gns", "name: x, labels: {projectcalico.org/namespace: n}", "", "follows from the namespace"},
    })));
}

TEST_CASE("annotations have a limit in all") {
    const auto object = load("tier", "name: x, annotations: {a: '" + std::string(262'144, 'x') + "'}", "");
    CHECK_THAT(findings(object), Catch::Contains("metadata.annotations: expected at most 262144 bytes"));
}

TEST_CASE("rules of policies") {
    check(GENERATE(values<Row>({
        {"np", "name: x", "ingress: [{action: Allow}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, protocol: ICMP, icmp: {type: 8, code: 0}}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, protocol: 58, icmp: {type: 128}}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, notICMP: {type: 8}}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, icmp: {type: 8}}]", "spec.ingress[0].icmp: needs protocol ICMP"},
        {"np", "name: x", "ingress: [{action: Allow, protocol: ICMP, icmp: {code: 0}}]",
         "spec.ingress[0].icmp.code: needs a type"},
        {"np", "name: x", "ingress: [{action: Allow, notICMP: {code: 0}}]",
         "spec.ingress[0].notICMP.code: needs a type"},
        {"np", "name: x", "ingress: [{action: Allow, protocol: ICMP, icmp: {type: 255}}]",
         "spec.ingress[0].icmp.type: expected an integer from 0 to 254"},
        {"np", "name: x", "ingress: [{action: Allow, protocol: ICMP, ipVersion: 6}]", "did you mean ICMPv6?"},
        {"np", "name: x", "ingress: [{action: Allow, notProtocol: ICMPv6, ipVersion: 4}]",
         "spec.ingress[0].notProtocol: ICMPv6 exists in IPv6 alone"},
        {"np", "name: x", "ingress: [{action: Allow, destination: {ports: [http]}}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, destination: {ports: [http, 80]}}]",
         "spec.ingress[0].destination.ports[1]: needs protocol TCP, UDP or SCTP"},
        {"np", "name: x", "ingress: [{action: Allow, source: {notPorts: ['80:90']}}]",
         "spec.ingress[0].source.notPorts[0]: needs protocol"},
        {"np", "name: x", "ingress: [{action: Allow, protocol: 132, destination: {ports: [80]}}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, protocol: UDPLite, destination: {ports: [http]}}]",
         "spec.ingress[0].destination.ports: needs protocol TCP, UDP or SCTP in the rule, not UDPLite"},
        {"np", "name: x",
         "ingress: [{action: Allow, source: {nets: [10.0.0.0/8]}, destination: {notNets: [fd00::/8]}}]",
         "spec.ingress[0].destination.notNets[0]: IPv4 and IPv6 cannot stand in one rule"},
        {"np", "name: x", "ingress: [{action: Allow, ipVersion: 6, source: {nets: [10.0.0.0/8]}}]",
         "spec.ingress[0].source.nets[0]: is of another family than ipVersion"},
        {"np", "name: x", "ingress: [{action: Allow, source: {nets: [0.0.0.0/0]}}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, source: {notNets: ['::/0']}}]", "so the rule never matches"},
        {"np", "name: x", "ingress: [{action: Allow, protocol: TCP, http: {methods: [GET], paths: [{exact: /a}]}}]",
         ""},
        {"np", "name: x", "ingress: [{action: Allow, protocol: UDP, http: {}}]",
         "spec.ingress[0].http: needs protocol TCP"},
        {"np", "name: x", "ingress: [{action: Deny, http: {}}]", "spec.ingress[0].http: only for action Allow"},
        {"np", "name: x", "egress: [{action: Allow, http: {}}]", "spec.egress[0].http: only in ingress rules"},
        {"np", "name: x", "ingress: [{action: Allow, http: {methods: [GET, GET]}}]", "a method is given twice"},
        {"np", "name: x", "ingress: [{action: Allow, http: {paths: [{exact: /a, prefix: /b}]}}]", "exactly one of"},
        {"np", "name: x", "ingress: [{action: Allow, http: {paths: [{}]}}]", "exactly one of"},
        {"np", "name: x", "ingress: [{action: Allow, http: {paths: [{exact: 'a?b'}]}}]", "must begin with '/'"},
        {"np", "name: x", "ingress: [{action: Allow, source: {services: {name: s}}}]", ""},
        {"np", "name: x", "egress: [{action: Allow, destination: {services: {name: s, namespace: m}}}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, destination: {services: {name: s}}}]", "only for the source"},
        {"np", "name: x", "egress: [{action: Allow, source: {services: {name: s}}}]", "only for the destination"},
        {"np", "name: x", "egress: [{action: Allow, destination: {services: {name: ''}}}]",
         "spec.egress[0].destination.services.name: expected the name of a service"},
        {"np", "name: x", "egress: [{action: Allow, destination: {services: {name: s, namespace: a_b}}}]",
         "spec.egress[0].destination.services.namespace: expected the name of a namespace"},
        {"np", "name: x", "performanceHints: [AssumeNeededOnEveryNode]", ""},
        {"np", "name: x", "performanceHints: [AssumeNeededOnEveryNode, AssumeNeededOnEveryNode]",
         "spec.performanceHints: there is only one hint to give"},
        {"np", "name: x", "egress: [{action: Allow, destination: {services: {}}}]",
         "spec.egress[0].destination.services.name: required, but missing"},
        {"np", "name: x", "egress: [{action: Allow, protocol: TCP, destination: {services: {name: s}, ports: [80]}}]",
         "cannot stand beside ports"},
        {"np", "name: x", "egress: [{action: Allow, destination: {services: {name: s}, serviceAccounts: {}}}]",
         "cannot stand beside selectors"},
        {"np", "name: x", "egress: [{action: Allow, destination: {services: {name: s}, nets: [10.0.0.0/8]}}]",
         "cannot stand beside selectors"},
        {"gnp", "name: x", "egress: [{action: Allow, destination: {services: {name: s}}}]",
         "services.namespace: required in a GlobalNetworkPolicy"},
        {"np", "name: x", "ingress: [{action: Deny, denyAction: Reject}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, denyAction: Reject}]", "only for action Deny"},
        {"np", "name: x", "ingress: [{action: Allow, metadata: {annotations: {'a b': c}}}]",
         "spec.ingress[0].metadata.annotations[\"a b\"]: expected an annotation key"},
        {"profile", "name: x", "egress: [{action: Allow, source: {selector: 'a ='}}], labelsToApply: {a: b}",
         "spec.egress[0].source.selector: at character 3"},
        {"profile", "name: x", "labelsToApply: {'a b': c}", "spec.labelsToApply[\"a b\"]: expected a label key"},
    })));
}

TEST_CASE("selectors of policies, and where global() may stand") {
    check(GENERATE(values<Row>({
        {"np", "name: x", "selector: 'a == \"b\"', serviceAccountSelector: has(c)", ""},
        {"np", "name: x", "selector: 'a == b'",
         "spec.selector: at character 6: expected a value in quotes, found \"b\""},
        {"np", "name: x", "serviceAccountSelector: 'a'", "spec.serviceAccountSelector: at character 2"},
        {"np", "name: x", "selector: global()", "spec.selector: global() can only stand alone"},
        {"np", "name: x", "selector: '!(has(a) || global())'", "spec.selector: global() can only stand alone"},
        {"np", "name: x", "selector: \"global == 'x'\"", ""},
        {"gnp", "name: x", "namespaceSelector: global()", "spec.namespaceSelector: global()"},
        {"np", "name: x", "ingress: [{action: Allow, source: {namespaceSelector: ' global() '}}]", ""},
        {"np", "name: x", "ingress: [{action: Allow, source: {namespaceSelector: 'global() || has(a)'}}]",
         "spec.ingress[0].source.namespaceSelector: global()"},
        {"np", "name: x", "ingress: [{action: Allow, source: {selector: global()}}]", "source.selector: global()"},
        {"np", "name: x", "ingress: [{action: Allow, source: {notSelector: 'x'}}]", "source.notSelector: at character"},
        {"np", "name: x", "ingress: [{action: Allow, source: {serviceAccounts: {selector: 'x'}}}]",
         "source.serviceAccounts.selector: at character"},
        {"pool", "name: x", "cidr: 10.0.0.0/16, nodeSelector: global()", "spec.nodeSelector: global()"},
    })));
}

TEST_CASE("policies and tiers as a whole") {
    check(GENERATE(values<Row>({
        {"np", "name: x", "types: [Ingress, Ingress]", ""},  // as Calico does
        {"np", "name: x", "types: [Ingress, Egress, Ingress]", "spec.types: expected at most 2 items, found 3"},
        {"np", "name: x", "tier: A.b", "spec.tier: expected the name of a tier"},
        {"gnp", "name: x", "doNotTrack: true, applyOnForward: true, egress: [{action: Allow}]", ""},
        {"gnp", "name: x", "preDNAT: true, applyOnForward: true, ingress: [{action: Allow}]", ""},
        {"gnp", "name: x", "doNotTrack: true", "spec.applyOnForward: must be true"},
        {"gnp", "name: x", "preDNAT: true", "spec.applyOnForward: must be true"},
        {"gnp", "name: x", "doNotTrack: true, preDNAT: true, applyOnForward: true",
         "spec.preDNAT: cannot stand beside"},
        {"gnp", "name: x", "preDNAT: true, applyOnForward: true, egress: [{action: Allow}]", "spec.egress: a preDNAT"},
        {"gnp", "name: x", "preDNAT: true, applyOnForward: true, types: [Egress]", "spec.types: a preDNAT"},
        {"tier", "name: default", "order: 1000000, defaultAction: Deny", ""},
        {"tier", "name: default", "order: 5", "spec.order: is fixed at 1000000"},
        {"tier", "name: kube-admin", "order: 1000, defaultAction: Pass", ""},
        {"tier", "name: kube-admin", "order: 1000", "spec.defaultAction: is fixed at Pass"},
        {"tier", "name: mine", "order: -3.5, defaultAction: Pass, denyAction: Reject", ""},
    })));
}

TEST_CASE("pools and the settings of addresses") {
    check(GENERATE(values<Row>({
        {"pool", "name: x", "cidr: 10.0.0.0/16", ""},
        {"pool", "name: x", "cidr: 'fd00::/48', blockSize: 122, vxlanMode: Always", ""},
        {"pool", "name: x", "cidr: 10.0.0.1/16", "did you mean 10.0.0.0/16?"},
        {"pool", "name: x", "cidr: 10.0.0.0/16, blockSize: 116",
         "spec.blockSize: expected 20 to 32 for IPv4, found 116"},
        {"pool", "name: x", "cidr: 'fd00::/48', blockSize: 26",
         "spec.blockSize: expected 116 to 128 for IPv6, found 26"},
        {"pool", "name: x", "cidr: 10.0.0.0/27", "spec.cidr: is smaller than one block of /26"},
        {"pool", "name: x", "cidr: 10.0.0.0/27, disabled: true", ""},
        {"pool", "name: x", "cidr: 169.254.0.0/17", "spec.cidr: overlaps the link-local range 169.254.0.0/16"},
        {"pool", "name: x", "cidr: 'fe80::/64'", "spec.cidr: overlaps the link-local range fe80::/10"},
        {"pool", "name: x", "cidr: 127.0.0.0/16", "spec.cidr: overlaps the loopback range 127.0.0.0/8"},
        {"pool", "name: x", "cidr: '::/120'", "spec.cidr: overlaps the loopback range ::1/128"},
        {"pool", "name: x", "cidr: 239.1.0.0/24", "spec.cidr: overlaps the multicast range 224.0.0.0/4"},
        {"pool", "name: x", "cidr: 'ff05::/64'", "spec.cidr: overlaps the multicast range ff00::/8"},
        {"pool", "name: x", "cidr: 0.0.0.0/0", "overlaps the link-local range"},
        {"pool", "name: x", "cidr: 'fd00::/48', ipipMode: Always", "spec.ipipMode: IPIP carries IPv4 alone"},
        {"pool", "name: x", "cidr: 10.0.0.0/16, ipipMode: Always, vxlanMode: CrossSubnet",
         "spec.vxlanMode: cannot stand"},
        {"pool", "name: x", "cidr: 10.0.0.0/16, namespaceSelector: has(a)", "write allowedUses: [Workload]"},
        {"pool", "name: x", "cidr: 10.0.0.0/16, namespaceSelector: has(a), allowedUses: [Workload]", ""},
        {"pool", "name: x", "cidr: 10.0.0.0/24, allowedUses: [LoadBalancer], nodeSelector: all()", ""},
        {"pool", "name: x", "cidr: 10.0.0.0/24, allowedUses: [LoadBalancer, Workload]", "cannot stand beside Workload"},
        {"pool", "name: x", "cidr: 10.0.0.0/24, allowedUses: [LoadBalancer], nodeSelector: '!has(a)'",
         "spec.nodeSelector: must be all()"},
        {"pool", "name: x", "cidr: 10.0.0.0/24, allowedUses: [LoadBalancer], vxlanMode: Always",
         "spec.vxlanMode: must be Never"},
        {"pool", "name: x", "cidr: 10.0.0.0/24, allowedUses: [LoadBalancer], disableBGPExport: true",
         "spec.disableBGPExport: must be false"},
        {"ipamconfig", "name: default", "autoAllocateBlocks: false", "can be false only when strictAffinity"},
        {"ipamconfig", "name: default", "maxBlocksPerHost: 4", "spec.maxBlocksPerHost: needs strictAffinity"},
        {"ipamconfig", "name: default", "strictAffinity: true, autoAllocateBlocks: false, maxBlocksPerHost: 4", ""},
        {"ipamconfig", "name: default", "ipCooldownSeconds: 1201", "expected an integer from 0 to 1200"},
        {"affinity", "name: x", "node: a, cidr: 10.0.0.0/26, state: confirmed", ""},
        {"affinity", "name: x", "node: a, cidr: 10.0.0.0/26, deleted: true", "spec.deleted: cannot be set"},
        {"ipr", "name: x", "reservedCIDRs: [10.0.0.1, 10.0.0.7/24]", ""},
    })));
}

TEST_CASE("nodes and BGP") {
    check(GENERATE(values<Row>({
        {"node", "name: x", "bgp: {ipv4Address: 10.0.0.1/24, asNumber: 64512}", ""},
        {"node", "name: x", "", ""},
        {"node", "name: x", "bgp: {}", "spec.bgp: must not be empty"},
        {"node", "name: x", "bgp: {ipv4Address: 'fd00::1'}", "spec.bgp.ipv4Address: expected an IPv4 address"},
        {"node", "name: x", "bgp: {ipv6Address: 10.0.0.1}", "spec.bgp.ipv6Address: expected an IPv6 address"},
        {"bgpconfig", "name: node.a", "listenPort: 180", ""},
        {"bgpconfig", "name: node.a", "asNumber: 1", "spec.asNumber: only in the object called \"default\""},
        {"bgpconfig", "name: node.a", "nodeToNodeMeshEnabled: true", "spec.nodeToNodeMeshEnabled: only in"},
        {"bgpconfig", "name: default", "nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: 3s",
         "needs nodeToNodeMesh"},
        {"bgpconfig", "name: default",
         "communities: [{name: a, value: '1:2'}], prefixAdvertisements: [{cidr: 10.0.0.0/8, communities: [a, "
         "'65536:1:2', '1:2']}]",
         ""},
        {"bgpconfig", "name: default", "communities: [{name: a, value: '1:2'}]",
         "spec.communities: needs prefixAdvert"},
        {"bgpconfig", "name: default",
         "communities: [{name: a, value: '65536:1'}], prefixAdvertisements: [{cidr: 10.0.0.0/8}]",
         "spec.communities[0].value: expected aa:nn"},
        {"bgpconfig", "name: default", "prefixAdvertisements: [{cidr: 10.0.0.0/8, communities: [b]}]",
         "spec.prefixAdvertisements[0].communities[0]: expected"},
        {"bgpconfig", "name: default", "ignoredInterfaces: ['eth*', '*']", "spec.ignoredInterfaces[1]: expected"},
        {"bgpp", "name: x", "peerIP: '[fd00::1]:1790', asNumber: 65000, reachableBy: 'fd00::2'", ""},
        {"bgpp", "name: x", "peerSelector: has(rr), nodeSelector: '!has(rr)'", ""},
        {"bgpp", "name: x", "node: n, ttlSecurity: 1", ""},
        {"bgpp", "name: x", "node: 'n 1', peerIP: 192.0.2.1", "spec.node: expected the name of a node"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, peerSelector: has(a)", "spec.peerSelector: cannot stand beside peerIP"},
        {"bgpp", "name: x", "peerIP: 'fe80::1', interface: eth0", ""},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, interface: eth0", "spec.interface: cannot stand beside peerIP"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, roleStrict: true", "spec.roleStrict: needs role"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, tcpAO: {sendID: 5}", "spec.tcpAO: needs password"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, node: a, nodeSelector: has(a)",
         "spec.nodeSelector: cannot stand beside node"},
        {"bgpp", "name: x", "peerSelector: has(a), asNumber: 1", "spec.asNumber: cannot stand beside peerSelector"},
        {"bgpp", "name: x", "peerSelector: has(a), asNumber: 0", ""},
        {"bgpp", "name: x", "localWorkloadSelector: has(a)", "spec.asNumber: required"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, keepOriginalNextHop: true, nextHopMode: Self",
         "spec.keepOriginalNextHop"},
        {"bgpp", "name: x", "peerSelector: has(a), reachableBy: 10.0.0.1", "spec.reachableBy: needs peerIP"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, reachableBy: 'fd00::1'", "spec.reachableBy: is of another family"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1:0", "spec.peerIP: expected an IP address"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, holdTime: 2s", "spec.holdTime: expected 0s, or whole seconds"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, holdTime: 0s, families: [IPv4, IPv6], bfd: {}, addPath: Both", ""},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, families: [IPv4, IPv4]", "a family is given twice"},
        {"bgpp", "name: x", "interface: eth0, asNumber: 1", ""},
        {"bgpp", "name: x", "interface: 'eth 0'", "spec.interface: expected the name of an interface"},
        {"bgpp", "name: x", "peerIP: 10.0.0.1, maxRestartTime: 5000s", "spec.maxRestartTime: expected 0s to 4095s"},
    })));
}

TEST_CASE("endpoints") {
    check(GENERATE(values<Row>({
        {"hep", "name: x", "node: a, interfaceName: '*', ports: [{name: http, protocol: TCP, port: 80}]", ""},
        {"hep", "name: x, annotations: {qos.projectcalico.org/dscp: CS3}", "node: a, interfaceName: '*'", ""},
        {"hep", "name: x, annotations: {qos.projectcalico.org/dscp: '64'}", "node: a, interfaceName: '*'",
         "metadata.annotations.qos.projectcalico.org/dscp: \"64\" is no code point"},
        {"hep", "name: x", "node: a", "spec: needs interfaceName or expectedIPs"},
        {"hep", "name: x", "interfaceName: eth0", "spec.node: required"},
        {"hep", "name: x", "node: '', interfaceName: eth0", "spec.node: expected the name of a node"},
        {"hep", "name: x", "node: a, interfaceName: eth0, profiles: [kns.x, .fun]",
         "spec.profiles[1]: expected the name of a profile"},
        {"hep", "name: x", "node: a, interfaceName: 'a b'", "spec.interfaceName: expected * or"},
        {"hep", "name: x", "node: a, interfaceName: abcdefghijklmnop",
         "spec.interfaceName: expected at most 15 characters"},
        {"hep", "name: x", "node: a, expectedIPs: [10.0.0.1], ports: [{name: Http, protocol: ICMP, port: 80}]",
         "spec.ports[0].name: expected a port name"},
        {"hep", "name: x", "node: a, expectedIPs: [10.0.0.1], ports: [{name: http, protocol: ICMP, port: 80}]",
         "spec.ports[0].protocol: expected TCP, UDP or SCTP, found ICMP"},
        {"wep", "name: n--1-k8s-p-eth0", "orchestrator: k8s, node: n-1, pod: p, endpoint: eth0, ipNetworks: [10.0.0.1]",
         ""},
        {"wep", "name: other", "orchestrator: k8s, node: n-1, pod: p, endpoint: eth0",
         "metadata.name: expected \"n--1-k8s-p-eth0\""},
        {"wep", "name: x", "orchestrator: k8s, node: n, endpoint: eth0", "spec: orchestrator, node, endpoint and"},
        {"wep", "name: n-k8s-p-eth0", "orchestrator: k8s, node: n, pod: p, endpoint: eth0, ipNetworks: [10.0.0.0/24]",
         "spec.ipNetworks[0]: expected a single address"},
        {"wep", "name: n-k8s-p-eth0",
         "orchestrator: k8s, node: n, pod: p, endpoint: eth0, ipNetworks: [10.0.0.1], ipNATs: [{internalIP: 10.0.0.2, "
         "externalIP: 'fd00::1'}]",
         "spec.ipNATs[0].internalIP: must be one of ipNetworks"},
        {"wep", "name: n-k8s-p-eth0", "orchestrator: k8s, node: n, pod: p, endpoint: eth0, ports: [{port: 80}]",
         "spec.ports[0].name: required without hostPort"},
        {"wep", "name: n-k8s-p-eth0",
         "orchestrator: k8s, node: n, pod: p, endpoint: eth0, ports: [{port: 80, hostPort: 8080, hostIP: ''}]", ""},
        {"wep", "name: n-k8s-p-eth0",
         "orchestrator: k8s, node: n, pod: p, endpoint: eth0, qosControls: {ingressBandwidth: 10}",
         "spec.qosControls.ingressBandwidth: expected an integer from 1000 to"},
    })));
}

TEST_CASE("settings of felix") {
    check(GENERATE(values<Row>({
        {"felixconfig", "name: default", "bpfLogLevel: '', bpfEnforceRPF: loose, logSeverityScreen: info", ""},
        {"felixconfig", "name: default", "bpfLogLevel: Dbug", "spec.bpfLogLevel: expected one of Off, Info, Debug"},
        {"felixconfig", "name: default", "iptablesBackend: nft", ""},
        {"felixconfig", "name: default", "iptablesBackend: nftt", "did you mean \"NFT\"?"},
        {"felixconfig", "name: default", "natOutgoingAddress: 'fd00::1'", "expected an IPv4 address"},
        {"felixconfig", "name: default", "routeTableRanges: [{min: 1, max: 10}, {min: 100, max: 200}]", ""},
        {"felixconfig", "name: default", "routeTableRange: {min: 1, max: 250}, routeTableRanges: []",
         "cannot stand beside"},
        {"felixconfig", "name: default", "routeTableRange: {min: 1, max: 251}", "must lie within 1 to 250"},
        {"felixconfig", "name: default", "routeTableRanges: [{min: 9, max: 8}]", "min is larger than max"},
        {"felixconfig", "name: default", "routeTableRanges: [{min: 1, max: 65536}]", "at most 65535 tables"},
        {"felixconfig", "name: default", "routeTableRanges: [{min: 0, max: 8}]", "expected an integer from 1"},
        {"felixconfig", "name: default", "kubeNodePortRanges: ['30000:32767', 80]", ""},
        {"felixconfig", "name: default", "kubeNodePortRanges: [http]", "spec.kubeNodePortRanges[0]: expected a port"},
        {"felixconfig", "name: default", "kubeNodePortRanges: [1, 2, 3, 4, 5, 6, 7, 8]", "expected at most 7 items"},
        {"felixconfig", "name: default", "failsafeInboundHostPorts: [{protocol: tcp, port: 22, net: ''}]", ""},
        {"felixconfig", "name: default", "failsafeInboundHostPorts: [{protocol: ICMP, port: 22}]",
         "spec.failsafeInboundHostPorts[0].protocol: expected one of TCP, UDP, SCTP"},
        {"felixconfig", "name: default", "failsafeInboundHostPorts: []", ""},
        {"felixconfig", "name: default", "logActionRateLimit: 10/second", ""},
        {"felixconfig", "name: default", "logActionRateLimit: 10/week", "spec.logActionRateLimit: expected"},
        {"felixconfig", "name: default", "denyLogging: Enabled, denyLoggingRateLimit: 5/minute", ""},
        {"felixconfig", "name: default", "denyLoggingRateLimit: ten", "spec.denyLoggingRateLimit: expected"},
        {"felixconfig", "name: default", "nftablesMarkMask: 15", "spec.nftablesMarkMask: expected at least 8 bits"},
        {"felixconfig", "name: default", "featureGates: 'a=b,c=d'", ""},
        {"felixconfig", "name: default", "featureGates: 'a'", "spec.featureGates: expected key=value"},
        {"felixconfig", "name: default", "externalNodesList: [10.0.0.1, 'fd00::1']",
         "spec.externalNodesList[1]: expected IPv4"},
        {"felixconfig", "name: default", "healthTimeoutOverrides: [{name: 'a b', timeout: 5s}]", ""},
        {"felixconfig", "name: default", "healthTimeoutOverrides: [{name: 'a/b', timeout: -5s}]",
         "must not be negative"},
        {"felixconfig", "name: default", "iptablesNATOutgoingInterfaceFilter: eth+", ""},
        {"felixconfig", "name: default", "iptablesNATOutgoingInterfaceFilter: 'eth*'",
         "expected the name of an interface"},
        {"felixconfig", "name: default",
         "bpfConntrackTimeouts: {tcpSynSent: Auto, udpTimeout: 60s}, istioDSCPMark: AF11", ""},
        {"felixconfig", "name: default", "bpfConntrackTimeouts: {tcpSynSent: 5}", "expected a duration or Auto"},
        {"felixconfig", "name: default", "bpfConntrackTimeouts: {tcpSynSent: soon}", "expected a duration or Auto"},
    })));
}

TEST_CASE("Kubernetes policies") {
    check(GENERATE(values<Row>({
        {"knp", "name: x", "podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80, endPort: 90}]}]",
         ""},
        {"knp", "name: x", "podSelector: {}, ingress: [{from: [{}]}]", "spec.ingress[0].from[0]: needs podSelector"},
        {"knp", "name: x", "podSelector: {}, ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]",
         "spec.ingress[0].from[0].ipBlock: cannot stand beside"},
        {"knp", "name: x", "podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]",
         ""},
        {"knp", "name: x", "podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]",
         "spec.egress[0].to[0].ipBlock.except[0]: must lie inside 10.0.0.0/8"},
        {"knp", "name: x", "podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]",
         "must lie inside"},
        {"knp", "name: x", "podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.1}}]}]", "the length is missing"},
        {"knp", "name: x", "podSelector: {}, ingress: [{ports: [{port: http, endPort: 90}]}]",
         "endPort: needs a numeric port"},
        {"knp", "name: x", "podSelector: {}, ingress: [{ports: [{endPort: 90}]}]", "endPort: needs a numeric port"},
        {"knp", "name: x", "podSelector: {}, ingress: [{ports: [{port: 91, endPort: 90}]}]",
         "endPort: must not be below port"},
        {"knp", "name: x", "podSelector: {}, ingress: [{ports: [{port: '80'}]}]", "a number must stand without quotes"},
        {"knp", "name: x", "podSelector: {}, ingress: [{ports: [{protocol: ICMP}]}]",
         "expected TCP, UDP or SCTP, found ICMP"},
        {"knp", "name: x", "podSelector: {matchLabels: {'a b': c}}",
         "spec.podSelector.matchLabels[\"a b\"]: expected a label key"},
        {"knp", "name: x", "podSelector: {matchExpressions: [{key: a, operator: In}]}", "values: required with In"},
        {"knp", "name: x", "podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}",
         "values: not with Exists"},
        {"knp", "name: x", "podSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}",
         "did you mean \"In\"?"},
        {"knp", "name: x", "podSelector: {}, policyTypes: [Egress, Egress]", ""},  // as Kubernetes does
        {"knp", "name: x", "podSelector: {}, policyTypes: [Egress, Ingress, Egress]",
         "spec.policyTypes: expected at most"},
        {"knp", "name: x", "podSelector: {}, ingres: []", "spec.ingres: unknown field, did you mean \"ingress\"?"},
    })));
}

TEST_CASE("what an update may not change") {
    const auto update = [](const std::string& kind, const std::string& before, const std::string& after) {
        const auto old_object = load(kind, "name: x", before);
        const auto new_object = load(kind, "name: x", after);
        std::string text;
        for (const auto& finding : model::validate_update(*old_object.resource, *new_object.resource)) {
            text += finding.to_string() + "\n";
        }
        return text;
    };
    CHECK(update("pool", "cidr: 10.0.0.0/16", "cidr: 10.0.0.0/16, blockSize: 26, natOutgoing: true").empty());
    CHECK(update("pool", "cidr: 10.0.0.0/16", "cidr: 10.1.0.0/16") ==
          "spec.cidr: cannot change from 10.0.0.0/16; make a second pool and move to it\n");
    CHECK(update("pool", "cidr: 10.0.0.0/16, blockSize: 28", "cidr: 10.0.0.0/16") ==
          "spec.blockSize: cannot change from 28; make a second pool and move to it\n");
    CHECK(update("pool", "cidr: 10.0.0.0/24, allowedUses: [LoadBalancer]", "cidr: 10.0.0.0/24") ==
          "spec.allowedUses: a pool cannot change into or out of use for LoadBalancer\n");
    CHECK(update("tier", "order: 1", "order: 2").empty());
}

TEST_CASE("whether the scope of a wrong policy is still readable") {
    const auto readable = [](const std::string& spec) {
        return model::policy_scope_is_readable(load("np", "name: x", spec).findings);
    };
    CHECK(readable("ingress: [{action: Alow}]"));
    CHECK(readable("order: 1, selector: all(), egress: 7"));
    CHECK_FALSE(readable("order: x"));
    CHECK_FALSE(readable("selector: 'a ='"));
    CHECK_FALSE(readable("types: [Ingres]"));
    CHECK_FALSE(model::policy_scope_is_readable({{.path = "spec", .message = "expected a map"}}));
}
