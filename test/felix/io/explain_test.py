#!/usr/bin/env python3
"""What felix and manulctl tell about policy, against what happens to packets.

usage: explain_test.py MANUL_FELIX MANULCTL    (root)

Pods a, b and c on one node. A connection is tried, and then trace, deny log, counters and metrics must say the same.
"""
import json
import re
import sys

from pod_node import Node, sh, wait_until

POLICIES = """
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: security}
spec: {order: 10, defaultAction: Pass}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: security.stop}
spec:
  tier: security
  selector: app == 'b'
  types: [Ingress]
  ingress:
  - {action: Deny, protocol: TCP, destination: {ports: [81]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: a}}}]
    ports: [{port: 80}]
"""

CONFIGURATION = """
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec:
  denyLogging: Enabled
  logPrefix: "policy %t"
  prometheusMetricsEnabled: true
  prometheusMetricsHost: 127.0.0.1
  healthEnabled: true
"""


def trace(node, *arguments):
    return json.loads(node.ctl("policy", "trace", *arguments, "-o", "json").stdout)


def denials(node):
    return [line for line in node.felix_log().splitlines() if "FELIX_PACKET_DENIED" in line]


def expect_denial(node, source, target, port, *words):
    """A connection fails, and a line of the log says who denied it, in the words of trace."""
    before = len(denials(node))
    assert not node.connects(source, target, port, patience=0.5)

    def told():
        return any(all(word in line for word in words) and f"DPT={port}" in line for line in denials(node)[before:])
    wait_until(f"a line about {source} -> {target} {port} with {words}", told, node)


def fetch(node, url):
    return sh(["ip", "netns", "exec", node.ns, sys.executable, "-c", f"""
import sys, urllib.error, urllib.request
try:
    sys.stdout.write(urllib.request.urlopen({url!r}, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    sys.stdout.write(str(error.code) + error.read().decode())
"""]).stdout


def metric(text, name):
    return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


def counted(node):
    rows = json.loads(node.ctl("policy", "counters", "-o", "json").stdout)
    return {(row["kind"], row["name"], row["tier"], row["ruleIndex"], row["direction"]): row["packets"]
            for row in rows}


def main():
    with Node(*sys.argv[1:3], pods=["a", "b", "c"]) as node:
        node.serve("b", 80, 81, 82)
        node.apply(POLICIES + CONFIGURATION + "".join(node.endpoint(pod) for pod in node.pods))
        felix = node.start_felix()
        wait_until("the pods are programmed", lambda: node.connects("a", "b", 80), node)

        # Trace: the same verdicts as packets, by the right rule.
        allowed = trace(node, "default/a", "default/b", "TCP", "80")
        assert allowed["verdict"] == "Allow", allowed
        assert allowed["judgements"][0]["decision"] == "allowed by rule 0 of profile kns.default"
        assert allowed["judgements"][1]["decision"] == \
            "allowed by rule 0 of KubernetesNetworkPolicy default/web in tier default", allowed
        assert not node.connects("a", "b", 81, patience=0.5)
        by_rule = trace(node, "default/a", node.address("b"), "tcp", "81")
        assert by_rule["verdict"] == "Deny"
        assert by_rule["judgements"][1]["decision"] == \
            "denied by rule 0 of GlobalNetworkPolicy security.stop in tier security"
        by_end = trace(node, "pod/default/c", "default/b", "TCP", "80", "-6")
        assert not node.connects("c", "b", 80, family=6, patience=0.5)
        assert by_end["judgements"][1]["decidedBy"] == "endOfTier", by_end
        rule = by_end["judgements"][1]["tiers"][1]["policies"][0]["rules"][0]
        assert [c["holds"] for c in rule["criteria"]].count(False) == 1, rule
        words = node.ctl("policy", "trace", "default/c", "default/b", "TCP", "80").stdout
        assert "it is not source in" in words and words.endswith("DENIED\n"), words
        assert node.ctl("policy", "trace", "default/c", "nowhere/b", "TCP", "80", check=False).returncode == 1

        # Deny log: a rule of a policy, the end of a tier for a Kubernetes policy, both ends by name.
        expect_denial(node, "a", "b", 81, "policy security: denied ingress", "pod default/a (", "pod default/b (",
                      "tier security, GlobalNetworkPolicy security.stop, rule 0")
        expect_denial(node, "c", "b", 80, "policy default: denied ingress", "pod default/c (",
                      "end of tier default (no rule matched of KubernetesNetworkPolicy default/web)")
        identity = by_end["judgements"][1]["ruleID"]
        assert any(f"ID={identity}" in line for line in denials(node)), "trace and log name rules alike"

        # An endpoint without policy and profile, and one that is gone.
        node.apply(node.endpoint("c").replace("[kns.default]", "[]"))
        expect_denial(node, "c", "b", 82, "denied egress", "no policy applies and no profile allows")
        node.ctl("delete", "workloadendpoint", "node1-k8s-c-eth0")
        expect_denial(node, "c", "b", 82, "denied egress", "the source address is not the workload's")

        # Host endpoints: what trace says is what packets meet, and verify knows which interface an address stands for.
        node.serve_node(80, 22)
        node.apply("""---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: all, labels: {role: gate}}
spec: {node: node1, interfaceName: '*', profiles: [projectcalico-default-allow]}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: up, labels: {role: up}}
spec: {node: node1, expectedIPs: [192.0.9.1]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: forward}
spec:
  selector: role == 'gate'
  applyOnForward: true
  types: [Ingress]
  ingress: [{action: Deny, protocol: TCP, destination: {ports: [84]}}, {action: Allow}]
""")
        node.serve("b", 84)
        wait_until("the forward policy is in the kernel", lambda: "dport 84" in sh(
            f"ip netns exec {node.ns} nft list table ip manul_h").stdout, node)
        assert not node.connects("a", "b", 84, patience=0.5)
        forward = trace(node, "default/a", "default/b", "TCP", "84")
        assert [j["stage"] for j in forward["judgements"]] == [None, "forward"], forward
        assert forward["judgements"][1]["decision"] == \
            "denied by rule 0 of GlobalNetworkPolicy forward in tier default", forward
        for port, open_ in ((80, False), (22, True)):
            assert node.reaches_node(port, patience=0.5) == open_
            answer = trace(node, "192.0.9.2", "192.0.9.1", "TCP", str(port))
            assert answer["verdict"] == ("Allow" if open_ else "Deny"), answer
            assert answer["judgements"][-1]["interface"] == "up0", answer
            assert answer["judgements"][-1]["endpoint"] == "host endpoint up", answer
        verified = node.ctl("policy", "verify", check=False)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        sh(f"ip netns exec {node.ns} nft delete table ip manul_e", check=False)
        wait_until("felix has repaired its tables", lambda: node.ctl(
            "policy", "verify", check=False).returncode == 0, node)
        node.ctl("delete", "hostendpoint", "all", "up")
        node.ctl("delete", "globalnetworkpolicy", "forward")

        # The limit holds for the log and spares nobody.
        node.ctl("apply", "-f", "-", text=CONFIGURATION.replace(
            "denyLogging: Enabled", "denyLogging: Enabled\n  denyLoggingRateLimit: 1/day\n"
            "  logActionRateLimitBurst: 2"))
        wait_until("the limit is in the kernel", lambda: "limit rate 1/day" in sh(
            f"ip netns exec {node.ns} nft list table ip manul_i").stdout, node)
        before = len(denials(node))
        for _ in range(6):
            assert not node.connects("a", "b", 81, patience=0.2)
        assert 1 <= len(denials(node)) - before <= 4, denials(node)[before:]

        # Counters: by policy and rule, kept when the policy is edited around the rule.
        stop = ("GlobalNetworkPolicy", "security.stop", "security", 0, "ingress")
        before = counted(node)[stop]
        assert before >= 1
        node.apply(POLICIES.replace("  - {action: Deny", "  - {action: Deny, protocol: UDP}\n  - {action: Deny"))
        moved = ("GlobalNetworkPolicy", "security.stop", "security", 1, "ingress")
        wait_until("the edited policy is counted", lambda: moved in counted(node), node)
        assert counted(node)[moved] >= before, counted(node)
        table = node.ctl("policy", "counters", "security.stop").stdout
        assert "GlobalNetworkPolicy security.stop" in table, table
        assert node.ctl("policy", "counters", "nobody", check=False).returncode == 1

        # Metrics and probes.
        text = fetch(node, "http://127.0.0.1:9091/metrics")
        assert metric(text, "manul_felix_resync_state") == 3
        assert metric(text, "manul_felix_active_local_endpoints") == 2
        assert metric(text, "manul_felix_log_packets_received_total") >= 4
        assert re.search(r'^manul_felix_policy_rule_packets_total{tier="security",kind="GlobalNetworkPolicy",namespace="",'
                         r'policy="security.stop",direction="ingress",rule_index="1",action="Deny"} [1-9]', text, re.M)
        assert "felix_resync_state" not in text.replace("manul_felix_resync_state", "")
        assert "rules in force: ok" in fetch(node, "http://127.0.0.1:9099/readiness")
        assert fetch(node, "http://127.0.0.1:9099/liveness") == "event loop: ok\n"
        node.apply(CONFIGURATION.replace("healthEnabled: true", "healthPort: 9098\n  healthEnabled: true"))
        wait_until("the health check moved", lambda: sh(
            ["ip", "netns", "exec", node.ns, sys.executable, "-c",
             "import socket; socket.create_connection(('127.0.0.1', 9098), 5)"], check=False).returncode == 0, node)
        node.stop(felix)

        # Started with settings of its own, which verify and trace learn from its report; metrics by Felix's names.
        reject = " reject"
        assert " reject" not in sh(f"ip netns exec {node.ns} nft list table ip manul_i").stdout
        with open(node.settings, "a", encoding="utf-8") as settings:
            settings.write("felix:\n  felix_names: true\n")
        open(node.log, "w", encoding="utf-8").close()
        felix = node.start_felix(FELIX_NFTABLESFILTERDENYACTION="Reject", FELIX_DEFAULTENDPOINTTOHOSTACTION="Accept")
        wait_until("the settings of the environment", lambda: reject in sh(
            f"ip netns exec {node.ns} nft list table ip manul_i").stdout, node)
        wait_until("verify knows them", lambda: node.ctl("policy", "verify", check=False).returncode == 0, node)
        assert trace(node, "default/a", "node/node1", "TCP", "80")["verdict"] == "Allow"
        text = fetch(node, "http://127.0.0.1:9091/metrics")
        for name, value in (("resync_state", 3), ("active_local_endpoints", 2), ("cluster_num_tiers", 4),
                            ("cluster_num_workload_endpoints", 2)):
            assert metric(text, f"felix_{name}") == metric(text, f"manul_felix_{name}") == value, (name, text)
        assert metric(text, "felix_int_dataplane_failures") == 0 and metric(text, "felix_nft_calls") >= 1
        node.stop(felix)
    print("trace, deny log, counters and metrics agree with the packets")


main()
