#!/usr/bin/env python3
"""The real manul-felix beside address translation, its own and a service proxy's, judged by real packets.

usage: translation_test.py MANUL_FELIX STORE_TOOL    (root)

Ports of the node that lead to a pod, services as kube-proxy writes them (nftables, and iptables in both its modes), node
ports that host policy closes before they are translated, the node's own connections to services, and established
connections that are cut where the configuration asks for it.
"""
import sys

from felix_node import (NODE, NODE_ADDRESS, OUTSIDE, address, apply, connections, delete, down, endpoint, marks, policy,
                        reaches, rules, settle, sh, start_felix, stop_felix, up, wait_until)

failures = 0
checks = 0


def expect(what, passes, source, hosts, kind, port):
    global failures, checks
    for family, host in hosts.items():
        # A busy machine may be too slow for the first try; a verdict does not change by asking again.
        got = any(reaches(source, host, kind, port) for _ in range(4 if passes else 1))
        checks += 1
        if got != passes:
            failures += 1
            print(f"DIFFERENT: {what}: {source} -> {host} {kind} {port} IPv{family} "
                  f"{'passes' if got else 'is dropped'}", flush=True)


def expect_address(what, passes, source, hosts, port):
    expect(what, passes, source, hosts, "tcp", port)


def pod(name):
    return {family: address(name, family) for family in (4, 6)}


SERVICE, OUTER_SERVICE = {4: "10.96.0.10", 6: "fd96::10"}, {4: "10.96.0.20", 6: "fd96::20"}


def datagrams(host):
    return [line for line in connections(host) if "udp" in line]


def service_rules(mode):
    """Services as kube-proxy writes them: an address and a node port that lead to b, an address that leads to x."""
    for family, ip, tables in ((4, "ip", "iptables"), (6, "ip6", "ip6tables")):
        quoted = (lambda host: f"[{host}]") if family == 6 else (lambda host: host)
        inner, outer = quoted(address("b", family)), quoted(OUTSIDE[family])
        if mode == "nftables":
            sh(f"ip netns exec {NODE} nft -f -", f"""
table {ip} kube-proxy {{
  chain services {{
    {ip} daddr {SERVICE[family]} tcp dport 80 dnat to {inner}:80
    {ip} daddr {OUTER_SERVICE[family]} tcp dport 80 dnat to {outer}:80
    fib daddr type local tcp dport 30080 mark set 0x4000 dnat to {inner}:80
  }}
  chain pre {{
    type nat hook prerouting priority -100
    jump services
  }}
  chain out {{
    type nat hook output priority -100
    jump services
  }}
  chain post {{
    type nat hook postrouting priority 100
    mark 0x4000 masquerade
  }}
}}
""")
            continue
        command = f"ip netns exec {NODE} {tables}-{mode} -w -t nat"
        for chain in ("PREROUTING", "OUTPUT"):
            sh(f"{command} -A {chain} -d {SERVICE[family]} -p tcp --dport 80 -j DNAT --to-destination {inner}:80")
            sh(f"{command} -A {chain} -d {OUTER_SERVICE[family]} -p tcp --dport 80 -j DNAT --to-destination {outer}:80")
            sh(f"{command} -A {chain} -p tcp --dport 30080 -m addrtype --dst-type LOCAL -j DNAT"
               f" --to-destination {inner}:80")


def remove_service_rules(mode):
    for ip, tables in (("ip", "iptables"), ("ip6", "ip6tables")):
        sh(f"ip netns exec {NODE} nft delete table {ip} kube-proxy" if mode == "nftables"
           else f"ip netns exec {NODE} {tables}-{mode} -w -t nat -F")


def scenario():
    apply("""
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.65.0.0/16, natOutgoing: true}
---
apiVersion: v1
kind: Namespace
metadata: {name: default}
""" + endpoint("a", {"app": "web"}) + endpoint("b", {"app": "db"}))
    wait_until("marks of a and b", lambda: marks() == ["calia", "calib"])
    plain = endpoint("b", {"app": "db"})
    apply(endpoint("b", {"app": "db"}, ports="  ports: [{name: web, protocol: TCP, port: 80, hostPort: 8081}]\n"))
    wait_until("the node's port", lambda: "dport 8081" in rules())
    for source in ("x", "a", "b", "n"):
        expect_address("a port of the node", True, source, NODE_ADDRESS, 8081)
    only_web = policy("only-web", """
  selector: app == 'db'
  types: [Ingress]
  ingress: [{action: Allow, source: {selector: app == 'web'}}]""")
    apply(only_web)
    expect_address("a port of the node, allowed by the pod's policy", True, "a", NODE_ADDRESS, 8081)
    expect_address("a port of the node, not allowed by it", False, "x", NODE_ADDRESS, 8081)
    delete(only_web)
    apply(plain)

    gate = """
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: gate, labels: {role: gate}}
spec: {node: node1, interfaceName: eth9, profiles: [projectcalico-default-allow]}
"""
    closed_port = policy("closed-port", """
  selector: role == 'gate'
  preDNAT: true
  applyOnForward: true
  types: [Ingress]
  ingress: [{action: Deny, protocol: TCP, destination: {ports: [30080]}}]""", "GlobalNetworkPolicy")
    not_outside = policy("not-outside", """
  selector: role == 'gate'
  types: [Egress]
  egress:
  - {action: Deny, protocol: TCP, destination: {nets: [192.0.9.2/32], ports: [80]}}
  - {action: Deny, protocol: TCP, destination: {nets: ['fd09::2/128'], ports: [80]}}
  - {action: Allow}""", "GlobalNetworkPolicy")
    sh(f"ip -n {NODE} route add default via {OUTSIDE[4]} && ip -n {NODE} -6 route add default via {OUTSIDE[6]}")
    for mode in ("nftables", "nft", "legacy"):
        if mode == "legacy" and sh(f"ip netns exec {NODE} iptables-legacy -t nat -L -n", check=False).returncode:
            continue  # a kernel without it
        service_rules(mode)
        for source in ("a", "n"):
            expect_address(f"service, {mode}", True, source, SERVICE, 80)
        expect_address(f"service outside, {mode}", True, "n", OUTER_SERVICE, 80)
        expect_address(f"node port, {mode}", True, "x", NODE_ADDRESS, 30080)
        apply(only_web)
        expect_address(f"service, policy of its pods allows, {mode}", True, "a", SERVICE, 80)
        expect_address(f"node port, policy of its pods denies, {mode}", False, "x", NODE_ADDRESS, 30080)
        delete(only_web)
        if mode == "nftables":
            apply(gate + closed_port + not_outside)
            expect_address("node port, closed before translation", False, "x", NODE_ADDRESS, 30080)
            expect("another port", True, "x", pod("b"), "tcp", 80)
            expect_address("the node's service, judged behind translation", False, "n", OUTER_SERVICE, 80)
            expect("what the node may send", True, "n", OUTSIDE, "tcp", 81)
            expect_address("a service in a pod of its own", True, "n", SERVICE, 80)
            delete(gate + closed_port + not_outside)
        remove_service_rules(mode)
    expect("connections of a", True, "a", pod("b"), "udp", 80)
    expect("connections of x", True, "x", pod("b"), "udp", 80)
    apply(only_web.replace("'web'", "'nobody'"))
    assert datagrams(address("a", 4)) and datagrams(OUTSIDE[4]), "policy alone cuts nothing"
    switch = """
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {cutDeniedConnections: Enabled}
"""
    delete(only_web)  # no moment in which the switch is on and the policy denies those of a
    apply(switch + only_web)
    wait_until("connections of x are cut", lambda: not datagrams(OUTSIDE[4]))
    assert datagrams(address("a", 4)), "those that policy allows must stay"
    delete(switch + only_web)


try:
    up()
    process = start_felix()
    scenario()
    stop_felix(process)
finally:
    down()
print(f"{checks - failures} verdicts as expected, {failures} different")
sys.exit(1 if failures else 0)
