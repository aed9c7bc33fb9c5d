"""A node of network namespaces with the real manul-felix and an SQLite store, for the tests beside this file.

A node has pods a, b and c (c without an endpoint at first), and an outside host x behind an uplink. Everything is made
in namespaces named after this process and removed at the end. Arguments of the process: MANUL_FELIX STORE_TOOL.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import felix_rig
from felix_rig import sh

FELIX, STORE_TOOL = sys.argv[1:3]
# Whoever ends a test wants everything removed that it made.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
PREFIX = f"mfp{os.getpid()}"
NODE = f"{PREFIX}-n"
WORK = tempfile.mkdtemp(prefix="mfp")
RUN, STATE, STORE = f"{WORK}/run", f"{WORK}/state", f"{WORK}/store.db"
PODS = {"a": 2, "b": 3, "c": 4}
processes = []


def namespaces():
    return [f"{PREFIX}-{n}" for n in ("n", "x", *PODS)]


def address(pod, family):
    return f"10.65.0.{PODS[pod]}" if family == 4 else f"fd65::{PODS[pod]}"


OUTSIDE = {4: "192.0.9.2", 6: "fd09::2"}
NODE_ADDRESS = {4: "192.0.9.1", 6: "fd09::1"}

SERVER = """
import select, socket
def sockets(kind):
    for port in (80, 81, 5353):
        s = socket.socket(socket.AF_INET6, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("::", port))
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        yield s
tcp, udp = list(sockets(socket.SOCK_STREAM)), list(sockets(socket.SOCK_DGRAM))
kept = []
while True:
    for s in select.select(tcp + udp + kept, [], [])[0]:
        if s in udp:
            data, peer = s.recvfrom(2048)
            s.sendto(data, peer)
        elif s in tcp:
            kept.append(s.accept()[0])
        else:
            data = s.recv(2048)
            if data:
                s.sendall(data)
            else:
                kept.remove(s)
                s.close()
"""


def add_link(pod, alias, node=NODE):
    felix_rig.attach_pod(node, f"{PREFIX}-{pod}", f"cali{pod}", alias, address(pod, 4), address(pod, 6))


def up():
    for ns in namespaces():
        sh(f"ip netns add {ns} && ip -n {ns} link set lo up")
    sh(f"ip netns exec {NODE} sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv6.conf.default.accept_dad=0")
    sh(f"ip -n {NODE} link add eth9 type veth peer name eth0 netns {PREFIX}-x"
       f" && ip -n {NODE} addr add {NODE_ADDRESS[4]}/24 dev eth9"
       f" && ip -n {NODE} addr add {NODE_ADDRESS[6]}/64 dev eth9 nodad && ip -n {NODE} link set eth9 up"
       f" && ip -n {PREFIX}-x addr add {OUTSIDE[4]}/24 dev eth0"
       f" && ip -n {PREFIX}-x addr add {OUTSIDE[6]}/64 dev eth0 nodad && ip -n {PREFIX}-x link set eth0 up"
       f" && ip -n {PREFIX}-x route add default via {NODE_ADDRESS[4]}"
       f" && ip -n {PREFIX}-x -6 route add default via {NODE_ADDRESS[6]}")
    for pod in PODS:
        add_link(pod, f"{pod}1")
    for ns in namespaces():
        processes.append(subprocess.Popen(["ip", "netns", "exec", ns, sys.executable, "-c", SERVER]))


def down():
    for process in processes:
        process.kill()
        process.wait()
    for ns in namespaces():
        sh(f"ip netns del {ns}", check=False)
    shutil.rmtree(WORK, ignore_errors=True)


def start_felix():
    with open(f"{WORK}/manul.yaml", "w", encoding="utf-8") as settings:
        settings.write(f"node:\n  name: node1\nrun_dir: {RUN}\nstate_dir: {STATE}\ndatastore:\n  path: {STORE}\n")
    log = open(f"{WORK}/felix.log", "a", encoding="utf-8")
    process = subprocess.Popen(["ip", "netns", "exec", NODE, FELIX, "--config", f"{WORK}/manul.yaml"], stderr=log)
    processes.append(process)
    wait_until("felix is in sync", lambda: ask("status").get("inSync"))
    return process


def stop_felix(process):
    process.terminate()
    assert process.wait(10) == 0
    processes.remove(process)


def ask(op):
    return felix_rig.ask(RUN, op)


def wait_until(what, condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            with open(f"{WORK}/felix.log", encoding="utf-8") as log:
                raise SystemExit(f"waited in vain until {what}\n{log.read()}")
        time.sleep(0.01)


def apply(text):
    sh([STORE_TOOL, STORE, "apply"], text)
    settle()


def delete(text):
    sh([STORE_TOOL, STORE, "delete"], text)
    settle()


serial = 0


def settle():
    """Waits until felix has taken in everything that was written so far: a rule that is new each time tells."""
    global serial
    serial += 1
    sh([STORE_TOOL, STORE, "apply"], f"""
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {{name: zz}}
spec: {{order: 5000000, defaultAction: Pass}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {{name: zz.serial}}
spec:
  tier: zz
  namespaceSelector: all()
  types: [Egress]
  egress: [{{action: Deny, protocol: TCP, destination: {{ports: [{serial}]}}}}]
""")
    wait_until(f"change {serial} is in the kernel", lambda: f"tcp dport {serial} " in sh(
        f"ip netns exec {NODE} nft list table ip manul_e").stdout)


def endpoint(pod, labels, container=None, ports=""):
    listed = "".join(f"\n    {k}: {v}" for k, v in {**labels, "projectcalico.org/orchestrator": "k8s"}.items())
    return f"""
---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata:
  name: node1-k8s-{pod}-eth0
  namespace: default
  labels:{listed}
spec:
  orchestrator: k8s
  node: node1
  pod: {pod}
  endpoint: eth0
  containerID: {container or pod + "1"}
  interfaceName: cali{pod}
  ipNetworks: [{address(pod, 4)}/32, "{address(pod, 6)}/128"]
  profiles: [kns.default]
{ports}"""


CLIENT = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET,
                  socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(0.7)
try:
    s.connect((host, port))
    s.send(b"x")
    sys.exit(0 if s.recv(10) == b"x" else 1)
except OSError:
    sys.exit(1)
"""


def reaches(source, host, kind, port=0):
    ns = f"{PREFIX}-{source}"
    if kind == "icmp":
        return sh(["ip", "netns", "exec", ns, "ping", "-c1", "-W1", "-q", host], check=False).returncode == 0
    return sh(["ip", "netns", "exec", ns, sys.executable, "-c", CLIENT, kind, host, str(port)],
              check=False).returncode == 0


def policy(name, spec, kind="NetworkPolicy"):
    namespace = ", namespace: default" if kind == "NetworkPolicy" else ""
    return f"---\napiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: {name}{namespace}}}\nspec:{spec}\n"


def marks():
    return sorted(name for name in os.listdir(f"{RUN}/endpoints") if not name.startswith("."))


def counted(owner, rule):
    """Packets that a rule has matched."""
    return sum(c["packets"] for c in ask("counters")["counters"]
               if c.get("owner") == owner and c["rule"] == rule and c["direction"] in ("ingress", "Ingress"))


def connections(host):
    with_file = sh(f"ip netns exec {NODE} cat /proc/net/nf_conntrack", check=False)
    text = with_file.stdout if with_file.returncode == 0 else sh(f"ip netns exec {NODE} conntrack -L").stdout
    return [line for line in text.splitlines() if f"={host} " in line]


def rules():
    return sh(f"ip netns exec {NODE} nft -s list ruleset").stdout
