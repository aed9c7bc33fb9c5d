#!/usr/bin/env python3
"""Faults on the way of a pod: killed plugins and daemons, races, lost calls. Afterwards nothing may be left, and no
address may ever have been given twice.

    cni_faults.py [--kills N] [--daemon-kills N]     numbers of the two killing tests (120 and 15)

Closes with `N passed, N failed`. Runs beside a second copy of itself.
"""
import argparse
import concurrent.futures
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

from namespaces import LabError, Namespace, start_time, stop_process, wait_for
from topology import BUILD, Lab

POOL = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "faults"},
        "spec": {"cidr": "10.245.0.0/22", "blockSize": 28}}


class Daemons:
    """ipamd and felix of one node, without a supervisor that would wait before it starts one again."""

    def __init__(self, node):
        self.node, self.pids = node, {}
        for name in ("felix", "ipamd"):
            self.start(name)
        for name in self.pids:
            wait_for(f"manul-{name} on {node.name} (log: {node.log_dir})", (node.run_dir / f"{name}.sock").exists, 60)

    def start(self, name):
        folder = {"ipamd": "ipam"}.get(name, name)
        process = self.node.namespace.spawn([BUILD / folder / f"manul-{name}", "--config", self.node.config], self.node.log_dir / name)
        self.pids[name] = process
        self.node.lab.remember(f"{self.node.name}-{name}", process.pid)

    def kill(self, name, number=signal.SIGKILL):
        os.kill(self.pids[name].pid, number)
        self.pids[name].wait()

    def restart(self, name):
        self.kill(name)
        self.start(name)


class Pod:
    """A namespace, a container id, and calls of the plugin as a runtime makes them."""

    def __init__(self, test, node, number, name=None, timeout=10, identity=None):
        self.test, self.node, self.container = test, node, f"c{number}" if identity is None else identity
        self.namespace = Namespace(f"{test.lab.prefix}c{number}")
        self.namespace.create()
        arguments = "IgnoreUnknown=1" + (f";K8S_POD_NAMESPACE=faults;K8S_POD_NAME={name}" if name else "")
        self.environment = {**os.environ, "CNI_CONTAINERID": self.container, "CNI_NETNS": str(self.namespace.path), "CNI_IFNAME": "eth0",
                            "CNI_PATH": "/none", "CNI_ARGS": arguments}
        self.request = json.dumps({"cniVersion": "1.1.0", "name": "faults", "type": "manul", "run_dir": str(node.run_dir),
                                   "state_dir": str(node.state_dir), "policy_setup_timeout_seconds": timeout})

    def spawn(self, command) -> subprocess.Popen:
        process = subprocess.Popen(["nsenter", f"--net={self.node.namespace.path}", str(BUILD / "cni/manul")], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**self.environment, "CNI_COMMAND": command})
        try:
            process.stdin.write(self.request)
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdin = None
        return process

    def call(self, command):
        """(exit status, answer or None)"""
        process = self.spawn(command)
        out, _ = process.communicate(timeout=60)
        return process.returncode, json.loads(out) if out.strip() else None

    def add(self):
        code, answer = self.call("ADD")
        assert code == 0, (self.container, answer)
        return answer["ips"][0]["address"]

    def delete(self):
        code, answer = self.call("DEL")
        assert code == 0, (self.container, answer)

    def gone(self):
        self.namespace.remove()


class FaultTest:
    def __init__(self, options):
        self.options = options
        self.lab = Lab(suffix=f"f{os.getpid()}", nodes=3)
        self.random = random.Random(1)
        self.count = 0

    def set_up(self):
        self.lab.make_directories()
        self.lab.make_rack()
        self.daemons = [Daemons(node) for node in self.lab.nodes]
        self.ctl("apply", "-f", "-", stdin=json.dumps(POOL))

    def ctl(self, *arguments, **options):
        return self.lab.nodes[0].ctl(*arguments, **options)

    def pod(self, node=0, name=None, **more):
        self.count += 1
        return Pod(self, self.lab.nodes[node], self.count, name, **more)

    def objects(self, kind):
        return json.loads(self.ctl("get", kind, "-A", "-o", "json").stdout)["items"]

    def addresses_in_use(self):
        """By the blocks, which alone decide."""
        return sum(sum(a is not None for a in block["spec"]["allocations"]) for block in self.objects("ipamblocks"))

    def left(self):
        """What is there and should not be."""
        found = [f"endpoint {e['metadata']['name']}" for e in self.objects("wep")]
        if in_use := self.addresses_in_use():
            found.append(f"{in_use} addresses")
        found += [f"handle {h['metadata']['name']}" for h in self.objects("ipamhandles")]
        for node in self.lab.nodes:
            links = node.namespace.ip("-br", "link").stdout.split()
            found += [f"link {l} on {node.name}" for l in links if l.startswith(("cali", "mxl"))]
            found += [f"{d}/{f.name} on {node.name}" for d in ("endpoints",) for f in (node.run_dir / d).iterdir()]
            journal = node.state_dir / "cni-journal"
            found += [f"journal {f.name}" for f in (journal.iterdir() if journal.exists() else []) if f.name.endswith(".json")]
        return found

    def expect_nothing_left(self, patience=30):
        try:
            wait_for("nothing left", lambda: not self.left(), patience, 0.2)
        except LabError:
            raise AssertionError(f"left: {self.left()[:20]}") from None

    # ---- what a runtime does at once

    def test_concurrent_add_and_del_of_one_container(self):
        for _ in range(15):
            pod = self.pod()
            calls = [pod.spawn(c) for c in self.random.sample(["ADD", "DEL", "ADD", "DEL"], 4)]
            for call in calls:
                call.communicate(timeout=60)
            pod.delete()
            pod.gone()
        self.expect_nothing_left()

    def test_an_add_repeated_at_once_succeeds_once(self):
        for _ in range(10):
            pod = self.pod()
            codes = []
            for call in [pod.spawn("ADD") for _ in range(4)]:
                call.communicate(timeout=60)
                codes.append(call.returncode)
            assert codes.count(0) <= 1, codes
            pod.delete()
            pod.gone()
        self.expect_nothing_left()

    def test_a_pods_new_sandbox_whose_old_del_comes_late_or_never(self):
        older = [self.pod(name=f"web-{i}") for i in range(8)]
        before = [pod.add() for pod in older]
        newer = [self.pod(name=f"web-{i}") for i in range(8)]
        after = [pod.add() for pod in newer]
        assert not set(before) & set(after), (before, after)
        for i, pod in enumerate(older):
            if i % 2 == 0:
                pod.delete()
            pod.gone()
        assert {e["spec"]["containerID"] for e in self.objects("wep")} == {pod.container for pod in newer}
        wait_for("the old sandboxes' addresses to be free", lambda: self.addresses_in_use() == 8, 20)
        for pod, address in zip(newer, after):
            shown = pod.namespace.ip("-4", "address", "show", "dev", "eth0").stdout
            assert address.split("/")[0] in shown, shown
            pod.delete()
            pod.gone()
        self.expect_nothing_left()

    def test_one_pod_name_on_two_nodes_is_two_pods(self):
        pods = [self.pod(node=i, name="same") for i in range(2)]
        assert len({pod.add() for pod in pods}) == 2
        assert len(self.objects("wep")) == 2
        pods[0].delete()
        wait_for("the first one's endpoint to go", lambda: len(self.objects("wep")) == 1, 20)
        pods[1].delete()
        for pod in pods:
            pod.gone()
        self.expect_nothing_left()

    def test_sixteen_at_once_on_three_nodes_get_different_addresses(self):
        pods = [self.pod(node=i % 3) for i in range(48)]
        with concurrent.futures.ThreadPoolExecutor(16) as workers:
            addresses = list(workers.map(lambda pod: pod.add(), pods))
            assert len(set(addresses)) == len(pods)
            assert self.addresses_in_use() == len(pods)
            list(workers.map(lambda pod: pod.delete(), pods))
        for pod in pods:
            pod.gone()
        self.expect_nothing_left()

    def test_every_container_id_that_is_allowed_works_and_no_other(self):
        for identity in ("A", "a.", "a-", "0_._-", "Z" * 64, "q" * 200, "default-Container_1.x"):
            pod = self.pod(identity=identity)
            pod.add()
            pod.delete()
            pod.gone()
        for identity in ("", "../a", "a b", "-a", "a/b", "\u00e4"):
            pod = self.pod(identity=identity)
            for command in ("ADD", "DEL"):
                code, answer = pod.call(command)
                assert code == 1 and answer["code"] == 4 and "CNI_CONTAINERID" in answer["msg"], (identity, answer)
            pod.gone()
        self.expect_nothing_left()

    # ---- what is away

    def test_a_namespace_that_vanished_before_del(self):
        pods = [self.pod() for _ in range(4)]
        for pod in pods:
            pod.add()
            pod.gone()
        for pod in pods:
            pod.delete()
        self.expect_nothing_left()

    def test_without_ipamd_add_fails_cleanly_and_del_is_carried_out_later(self):
        kept, new = self.pod(), self.pod()
        kept.add()
        self.daemons[0].kill("ipamd", signal.SIGTERM)
        started = time.monotonic()
        code, answer = new.call("ADD")
        assert code == 1 and answer["code"] == 11, answer
        assert time.monotonic() - started < 30
        assert "eth0" not in new.namespace.ip("-br", "link").stdout
        kept.delete()
        kept.delete()
        new.delete()
        kept.gone()
        assert len(list((self.lab.nodes[0].state_dir / "cni-journal").iterdir())) == 2
        self.daemons[0].start("ipamd")
        self.expect_nothing_left()
        new.add()
        new.delete()
        new.gone()
        self.expect_nothing_left()

    def test_without_felix_add_fails_within_its_bound_and_takes_everything_back(self):
        self.daemons[0].kill("felix", signal.SIGTERM)
        pod = self.pod(timeout=1)
        code, answer = pod.call("ADD")
        assert code == 1 and answer["code"] == 11 and "policy" in answer["msg"], answer
        assert "eth0" not in pod.namespace.ip("-br", "link").stdout
        self.daemons[0].start("felix")
        self.expect_nothing_left(60)
        pod.add()
        pod.delete()
        pod.gone()
        self.expect_nothing_left()

    def test_felix_restarts_while_pods_start(self):
        pods = [self.pod(timeout=30) for _ in range(6)]
        with concurrent.futures.ThreadPoolExecutor(3) as workers:
            adds = [workers.submit(pod.add) for pod in pods]
            self.daemons[0].restart("felix")
            for add in adds:
                add.result()
        for pod in pods:
            pod.delete()
            pod.gone()
        self.expect_nothing_left(60)

    # ---- kill -9

    def test_killed_plugins_leave_nothing_once_del_came(self):
        def life(_):
            pod = self.pod(node=self.random.randrange(3))
            add = pod.spawn("ADD")
            time.sleep(self.random.random() * self.options.window)
            add.kill()
            add.communicate()
            if self.random.random() < 0.3:
                end = pod.spawn("DEL")
                time.sleep(self.random.random() * self.options.window)
                end.kill()
                end.communicate()
            pod.delete()
            pod.gone()
            return add.returncode == -signal.SIGKILL

        with concurrent.futures.ThreadPoolExecutor(4) as workers:
            hit = sum(workers.map(life, range(self.options.kills)))
        print(f"     {hit} of {self.options.kills} plugins were killed in their work")
        self.expect_nothing_left(60)

    def test_killed_ipamd_loses_and_doubles_nothing(self):
        stop = time.monotonic() + 3600
        held, seen_twice, unclean = {}, [], []

        def work(worker):
            lives = 0
            while time.monotonic() < stop:
                pod = self.pod()
                code, answer = pod.call("ADD")
                if code == 0:
                    address = answer["ips"][0]["address"]
                    if held.setdefault(address, pod.container) != pod.container:
                        seen_twice.append(address)
                    lives += 1
                    time.sleep(0.02)  # long enough for another to get the same, if that were possible
                    held.pop(address, None)
                elif answer is None or answer["code"] not in (4, 11):
                    unclean.append(answer)
                pod.delete()
                pod.gone()
            return lives

        with concurrent.futures.ThreadPoolExecutor(4) as workers:
            work_done = [workers.submit(work, i) for i in range(4)]
            for _ in range(self.options.daemon_kills):
                time.sleep(0.05 + self.random.random() * 0.4)
                self.daemons[0].restart("ipamd")
            stop = 0
            lives = sum(w.result() for w in work_done)
        print(f"     {lives} pods lived through {self.options.daemon_kills} kills")
        assert not seen_twice and not unclean, (seen_twice, unclean[:3])
        assert lives > 0
        self.expect_nothing_left(90)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=120, help="plugins to kill")
    parser.add_argument("--daemon-kills", type=int, default=15, help="times that ipamd is killed")
    parser.add_argument("--window", type=float, default=0.02, help="seconds after the start within which a plugin is killed")
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    test = FaultTest(options)
    passed, failed = 0, 0
    try:
        test.set_up()
        for name in [n for n in vars(FaultTest) if n.startswith("test_")]:
            if options.tests and name not in options.tests:
                continue
            started = time.monotonic()
            try:
                getattr(test, name)()
            except Exception:
                traceback.print_exc()
                print(f"FAIL {name}", flush=True)
                failed += 1
            else:
                print(f"ok   {name} ({time.monotonic() - started:.1f} s)", flush=True)
                passed += 1
    finally:
        if not (failed and os.environ.get("MANUL_KEEP")):
            test.lab.down()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
