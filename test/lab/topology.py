"""The lab: nodes and a top-of-rack router (Debian's BIRD) in one rack, each in a network namespace of this machine.

    tor  AS 65000   10.99.0.1   fd99::1        bridge `rack`, BIRD, the outside address 198.51.100.1
     |                                          announces a default route to the nodes
     +-- node1  AS 64512   10.99.0.11  fd99::11   manul-bgpd, manul-felix, manul-ipamd; pods behind cali* links
     +-- node2  ...
"""
import json
import os
import pathlib
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from namespaces import LabError, Namespace, process_alive, run, start_time, stop_process, veth, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MANUL_BUILD_DIR", ROOT / "build"))
MANIFESTS = ROOT / "test/lab/manifests"
OUTSIDE4, OUTSIDE6 = "198.51.100.1", "2001:db8:ffff::1"
POOL4, POOL6 = "10.244.0.0/16", "fd00:10:244::/48"


@dataclass
class Pod:
    name: str
    k8s_namespace: str
    node: str
    labels: dict
    namespace: Namespace = None
    address4: str = ""
    address6: str = ""
    result: dict = field(default_factory=dict)
    add_ms: float = 0.0


class Node:
    def __init__(self, lab, index: int):
        self.lab, self.index, self.name = lab, index, f"node{index}"
        self.address4, self.address6 = f"10.99.0.{10 + index}", f"fd99::{10 + index}"
        self.namespace = Namespace(f"{lab.prefix}{self.name}")
        self.run_dir = lab.run_root / self.name
        self.state_dir = lab.state_root / self.name
        self.log_dir = lab.run_root / self.name / "log"
        self.config = self.run_dir / "manul.yaml"
        self.datastore = f"datastore:\n  type: sqlite\n  path: {lab.store}\n"
        self.ctl_in_namespace = False  # where the store is reached over the node's network

    def make(self):
        self.namespace.create()
        veth(self.namespace, "eth0", self.lab.tor, f"to-{self.name}")
        self.lab.tor.ip("link", "set", f"to-{self.name}", "master", "rack")
        self.namespace.ip("address", "add", f"{self.address4}/24", "dev", "eth0")
        self.namespace.ip("address", "add", f"{self.address6}/64", "dev", "eth0", "nodad")
        for directory in (self.run_dir, self.state_dir, self.log_dir):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.config.write_text(
            f"node:\n  name: {self.name}\n{self.datastore}"
            f"run_dir: {self.run_dir}\nstate_dir: {self.state_dir}\nlog_dir: {self.log_dir}\n")

    def start(self):
        process = self.namespace.spawn([BUILD / "ctl/manulctl", "--config", self.config, "node", "run"],
                                       self.log_dir / "node-run.log")
        self.lab.remember(f"{self.name}", process.pid)

    def ctl(self, *arguments, **options):
        runs = self.namespace.exec if self.ctl_in_namespace else run
        return runs(BUILD / "ctl/manulctl", "--config", self.config, *arguments, **options)

    def cni(self, command, pod: Pod, version="1.0.0", timeout=30, extra=None):
        """One plugin call as a container runtime makes it. Returns (exit code, parsed answer or None, milliseconds)."""
        environment = {
            "CNI_COMMAND": command, "CNI_CONTAINERID": f"lab-{pod.name}", "CNI_NETNS": str(pod.namespace.path),
            "CNI_IFNAME": "eth0", "CNI_PATH": str(BUILD / "cni"),
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE={pod.k8s_namespace};K8S_POD_NAME={pod.name}",
        }
        request = {"cniVersion": version, "name": "manul", "type": "manul", "run_dir": str(self.run_dir),
                   "state_dir": str(self.state_dir), "ipam": {"assign_ipv4": "true", "assign_ipv6": "true"},
                   **(extra or {})}
        started = time.monotonic()
        done = self.namespace.exec(BUILD / "cni/manul", env=environment, stdin=json.dumps(request), check=False,
                                   timeout=timeout)
        took = (time.monotonic() - started) * 1000
        answer = json.loads(done.stdout) if done.stdout.strip() else None
        return done.returncode, answer, took


class Lab:
    def __init__(self, suffix: str = "", nodes: int = 3):
        self.suffix = suffix
        self.prefix = f"manul-lab{suffix}-"
        self.run_root = pathlib.Path(f"/run/manul-lab{suffix}")
        self.state_root = pathlib.Path(f"/var/lib/manul-lab{suffix}")
        self.store = self.state_root / "store.db"
        self.tor = Namespace(f"{self.prefix}tor")
        self.nodes = [Node(self, i) for i in range(1, nodes + 1)]
        self.pods: list[Pod] = []
        self.processes: dict[str, list] = {}

    # What a later command must know lives in one file.
    @property
    def state_file(self):
        return self.run_root / "lab.json"

    def remember(self, name, pid):
        self.processes[name] = [pid, start_time(pid)]
        self.save()

    def save(self):
        pods = [{k: getattr(p, k) for k in ("name", "k8s_namespace", "node", "labels", "address4", "address6")} for p in self.pods]
        temporary = self.state_file.with_suffix(".new")
        temporary.write_text(json.dumps({"nodes": len(self.nodes), "processes": self.processes, "pods": pods}))
        temporary.rename(self.state_file)

    @classmethod
    def load(cls, suffix=""):
        lab = cls(suffix)
        if not lab.state_file.exists():
            raise LabError("the lab is not up; start it with ./dev up")
        state = json.loads(lab.state_file.read_text())
        lab = cls(suffix, state["nodes"])
        lab.processes = state["processes"]
        lab.pods = [Pod(namespace=lab.pod_namespace(p["name"]), **p) for p in state["pods"]]
        return lab

    def pod_namespace(self, name):
        return Namespace(f"{self.prefix}pod-{name}")

    def node(self, name) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"no node '{name}' in the lab; there are {', '.join(n.name for n in self.nodes)}")

    def make_directories(self):
        for directory in (self.run_root, self.state_root):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.save()

    def make_rack(self):
        self.tor.create()
        self.tor.ip("link", "add", "rack", "type", "bridge")
        self.tor.ip("link", "set", "rack", "up")
        self.tor.ip("address", "add", "10.99.0.1/24", "dev", "rack")
        self.tor.ip("address", "add", "fd99::1/64", "dev", "rack", "nodad")
        self.tor.ip("address", "add", f"{OUTSIDE4}/32", "dev", "lo")
        self.tor.ip("address", "add", f"{OUTSIDE6}/128", "dev", "lo", "nodad")
        self.tor.exec("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for node in self.nodes:
            node.make()

    def bird_configuration(self) -> str:
        text = ("log stderr all;\nrouter id 10.99.0.1;\nprotocol device { scan time 1; }\n"
                "protocol kernel { ipv4 { export all; }; merge paths on; }\n"
                "protocol kernel { ipv6 { export all; }; merge paths on; }\n"
                "protocol static { ipv4; route 0.0.0.0/0 unreachable; }\n"
                "protocol static { ipv6; route ::/0 unreachable; }\n")
        for node in self.nodes:
            for family, local, remote in ((4, "10.99.0.1", node.address4), (6, "fd99::1", node.address6)):
                text += (f"protocol bgp {node.name}_v{family} {{ local {local} as 65000; neighbor {remote} as 64512;\n"
                         f"  connect retry time 2; error wait time 1,5; connect delay time 1;\n"
                         f"  ipv{family} {{ import all; export where source = RTS_STATIC; next hop self; }}; }}\n")
        return text

    def start_router(self):
        configuration = self.run_root / "bird.conf"
        configuration.write_text(self.bird_configuration())
        process = self.tor.spawn(["bird", "-f", "-c", configuration, "-s", self.run_root / "bird.ctl"],
                                 self.run_root / "bird.log")
        self.remember("bird", process.pid)
        wait_for("BIRD's control socket", (self.run_root / "bird.ctl").exists, 10)

    def birdc(self, *command) -> str:
        return run("birdc", "-r", "-s", self.run_root / "bird.ctl", *command).stdout

    def start_nodes(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            for daemon in ("bgpd", "felix", "ipamd"):
                wait_for(f"manul-{daemon} on {node.name} (log: {node.log_dir})",
                         lambda n=node, d=daemon: (n.run_dir / f"{d}.sock").exists(), 20)

    def bird_sessions(self):
        """{name: established} of the router's sessions."""
        rows = [line.split() for line in self.birdc("show", "protocols").splitlines()]
        return {row[0]: row[-1] == "Established" for row in rows if len(row) > 1 and row[1] == "BGP"}

    def wait_for_sessions(self, timeout=60):
        def up():
            sessions = self.bird_sessions()
            return bool(sessions) and all(sessions.values())
        wait_for("BGP sessions between the router and every node", up, timeout, 0.2)

    def bird_routes(self) -> dict:
        """{prefix: next hop} of the pod routes as the router holds them."""
        routes = {}
        for family in ("ipv4", "ipv6"):
            prefix = None
            for line in run("birdc", "-r", "-s", self.run_root / "bird.ctl", "show", "route", "table",
                            "master4" if family == "ipv4" else "master6").stdout.splitlines():
                words = line.split()
                if len(words) > 1 and "/" in words[0] and words[1] in ("unicast", "unreachable"):
                    prefix = words[0]
                if "via" in words and prefix:
                    routes.setdefault(prefix, words[words.index("via") + 1])
        return routes

    def plan_pods(self):
        """Two pods a node: a client in namespace web and a server in namespace api."""
        self.pods = []
        for node in self.nodes:
            for role, k8s_namespace in (("client", "web"), ("server", "api")):
                name = f"{role}{node.index}"
                self.pods.append(Pod(name, k8s_namespace, node.name, {"app": role}, self.pod_namespace(name)))
        self.save()

    def add_pod(self, pod: Pod) -> Pod:
        if not pod.namespace.exists():
            pod.namespace.create()
        code, answer, pod.add_ms = self.node(pod.node).cni("ADD", pod)
        if code != 0:
            node = self.node(pod.node)
            raise LabError(f"CNI ADD of {pod.name} failed: {answer} (logs: {node.log_dir})")
        pod.result = answer
        for ip in answer["ips"]:
            address = ip["address"].split("/")[0]
            if ":" in address:
                pod.address6 = address
            else:
                pod.address4 = address
        if pod not in self.pods:
            self.pods.append(pod)
        self.save()
        return pod

    def remove_pod(self, pod: Pod):
        code, answer, took = self.node(pod.node).cni("DEL", pod)
        if code != 0:
            raise LabError(f"CNI DEL of {pod.name} failed: {answer}")
        pod.namespace.remove()
        self.pods.remove(pod)
        self.save()
        return took

    def pod(self, name) -> Pod:
        return next(p for p in self.pods if p.name == name)

    def pod_manifest(self) -> str:
        """Namespaces and Pod objects: labels and named ports reach the endpoints through them."""
        documents = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": {"name": n}}}
                     for n in sorted({p.k8s_namespace for p in self.pods})]
        documents += [{"apiVersion": "v1", "kind": "Pod",
                       "metadata": {"name": p.name, "namespace": p.k8s_namespace, "labels": p.labels},
                       "spec": {"nodeName": p.node, "containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}]}}
                      for p in self.pods]
        return "\n---\n".join(json.dumps(d) for d in documents)

    def start_servers(self):
        """One process that listens inside every pod and outside, for as long as the lab is up."""
        names = [p.namespace.name for p in self.pods] + [self.tor.name]
        with open(self.run_root / "servers.log", "ab") as log:
            process = subprocess.Popen(["python3", ROOT / "test/lab/servers.py", *names], stdout=subprocess.PIPE, stderr=log,
                                       stdin=subprocess.DEVNULL, start_new_session=True)
        self.remember("servers", process.pid)
        if process.stdout.readline().strip() != b"ready":
            raise LabError(f"the servers in the pods did not start (log: {self.run_root}/servers.log)")

    def down(self):
        """Removes every trace, also of a lab that half started or whose state file is gone."""
        try:
            self.processes = json.loads(self.state_file.read_text())["processes"]
        except (OSError, ValueError, KeyError):
            self.processes = {}
        for pid, started in self.processes.values():
            stop_process(pid, started)
        namespaces = [Namespace(entry.name) for entry in pathlib.Path("/run/netns").glob(f"{self.prefix}*")] \
            if pathlib.Path("/run/netns").exists() else []
        for namespace in namespaces:
            for pid in run("ip", "netns", "pids", namespace.name, check=False).stdout.split():
                stop_process(int(pid), start_time(int(pid)), patience=2)
        for namespace in namespaces:
            namespace.remove()
        for directory in (self.run_root, self.state_root):
            shutil.rmtree(directory, ignore_errors=True)
        return len(namespaces)

    def running(self) -> bool:
        return self.state_file.exists() and any(process_alive(pid) and start_time(pid) == started for pid, started in
                                                json.loads(self.state_file.read_text())["processes"].values())
