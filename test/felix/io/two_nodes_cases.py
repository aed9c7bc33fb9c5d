"""Sets of policies for two_nodes_test.py, and what packets between its pods must do under each.

The corner cases of policy, the recipes that people copy, and the categories of Kubernetes' own network policy tests, as
far as they speak of pods (docs/reference/policy-cases.md has the numbers). Pods: `a` (red, app web, node1), `b` (green, app
db, node1), `c` (red, app db, node2), `d` (blue, app web, node2); `n1` and `n2` are the nodes themselves, whose host
endpoints `*` have no profile. Port `web` is 80 of TCP with a, b and d, and 80 of UDP with c.
"""
from typing import NamedTuple


def knp(ns, name, spec):
    return ("---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
            f"metadata: {{name: {name}, namespace: {ns}}}\nspec: {{{spec}}}\n")


def calico(kind, name, spec, ns="", labels=""):
    where = (f", namespace: {ns}" if ns else "") + (f", labels: {{{labels}}}" if labels else "")
    return f"---\napiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: {name}{where}}}\nspec: {{{spec}}}\n"


def np(ns, name, spec):
    return calico("NetworkPolicy", name, spec, ns)


def gnp(name, spec):
    return calico("GlobalNetworkPolicy", name, spec)


def tier(name, spec):
    return calico("Tier", name, spec)


def account(name, ns, role):
    return (f"---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {ns}, "
            f"labels: {{role: {role}}}}}\n")


class Case(NamedTuple):
    """A set of objects, and the answers: a line is "SOURCES > TARGETS [PROTOCOL [PORT]] [v4|v6] allow|deny", `*` is every
    pod, and a later line stands above an earlier one; what no line speaks of is allowed between pods and from a node
    to its own, and denied else to and from nodes. `stays`: the next case adds to this one's objects."""
    what: str
    objects: str
    answers: tuple
    stays: bool = False


WEB = "podSelector: {matchLabels: {app: web}}"
CLOSED_RED = "* > a,c deny"

ADMIN = """---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: strict}
spec:
  priority: 3
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}
  ingress:
  - {action: Pass, from: [{namespaces: {matchLabels: {team: red}}}], ports: [{portNumber: {protocol: TCP, port: 80}}]}
  - {action: Deny, from: [{namespaces: {}}], ports: [{namedPort: web}]}
  egress:
  - {action: Deny, to: [{networks: [10.65.2.4/32, "fd65:2::4/128"]}], ports: [{portNumber: {protocol: UDP, port: 80}}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec:
  subject: {namespaces: {}}
  ingress: [{action: Deny, from: [{namespaces: {matchLabels: {team: green}}}]}]
"""


def settings(spec):
    return calico("FelixConfiguration", "default", spec)


def edges(name, spec, role=""):
    """A host endpoint of this name for the link between the nodes, on each of them."""
    return "".join(calico("HostEndpoint", f"{node}-{name}", f"node: {node}, interfaceName: eth0{spec}",
                          labels=f"role: {role}" if role else "") for node in ("node1", "node2"))


def twin(networks):
    """A pod of node2 that is told to have these addresses, which b of node1 has as well."""
    return calico("WorkloadEndpoint", "node2-k8s-twin-eth0", "orchestrator: k8s, node: node2, pod: twin, endpoint: eth0, "
                  f"containerID: twin1, interfaceName: calitwin, ipNetworks: [{networks}], serviceAccountName: twin, "
                  "profiles: [kns.blue]", "blue", "projectcalico.org/orchestrator: k8s, app: twin")


OPEN = calico("Profile", "open", "ingress: [{action: Allow}], egress: [{action: Allow}]")


def to_the_other_node(answer):
    """What becomes of packets of a node and its pods to the other node."""
    return f"n1,a,b > n2 {answer}", f"n2,c,d > n1 {answer}"


CORNERS = [
    Case("no policy, over VXLAN between nodes that are closed", "",
         ("n1 > c,d,n2 deny", "n2 > a,b,n1 deny", "* > n1,n2 deny")),
    Case("1: of equal order the global policy, whose text comes first",
         gnp("a", "namespaceSelector: team == 'red', types: [Ingress], ingress: [{action: Deny, protocol: TCP}]") +
         np("red", "a", "types: [Ingress], ingress: [{action: Allow}]"),
         ("* > a,c tcp deny",)),
    Case("a tier behind all others denies at its end", tier("late", "order: 4000000") +
         gnp("late.some", "tier: late, selector: app == 'db', types: [Ingress], ingress: [{action: Allow, protocol: TCP}]"),
         ("* > b,c deny", "* > b,c tcp allow"), stays=True),
    Case("behind a policy that stands before it", np("green", "first", "types: [Ingress], ingress: [{action: Deny, "
                                                     "protocol: TCP}]"),
         ("* > b,c deny", "* > c tcp allow"), stays=True),
    Case("3: the tier moves to the front", tier("late", "order: 1"),
         ("* > b,c deny", "* > b,c tcp allow"), stays=True),
    Case("4: it passes at its end", tier("late", "order: 1, defaultAction: Pass"),
         ("* > b deny", "* > b tcp allow", "* > c allow"), stays=True),
    Case("4: and denies again", tier("late", "order: 1, defaultAction: Deny"),
         ("* > b,c deny", "* > b,c tcp allow")),
    Case("5: staged policies alone",
         calico("StagedGlobalNetworkPolicy", "all", "selector: all(), types: [Ingress], ingress: [{action: Deny}]") +
         calico("StagedNetworkPolicy", "red", "types: [Ingress]", "red") +
         calico("StagedKubernetesNetworkPolicy", "red", "podSelector: {}, policyTypes: [Ingress]", "red"), ()),
    Case("6: Pass before a namespace that denies egress", tier("first", "order: 5") +
         gnp("first.pass", "tier: first, selector: app == 'web', types: [Egress], egress: [{action: Pass, protocol: TCP}, "
             "{action: Allow, protocol: SCTP}, {action: Deny, protocol: ICMP}]") +
         np("red", "shut", "types: [Egress], egress: [{action: Allow, protocol: TCP, destination: {namespaceSelector: "
            "team == 'green'}}]"),
         ("a,d > * deny", "a,d > * sctp allow", "d > * tcp allow", "a > b tcp allow", "c > * deny", "c > b tcp allow")),
    Case("7: all namespaces are no host endpoints",
         gnp("all-pods", "namespaceSelector: all(), types: [Ingress], ingress: [{action: Allow, protocol: TCP}]"),
         ("* > * deny", "* > * tcp allow", "* > n1,n2 deny", "n1 > c,d,n2 deny")),
    Case("8, 33: peers by their accounts, and by what they are not",
         account("a", "red", "front") + account("d", "blue", "back") +
         gnp("by-account", "selector: app == 'db', types: [Ingress], ingress: [{action: Allow, protocol: TCP, source: "
             "{serviceAccounts: {selector: role == 'front'}}}, {action: Allow, protocol: UDP, source: {notSelector: app == 'web'}}]"),
         ("* > b,c deny", "a > b,c tcp allow", "b > c udp allow", "c > b udp allow"), stays=True),
    Case("33: accounts that change", account("a", "red", "back") + account("d", "blue", "front"),
         ("* > b,c deny", "d > b,c tcp allow", "b > c udp allow", "c > b udp allow")),
    Case("8: notSelector alone in a namespace speaks of its pods",
         np("red", "others", "types: [Ingress], ingress: [{action: Allow, source: {notSelector: app == 'nothing'}}]"),
         (CLOSED_RED, "a > c allow", "c > a allow")),
    Case("9: other and none-of are true of a label that is not there",
         gnp("absent", "selector: \"colour != 'blue' && colour not in {'red'}\", types: [Ingress], ingress: [{action: Allow, "
             "source: {selector: \"app not in {'db'} && !has(colour)\"}}]"),
         ("* > * deny", "a,d > * allow")),
    Case("10: named ports that differ by pod, from one namespace",
         knp("red", "closed", "podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}], "
             "ports: [{port: web}, {port: web, protocol: UDP}]}]"),
         (CLOSED_RED, "d > a tcp 80 allow", "d > c udp 80 allow")),
    Case("11: a named port without selector is every endpoint's",
         gnp("by-name", "selector: all(), types: [Egress], egress: [{action: Allow, protocol: TCP, destination: {ports: [web]}}]"),
         ("* > * deny", "* > a,b,d tcp 80 allow")),
    Case("12: a net of length zero",
         gnp("zero", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP, source: {nets: "
             "[0.0.0.0/0]}}, {action: Allow, protocol: UDP, source: {nets: ['::/0']}}]"),
         ("* > a,d deny", "* > a,d tcp v4 allow", "* > a,d udp v6 allow")),
    Case("12: sets that overlap",
         calico("GlobalNetworkSet", "outer", "nets: [10.65.0.0/16]", labels="part: sets") +
         calico("NetworkSet", "inner", "nets: [10.65.2.4/32]", "red", "part: sets") +
         gnp("by-set", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {selector: part == 'sets', "
             "namespaceSelector: all()}}, {action: Allow, source: {selector: part == 'sets', namespaceSelector: global()}}]"),
         ("* > a,d deny", "* > a,d v4 allow"), stays=True),
    Case("12: the outer one loses what it had", calico("GlobalNetworkSet", "outer", "nets: []", labels="part: sets"),
         ("* > a,d deny", "c > a,d v4 allow")),
    Case("13: an address that two pods have", twin('10.65.1.3/32, "fd65:1::3/128"') +
         gnp("one-of-two", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {selector: app == 'twin'}}, "
             "{action: Allow, protocol: TCP, source: {selector: app == 'db'}}]"),
         ("* > a,d deny", "b > a,d allow", "c > a,d tcp allow"), stays=True),
    Case("13: and one of them loses", twin('10.65.2.9/32, "fd65:2::9/128"'),
         ("* > a,d deny", "b,c > a,d tcp allow")),
    Case("14, 15: of one family, and none of the other family's",
         gnp("families", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP, source: {nets: "
             "[10.65.0.0/16]}}, {action: Allow, protocol: UDP, source: {notNets: ['fd65:1::/64']}}]"),
         ("* > a,d deny", "* > a,d tcp v4 allow", "c,d > a,d udp v6 allow")),
    Case("16: ICMP by type and code, for each family",
         gnp("echo", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: ICMP, icmp: {type: 8, "
             "code: 0}}, {action: Allow, protocol: ICMPv6, notICMP: {type: 128, code: 0}}]"),
         ("* > a,d deny", "* > a,d icmp v4 allow")),
    Case("17: SCTP by its number, with a port",
         gnp("number", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: 132, destination: {ports: "
             "[80]}}, {action: Allow, protocol: UDP, destination: {ports: [81]}}]"),
         ("* > a,d deny", "* > a,d sctp allow")),
    Case("18: a block whose exceptions cover everything",
         knp("red", "hollow", "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.65.0.0/16, except: [10.65.0.0/17, "
             "10.65.128.0/17]}}]}]"), (CLOSED_RED,)),
    Case("19: every port of one protocol", knp("red", "ports", "podSelector: {}, ingress: [{ports: [{port: 1, endPort: 65535}]}]"),
         (CLOSED_RED, "* > a,c tcp allow")),
    Case("20: egress alone", knp("red", "egress", "podSelector: {}, policyTypes: [Egress], ingress: [{}]"), ("a,c > * deny",)),
    Case("21: closed nodes but for their failsafe ports",
         settings("failsafeInboundHostPorts: [{protocol: tcp, port: 80}, {protocol: udp, port: 80}], "
                  "failsafeOutboundHostPorts: [{protocol: tcp, port: 80}]"),
         (*to_the_other_node("tcp 80 allow"), "a,b > n2 udp 80 allow", "c,d > n1 udp 80 allow", "n1 > c,d tcp 80 allow",
          "n2 > a,b tcp 80 allow"), stays=True),
    Case("22: and without any", settings("failsafeInboundHostPorts: [], failsafeOutboundHostPorts: []"),
         to_the_other_node("deny")),
    Case("23: of two endpoints for one interface the name that comes first counts",
         edges("b", "", "second") + edges("a", "", "first") +
         gnp("first", "selector: role == 'first', ingress: [{action: Allow, protocol: TCP}], egress: [{action: Allow}]") +
         gnp("second", "selector: role == 'second', ingress: [{action: Allow, protocol: UDP}], egress: [{action: Allow}]"),
         to_the_other_node("tcp allow")),
    Case("24: forwarded traffic, by direction",
         gnp("forward", "selector: role == 'node', applyOnForward: true, types: [Ingress], ingress: [{action: Deny, protocol: UDP}, "
             "{action: Allow}]"), ("* > * udp deny",)),
    # Untracked policy needs an interface of its own: it is not for `*`.
    Case("25: untracked, one way only", edges("edge", "", "edge") +
         gnp("untracked", "selector: role == 'edge', doNotTrack: true, applyOnForward: true, types: [Ingress], ingress: [{action: "
             "Allow, protocol: TCP, destination: {ports: [80]}}]"),
         ("n1 > n2 tcp 80 deny", "n2 > n1 tcp 80 deny"), stays=True),
    Case("25: untracked, both ways",
         gnp("untracked", "selector: role == 'edge', doNotTrack: true, applyOnForward: true, types: [Ingress, Egress], ingress: "
             "[{action: Allow, protocol: TCP, destination: {ports: [80]}}, {action: Allow, protocol: TCP, source: {ports: [80]}}], "
             "egress: [{action: Allow, protocol: TCP, source: {ports: [80]}}, {action: Allow, protocol: TCP, destination: "
             "{ports: [80]}}]"),
         ("n1 > n2 tcp 80 allow", "n2 > n1 tcp 80 allow")),
    Case("26: pods and their own node", settings("defaultEndpointToHostAction: Accept"),
         ("a,b > n1 allow", "c,d > n2 allow", "n1 > c deny")),
    Case("27: a node and the pods of its own and of another node", knp("red", "closed", "podSelector: {}"),
         (CLOSED_RED, "n1 > a allow", "n2 > c allow", "n1 > c deny", "n2 > a deny")),
    Case("28: all pods, but no node", knp("red", "pods", "podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]"),
         ("n1 > c deny", "n2 > a deny", "n1 > a allow", "n2 > c allow")),
    Case("30: admin policies; what one cannot enforce denies", ADMIN,
         ("* > a,d deny", "a,c > a,d tcp 80 allow", "b > * deny", "a,d > c udp 80 deny")),
    Case("31: a missing profile before one that allows", OPEN + edges("edge", ", profiles: [gone, open]"),
         to_the_other_node("deny")),
    Case("31: and behind it", OPEN + edges("edge", ", profiles: [open, gone]"), to_the_other_node("allow")),
    Case("34: a policy that only logs denies",
         gnp("logs", "selector: app == 'db', types: [Ingress], ingress: [{action: Log}]"), ("* > b,c deny",)),
]

RECIPES = [
    Case("an application closed", knp("red", "deny", WEB + ", ingress: []"), ("* > a deny",), stays=True),
    Case("and open to all", knp("red", "all", WEB + ", ingress: [{}]"), ()),
    Case("limited to pods of its namespace",
         knp("red", "limit", WEB + ", ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]"), ("* > a deny", "c > a allow")),
    Case("closed to other namespaces", knp("red", "own", "podSelector: {}, ingress: [{from: [{podSelector: {}}]}]"),
         (CLOSED_RED, "a > c allow", "c > a allow")),
    Case("open to all namespaces", knp("red", "any", WEB + ", ingress: [{from: [{namespaceSelector: {}}]}]"), ()),
    Case("open to one namespace",
         knp("red", "one", WEB + ", ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]"),
         ("* > a deny", "d > a allow")),
    Case("open to some pods of another namespace",
         knp("red", "some", WEB + ", ingress: [{from: [{namespaceSelector: {matchLabels: {team: green}}, podSelector: "
             "{matchLabels: {app: web}}}, {namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {app: web}}}]}]"),
         ("* > a deny", "d > a allow")),
    Case("one port for some pods",
         knp("red", "port", WEB + ", ingress: [{ports: [{port: 81}], from: [{podSelector: {matchLabels: {app: db}}}]}]"),
         ("* > a deny", "c > a tcp 81 allow")),
    Case("several selectors, one of them enough",
         knp("red", "several", WEB + ", ingress: [{from: [{podSelector: {matchLabels: {app: db}}}, {podSelector: {matchLabels: "
             "{app: web}}, namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [blue]}]}}]}]"),
         ("* > a deny", "c,d > a allow")),
    Case("egress closed", knp("red", "out", WEB + ", policyTypes: [Egress], egress: []"), ("a > * deny",)),
    Case("egress to one port in every place",
         knp("red", "out", WEB + ", policyTypes: [Egress], egress: [{ports: [{port: 80, protocol: UDP}, {port: 80, protocol: TCP}]}]"),
         ("a > * deny", "a > * tcp 80 allow", "a > * udp 80 allow")),
    Case("egress inside the cluster alone",
         knp("red", "out", "podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]"), ()),
    Case("expressions by every operator",
         knp("red", "expressions", "podSelector: {matchExpressions: [{key: app, operator: In, values: [web, api]}]}, ingress: "
             "[{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [red, "
             "green]}]}, podSelector: {matchExpressions: [{key: app, operator: Exists}, {key: colour, operator: DoesNotExist}]}}]}]"),
         ("* > a deny", "d > a allow")),
    Case("policies add up", knp("red", "first", WEB + ", ingress: [{ports: [{port: 80}]}]"),
         ("* > a deny", "* > a tcp 80 allow"), stays=True),
    Case("a second one beside it", knp("red", "second", WEB + ", ingress: [{ports: [{port: 81}]}]"),
         ("* > a deny", "* > a tcp allow"), stays=True),
    Case("one of them changed", knp("red", "first", WEB + ", ingress: [{ports: [{port: 80, protocol: SCTP}]}]"),
         ("* > a deny", "* > a tcp 81 allow", "* > a sctp 80 allow")),
    Case("both ends have a say", knp("red", "in", WEB + ", ingress: [{ports: [{port: 80}]}]") +
         knp("blue", "out", "podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}, {port: 80, protocol: UDP}]}]"),
         ("* > a deny", "* > a tcp 80 allow", "d > * deny", "d > * tcp 80 allow", "d > b,c udp 80 allow")),
    Case("a range with a hole, and another policy that fills it",
         knp("red", "hole", "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.65.0.0/16, except: [10.65.2.0/24]}}]}]"),
         (CLOSED_RED, "a,b > a,c v4 allow"), stays=True),
    Case("filled", knp("red", "fill", "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.65.2.5/32}}]}]"),
         (CLOSED_RED, "a,b,d > a,c v4 allow")),
]

CASES = CORNERS + RECIPES
