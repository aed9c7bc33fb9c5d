#!/usr/bin/env python3
"""Policy between pods of three namespaces on two nodes, over real VXLAN, with every protocol and both families.

usage: two_nodes_test.py MANUL_FELIX MANULCTL    (root)

Two nodes with the real manul-felix and one store. Host endpoints `*` without a profile close both nodes, so that their
pods reach each other only because tunnels of the cluster pass. For each set of policies in two_nodes_cases.py every pair
is tried with TCP, UDP, SCTP and ICMP over both families; each answer must be the one written there, and `manulctl
policy trace` is asked about every pair of pods, by one of the protocols in turn.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from felix_rig import attach_pod, sh
from two_nodes_cases import CASES, gnp, tier

FELIX, MANULCTL = sys.argv[1:3]
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
PREFIX = f"mft{os.getpid()}"
WORK = tempfile.mkdtemp(prefix="mft")
NODES = {"node1": 1, "node2": 2}
# pod: node, number, namespace, labels, protocol that its port "web" has
PODS = {
    "a": ("node1", 2, "red", "app: web", "TCP"),
    "b": ("node1", 3, "green", "app: db", "TCP"),
    "c": ("node2", 4, "red", "app: db", "UDP"),
    "d": ("node2", 5, "blue", "app: web", "TCP"),
}
processes = []

AGENT = r"""
import json, select, socket, struct, sys, time

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff

def sctp(source, target, tag, kind, own_tag):
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20, own_tag, 65536, 1, 1, 1)
    if kind == 2:  # INIT ACK carries a state cookie
        chunk = struct.pack("!BBHIIHHI", kind, 0, 28, own_tag, 65536, 1, 1, 1) + struct.pack("!HHI", 7, 8, 1)
    head = struct.pack("!HHI", source, target, tag)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk

def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET

def serve(ports):
    tcp, udp = [], []
    for port in ports:
        for kind, group in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
            s = socket.socket(socket.AF_INET6, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("::", port))
            if kind == socket.SOCK_STREAM:
                s.listen(64)
            group.append(s)
    raw = {socket.socket(f, socket.SOCK_RAW, 132): f for f in (socket.AF_INET, socket.AF_INET6)}
    print("ready", flush=True)
    kept = []
    while True:
        for s in select.select(tcp + udp + list(raw), [], [])[0]:
            try:
                serve_one(s, tcp, udp, raw, ports, kept)
            except PermissionError:
                pass  # a node's own egress policy: the kernel says so at once

def serve_one(s, tcp, udp, raw, ports, kept):
    if s in tcp:
        kept.append(s.accept()[0])
    elif s in udp:
        data, peer = s.recvfrom(100)
        s.sendto(data, peer)
    else:
        data, peer = s.recvfrom(2000)
        if raw[s] == socket.AF_INET:
            data = data[(data[0] & 15) * 4:]
        source, target = struct.unpack("!HH", data[:4])
        if len(data) >= 20 and data[12] == 1 and target in ports:
            s.sendto(sctp(target, source, struct.unpack("!I", data[16:20])[0], 2, 7), peer)

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff

def probe(asked):
    waiting, results = {}, [False] * len(asked)
    port = 20000 + time.monotonic_ns() // 1000 % 30000
    raw = {}
    for i, (kind, host, target) in enumerate(asked):
        if kind in ("TCP", "UDP"):
            s = socket.socket(family(host), socket.SOCK_STREAM if kind == "TCP" else socket.SOCK_DGRAM)
            s.setblocking(False)
            try:
                s.connect((host, target))
            except (BlockingIOError, PermissionError):
                pass
            if kind == "UDP":
                try:
                    s.send(b"x")
                except PermissionError:
                    continue  # a node's own egress policy: the kernel says so at once
            waiting[s] = i
        else:
            number = 132 if kind == "SCTP" else 1 if family(host) == socket.AF_INET else 58
            s = raw.setdefault((family(host), number), socket.socket(family(host), socket.SOCK_RAW, number))
            own = port + i & 0xffff
            if kind == "SCTP":
                packet = sctp(own, target, 0, 1, 9)
            elif number == 1:
                echo = struct.pack("!BBHHH", 8, 0, 0, own, 1)
                packet = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
            else:
                packet = struct.pack("!BBHHH", 128, 0, 0, own, 1)
            try:
                s.sendto(packet, (host, 0))
            except PermissionError:
                continue
            waiting[(s, own, host)] = i
    end = time.monotonic() + float(sys.argv[3])
    while waiting and (left := end - time.monotonic()) > 0:
        tcp = [s for s in waiting if not isinstance(s, tuple) and s.type == socket.SOCK_STREAM]
        others = [s for s in waiting if not isinstance(s, tuple) and s.type != socket.SOCK_STREAM] + list(raw.values())
        readable, writable, _ = select.select(others, tcp, [], left)
        for s in writable:
            results[waiting.pop(s)] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        for s in readable:
            if s in waiting:
                i = waiting.pop(s)
                try:
                    results[i] = s.recv(10) == b"x"
                except OSError:
                    pass
                continue
            data, peer = s.recvfrom(2000)
            number = next(n for (f, n), r in raw.items() if r is s)
            if s.family == socket.AF_INET:
                data = data[(data[0] & 15) * 4:]
            if number == 132 and data[12] == 2:
                key = (s, struct.unpack("!H", data[2:4])[0], peer[0])
            elif number != 132 and data[0] in (0, 129):
                key = (s, struct.unpack("!H", data[4:6])[0], peer[0])
            else:
                continue
            if key in waiting:
                results[waiting.pop(key)] = True
    print(json.dumps(results))

if sys.argv[1] == "serve":
    serve([int(p) for p in sys.argv[2].split(",")])
else:
    probe(json.loads(sys.argv[2]))
"""


def address(pod, family):
    node, number = NODES[PODS[pod][0]], PODS[pod][1]
    return f"10.65.{node}.{number}" if family == 4 else f"fd65:{node}::{number}"


def node_address(node, family):
    return f"192.0.2.{NODES[node]}" if family == 4 else f"2001:db8::{NODES[node]}"


def end_address(end, family):
    return address(end, family) if end in PODS else node_address(f"node{end[1:]}", family)


def end_namespace(end):
    return f"{PREFIX}-{end if end in PODS else f'node{end[1:]}'}"


def namespaces():
    return [f"{PREFIX}-{name}" for name in (*NODES, *PODS)]


def up():
    for ns in namespaces():
        sh(f"ip netns add {ns} && ip -n {ns} link set lo up && ip netns exec {ns} sysctl -qw "
           f"net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.default.accept_dad=0")
    first, second = (f"{PREFIX}-{node}" for node in NODES)
    sh(f"ip -n {first} link add eth0 type veth peer name eth0 netns {second}")
    for node, other in (("node1", "node2"), ("node2", "node1")):
        ns = f"{PREFIX}-{node}"
        mac = f"66:00:00:00:00:0{NODES[node]}"
        far = f"66:00:00:00:00:0{NODES[other]}"
        sh(f"ip -n {ns} link set eth0 up && ip -n {ns} addr add {node_address(node, 4)}/24 dev eth0"
           f" && ip -n {ns} addr add {node_address(node, 6)}/64 dev eth0 nodad"
           f" && ip -n {ns} link add vx type vxlan id 4096 dstport 4789 local {node_address(node, 4)} nolearning"
           f" && ip -n {ns} link set vx address {mac} mtu 1450 up"
           f" && ip -n {ns} addr add 10.65.{NODES[node]}.0/32 dev vx"
           f" && ip -n {ns} route add 10.65.{NODES[other]}.0/24 via 10.65.{NODES[other]}.0 dev vx onlink "
           f"src {node_address(node, 4)} && ip -n {ns} -6 route add fd65:{NODES[other]}::/64 via fe80::{NODES[other]} dev vx onlink"
           f" && ip -n {ns} neigh add 10.65.{NODES[other]}.0 lladdr {far} dev vx nud permanent"
           f" && ip -n {ns} neigh add fe80::{NODES[other]} lladdr {far} dev vx nud permanent")
        sh(["bridge", "-n", ns, "fdb", "append", far, "dev", "vx", "dst", node_address(other, 4)])
    for pod, (node, *_rest) in PODS.items():
        attach_pod(f"{PREFIX}-{node}", f"{PREFIX}-{pod}", f"cali{pod}", f"{pod}1", address(pod, 4), address(pod, 6))
    for ns in namespaces():
        server = subprocess.Popen(["ip", "netns", "exec", ns, sys.executable, "-c", AGENT, "serve", "80,81"],
                                  stdout=subprocess.PIPE, text=True)
        processes.append(server)
        assert server.stdout.readline() == "ready\n"


def down():
    for process in processes:
        process.kill()
        process.wait()
    for ns in namespaces():
        sh(f"ip netns del {ns}", check=False)
    shutil.rmtree(WORK, ignore_errors=True)


def settings(node):
    path = f"{WORK}/{node}.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"node:\n  name: {node}\nrun_dir: {WORK}/{node}/run\nstate_dir: {WORK}/{node}/state\n"
                   f"datastore:\n  path: {WORK}/store.db\n")
    return path


def ctl(node, *arguments, text=None, check=True):
    return sh(["ip", "netns", "exec", f"{PREFIX}-{node}", MANULCTL, "--config", f"{WORK}/{node}.yaml", *arguments],
              text, check)


def wait_until(what, condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited in vain until {what}")
        time.sleep(0.05)


def cluster():
    text = ""
    for node in NODES:
        text += f"""---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {{name: {node}}}
spec: {{bgp: {{ipv4Address: {node_address(node, 4)}/24, ipv6Address: "{node_address(node, 6)}/64"}}}}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {{name: {node}-all, labels: {{role: node}}}}
spec: {{node: {node}, interfaceName: "*"}}
"""
    for ns in ("red", "green", "blue"):
        text += f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {ns}, labels: {{team: {ns}}}}}\n"
    for pod, (node, _number, ns, labels, protocol) in PODS.items():
        text += f"""---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata:
  name: {node}-k8s-{pod}-eth0
  namespace: {ns}
  labels: {{projectcalico.org/orchestrator: k8s, {labels}}}
spec:
  orchestrator: k8s
  node: {node}
  pod: {pod}
  endpoint: eth0
  containerID: {pod}1
  interfaceName: cali{pod}
  ipNetworks: [{address(pod, 4)}/32, "{address(pod, 6)}/128"]
  serviceAccountName: {pod}
  profiles: [kns.{ns}, ksa.{ns}.{pod}]
  ports: [{{name: web, port: 80, protocol: {protocol}}}]
"""
    return text + """---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 10.65.0.0/16, vxlanMode: Always}
"""


serial = 0


def settle(wanted):
    """Applies, and waits until both nodes have it: each rule change comes with one about a port of its own."""
    global serial
    serial += 1
    marker = gnp("zz.serial", f"tier: zz, order: 9, namespaceSelector: all(), types: [Ingress], ingress: [{{action: Pass, "
                 f"protocol: TCP, destination: {{ports: [{9000 + serial}]}}}}]")
    ctl("node1", "apply", "-f", "-", text=wanted + marker)
    for node in NODES:
        wait_until(f"{node} has change {serial}", lambda: f"dport {9000 + serial} " in sh(
            f"ip netns exec {PREFIX}-{node} nft list table ip manul_i", check=False).stdout)


PROBES = (("tcp", 80), ("tcp", 81), ("udp", 80), ("sctp", 80), ("icmp", 0))


def expected(answers, source, target, kind, port, family):
    """The last line of `answers` that speaks of this packet; see Case."""
    verdict = target in PODS and (source in PODS or PODS[target][0] == f"node{source[1:]}")
    for line in answers:
        ends, verdict_text = line.rsplit(" ", 1)
        sources, _, rest = ends.partition(" > ")
        targets, *filters = rest.split()
        for names, end in ((sources, source), (targets, target)):
            if end not in names.split(",") and not (names == "*" and end in PODS):
                break
        else:
            if all(word in (kind, str(port), f"v{family}") for word in filters):
                verdict = verdict_text == "allow"
    return verdict


def ask(questions):
    """What becomes of packets; a question is (source, target, kind, port, family)."""
    running = {}
    for source in {question[0] for question in questions}:
        own = [question for question in questions if question[0] == source]
        asked = [(kind.upper(), end_address(target, family), port) for _, target, kind, port, family in own]
        running[source] = own, subprocess.Popen(
            ["ip", "netns", "exec", end_namespace(source), sys.executable, "-c", AGENT, "probe", json.dumps(asked), "0.8"],
            stdout=subprocess.PIPE, text=True)
    found = {}
    for own, process in running.values():
        found.update(zip(own, json.loads(process.communicate(timeout=120)[0])))
    return found


def traced(source, target, kind, port, family):
    arguments = [] if kind == "icmp" else [str(port)]
    answer = ctl("node1", "policy", "trace", end_address(source, family), end_address(target, family), kind.upper(),
                 *arguments, "-o", "json")
    return json.loads(answer.stdout)["verdict"] == "Allow"


def check(number, case):
    settle(case.objects)
    nodes = list(NODES) if any("n1" in line for line in case.answers) else []
    ends = [*PODS, *(f"n{NODES[node]}" for node in nodes)]
    wanted = {(s, t, *probe, family): expected(case.answers, s, t, *probe, family)
              for s in ends for t in ends if s != t for probe in PROBES for family in (4, 6)}
    wrong = dict(wanted)
    for _ in range(5):  # a busy machine loses packets, and each kind of object is followed by a watch of its own
        wrong = {question: answer for question, answer in ask(list(wrong)).items() if answer != wanted[question]}
        if not wrong:
            break
    complaints = [f"{' '.join(map(str, question))}: packets {'pass' if answer else 'do not pass'}"
                  for question, answer in wrong.items()]
    pairs = [(s, t) for s in PODS for t in PODS if s != t]
    for i, pair in enumerate(pairs):  # every pair of pods by one of the protocols, in turn
        question = (*pair, *PROBES[(i + number) % len(PROBES)], 4 if i % 2 else 6)
        if traced(*question) != wanted[question]:
            complaints.append(f"{' '.join(map(str, question))}: trace says otherwise")
    if complaints:
        sys.exit(f"{case.what}:\n  " + "\n  ".join(complaints))
    print(f"{case.what}: {len(wanted)} answers", flush=True)


def main():
    up()
    for node in NODES:
        settings(node)
    ctl("node1", "apply", "-f", "-", text=tier("zz", "order: 5000000, defaultAction: Pass") + cluster())
    for node in NODES:
        log = open(f"{WORK}/{node}.log", "w", encoding="utf-8")
        processes.append(subprocess.Popen(["ip", "netns", "exec", f"{PREFIX}-{node}", FELIX, "--config",
                                           f"{WORK}/{node}.yaml"], stderr=log))

    applied = ""
    for number, case in enumerate(CASES):
        applied = case.objects + applied
        check(number, case)
        if number == 0:
            raw = sh(f"ip netns exec {PREFIX}-node1 nft list table ip manul_raw").stdout
            assert raw.count("udp dport 4789") == 2 and "notrack" in raw, raw
            tracked = sh(f"ip netns exec {PREFIX}-node1 cat /proc/net/nf_conntrack", check=False).stdout
            assert "dport=4789 " not in tracked, tracked
        if not case.stays and applied:
            ctl("node1", "delete", "-f", "-", "-s", text=applied)
            applied = ""
    print("two nodes agree with what was written down and with trace, and tunnels pass closed host endpoints")


try:
    main()
finally:
    down()
