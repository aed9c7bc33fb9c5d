"""A node of namespaces with pods and a host outside, the real manul-felix and an SQLite store, for tests of what felix tells.

Everything is in namespaces that carry this process's id, and removed at the end, also after a failure.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

from felix_rig import attach_pod, sh

SERVER = """
import select, socket, sys
sockets = []
for port in map(int, sys.argv[1:]):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    s.listen(64)
    sockets.append(s)
print("ready", flush=True)
kept = []
while True:
    for s in select.select(sockets, [], [])[0]:
        kept.append(s.accept()[0])
"""

CLIENT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
except OSError:
    sys.exit(1)
"""


class Node:
    def __init__(self, felix, manulctl, pods, name="node1"):
        self.felix_program, self.manulctl_program, self.name = felix, manulctl, name
        self.work = tempfile.mkdtemp(prefix="mfe")
        self.prefix = f"mfe{os.getpid()}"
        self.ns = f"{self.prefix}-n"
        self.pods = {pod: index + 2 for index, pod in enumerate(pods)}
        self.processes = []
        self.settings = f"{self.work}/manul.yaml"
        self.log = f"{self.work}/felix.log"

    def __enter__(self):
        try:
            self._up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        for pod in self.pods:
            sh(f"ip netns del {self.prefix}-{pod}", check=False)
        for rest in ("x", "n"):
            sh(f"ip netns del {self.prefix}-{rest}", check=False)
        shutil.rmtree(self.work, ignore_errors=True)

    def address(self, pod, family=4):
        return f"10.65.0.{self.pods[pod]}" if family == 4 else f"fd65::{self.pods[pod]}"

    def _up(self):
        with open(self.settings, "w", encoding="utf-8") as settings:
            settings.write(f"node:\n  name: {self.name}\nrun_dir: {self.work}/run\nstate_dir: {self.work}/state\n"
                           f"datastore:\n  path: {self.work}/store.db\n")
        sh(f"ip netns add {self.ns} && ip -n {self.ns} link set lo up")
        sh(f"ip netns exec {self.ns} sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv6.conf.default.accept_dad=0")
        sh(f"ip netns add {self.prefix}-x && ip -n {self.ns} link add up0 type veth peer name eth0 netns {self.prefix}-x"
           f" && ip -n {self.ns} addr add 192.0.9.1/24 dev up0 && ip -n {self.ns} link set up0 up"
           f" && ip -n {self.prefix}-x addr add 192.0.9.2/24 dev eth0 && ip -n {self.prefix}-x link set eth0 up"
           f" && ip -n {self.prefix}-x route add default via 192.0.9.1")
        for pod in self.pods:
            ns = f"{self.prefix}-{pod}"
            sh(f"ip netns add {ns} && ip -n {ns} link set lo up")
            attach_pod(self.ns, ns, f"cali{pod}", f"{pod}1", self.address(pod), self.address(pod, 6))

    def serve_node(self, *ports):
        self.serve("n", *ports)

    def reaches_node(self, port, patience=2):
        """Whether the host outside gets a TCP connection to the node."""
        return sh(["ip", "netns", "exec", f"{self.prefix}-x", sys.executable, "-c", CLIENT, "192.0.9.1", str(port),
                   str(patience)], check=False).returncode == 0

    def serve(self, pod, *ports):
        server = subprocess.Popen(["ip", "netns", "exec", f"{self.prefix}-{pod}", sys.executable, "-c", SERVER,
                                   *map(str, ports)], stdout=subprocess.PIPE, text=True)
        self.processes.append(server)
        assert server.stdout.readline() == "ready\n"

    def start_felix(self, **environment):
        log = open(self.log, "a", encoding="utf-8")
        process = subprocess.Popen(["ip", "netns", "exec", self.ns, self.felix_program, "--config", self.settings],
                                   stderr=log, env={**os.environ, **environment})
        self.processes.append(process)
        wait_until("felix is in sync", lambda: "FELIX_IN_SYNC" in self.felix_log(), self)
        return process

    def stop(self, process):
        process.terminate()
        assert process.wait(20) == 0
        self.processes.remove(process)

    def felix_log(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def ctl(self, *arguments, text=None, check=True):
        return sh(["ip", "netns", "exec", self.ns, self.manulctl_program, "--config", self.settings, *arguments],
                  text, check)

    def apply(self, text):
        return self.ctl("apply", "-f", "-", text=text)

    def endpoint(self, pod, labels="", extra=""):
        """`extra`: further lines of the spec."""
        return f"""---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata:
  name: {self.name}-k8s-{pod}-eth0
  namespace: default
  labels: {{projectcalico.org/orchestrator: k8s, app: {pod}{labels}}}
spec:
  orchestrator: k8s
  node: {self.name}
  pod: {pod}
  endpoint: eth0
  containerID: {pod}1
  interfaceName: cali{pod}
  ipNetworks: [{self.address(pod)}/32, "{self.address(pod, 6)}/128"]
  profiles: [kns.default]
{extra}"""

    def connects(self, source, target, port, family=4, patience=2):
        """Whether a TCP connection comes up."""
        return sh(["ip", "netns", "exec", f"{self.prefix}-{source}", sys.executable, "-c", CLIENT,
                   self.address(target, family), str(port), str(patience)], check=False).returncode == 0


def wait_until(what, condition, node, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited in vain until {what}\n{node.felix_log()}")
        time.sleep(0.02)
