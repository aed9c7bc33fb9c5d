"""Pods on the nodes of a lab as a container runtime makes them, with the daemons that belong to it but without a
supervisor, and the search for what is left afterwards. Used by the tests of the plugin and of ipamd on real parts."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

from namespaces import LabError, Namespace, wait_for
from topology import BUILD, Lab

POOL = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "faults"},
        "spec": {"cidr": "10.245.0.0/22", "blockSize": 28}}


class Daemons:
    """ipamd and felix of one node, without a supervisor that would wait before it starts one again."""

    def __init__(self, node):
        self.node, self.processes, self.boot_id = node, {}, None
        for name in ("felix", "ipamd"):
            self.start(name)
        for name in self.processes:
            wait_for(f"manul-{name} on {node.name} (log: {node.log_dir})", (node.run_dir / f"{name}.sock").exists, 60)

    def start(self, name):
        folder = {"ipamd": "ipam"}.get(name, name)
        command = [BUILD / folder / f"manul-{name}", "--config", self.node.config]
        if self.boot_id:
            command = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"',
                       self.boot_id, *command]
        process = self.node.namespace.spawn(command, self.node.log_dir / name)
        self.processes[name] = process
        self.node.lab.remember(f"{self.node.name}-{name}", process.pid)

    def kill(self, name, number=signal.SIGKILL):
        os.kill(self.processes[name].pid, number)
        self.processes[name].wait()

    def restart(self, name):
        self.kill(name)
        self.start(name)

    def boot_as(self, identity):
        """From their next start on the daemons see this boot id."""
        self.boot_id = self.node.run_dir / f"boot-{identity}"
        self.boot_id.write_text(identity + "\n")


class Pod:
    """A namespace, a container id, and calls of the plugin as a runtime makes them."""

    def __init__(self, test, node, number, name=None, identity=None, ifname="eth0", version="1.1.0", **config):
        self.test, self.node, self.container = test, node, f"c{number}" if identity is None else identity
        self.namespace = Namespace(f"{test.lab.prefix}c{number}")
        self.namespace.create()
        arguments = "IgnoreUnknown=1" + (f";K8S_POD_NAMESPACE=faults;K8S_POD_NAME={name}" if name else "")
        self.environment = {"CNI_CONTAINERID": self.container, "CNI_NETNS": str(self.namespace.path), "CNI_IFNAME": ifname,
                            "CNI_PATH": "/none", "CNI_ARGS": arguments}
        self.request = {"cniVersion": version, "name": "faults", "type": "manul", "run_dir": str(node.run_dir),
                        "state_dir": str(node.state_dir), **config}

    def spawn(self, command, environment=None, request=None) -> subprocess.Popen:
        variables = {k: v for k, v in {**os.environ, **self.environment, "CNI_COMMAND": command, **(environment or {})}.items()
                     if v is not None}
        process = subprocess.Popen(["nsenter", f"--net={self.node.namespace.path}", str(BUILD / "cni/manul")], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables)
        text = json.dumps(self.request if request is None else request) if not isinstance(request, (str, bytes)) else request
        try:
            process.stdin.write(text if isinstance(text, bytes) else text.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdin = None
        return process

    def call(self, command, environment=None, request=None):
        """(exit status, answer or None). `request` is text, or an object to be sent as JSON; a value None in
        `environment` takes that variable away."""
        process = self.spawn(command, environment, request)
        out, _ = process.communicate(timeout=60)
        return process.returncode, json.loads(out) if out.strip() else None

    def add(self):
        code, answer = self.call("ADD")
        assert code == 0, (self.container, answer)
        return answer["ips"][0]["address"]

    def delete(self):
        code, answer = self.call("DEL")
        assert code == 0, (self.container, answer)

    def has_interface(self, name="eth0"):
        return f"{name}@" in self.namespace.ip("-br", "link").stdout

    def gone(self):
        self.namespace.remove()


class CniTest:
    """Test methods begin with test_; they run in order of their definition, on one lab."""
    POOLS = [POOL]

    def __init__(self, lab: Lab):
        self.lab = lab
        self.random = random.Random(1)
        self.count = 0
        self.pods = []

    def set_up(self):
        self.lab.make_directories()
        self.lab.make_rack()
        self.start_daemons()

    def clean_up(self):
        """Nothing of a test that failed may stand in the way of the next one."""
        for pod in self.pods:
            if pod.namespace.exists():
                pod.call("DEL")
                pod.gone()

    def tear_down(self):
        self.lab.down()

    def start_daemons(self):
        self.daemons = [Daemons(node) for node in self.lab.nodes]
        self.ctl("apply", "-f", "-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": self.POOLS}))

    def ctl(self, *arguments, **options):
        return self.lab.nodes[0].ctl(*arguments, **options)

    def pod(self, node=0, name=None, **more):
        self.count += 1
        self.pods.append(Pod(self, self.lab.nodes[node], self.count, name, **more))
        return self.pods[-1]

    def objects(self, kind):
        return json.loads(self.ctl("get", kind, "-A", "-o", "json").stdout)["items"]

    def addresses_in_use(self):
        """By the blocks, which alone decide."""
        return sum(sum(a is not None for a in block["spec"]["allocations"]) for block in self.objects("ipamblocks"))

    def journal(self, node=0):
        directory = self.lab.nodes[node].state_dir / "cni-journal"
        return [f.name for f in (directory.iterdir() if directory.exists() else []) if f.name.endswith(".json")]

    def left(self):
        """What is there and should not be."""
        found = [f"endpoint {e['metadata']['name']}" for e in self.objects("wep")]
        if in_use := self.addresses_in_use():
            found.append(f"{in_use} addresses")
        found += [f"handle {h['metadata']['name']}" for h in self.objects("ipamhandles")]
        for i, node in enumerate(self.lab.nodes):
            links = node.namespace.ip("-br", "link").stdout.split()
            found += [f"link {l} on {node.name}" for l in links if l.startswith(("cali", "mxl"))]
            found += [f"{d}/{f.name} on {node.name}" for d in ("endpoints",) for f in (node.run_dir / d).iterdir()]
            found += [f"journal {name}" for name in self.journal(i)]
        return found

    def expect_nothing_left(self, patience=30):
        try:
            wait_for("nothing left", lambda: not self.left(), patience, 0.2)
        except LabError:
            raise AssertionError(f"left: {self.left()[:20]}") from None

    def expect_sound(self, patience=0):
        deadline = time.monotonic() + patience
        while "found 0 problems" not in (text := self.ctl("ipam", "check").stdout):
            assert time.monotonic() < deadline, text
            time.sleep(1)

    def run(self, names=()) -> int:
        """Closes with `N passed, N failed`."""
        passed, failed = 0, 0
        try:
            self.set_up()
            for name in [n for n in vars(type(self)) if n.startswith("test_")]:
                if names and name not in names:
                    continue
                started = time.monotonic()
                try:
                    getattr(self, name)()
                except Exception:
                    traceback.print_exc()
                    print(f"FAIL {name}", flush=True)
                    failed += 1
                    self.clean_up()
                else:
                    print(f"ok   {name} ({time.monotonic() - started:.1f} s)", flush=True)
                    passed += 1
        finally:
            if not (failed and os.environ.get("MANUL_KEEP")):
                self.tear_down()
        print(f"{passed} passed, {failed} failed")
        return 1 if failed else 0
