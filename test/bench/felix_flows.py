#!/usr/bin/env python3
"""What policies cost new connections between two pods of a node: felix beside iptables with the same policies.

usage: felix_flows.py MANUL_FELIX STORE_TOOL FLOW_SENDER [felix] [--json FILE] [COUNT...]    (root)

Counts of policies are 10 100 1000 10000 when none is given; with the word felix nothing else is measured.

Every policy opens one UDP port and one TCP port of pod b to pod a; the packets ask for the policy in the middle.
Beside the node there is a twin with connection tracking and no policy, and every figure is taken in turns with it. UDP
figures are nanoseconds of one new flow through the node above one through the twin; TCP figures are connections of real
sockets (connect, accept, reset) a second, and as a share of the twin's.
"""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SENDER = sys.argv.pop(3)
WORDS = sys.argv[3:]
JSON = WORDS.pop(WORDS.index("--json") + 1) if "--json" in WORDS else None
ALONE = "felix" in WORDS
COUNTS = [int(word) for word in WORDS if word.isdigit()] or [10, 100, 1000, 10000]
sys.path.insert(0, os.path.join(HERE, "..", "felix", "io"))

from felix_node import (NODE, PODS, PREFIX, STORE, STORE_TOOL, add_link, address, down, endpoint, marks,  # noqa: E402
                        policy, processes, sh, start_felix, stop_felix, up, wait_until)

UDP, TCP = 10000, 30000
TWIN = f"{PREFIX}-m"
SUBJECT, OTHER = (NODE, "a", "b"), (TWIN, "p", "q")  # a node, its client and its server
lines = []


def in_node(command, text=None, node=NODE):
    return sh(f"ip netns exec {node} {command}", text)


def sender(pod, *words):
    """The client and the server have a processor each, where there are two."""
    processor = 0 if words[0] != "listen" else min(1, os.cpu_count() - 1)
    return ["taskset", "-c", str(processor), "ip", "netns", "exec", f"{PREFIX}-{pod}", SENDER, *map(str, words)]


def make_twin():
    PODS.update({"p": 5, "q": 6})
    for ns in (TWIN, f"{PREFIX}-p", f"{PREFIX}-q"):
        sh(f"ip netns add {ns} && ip -n {ns} link set lo up")
    for pod in "pq":
        add_link(pod, f"{pod}1", TWIN)
    add_routes(*OTHER)
    track_connections(TWIN)


def add_routes(node, *pods):
    in_node("sysctl -qw net.ipv4.ip_forward=1", node=node)
    for pod in pods:
        sh(f"ip -n {node} route replace {address(pod, 4)}/32 dev cali{pod}")


def track_connections(node):
    in_node("nft -f -", "table ip base { chain c { type filter hook forward priority 0; "
            "ct state established,related accept; }; }", node)


def flow_ns(place, count):
    node, client, server = place
    in_node("conntrack -F", node=node)
    return float(sh(sender(client, "udp", address(client, 4), address(server, 4), UDP + count // 2)).stdout)


def flows(count):
    """Nanoseconds more than the twin's; the best of several runs each, since other load only adds."""
    for place in (SUBJECT, OTHER):
        # The server drops what arrives at once, so that only the node's work is measured.
        in_node("nft -f -", "table netdev t { chain c { type filter hook ingress device eth0 priority 0; "
                "policy drop; }; }", f"{PREFIX}-{place[2]}")
    figures = [(flow_ns(SUBJECT, count), flow_ns(OTHER, count)) for _ in range(5)]
    for place in (SUBJECT, OTHER):
        in_node("nft delete table netdev t", node=f"{PREFIX}-{place[2]}")
    ours, twins = (min(column) for column in zip(*figures))
    return ours - twins, twins


def connections(count):
    port = TCP + count // 2
    servers = [subprocess.Popen(sender(place[2], "listen", port)) for place in (SUBJECT, OTHER)]
    processes.extend(servers)
    time.sleep(0.3)
    sides = [word for _, client, server in (SUBJECT, OTHER) for word in (f"{PREFIX}-{client}", address(server, 4))]
    ours, twin = map(float, sh(["taskset", "-c", "0", SENDER, "tcp", "6", str(port), *sides]).stdout.split())
    for server in servers:
        server.kill()
        server.wait()
        processes.remove(server)
    return ours, ours / twin


def measure(name, count):
    more, twin = flows(count)
    rate, share = connections(count)
    print(f"{name:16} {count:>6} policies  {more:8.0f} ns more a new flow (twin {twin:5.0f} ns)  {rate:8.0f} "
          f"connections/s, {100 * share:5.1f} % of the twin's", flush=True)
    lines.append({"who": name, "policies": count, "ns_more": more, "twin_ns": twin, "connections": rate,
                  "share": share})


def put_policies(first, last):
    text = "".join(policy(f"p{i}", f"""
  selector: app == 'db'
  types: [Ingress]
  ingress:
  - {{action: Allow, protocol: UDP, source: {{selector: app == 'web'}}, destination: {{ports: [{UDP + i}]}}}}
  - {{action: Allow, protocol: TCP, source: {{selector: app == 'web'}}, destination: {{ports: [{TCP + i}]}}}}""")
                   for i in range(first, last))
    sh([STORE_TOOL, STORE, "apply"], text)


def iptables(variant, count):
    rules = ["*filter", ":FORWARD ACCEPT [0:0]", "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"]
    for i in range(count):
        for protocol, port in (("udp", UDP), ("tcp", TCP)):
            rules.append(f"-A FORWARD -s {address('a', 4)}/32 -d {address('b', 4)}/32 -p {protocol} "
                         f"--dport {port + i} -j ACCEPT")
    rules += [f"-A FORWARD -d {address('b', 4)}/32 -j DROP", "COMMIT", ""]
    in_node(f"{variant}-restore", "\n".join(rules))


def scenario():
    make_twin()
    add_routes(*SUBJECT)
    track_connections(NODE)
    measure("no policy", 0)
    in_node("nft delete table ip base")
    for pod in "ab":
        sh(f"ip -n {NODE} route del {address(pod, 4)}/32 dev cali{pod}")
    sh([STORE_TOOL, STORE, "apply"], """
apiVersion: v1
kind: Namespace
metadata: {name: default}
""" + endpoint("a", {"app": "web"}) + endpoint("b", {"app": "db"}))
    felix = start_felix()
    wait_until("marks", lambda: marks() == ["calia", "calib"])
    measure("felix", 0)
    done = 0
    for count in COUNTS:
        put_policies(done, count)
        done = count
        wait_until(f"{count} policies", lambda n=count: f"p_np_default_p{n - 1} {{" in in_node(
            "nft list table ip manul_i").stdout, 300)
        time.sleep(1)
        measure("felix", count)
    stop_felix(felix)
    in_node("nft flush ruleset")
    for variant in () if ALONE else ("iptables-nft", "iptables-legacy"):
        for count in COUNTS:
            iptables(variant, count)
            measure(variant, count)
        in_node("nft flush ruleset")
    if JSON:
        with open(JSON, "w", encoding="utf-8") as file:
            json.dump(lines, file, indent=1)


try:
    up()
    time.sleep(0.3)
    scenario()
finally:
    down()
    sh(f"ip netns del {TWIN}", check=False)
