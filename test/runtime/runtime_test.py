#!/usr/bin/env python3
"""Real container runtimes drive the plugin: pods that reach each other, across nodes too, and leave nothing behind.

podman, containerd through the Container Runtime Interface, `ctr`, and the library that all of them call. Everything is
private to this process: namespaces, directories, sockets. Closes with `N passed, N failed`.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))
sys.path.insert(0, str(HERE))

from cri import Cri
from image import make_image, make_rootfs
from namespaces import LabError, Namespace, run, start_time, stop_process, wait_for
from topology import BUILD, MANIFESTS, Lab

IMAGE = "localhost/manul-test:1"


class NodeFiles:
    """What `install-cni` makes for the runtimes of one node, in directories of this test."""

    def __init__(self, node, root: pathlib.Path):
        self.node = node
        self.bin_dir, self.conf_dir = root / f"bin-{node.name}", root / f"net.d-{node.name}"
        node.ctl("node", "install-cni", "--bin-dir", self.bin_dir, "--conf-dir", self.conf_dir, "--network", "pods",
                 "--plugin", BUILD / "cni/manul")


class RuntimeTest:
    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="manul-runtime-"))
        self.lab = Lab(suffix=f"r{os.getpid()}", nodes=2)
        self.started = []

    # ---- what the tests share

    def set_up(self):
        lab = self.lab
        lab.make_directories()
        lab.make_rack()
        lab.start_router()
        lab.start_nodes()
        lab.nodes[0].ctl("apply", "-f", MANIFESTS / "rack.yaml")
        lab.wait_for_sessions()
        self.files = [NodeFiles(node, self.root) for node in lab.nodes]
        # Runtimes insist on a plugin of this name for `lo`; the reference one needs no more than any other.
        for files in self.files:
            (files.bin_dir / "loopback").symlink_to("/usr/lib/cni/loopback")
        self.rootfs = make_rootfs(self.root / "rootfs")
        # Bare containers and Kubernetes pods are let in by different profiles.
        self.far = self.far_pod("far", "IgnoreUnknown=1")
        self.far_in_prod = self.far_pod("farprod", "IgnoreUnknown=1;K8S_POD_NAMESPACE=prod;K8S_POD_NAME=far")

    def far_pod(self, name, arguments):
        """A pod on the other node, for packets across nodes."""
        pod = Namespace(f"{self.lab.prefix}{name}")
        pod.create()
        node = self.lab.nodes[1]
        config = json.loads((self.files[1].conf_dir / "10-manul.conflist").read_text())
        request = {"cniVersion": "1.0.0", "name": "pods", **config["plugins"][0]}
        done = node.namespace.exec(BUILD / "cni/manul", stdin=json.dumps(request), env={
            "CNI_COMMAND": "ADD", "CNI_CONTAINERID": name, "CNI_ARGS": arguments, "CNI_NETNS": str(pod.path), "CNI_IFNAME": "eth0", "CNI_PATH": "/none"})
        return json.loads(done.stdout)["ips"][0]["address"].split("/")[0]

    def tear_down(self):
        for pid, started in reversed(self.started):
            stop_process(pid, started)
        for line in reversed(pathlib.Path("/proc/mounts").read_text().splitlines()):
            target = line.split()[1]
            if target.startswith(str(self.root)):
                run("umount", "-l", target, check=False)
        self.lab.down()
        shutil.rmtree(self.root, ignore_errors=True)

    def endpoints(self):
        items = json.loads(self.lab.nodes[0].ctl("get", "wep", "-A", "-o", "json").stdout)["items"]
        return [i for i in items if i["spec"]["node"] == "node1"]

    def expect_nothing_left(self):
        node = self.lab.nodes[0]

        def problems():
            left = [f"endpoint {e['metadata']['name']}" for e in self.endpoints()]
            left += [f"link {l}" for l in node.namespace.ip("-br", "link").stdout.split() if l.startswith(("cali", "mxl"))]
            left += [f"file {f.name}" for d in ("endpoints", "wait") for f in (node.run_dir / d).iterdir()]
            return left

        try:
            wait_for("nothing left of the pods", lambda: not problems(), 20)
        except LabError as error:
            raise AssertionError(f"{error}: {problems()}") from None

    def ping(self, run_in_pod, address):
        last = ""
        for _ in range(20):  # the first packets may be earlier than a route between nodes
            code, last = run_in_pod("/bin/ping", "-c", "1", "-W", "1", address)
            if code == 0:
                return
            time.sleep(0.2)
        raise AssertionError(f"no answer from {address}: {last}")

    # ---- the runtimes

    def libcni(self):
        """Builds the library's own client, once."""
        tool = self.root / "libcni_tool"
        if tool.exists():
            return tool
        run("/usr/lib/go-1.19/bin/go", "build", "-o", tool, HERE / "libcni_tool.go", timeout=300, env={
            "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOROOT": "/usr/lib/go-1.19", "GOFLAGS": "", "GOTOOLCHAIN": "local",
            "GOCACHE": str(self.root / "go-cache")})
        return tool

    def test_libcni(self):
        tool = self.libcni()
        files, node = self.files[0], self.lab.nodes[0]
        pods = [Namespace(f"{self.lab.prefix}libcni{i}") for i in range(2)]

        def cni(operation, pod, netns=None, check=True):
            return node.namespace.exec(tool, operation, "pods", pod.path if netns is None else netns, pod.name, check=check, env={
                "NETCONFPATH": str(files.conf_dir), "CNI_PATH": str(files.bin_dir), "CNI_CACHE": str(self.root / "cni-cache")})

        def in_pod(pod):
            def call(*command):
                done = pod.exec(*command, check=False)
                return done.returncode, done.stdout + done.stderr
            return call

        addresses = []
        for pod in pods:
            pod.create()
            addresses.append(json.loads(cni("add", pod).stdout)["ips"][0]["address"].split("/")[0])
        self.ping(in_pod(pods[0]), addresses[1])
        self.ping(in_pod(pods[0]), self.far)
        cni("check", pods[0])
        again = cni("add", pods[0], check=False)
        assert again.returncode != 0 and "exists already" in again.stderr, again.stderr
        pods[0].ip("address", "flush", "dev", "eth0")
        damaged = cni("check", pods[0], check=False)
        assert damaged.returncode != 0 and "lost its address" in damaged.stderr, damaged.stderr
        cni("del", pods[0])
        cni("del", pods[0])
        pods[1].remove()
        cni("del", pods[1])
        cni("del", pods[1], netns="")
        pods[0].remove()
        self.expect_nothing_left()

    def test_policy_behind_another_plugin(self):
        """ptp makes links and addresses; only policy is ours."""
        tool, files, node = self.libcni(), self.files[0], self.lab.nodes[0]
        for name in ("ptp", "host-local"):
            (files.bin_dir / name).symlink_to(f"/usr/lib/cni/{name}")
        conf_dir = self.root / "net.d-chained"
        conf_dir.mkdir()
        ours = json.loads((files.conf_dir / "10-manul.conflist").read_text())["plugins"][0]
        ptp = {"type": "ptp", "ipam": {"type": "host-local", "dataDir": str(self.root / "host-local"), "ranges": [[{"subnet": "10.88.0.0/24"}]],
                                       "routes": [{"dst": "0.0.0.0/0"}]}}
        (conf_dir / "chained.conflist").write_text(json.dumps({"cniVersion": "1.0.0", "name": "chained", "plugins": [ptp, ours]}))
        pods = [Namespace(f"{self.lab.prefix}chained{i}") for i in range(2)]

        def cni(operation, pod):
            return node.namespace.exec(tool, operation, "chained", pod.path, pod.name, env={
                "NETCONFPATH": str(conf_dir), "CNI_PATH": str(files.bin_dir), "CNI_CACHE": str(self.root / "cni-cache"),
                "CAP_ARGS": json.dumps({})})

        def in_pod(*command):
            done = pods[0].exec(*command, check=False)
            return done.returncode, done.stdout + done.stderr

        addresses = []
        for pod in pods:
            pod.create()
            result = json.loads(cni("add", pod).stdout)
            addresses.append(result["ips"][0]["address"].split("/")[0])
        assert all(a.startswith("10.88.0.") for a in addresses), addresses
        assert {e["spec"]["interfaceName"][:4] for e in self.endpoints()} == {"veth"}, self.endpoints()
        self.ping(in_pod, addresses[1])
        cni("check", pods[0])
        deny = json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy", "metadata": {"name": "deny-chained"},
                           "spec": {"selector": "projectcalico.org/orchestrator == 'cni'", "types": ["Ingress"]}})
        node.ctl("apply", "-f", "-", stdin=deny)
        wait_for("the policy to deny", lambda: in_pod("/bin/ping", "-c", "1", "-W", "1", addresses[1])[0] != 0, 15)
        node.ctl("delete", "globalnetworkpolicy", "deny-chained")
        self.ping(in_pod, addresses[1])
        for pod in pods:
            cni("del", pod)
            pod.remove()
        left = node.namespace.ip("-br", "link").stdout
        assert "veth" not in left, left
        self.expect_nothing_left()

    def test_podman(self):
        files, node = self.files[0], self.lab.nodes[0]
        top = self.root / "podman"
        top.mkdir()
        (top / "containers.conf").write_text(
            f'[network]\nnetwork_backend = "cni"\ncni_plugin_dirs = ["{files.bin_dir}"]\nnetwork_config_dir = "{files.conf_dir}"\n'
            'default_network = "pods"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
            '[containers]\nlog_driver = "k8s-file"\ndefault_ulimits = ["nofile=1024:20000", "nproc=32768:32768"]\n')
        (top / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{top}/root"\nrunroot = "{top}/runroot"\n')

        def podman(*arguments, check=True):
            return node.namespace.exec("podman", "--root", top / "root", "--runroot", top / "runroot", "--tmpdir", top / "tmp", *arguments,
                                       check=check, timeout=120,
                                       env={"CONTAINERS_CONF": str(top / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(top / "storage.conf")})

        def in_pod(name):
            def call(*command):
                done = podman("exec", name, *command, check=False)
                return done.returncode, done.stdout + done.stderr
            return call

        name = [f"mp{os.getpid()}{i}" for i in range(2)]
        for one, more in zip(name, ([], ["--mac-address", "02:00:00:00:00:77"])):
            podman("run", "-d", "--name", one, "--network", "pods", *more, "--rootfs", f"{self.rootfs}:O", "sleep", "1000")
        found = [json.loads(podman("inspect", one).stdout)[0]["NetworkSettings"]["Networks"]["pods"] for one in name]
        assert found[1]["MacAddress"] == "02:00:00:00:00:77", found[1]
        self.ping(in_pod(name[0]), found[1]["IPAddress"])
        self.ping(in_pod(name[0]), self.far)
        podman("restart", "-t", "0", name[0])  # the same container id again
        self.ping(in_pod(name[0]), found[1]["IPAddress"])
        for one in name:
            podman("rm", "-f", "-t", "0", one)
        self.expect_nothing_left()

    def start_containerd(self, files):
        top = self.root / "containerd"
        top.mkdir()
        (top / "config.toml").write_text(f'''version = 2
root = "{top}/root"
state = "{top}/state"
[grpc]
  address = "{top}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{files.bin_dir}"
    conf_dir = "{files.conf_dir}"
    max_conf_num = 1
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
''')
        process = self.lab.nodes[0].namespace.spawn(["containerd", "-c", top / "config.toml"], top / "log")
        self.started.append((process.pid, start_time(process.pid)))
        self.socket = top / "containerd.sock"
        wait_for(f"containerd (log: {top}/log)", self.socket.exists, 30)
        archive = make_image(self.rootfs, IMAGE, top / "image.tar")

        def imported():
            return self.ctr("-n", "k8s.io", "images", "import", "--snapshotter", "native", archive)

        wait_for("the image in containerd", imported, 60, 0.5)

    def ctr(self, *arguments, check=True, prefix=()):
        return self.lab.nodes[0].namespace.exec(*prefix, "ctr", "-a", self.socket, *arguments, check=check, timeout=120)

    def test_containerd_cri(self):
        self.start_containerd(self.files[0])
        cri = Cri(self.socket, self.root)
        wait_for("containerd to find the network", cri.network_ready, 20)
        first = cri.run_pod("web", namespace="prod", annotations={"kubernetes.io/ingress-bandwidth": "10M"}, ports=[(18081, 80)])
        second = cri.run_pod("db", namespace="prod")
        endpoint = next(e for e in self.endpoints() if e["spec"].get("pod") == "web")
        assert endpoint["metadata"]["namespace"] == "prod" and endpoint["spec"]["containerID"] == first, endpoint
        assert endpoint["spec"]["ports"][0]["hostPort"] == 18081, endpoint["spec"]
        assert endpoint["spec"]["qosControls"]["ingressBandwidth"] == 10_000_000, endpoint["spec"]
        container = cri.run_container(first, "main", IMAGE, "/bin/sleep", "1000")

        def in_pod(*command):
            return cri.exec(container, *command)

        self.ping(in_pod, cri.pod_ip(second))
        self.ping(in_pod, self.far_in_prod)
        # The pod again, while its old sandbox is still there: the kubelet lost it, and removes it later.
        newer = cri.run_pod("db", namespace="prod", attempt=1)
        self.ping(in_pod, cri.pod_ip(newer))
        cri.remove_pod(second)
        time.sleep(0.3)
        self.ping(in_pod, cri.pod_ip(newer))
        # The sandbox's namespace is lost: DEL comes without it.
        netns = next(p for p in pathlib.Path("/var/run/netns").glob("cni-*") if self.is_netns_of(p, cri.pod_ip(newer)))
        run("umount", "-l", netns)
        netns.unlink()
        for sandbox in (first, newer):
            cri.remove_pod(sandbox)
        cri.close()
        self.expect_nothing_left()

    def is_netns_of(self, path, address):
        return address in run("nsenter", f"--net={path}", "ip", "-4", "address", check=False).stdout

    def test_ctr(self):
        files = self.files[0]
        for directory in ("/opt/cni/bin", "/etc/cni/net.d"):
            pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
        # It reads only the well-known directories: they are this test's in a mount namespace of its own.
        prefix = ["unshare", "-m", "sh", "-c",
                  f'mount --bind {files.bin_dir} /opt/cni/bin && mount --bind {files.conf_dir} /etc/cni/net.d && exec "$@"', "x"]
        name = f"mc{os.getpid()}"
        for i in range(2):
            self.ctr("run", "-d", "--cni", "--rootfs", self.rootfs, f"{name}-{i}", "/bin/sleep", "1000", prefix=prefix)

        def in_pod(*command):
            done = self.ctr("task", "exec", "--exec-id", f"x{time.monotonic_ns()}", f"{name}-0", *command, check=False)
            return done.returncode, done.stdout + done.stderr

        other = next(e for e in self.endpoints() if e["spec"]["containerID"].endswith(f"{name}-1"))
        self.ping(in_pod, other["spec"]["ipNetworks"][0].split("/")[0])
        self.ping(in_pod, self.far)
        # It never calls DEL for detached containers; the attachment ends with its namespace, after a minute. A runtime's
        # garbage collection need not wait.
        for i in range(2):
            self.ctr("task", "rm", "-f", f"{name}-{i}")
            self.ctr("container", "rm", f"{name}-{i}")
        node = self.lab.nodes[0]
        request = {"cniVersion": "1.1.0", "name": "pods", "type": "manul", "run_dir": str(node.run_dir), "state_dir": str(node.state_dir),
                   "cni.dev/valid-attachments": []}
        node.namespace.exec(BUILD / "cni/manul", stdin=json.dumps(request), env={"CNI_COMMAND": "GC", "CNI_PATH": "/none"})
        self.expect_nothing_left()


def main():
    test = RuntimeTest()
    passed, failed = 0, 0
    wanted = sys.argv[1:]
    try:
        test.set_up()
        for name in [n for n in vars(RuntimeTest) if n.startswith("test_")]:
            if wanted and name not in wanted:
                continue
            started = time.monotonic()
            try:
                getattr(test, name)()
            except Exception:
                traceback.print_exc()
                print(f"FAIL {name}")
                failed += 1
            else:
                print(f"ok   {name} ({time.monotonic() - started:.1f} s)")
                passed += 1
    finally:
        if failed and os.environ.get("MANUL_KEEP"):
            print(f"kept: {test.root}")
        else:
            test.tear_down()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
