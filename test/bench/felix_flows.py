#!/usr/bin/env python3
"""What policies cost new connections between two pods of a node: felix beside iptables with the same policies.

usage: felix_flows.py MANUL_FELIX STORE_TOOL FLOW_SENDER [felix] [COUNT...]    (root)

Counts of policies are 10 100 1000 10000 when none is given; with the word felix nothing else is measured.

Every policy opens one UDP port and one TCP port of pod b to pod a; the packets ask for the policy in the middle. UDP
figures are nanoseconds of one new flow through the node, connection tracking included, above a node with connection
tracking and no policy; TCP figures are connections of real sockets a second, beside the same node without policy.
"""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SENDER = sys.argv.pop(3)
ALONE = "felix" in sys.argv[3:]
COUNTS = [int(word) for word in sys.argv[3:] if word.isdigit()] or [10, 100, 1000, 10000]
sys.path.insert(0, os.path.join(HERE, "..", "felix", "io"))

from felix_node import (NODE, PREFIX, STORE, STORE_TOOL, address, down, endpoint, marks, policy, processes,  # noqa: E402
                        sh, start_felix, stop_felix, up, wait_until)

UDP, TCP = 10000, 30000
RUNS = 3


def in_node(command, text=None):
    return sh(f"ip netns exec {NODE} {command}", text)


def sender(pod, *words):
    return ["ip", "netns", "exec", f"{PREFIX}-{pod}", SENDER, *map(str, words)]


def flow_ns(count):
    """The best of several runs: other load only adds."""
    figures = []
    for _ in range(RUNS):
        in_node("conntrack -F")
        figures.append(float(sh(sender("a", "udp", address("a", 4), address("b", 4), UDP + count // 2)).stdout))
    return min(figures)


def connections(count):
    server = subprocess.Popen(sender("b", "listen", TCP + count // 2))
    processes.append(server)
    time.sleep(0.2)
    rate = max(float(sh(sender("a", "tcp", address("b", 4), TCP + count // 2, 1)).stdout) for _ in range(2))
    server.kill()
    server.wait()
    processes.remove(server)
    return rate


def measure(name, count, base):
    in_b = f"ip netns exec {PREFIX}-b nft"
    rate = connections(count)
    # Pod b drops what arrives at once, so that only the node's work is measured.
    sh(f"{in_b} add table netdev t && {in_b} add chain netdev t c "
       "'{ type filter hook ingress device eth0 priority 0; policy drop; }'")
    ns = flow_ns(count)
    sh(f"{in_b} delete table netdev t")
    if base is None:
        print(f"{name:24} {'':>6}   {ns:8.0f} ns a new flow            {rate:8.0f} connections/s", flush=True)
    else:
        print(f"{name:24} {count:>6}   {ns - base[0]:8.0f} ns more a new flow       {rate:8.0f} connections/s, "
              f"{100 * rate / base[1]:4.0f} %", flush=True)
    return ns, rate


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
    lines = ["*filter", ":FORWARD ACCEPT [0:0]", "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"]
    for i in range(count):
        for protocol, port in (("udp", UDP), ("tcp", TCP)):
            lines.append(f"-A FORWARD -s {address('a', 4)}/32 -d {address('b', 4)}/32 -p {protocol} "
                         f"--dport {port + i} -j ACCEPT")
    lines += [f"-A FORWARD -d {address('b', 4)}/32 -j DROP", "COMMIT", ""]
    in_node(f"{variant}-restore", "\n".join(lines))


def scenario():
    in_node("nft add table ip base")
    in_node("nft add chain ip base c '{ type filter hook forward priority 0; }'")
    in_node("nft add rule ip base c ct state established,related accept")
    in_node("sysctl -qw net.ipv4.ip_forward=1")
    for pod in "ab":
        sh(f"ip -n {NODE} route add {address(pod, 4)}/32 dev cali{pod}")
    base = measure("no policy", 0, None)
    for variant in () if ALONE else ("iptables-nft", "iptables-legacy"):
        for count in COUNTS:
            iptables(variant, count)
            measure(variant, count, base)
        in_node(f"{variant} -F")
    for pod in "ab":
        sh(f"ip -n {NODE} route del {address(pod, 4)}/32 dev cali{pod}")
    sh([STORE_TOOL, STORE, "apply"], """
apiVersion: v1
kind: Namespace
metadata: {name: default}
""" + endpoint("a", {"app": "web"}) + endpoint("b", {"app": "db"}))
    felix = start_felix()
    wait_until("marks", lambda: marks() == ["calia", "calib"])
    done = 0
    for count in COUNTS:
        put_policies(done, count)
        done = count
        wait_until(f"{count} policies", lambda n=count: f"p_np_default_p{n - 1} {{" in in_node(
            "nft list table ip manul_i").stdout, 300)
        time.sleep(1)
        measure("felix", count, base)
    stop_felix(felix)


try:
    up()
    time.sleep(0.3)
    scenario()
finally:
    down()
