"""A node with manul-bgpd and routers with BIRD, each in a network namespace of its own, on one machine."""
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BGPD = MANULCTL = None  # paths of the programs under test, set by the runner
PATIENCE = 30.0  # seconds; sessions come up in well under one


class RigError(AssertionError):
    pass


def run(*command, check=True, stdin=None, env=None, timeout=30):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, input=stdin, timeout=timeout,
                          env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise RigError(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def eventually(what, condition, patience=PATIENCE):
    """Waits until `condition()` gives something true, and returns it."""
    end = time.monotonic() + patience
    while True:
        try:
            value = condition()
        except (KeyError, TypeError):
            value = None  # a part of the answer is not there yet
        if value:
            return value
        if time.monotonic() > end:
            raise RigError(f"not within {patience:.0f} s: {what} (last: {value!r})")
        time.sleep(0.05)


class Namespace:
    def __init__(self, name):
        self.name = f"mbt{os.getpid()}-{name}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments, **options):
        return run("ip", "-n", self.name, *arguments, **options)

    def routes(self, *selector, family="-4"):
        """Main table as {prefix: route object of `ip -j`}, one entry a prefix and metric."""
        text = run("ip", "-j", family, "-n", self.name, "route", "show", *selector)
        return {(r["dst"], r.get("metric", 0)): r for r in json.loads(text or "[]")}

    def spawn(self, *command, log, env=None):
        with open(log, "ab") as out:
            return subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, command)], stdout=out, stderr=out,
                                    stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})

    def remove(self):
        run("ip", "netns", "del", self.name, check=False)


def stop(process, signal="terminate"):
    if process is not None and process.poll() is None:
        getattr(process, signal)()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Router:
    """BIRD. `protocols` is configuration text behind the common part."""

    def __init__(self, rig, name, router_id, protocols):
        self.namespace = Namespace(name)
        self.directory = rig.directory / name
        self.directory.mkdir()
        self.control = self.directory / "bird.ctl"
        self.config = self.directory / "bird.conf"
        self.router_id = router_id
        self.protocols = protocols
        self.process = None

    def write(self, protocols=None):
        self.protocols = protocols if protocols is not None else self.protocols
        self.config.write_text(f"""
log "{self.directory}/bird.log" all;
debug protocols {{ states, events }};
router id {self.router_id};
protocol device {{ scan time 1; }}
protocol direct {{ ipv4 {{ import none; }}; ipv6 {{ import none; }}; }}
protocol kernel {{ graceful restart on; ipv4 {{ export all; }}; }}
protocol kernel {{ graceful restart on; ipv6 {{ export all; }}; }}
{self.protocols}
""")

    def start(self):
        self.write()
        self.process = self.namespace.spawn("bird", "-f", "-c", self.config, "-s", self.control,
                                            log=self.directory / "bird.out")
        eventually("BIRD answers", lambda: self.ask("show status", check=False))

    def reconfigure(self, protocols):
        self.write(protocols)
        self.ask("configure")

    def ask(self, command, check=True):
        return run("birdc", "-s", self.control, *command.split(), check=check)

    def route(self, prefix):
        """What BIRD knows about a prefix, with attributes; empty when nothing."""
        text = self.ask(f"show route {prefix} all", check=False)
        return text if prefix in text else ""

    def up(self, protocol):
        return "Established" in self.ask(f"show protocols {protocol}", check=False)

    def log(self):
        path = self.directory / "bird.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self):
        stop(self.process)
        self.namespace.remove()


class Node:
    """A node with manul-bgpd and the store."""

    def __init__(self, rig, name):
        self.name = name
        self.namespace = Namespace(name)
        self.directory = rig.directory / name
        self.directory.mkdir()
        self.process = None
        self.prefix = []  # a command that the daemon is run by
        self.settings = self.directory / "manul.yaml"
        self.settings.write_text(f"""
node:
  name: {name}
datastore:
  type: sqlite
  path: {rig.directory}/store.db
run_dir: {self.directory}/run
state_dir: {self.directory}/state
log:
  level: debug
""")
        self.env = {"MANUL_CONFIG": str(self.settings)}

    def start(self, *arguments):
        self.process = self.namespace.spawn(*self.prefix, BGPD, *arguments, log=self.directory / "bgpd.log",
                                            env=self.env)
        eventually("bgpd answers", lambda: self.ask("status", check=False))

    def stop(self, signal="terminate"):
        stop(self.process, signal)
        self.process = None

    def apply(self, *documents):
        text = "\n---\n".join(json.dumps(document) for document in documents)
        path = self.directory / "apply.yaml"
        path.write_text(text)
        run("ip", "netns", "exec", self.namespace.name, MANULCTL, "apply", "-f", path, env=self.env)

    def delete(self, kind, name):
        run("ip", "netns", "exec", self.namespace.name, MANULCTL, "delete", kind, name, env=self.env)

    def ask(self, op, check=True, **arguments):
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(10)
                control.connect(f"{self.directory}/run/bgpd.sock")
                data = json.dumps({"op": op, **arguments}).encode()
                control.sendall(struct.pack(">I", len(data)) + data)
                raw = b""
                while len(raw) < 4 or len(raw) < 4 + struct.unpack(">I", raw[:4])[0]:
                    part = control.recv(65536)
                    if not part:
                        raise OSError("closed")
                    raw += part
                return json.loads(raw[4:])
        except OSError:
            if check:
                raise
            return None

    def session(self, address):
        return next((p for p in self.ask("peers")["peers"] if p["address"] == address), None)

    def is_up(self, address):
        session = self.session(address)
        return session is not None and session["state"] == "Established"

    def learned(self, family="-4"):
        """Prefixes of bgpd's routes that lead somewhere."""
        found = self.namespace.routes("proto", "176", family=family)
        return {dst for (dst, metric), route in found.items() if metric == 1024 and route.get("type") != "blackhole"}

    def log(self):
        path = self.directory / "bgpd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self):
        self.stop()
        self.namespace.remove()


class Rig:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="manul-bgpd-"))
        self.parts = []

    def node(self, name):
        self.parts.append(Node(self, name))
        return self.parts[-1]

    def router(self, name, router_id, protocols):
        self.parts.append(Router(self, name, router_id, protocols))
        return self.parts[-1]

    def link(self, a, a_name, a_addresses, b, b_name, b_addresses):
        run("ip", "link", "add", a_name, "netns", a.namespace.name, "type", "veth", "peer", "name", b_name, "netns",
            b.namespace.name)
        for part, name, addresses in ((a, a_name, a_addresses), (b, b_name, b_addresses)):
            if any(address.startswith("fe80:") for address in addresses):  # else the kernel's own may be the source
                part.namespace.ip("link", "set", name, "addrgenmode", "none")
            for address in addresses:
                extra = ["nodad"] if ":" in address else []
                part.namespace.ip("addr", "add", address, "dev", name, *extra)
            part.namespace.ip("link", "set", name, "up")

    def close(self, keep=False):
        for part in reversed(self.parts):
            part.close()
        if keep:
            print(f"kept for inspection: {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)


# ---- resources

def resource(kind, name, **spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}, "spec": spec}


def affinity(node, cidr):
    name = cidr.replace(".", "-").replace(":", "-").replace("/", "-")
    return resource("BlockAffinity", f"{node}-{name}", state="confirmed", node=node, cidr=cidr)

def main(*needed: str) -> int:
    """Runs the tests of the calling script (SCRIPT BGPD MANULCTL [ARGUMENT OF UNITTEST...]).

    77, which means skipped, where root or a program is missing.
    """
    global BGPD, MANULCTL
    missing = [program for program in needed if not shutil.which(program)]
    if os.geteuid() != 0 or missing:
        print("needs root" + "".join(f" and {program}" for program in needed))
        return 77
    BGPD, MANULCTL = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # runs the clean-up
    program = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False, verbosity=2)
    return 0 if program.result.wasSuccessful() else 1
