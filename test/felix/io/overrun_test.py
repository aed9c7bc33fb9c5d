#!/usr/bin/env python3
"""Events that the kernel could not deliver to felix, and the intervals at which it looks by itself.

usage: overrun_test.py MANUL_FELIX MANULCTL    (root)

Felix is stopped while others make more noise than its sockets hold, and meddle with what is its own.
"""
import signal
import sys

from pod_node import Node, sh, wait_until

POLICY = """
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec:
  podSelector: {matchLabels: {app: b}}
  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}, {port: 81}]}]
"""


def configuration(interval):
    return f"""---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {{name: default}}
spec: {{routeRefreshInterval: {interval}, nftablesRefreshInterval: 0s}}
"""


def noise(node):
    """More bytes of events than the sockets that listen to links and to rules hold."""
    sh(["ip", "-n", node.ns, "-batch", "-"], text="".join(f"link set lo alias n{i}\n" for i in range(16000)))
    comment = "c" * 120
    elements = ", ".join(f'10.0.{i // 256}.{i % 256} comment "{comment}"' for i in range(20000))
    nft = ["ip", "netns", "exec", node.ns, "nft", "-f", "-"]
    for _ in range(4):
        sh(nft, text="table ip noise {\n set s { type ipv4_addr; elements = { " + elements + " }\n }\n}\n")
        sh(nft, text="delete table ip noise\n")


def verified(node):
    return node.ctl("policy", "verify", check=False).returncode == 0


def routes(node):
    return sh(f"ip -n {node.ns} route show proto 177").stdout


def main():
    with Node(*sys.argv[1:3], pods=["a", "b"]) as node:
        node.serve("b", 80, 82)
        node.apply(configuration("1h") + POLICY + node.endpoint("a") + node.endpoint("b"))
        felix = node.start_felix()
        wait_until("the pods are programmed", lambda: node.connects("a", "b", 80), node)
        wait_until("verified", lambda: verified(node), node)

        felix.send_signal(signal.SIGSTOP)
        noise(node)
        sh(f"ip netns exec {node.ns} nft flush chain ip manul_e pre_hook")
        sh(f"ip -n {node.ns} link set calib group 0")
        assert not verified(node)
        assert not node.connects("a", "b", 80, patience=0.5), "a link without a class is closed"
        felix.send_signal(signal.SIGCONT)
        wait_until("felix has looked again and put both right", lambda: verified(node), node)
        assert node.connects("a", "b", 80) and not node.connects("a", "b", 82, patience=0.5)

        # Nobody tells of a route that goes while its link stays: the interval finds it.
        address = node.address("b")
        node.apply(configuration("500ms"))
        sh(f"ip -n {node.ns} route del {address}")
        wait_until("the route is back", lambda: address in routes(node), node)
        assert node.connects("a", "b", 80)
        node.stop(felix)
    print("lost events and lost routes are made up for")


main()
