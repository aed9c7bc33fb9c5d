#include <catch2/catch.hpp>

#include "config/model/kind.hpp"
#include "test/config/finding_rows.hpp"

using namespace manul;
using namespace manul::test;

TEST_CASE("filters of BGP routes") {
    check(GENERATE(values<Row>({
        {"bgpfilter", "name: x",
         "exportV4: [{action: Accept}], importV6: [{action: Reject, cidr: 'fd00::/8', "
         "matchOperator: In, prefixLength: {min: 64, max: 128}}]",
         ""},
        {"bgpfilter", "name: x",
         "importV4: [{action: Reject, peerType: eBGP, communities: {values: ['1:2:3']}, "
         "asPathPrefix: [65000, 1.1], priority: 1024, source: RemotePeers, interface: 'eth*'}]",
         ""},
        {"bgpfilter", "name: x", "importV4: [{}]", "spec.importV4[0].action: required"},
        {"bgpfilter", "name: x", "exportV4: [{action: Accept, cidr: 10.0.0.0/8}]",
         "spec.exportV4[0].matchOperator: required with cidr"},
        {"bgpfilter", "name: x", "exportV4: [{action: Accept, matchOperator: In}]",
         "spec.exportV4[0].cidr: required with matchOperator"},
        {"bgpfilter", "name: x", "exportV4: [{action: Accept, cidr: 'fd00::/8', matchOperator: In}]",
         "spec.exportV4[0].cidr: expected an IPv4 range"},
        {"bgpfilter", "name: x", "exportV6: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In}]",
         "spec.exportV6[0].cidr: expected an IPv6 range"},
        {"bgpfilter", "name: x", "exportV4: [{action: Accept, cidr: 10.1.0.0/8, matchOperator: In}]",
         "did you mean 10.0.0.0/8?"},
        {"bgpfilter", "name: x", "exportV4: [{action: Accept, prefixLength: {min: 8}}]",
         "spec.exportV4[0].prefixLength: needs cidr"},
        {"bgpfilter", "name: x",
         "exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {max: "
         "33}}]",
         "spec.exportV4[0].prefixLength.max: expected at most 32"},
        {"bgpfilter", "name: x",
         "exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {min: "
         "9, max: 8}}]",
         "prefixLength.max: must not be below min"},
        {"bgpfilter", "name: x", "importV4: [{action: Accept, communities: {values: ['70000:1']}}]",
         "spec.importV4[0].communities.values: expected exactly one community"},
        {"bgpfilter", "name: x", "importV4: [{action: Accept, communities: {values: []}}]", "exactly one community"},
        {"bgpfilter", "name: x", "importV4: [{action: Accept, asPathPrefix: [0]}]",
         "spec.importV4[0].asPathPrefix[0]: expected an AS number"},
        {"bgpfilter", "name: x", "importV4: [{action: Accept, priority: 0}]",
         "expected an integer from 1 to 2147483646"},
        {"bgpfilter", "name: x", "importV4: [{action: Accept, interface: 'a b'}]", "spec.importV4[0].interface"},
        {"bgpfilter", "name: x",
         "importV4: [{action: Accept, operations: [{addCommunity: {value: '1:2'}}, "
         "{prependASPath: {prefix: [65000]}}, {setPriority: {value: 5}}]}]",
         ""},
        {"bgpfilter", "name: x", "importV4: [{action: Reject, operations: [{setPriority: {value: 5}}]}]",
         "spec.importV4[0].operations: only with action Accept"},
        {"bgpfilter", "name: x", "importV4: [{action: Accept, operations: [{}]}]",
         "spec.importV4[0].operations[0]: expected exactly one of"},
        {"bgpfilter", "name: x", "importV4: [{action: Accept, operations: [{addCommunity: {value: x}}]}]",
         "operations[0].addCommunity.value: expected aa:nn"},
        {"bgpfilter", "name: x", "importV4: [{action: Accept, operations: [{prependASPath: {prefix: []}}]}]",
         "prependASPath.prefix: expected at least one AS number"},
    })));
}

TEST_CASE("staged policies") {
    check(GENERATE(values<Row>({
        {"snp", "name: a.b", "selector: all(), ingress: [{action: Allow}]", ""},
        {"snp", "name: ossg.default.a.b", "", ""},
        {"snp", "name: knp.default.a.b", "", ""},
        {"snp", "name: a.b.c", "", "metadata.name: expected one or two parts"},
        {"snp", "name: a", "stagedAction: Delete", ""},
        {"snp", "name: a", "stagedAction: Delete, tier: security", ""},
        {"snp", "name: a", "stagedAction: Delete, selector: all()", "spec: must have no other field but tier"},
        {"snp", "name: a", "stagedAction: Remove", "spec.stagedAction: expected one of Set, Delete, Learn, Ignore"},
        {"snp", "name: a", "ingress: [{action: Allow, icmp: {type: 8}}]", "spec.ingress[0].icmp: needs protocol"},
        {"sgnp", "name: a", "preDNAT: true", "spec.applyOnForward: must be true"},
        {"sgnp", "name: a", "stagedAction: Delete, order: 5", "spec: must have no other field but tier"},
        {"sgnp", "name: ossg.default.a", "", "metadata.name: expected one or two parts"},
        {"sknp", "name: 'any_Name'", "podSelector: {}, policyTypes: [Ingress]", ""},
        {"sknp", "name: x", "podSelector: {}, ingress: [{from: [{}]}]", "spec.ingress[0].from[0]: needs podSelector"},
        {"sknp", "name: x", "stagedAction: Delete", ""},
        {"sknp", "name: x", "stagedAction: Delete, policyTypes: [Egress]", "spec: must have no other field when"},
    })));
}

TEST_CASE("admin policies of Kubernetes") {
    check(GENERATE(values<Row>({
        {"anp", "name: a.b", "priority: 5, subject: {namespaces: {}}", ""},
        {"anp", "name: x", "subject: {namespaces: {}}", "spec.priority: required, but missing"},
        {"anp", "name: x", "priority: 1001, subject: {namespaces: {}}", "expected an integer from 0 to 1000"},
        {"anp", "name: x", "priority: 1", "spec.subject: required, but missing"},
        {"anp", "name: x", "priority: 1, subject: {pods: {podSelector: {}}}",
         "spec.subject.pods.namespaceSelector: required"},
        {"anp", "name: x", "priority: 1, subject: {namespaces: {matchLabels: {'a b': c}}}", "expected a label key"},
        {"anp", "name: x", "priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: []}]",
         "spec.ingress[0].from: expected at least one peer"},
        {"anp", "name: x",
         "priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}]}]",
         "spec.ingress[0].action: expected one of Allow, Deny, Pass"},
        {"anp", "name: x",
         "priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}], "
         "ports: [{portNumber: {protocol: ICMP, port: 1}}]}]",
         "expected TCP, UDP or SCTP"},
        {"anp", "name: x",
         "priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}], "
         "ports: [{portRange: {start: 9, end: 9}}]}]",
         "portRange.end: must be above start"},
        {"anp", "name: x", "priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{nodes: {}}]}]",
         "spec.egress[0].to[0].nodes: not supported"},
        {"anp", "name: x",
         "priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}], "
         "ports: [{namedPort: web}]}]",
         "spec.egress[0].ports[0]: only pods name their ports"},
        {"anp", "name: x",
         "priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}]", ""},
        {"banp", "name: default", "subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]", ""},
        {"banp", "name: x", "subject: {namespaces: {}}", "there is only one object, called \"default\""},
        {"banp", "name: default", "subject: {namespaces: {}}, ingress: [{action: Pass, from: [{namespaces: {}}]}]",
         "spec.ingress[0].action: expected one of Allow, Deny"},
        {"kcnp", "name: x",
         "tier: Admin, priority: 0, subject: {namespaces: {}}, ingress: [{action: Accept, from: "
         "[{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {}}]}]",
         ""},
        {"kcnp", "name: x", "priority: 0, subject: {namespaces: {}}", "spec.tier: required"},
        {"kcnp", "name: x",
         "tier: Admin, priority: 0, subject: {namespaces: {}}, ingress: [{action: Accept, from: "
         "[{namespaces: {}}], protocols: [{tcp: {}, udp: {}}]}]",
         "protocols[0]: expected exactly one of tcp"},
        {"kcnp", "name: x",
         "tier: Admin, priority: 0, subject: {namespaces: {}}, egress: [{action: Accept, to: "
         "[{namespaces: {}, pods: {namespaceSelector: {}, podSelector: {}}}]}]",
         "spec.egress[0].to[0]: expected exactly one of"},
    })));
}

TEST_CASE("statuses and settings of the cluster") {
    check(GENERATE(values<Row>({
        {"nodestatus", "name: x", "node: a, classes: [BGP, Routes], updatePeriodSeconds: 10", ""},
        {"nodestatus", "name: x", "node: a, classes: [BGP]", "spec.updatePeriodSeconds: required"},
        {"nodestatus", "name: x", "node: a, classes: [BGP, BGP], updatePeriodSeconds: 10", "a class is given twice"},
        {"nodestatus", "name: x", "node: a, classes: [], updatePeriodSeconds: 10",
         "spec.classes: expected at least one"},
        {"nodestatus", "name: x", "node: a, classes: [BGP], updatePeriodSeconds: 86401",
         "expected an integer from 0 to 86400"},
        {"kubecontrollersconfig", "name: default",
         "controllers: {node: {leakGracePeriod: 0s, hostEndpoint: {autoCreate: "
         "Enabled, templates: [{generateName: a, interfacePattern: 'eth.*'}]}}}, "
         "logSeverityScreen: Panic",
         ""},
        {"kubecontrollersconfig", "name: x", "", "there is only one object"},
        {"kubecontrollersconfig", "name: default",
         "controllers: {node: {hostEndpoint: {templates: [{generateName: a}, "
         "{generateName: a, interfaceCIDRs: [10.0.0.0/8], nodeSelector: 'a ='}]}}}",
         "templates[0]: needs interfaceCIDRs or interfacePattern"},
        {"kubecontrollersconfig", "name: default",
         "controllers: {node: {hostEndpoint: {templates: [{generateName: a, "
         "interfacePattern: x}, {generateName: a, interfacePattern: x}]}}}",
         "templates[1].generateName: is given twice"},
        {"kubecontrollersconfig", "name: default", "controllers: {policy: {reconcilerPeriod: -1s}}",
         "must not be negative"},
    })));
}

TEST_CASE("services, leases and what else comes from Kubernetes") {
    check(GENERATE(values<Row>({
        {"svc", "name: a", "clusterIP: 10.0.0.1, ports: [{port: 80, targetPort: web}], sessionAffinity: None", ""},
        {"svc", "name: a", "clusterIP: None", ""},
        {"svc", "name: a", "clusterIP: x", "spec.clusterIP: expected an address"},
        {"svc", "name: a", "ports: [{port: 80}, {port: 81, name: b}]", "spec.ports[0].name: required where there are"},
        {"svc", "name: a", "ports: [{port: 80, protocol: ICMP}]", "expected TCP, UDP or SCTP"},
        {"svc", "name: a.b", "", "metadata.name"},
        {"lease", "name: a.b", "holderIdentity: x, leaseDurationSeconds: 30, renewTime: '2026-01-01T00:00:00.000000Z'",
         ""},
    })));
}

TEST_CASE("kinds whose fields stand beside the metadata") {
    struct Document {
        const char* kind;
        const char* body;
        const char* finding;
    };
    const auto row = GENERATE(values<Document>({
        {"secret", "metadata: {name: a}\ntype: Opaque\ndata: {a.b: eA==}\nstringData: {c: 'd e'}", ""},
        {"secret", "metadata: {name: a}\ndata: {a: 'not base64'}", "data[\"a\"]: expected base64"},
        {"secret", "metadata: {name: a}\ndata: {'a b': eA==}", "expected a key of letters"},
        {"endpointslice",
         "metadata: {name: a}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\nports: [{port: "
         "80}]",
         ""},
        {"endpointslice", "metadata: {name: a}\naddressType: IPv6\nendpoints: [{addresses: [10.0.0.1]}]",
         "endpoints[0].addresses[0]: expected an IPv6 address"},
        {"endpointslice", "metadata: {name: a}\nendpoints: []", "addressType: required"},
        {"role", "metadata: {name: 'system:x'}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]", ""},
        {"role", "metadata: {name: a/b}\nrules: []", "metadata.name: must contain no"},
        {"role", "metadata: {name: a}\nrules: [{apiGroups: [''], resources: [pods], verbs: []}]", "rules[0].verbs"},
        {"role", "metadata: {name: a}\nrules: [{verbs: [get], resources: [pods]}]",
         "rules[0].apiGroups: expected at least"},
        {"role", "metadata: {name: a}\nrules: [{verbs: [get], nonResourceURLs: [/x]}]", "only in a ClusterRole"},
        {"clusterrole", "metadata: {name: a}\nrules: [{verbs: [get], nonResourceURLs: [/x]}]", ""},
        {"rolebinding",
         "metadata: {name: a}\nroleRef: {kind: Role, name: r, apiGroup: rbac.authorization.k8s.io}\n"
         "subjects: [{kind: User, name: u, apiGroup: rbac.authorization.k8s.io}]",
         ""},
        {"rolebinding", "metadata: {name: a}\nsubjects: []", "roleRef.kind: required"},
        {"rolebinding",
         "metadata: {name: a}\nroleRef: {kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: s}]", ""},
        {"clusterrolebinding",
         "metadata: {name: a}\nroleRef: {kind: ClusterRole, name: r}\nsubjects: [{kind: ServiceAccount, name: s}]",
         "subjects[0].namespace: required for a ServiceAccount"},
        {"clusterrolebinding", "metadata: {name: a}\nroleRef: {kind: Role, name: r}",
         "roleRef.kind: expected ClusterRole"},
    }));
    CAPTURE(row.kind, row.body);
    check_body(row.kind, row.body, row.finding);
}

TEST_CASE("short names find their kind, and plain names Calico's before Kubernetes'") {
    struct Alias {
        const char* text;
        model::Kind kind;
    };
    using model::Kind;
    const auto row = GENERATE(values<Alias>({{"np", Kind::network_policy},
                                             {"cnp", Kind::network_policy},
                                             {"networkpolicies", Kind::network_policy},
                                             {"pol", Kind::network_policy},
                                             {"knp", Kind::kubernetes_network_policy},
                                             {"networkpolicies.networking.k8s.io", Kind::kubernetes_network_policy},
                                             {"anp", Kind::admin_network_policy},
                                             {"banp", Kind::baseline_admin_network_policy},
                                             {"kcnp", Kind::cluster_network_policy},
                                             {"ClusterNetworkPolicy", Kind::cluster_network_policy},
                                             {"snp", Kind::staged_network_policy},
                                             {"sgnps", Kind::staged_global_network_policy},
                                             {"skpol", Kind::staged_kubernetes_network_policy},
                                             {"bf", Kind::bgp_filter},
                                             {"nodestatuses", Kind::calico_node_status},
                                             {"kubecontrollersconfig", Kind::kube_controllers_configuration},
                                             {"svc", Kind::service},
                                             {"no", Kind::node},
                                             {"endpointslices", Kind::endpoint_slice},
                                             {"leases.coordination.k8s.io", Kind::lease}}));
    CAPTURE(row.text);
    CHECK(model::find_kind_by_alias(row.text) == row.kind);
}
