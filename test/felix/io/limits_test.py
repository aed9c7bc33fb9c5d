#!/usr/bin/env python3
"""Limits of a workload's traffic: bandwidth, packet rate, connections, on real traffic.

usage: limits_test.py MANUL_FELIX MANULCTL    (root)

Upper bounds alone are asserted, so that a busy machine changes nothing.
"""
import json
import os
import subprocess
import sys
import time

from pod_node import Node, sh, wait_until

RATE = 8_000_000  # bit/s
BURST = 400_000   # bit
SIZE = 1_500_000  # bytes

SINK = """
import socket, sys, time
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", 5001))
server.listen(8)
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    start = time.monotonic()
    count = 0
    while chunk := connection.recv(65536):
        count += len(chunk)
    print(count, time.monotonic() - start, flush=True)
"""
SOURCE = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 5001), 30)
connection.sendall(bytes(int(sys.argv[2])))
connection.close()
"""
PACKETS = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])):
    s.sendto(b"x", (sys.argv[1], 5002))
"""
COUNT = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(("0.0.0.0", 5002))
print("ready", flush=True)
count = 0
while True:
    data, _ = s.recvfrom(100)
    if data == b"end":
        break
    count += 1
print(count, flush=True)
"""
CONNECTIONS = """
import socket, sys
opened, refused = [], 0
for _ in range(int(sys.argv[2])):
    try:
        opened.append(socket.create_connection((sys.argv[1], 80), 5))
    except ConnectionRefusedError:
        refused += 1
print(len(opened), refused)
"""


def python(node, ns, *arguments, **options):
    return subprocess.Popen(["ip", "netns", "exec", f"{node.prefix}-{ns}", sys.executable, "-c", *map(str, arguments)],
                            stdout=subprocess.PIPE, text=True, **options)


def tc(node, device):
    return sh(f"ip netns exec {node.ns} tc qdisc show dev {device} root").stdout


def made_by(node, ifb):
    """Numbers that the kernel gives to what is made anew: the ifb device, and the chain that leads to it."""
    chains = json.loads(sh(f"ip netns exec {node.ns} nft -j list table netdev manul_shape").stdout)["nftables"]
    handles = [item["chain"]["handle"] for item in chains if "chain" in item]
    return handles, json.loads(sh(f"ip -n {node.ns} -j link show {ifb}").stdout)[0]["ifindex"]


def ifbs(node):
    links = json.loads(sh(f"ip -n {node.ns} -j link show").stdout)
    return [link["ifname"] for link in links if link["ifname"].startswith("mifb")]


def rate_of(node, source, target, sink):
    """Measured rate in bit/s of a transfer; the whole of it arrives."""
    assert python(node, source, SOURCE, node.address(target), SIZE).wait(60) == 0
    count, seconds = sink.stdout.readline().split()
    assert int(count) == SIZE
    return SIZE * 8 / float(seconds)


def main():
    with Node(*sys.argv[1:3], pods=["a", "b"]) as node:
        node.serve("b", 80)
        sink = python(node, "b", SINK)
        node.processes.append(sink)
        assert sink.stdout.readline() == "ready\n"
        limited = f"  qosControls: {{egressBandwidth: {RATE}, egressBurst: {BURST}}}\n"
        node.apply("""---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {routeRefreshInterval: 500ms}
""" + node.endpoint("a", extra=limited) + node.endpoint("b"))
        felix = node.start_felix()
        wait_until("the pods are programmed", lambda: node.connects("a", "b", 80), node)

        # What a sends: through an ifb device, and policy judges it as before.
        wait_until("the bucket for what a sends", lambda: len(ifbs(node)) == 1, node)
        ifb = ifbs(node)[0]
        wait_until("its rate", lambda: "tbf" in tc(node, ifb) and "rate 8Mbit" in tc(node, ifb), node)
        wait_until("the way there", lambda: f'fwd to "{ifb}"' in sh(
            f"ip netns exec {node.ns} nft list table netdev manul_shape", check=False).stdout, node)
        allowance = 1.2 + BURST / (SIZE * 8)
        assert rate_of(node, "a", "b", sink) < RATE * allowance
        assert "tbf" not in tc(node, "calia")

        # What goes to b: a bucket on its own link.
        node.apply(node.endpoint("a") + node.endpoint(
            "b", extra=f"  qosControls: {{ingressBandwidth: {RATE}, ingressBurst: {BURST}, ingressPeakrate: {RATE * 2}}}\n"))
        wait_until("the bucket of b", lambda: "rate 8Mbit" in tc(node, "calib") and "peakrate 16Mbit" in
                   tc(node, "calib"), node)
        wait_until("a is not limited any more", lambda: not ifbs(node), node)
        assert "calia" not in sh(f"ip netns exec {node.ns} nft list tables netdev").stdout
        assert rate_of(node, "a", "b", sink) < RATE * allowance

        # Meddling is put right, and a link that is made anew gets its limits again.
        both = (f"  qosControls: {{ingressBandwidth: {RATE}, egressBandwidth: {RATE}, ingressBurst: {BURST}}}\n")
        node.apply(node.endpoint("b", extra=both))
        wait_until("both buckets", lambda: len(ifbs(node)) == 1 and "tbf" in tc(node, "calib"), node)
        ifb = ifbs(node)[0]
        for harm in (f"tc qdisc del dev calib root", f"tc qdisc replace dev {ifb} root tbf rate 1gbit burst 1mb latency 1s",
                     f"ip link del {ifb}", "nft flush chain netdev manul_shape calib"):
            sh(f"ip netns exec {node.ns} {harm}")
            wait_until(f"repaired after {harm}", lambda: "rate 8Mbit" in tc(node, "calib") and ifbs(node) == [ifb] and
                       "rate 8Mbit" in tc(node, ifb) and f'fwd to "{ifb}"' in sh(
                           f"ip netns exec {node.ns} nft list table netdev manul_shape", check=False).stdout, node)
        assert "FELIX_BANDWIDTH_REPAIRED" in node.felix_log()

        # Without felix they stay, and the next one finds them: nothing is taken away in between.
        node.stop(felix)
        assert "tbf" in tc(node, "calib") and ifbs(node) == [ifb]
        before = made_by(node, ifb)
        open(node.log, "w", encoding="utf-8").close()
        felix = node.start_felix()
        wait_until("the marks are written again", lambda: any(
            not name.startswith(".") for name in os.listdir(f"{node.work}/run/endpoints")), node)
        node.apply(node.endpoint("a", extra=f"  qosControls: {{ingressBandwidth: {RATE}}}\n"))
        wait_until("the bucket of a", lambda: "tbf" in tc(node, "calia"), node)
        assert made_by(node, ifb) == before, (before, made_by(node, ifb))
        node.apply(node.endpoint("a"))
        wait_until("no bucket of a", lambda: "tbf" not in tc(node, "calia"), node)
        assert node.ctl("policy", "verify").returncode == 0

        # verify tells buckets that are not there; what is not wanted any more goes at felix' next start.
        node.stop(felix)
        sh(f"ip netns exec {node.ns} tc qdisc del dev {ifb} root")
        verified = node.ctl("policy", "verify", check=False)
        assert verified.returncode == 1 and "interface calib (default/" in verified.stdout, verified.stdout
        node.apply(node.endpoint("b"))
        open(node.log, "w", encoding="utf-8").close()
        felix = node.start_felix()
        wait_until("nothing is limited", lambda: "tbf" not in tc(node, "calib") and not ifbs(node), node)
        assert node.connects("a", "b", 80)

        # Packets per second, to and from; connections.
        def received(count):
            counter = python(node, "b", COUNT)
            assert counter.stdout.readline() == "ready\n"
            start = time.monotonic()
            assert python(node, "a", PACKETS, node.address("b"), count).wait(60) == 0
            seconds = time.monotonic() - start
            sh(["ip", "netns", "exec", f"{node.prefix}-b", sys.executable, "-c",
                "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'end', ('127.0.0.1', 5002))"])
            number = int(counter.stdout.readline())
            counter.wait()
            return number, seconds

        for way, pod in (("ingress", "b"), ("egress", "a")):
            controls = f"  qosControls: {{{way}PacketRate: 50, {way}PacketBurst: 10}}\n"
            node.apply(node.endpoint(pod, extra=controls))
            wait_until(f"the {way} packet rate", lambda: "limit rate over 50/second burst 10 packets" in sh(
                f"ip netns exec {node.ns} nft list table ip manul_raw").stdout, node)
            number, seconds = received(400)
            assert 0 < number <= 12 + 51 * seconds, (number, seconds)
            node.apply(node.endpoint(pod))
            wait_until("it is gone", lambda: "limit rate over" not in sh(
                f"ip netns exec {node.ns} nft list table ip manul_raw").stdout, node)
        assert received(400)[0] == 400

        for way, pod in (("ingress", "b"), ("egress", "a")):
            node.apply(node.endpoint(pod, extra=f"  qosControls: {{{way}MaxConnections: 3}}\n"))
            wait_until(f"the {way} limit of connections", lambda: "ct count over 3" in sh(
                f"ip netns exec {node.ns} nft list table ip manul_raw").stdout, node)
            opened, refused = map(int, python(node, "a", CONNECTIONS, node.address("b"), 8).communicate(timeout=60)[0].split())
            assert opened == 3 and refused == 5, (way, opened, refused)
            verified = node.ctl("policy", "verify", check=False)
            assert verified.returncode == 0, verified.stdout + verified.stderr
            node.apply(node.endpoint(pod))
            wait_until("no limit", lambda: "ct count" not in sh(
                f"ip netns exec {node.ns} nft list table ip manul_raw").stdout, node)
        node.stop(felix)
    print("bandwidth, packet rates and numbers of connections are limited as asked")


main()
