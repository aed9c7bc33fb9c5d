#!/usr/bin/env python3
"""The real manul-felix beside address translation, its own and a service proxy's, judged by real packets.

usage: translation_test.py MANUL_FELIX STORE_TOOL    (root)

Ports of the node that lead to a pod, services as kube-proxy writes them (nftables, and iptables in both its modes), node
ports that host policy closes before they are translated, the node's own connections to services, and established
connections that are cut where the configuration asks for it; floating addresses, and code points of what leaves the cluster.
"""
import re
import subprocess
import sys

from felix_node import (NODE, NODE_ADDRESS, OUTSIDE, PREFIX, address, apply, connections, delete, down, endpoint, marks,
                        policy, processes, reaches, rules, sh, start_felix, stop_felix, up, wait_until)

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


FLOATING = {4: "203.0.113.77", 6: "2001:db8:77::7"}


def switch(setting):
    return f"""
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {{name: default}}
spec: {{{setting}}}
"""


def floating_addresses(plain):
    """Further addresses of b, where FelixConfiguration switches them on."""
    nats = "".join(f"  - {{internalIP: '{address('b', family)}', externalIP: '{FLOATING[family]}'}}\n" for family in (4, 6))
    apply(endpoint("b", {"app": "db"}, ports=f"  ipNATs:\n{nats}"))
    assert FLOATING[4] not in rules()
    on = switch("floatingIPs: Enabled")
    apply(on)
    for source in ("x", "a", "n", "b"):
        expect_address("a floating address", True, source, FLOATING, 80)
    expect("a floating address", True, "x", FLOATING, "udp", 5353)
    assert FLOATING[4] in sh(f"ip -n {NODE} route show dev calib").stdout
    assert "unreachable" not in sh(f"ip -n {NODE} -6 route get {FLOATING[6]}").stdout
    only_web = policy("only-web", """
  selector: app == 'db'
  types: [Ingress]
  ingress: [{action: Allow, source: {selector: app == 'web'}}]""")
    apply(only_web)
    expect_address("a floating address, by the pod's policy", True, "a", FLOATING, 80)
    expect_address("a floating address, against the pod's policy", False, "x", FLOATING, 80)
    delete(only_web)
    delete(on)
    wait_until("floating addresses are off", lambda: FLOATING[4] not in rules())
    wait_until("their routes too", lambda: FLOATING[4] not in sh(f"ip -n {NODE} route show dev calib").stdout)
    apply(plain)


MARKED = """
import socket, struct
four, six = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
four.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
four.bind(("", 7777))
six.bind(("::", 7777))
print("ready", flush=True)
while True:
    for s in (four, six):
        data, control, _, _ = s.recvmsg(100, 100)
        assert len(control) == 1
        value = control[0][2]
        print((value[0] if len(value) == 1 else struct.unpack("i", value)[0]) >> 2, flush=True)
"""
SEND = """
import socket, sys
for host in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"x", (host, 7777))
"""


def code_points():
    """What a pod or the node sends out of the cluster carries the code point that is asked for."""
    global checks, failures
    listeners = {}
    for place in ("x", "b"):
        listeners[place] = subprocess.Popen(["ip", "netns", "exec", f"{PREFIX}-{place}", sys.executable, "-c", MARKED],
                                            stdout=subprocess.PIPE, text=True)
        processes.append(listeners[place])
        assert listeners[place].stdout.readline() == "ready\n"

    def expect_marks(what, source, target, hosts, value):
        global checks, failures
        sh(["ip", "netns", "exec", f"{PREFIX}-{source}", sys.executable, "-c", SEND, hosts[4], hosts[6]])
        got = [int(listeners[target].stdout.readline()) for _ in hosts]
        checks += 1
        if got != [value, value]:
            failures += 1
            print(f"DIFFERENT: {what}: code points {got} from {source} to {target} instead of {value}", flush=True)

    plain = endpoint("a", {"app": "web"})
    expect_marks("nobody asked", "a", "x", OUTSIDE, 0)
    apply("""
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: six}
spec: {cidr: 'fd65::/64', natOutgoing: true}
""" + endpoint("a", {"app": "web"}, ports="  qosControls: {dscp: EF}\n"))
    wait_until("the code point", lambda: "dscp set" in rules())
    expect_marks("a pod", "a", "x", OUTSIDE, 46)
    expect_marks("another pod", "b", "x", OUTSIDE, 0)
    expect_marks("inside the pools", "a", "b", pod("b"), 0)
    node = """
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: gate, annotations: {qos.projectcalico.org/dscp: CS3}}
spec: {node: node1, expectedIPs: [192.0.9.1, 'fd09::1'], profiles: [projectcalico-default-allow]}
"""
    apply(node)
    wait_until("the node's code point", lambda: "dscp set 0x18" in rules() or "dscp set cs3" in rules())
    expect_marks("the node", "n", "x", OUTSIDE, 24)
    expect_marks("a pod", "a", "x", OUTSIDE, 46)
    delete(node)
    apply(plain)
    wait_until("no code points", lambda: "dscp set" not in rules())
    expect_marks("nobody asks any more", "a", "x", OUTSIDE, 0)
    for listener in listeners.values():
        listener.kill()
    sh(f"ip netns exec {NODE} conntrack -F")


INSISTENT = """
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.05)
s.connect((sys.argv[1], 8083))
while True:
    try:
        s.send(b"x")
        if s.recv(10) == b"x":
            break
    except OSError:
        time.sleep(0.05)
"""


def published_late():
    """A client of UDP that began before the node's port led to a pod, and never stops, reaches the pod."""
    global checks, failures
    clients = []
    for family in (4, 6):
        clients.append(subprocess.Popen(["ip", "netns", "exec", f"{PREFIX}-x", sys.executable, "-c", INSISTENT,
                                         NODE_ADDRESS[family]]))
        processes.append(clients[-1])
        wait_until("a connection to nobody", lambda: any("dport=8083 " in c for c in connections(OUTSIDE[4])))
    apply(endpoint("b", {"app": "db"}, ports="""  ports:
  - {name: web, protocol: TCP, port: 80, hostPort: 8081}
  - {name: late, protocol: UDP, port: 5353, hostPort: 8083}
  - {name: any, protocol: TCP, port: 80, hostPort: 8084, hostIP: 0.0.0.0}
"""))
    expect("a port of any IPv4 address of the node", True, "x", {4: NODE_ADDRESS[4]}, "tcp", 8084)
    expect("a port of any IPv4 address of the node", False, "x", {6: NODE_ADDRESS[6]}, "tcp", 8084)
    for client in clients:
        checks += 1
        try:
            client.wait(10)
        except subprocess.TimeoutExpired:
            failures += 1
            print("DIFFERENT: a port published late: datagrams go past it", flush=True)
            client.kill()


STREAM = """
import socket, sys, time
server = socket.create_server(("", 7070))
print("ready", flush=True)
peer, _ = server.accept()
while True:
    try:
        peer.send(b"x")
    except OSError:
        break
    time.sleep(0.02)
"""
SILENCE = """
import socket, sys
s = socket.create_connection((sys.argv[1], 7070), 5)
print("ready", flush=True)
s.settimeout(1)
while True:
    try:
        s.recv(100)
    except TimeoutError:
        break
print("silent", flush=True)
"""


def cut_stream():
    """A TCP connection that is cut does not begin anew with what its server goes on sending.

    Between pods: what a pod sends outside would be translated anew, and no longer be the client's."""
    global checks, failures
    ends = {}
    for place, program in (("b", [STREAM]), ("a", [SILENCE, address("b", 4)])):
        ends[place] = subprocess.Popen(["ip", "netns", "exec", f"{PREFIX}-{place}", sys.executable, "-c", *program],
                                       stdout=subprocess.PIPE, text=True)
        processes.append(ends[place])
        assert ends[place].stdout.readline() == "ready\n"
    denied = policy("nobody", """
  selector: app == 'db'
  types: [Ingress]""")
    apply(switch("cutDeniedConnections: Enabled") + denied)
    checks += 1
    try:
        ends["a"].wait(10)
    except subprocess.TimeoutExpired:
        failures += 1
        print("DIFFERENT: a connection that was cut goes on", flush=True)
    for end in ends.values():
        end.kill()
    delete(switch("cutDeniedConnections: Enabled") + denied)


def chosen_ports():
    """What leaves the pools gets the ports of natPortRange, and no others."""
    global checks, failures
    setting = switch("natPortRange: '40000:40009'")
    apply(setting)
    wait_until("the range", lambda: ":40000-40009" in rules())
    for kind in ("tcp", "udp"):
        expect("a pod to the outside, from chosen ports", True, "a", {4: OUTSIDE[4]}, kind, 80)
        answers = [line for line in connections(OUTSIDE[4]) if f" {kind} " in f" {line}" and "dport=80 " in line]
        ports = {int(re.findall(r"dport=(\d+)", line)[-1]) for line in answers}
        checks += 1
        if not ports or not ports <= set(range(40000, 40010)):
            failures += 1
            print(f"DIFFERENT: {kind} leaves the pools from the ports {ports}", flush=True)
    delete(setting)
    wait_until("no range", lambda: "40000" not in rules())


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
    chosen_ports()
    plain = endpoint("b", {"app": "db"})
    apply(endpoint("b", {"app": "db"}, ports="  ports: [{name: web, protocol: TCP, port: 80, hostPort: 8081}]\n"))
    wait_until("the node's port", lambda: "dport 8081" in rules())
    for source in ("x", "a", "b", "n"):
        expect_address("a port of the node", True, source, NODE_ADDRESS, 8081)
    only_web = policy("only-web", """
  selector: app == 'db'
  types: [Ingress]
  ingress: [{action: Allow, source: {selector: app == 'web'}}]""")
    published_late()
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
    floating_addresses(plain)
    code_points()
    expect("connections of a", True, "a", pod("b"), "udp", 80)
    expect("connections of x", True, "x", pod("b"), "udp", 80)
    apply(only_web.replace("'web'", "'nobody'"))
    assert datagrams(address("a", 4)) and datagrams(OUTSIDE[4]), "policy alone cuts nothing"
    cut = switch("cutDeniedConnections: Enabled")
    delete(only_web)  # no moment in which the switch is on and the policy denies those of a
    apply(cut + only_web)
    wait_until("connections of x are cut", lambda: not datagrams(OUTSIDE[4]))
    assert datagrams(address("a", 4)), "those that policy allows must stay"
    delete(cut + only_web)
    cut_stream()


try:
    up()
    process = start_felix()
    scenario()
    stop_felix(process)
finally:
    down()
print(f"{checks - failures} verdicts as expected, {failures} different")
sys.exit(1 if failures else 0)
