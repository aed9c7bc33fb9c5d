#!/usr/bin/env python3
"""Faults on the way of a pod: killed plugins and daemons, races, lost calls, reboots. Afterwards nothing may
be left, and no address may ever have been given twice.

    cni_faults.py [--kills N] [--daemon-kills N] [TEST...]     numbers of the two killing tests (120 and 15)

Closes with `N passed, N failed`. Runs beside a second copy of itself.
"""
import argparse
import concurrent.futures
import json
import os
import signal
import sys
import time

from cni_rig import BUILD, CniTest, Lab, wait_for

SMALL = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "small"},
         "spec": {"cidr": "10.246.0.0/27", "blockSize": 29, "assignmentMode": "Manual"}}


class FaultTest(CniTest):
    POOLS = [*CniTest.POOLS, SMALL]

    def __init__(self, options):
        super().__init__(Lab(suffix=f"f{os.getpid()}", nodes=3))
        self.options = options

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

    def test_sixteen_at_once_exhaust_a_pool_on_three_nodes(self):
        """More pods than addresses, of which every one is given once; the rest is told why and leaves nothing."""
        pods = [self.pod(node=i % 3, ipam={"ipv4_pools": ["small"]}) for i in range(48)]
        with concurrent.futures.ThreadPoolExecutor(16) as workers:
            results = list(workers.map(lambda pod: pod.call("ADD"), pods))
            addresses = [answer["ips"][0]["address"] for code, answer in results if code == 0]
            assert len(addresses) == len(set(addresses)) == 32, sorted(addresses)
            refused = [(pod, answer) for pod, (code, answer) in zip(pods, results) if code != 0]
            for pod, answer in refused:
                assert answer["code"] == 11, answer
                assert answer["msg"] == "no free address: pool small has 0 free of 32: 32 in use by 3 nodes", answer
                assert not pod.has_interface()
            assert self.addresses_in_use() == 32 and len(self.objects("wep")) == 32
            self.expect_sound()
            list(workers.map(lambda pod: pod.delete(), pods))
        for pod in pods:
            pod.gone()
        self.expect_nothing_left()

    def test_a_del_during_an_add_that_does_not_wait_for_policy(self):
        for i in range(12):
            pod = self.pod(policy_setup_timeout_seconds=0)
            add = pod.spawn("ADD")
            time.sleep(self.random.random() * 0.006)
            end = pod.spawn("DEL")
            out, _ = add.communicate(timeout=60)
            end.communicate(timeout=60)
            assert end.returncode == 0 and add.returncode in (0, 1), (end.returncode, out)
            if add.returncode == 1:
                assert json.loads(out)["code"] == 11, out
            pod.delete()
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

    def check_request(self, pod):
        """What a runtime sends with CHECK: the result of ADD as this node's kernel has it."""
        host = next(e for e in self.objects("wep") if e["spec"]["containerID"] == pod.container)["spec"]
        result = {"cniVersion": "1.1.0", "interfaces": [{"name": host["interfaceName"]}, {"name": "eth0", "sandbox": str(pod.namespace.path)}],
                  "ips": [{"address": a, "interface": 1} for a in host["ipNetworks"]]}
        return {**pod.request, "prevResult": result}

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
        assert len(self.journal()) == 2
        self.daemons[0].start("ipamd")
        self.expect_nothing_left()
        new.add()
        new.delete()
        new.gone()
        self.expect_nothing_left()

    def test_a_second_ipamd_on_one_node_gives_up_and_disturbs_nobody(self):
        pod = self.pod()
        pod.add()
        node = self.lab.nodes[0]
        second = node.namespace.spawn([BUILD / "ipam/manul-ipamd", "--config", node.config], node.log_dir / "second")
        assert second.wait(timeout=30) != 0
        assert pod.has_interface()
        pod.delete()
        pod.gone()
        self.expect_nothing_left()

    def test_without_felix_add_fails_within_its_bound_and_takes_everything_back(self):
        self.daemons[0].kill("felix", signal.SIGTERM)
        pod = self.pod(policy_setup_timeout_seconds=1)
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
        pods = [self.pod(policy_setup_timeout_seconds=30) for _ in range(6)]
        with concurrent.futures.ThreadPoolExecutor(3) as workers:
            adds = [workers.submit(pod.add) for pod in pods]
            self.daemons[0].restart("felix")
            for add in adds:
                add.result()
        for pod in pods:
            pod.delete()
            pod.gone()
        self.expect_nothing_left(60)

    def test_a_container_that_comes_back_after_a_journaled_del_keeps_its_network(self):
        pod = self.pod()
        pod.add()
        self.daemons[0].kill("ipamd")
        pod.delete()
        assert len(self.journal()) == 1
        self.daemons[0].start("ipamd")
        pod.add()  # at once: the daemon has just started
        # Written beside a daemon that runs, as by a plugin that could not wait for it any longer.
        pod.delete()
        self.expect_nothing_left()
        pod.add()
        os.kill(self.daemons[0].processes["ipamd"].pid, signal.SIGSTOP)
        pod.delete()
        assert len(self.journal()) == 1
        os.kill(self.daemons[0].processes["ipamd"].pid, signal.SIGCONT)
        address = pod.add()
        time.sleep(7)  # the journal is looked through each 5 s
        assert pod.has_interface() and address in {n for e in self.objects("wep") for n in e["spec"]["ipNetworks"]}
        assert pod.call("CHECK", request=self.check_request(pod))[0] == 0
        assert not self.journal()
        pod.delete()
        pod.gone()
        self.expect_nothing_left()

    def test_a_reboot_frees_what_is_gone_at_once_and_nothing_else(self):
        lost = [self.pod(name=f"lost-{i}") for i in range(3)]
        again = [self.pod(name=f"again-{i}") for i in range(3)]
        elsewhere = [self.pod(node=1, name=f"elsewhere-{i}") for i in range(2)]
        addresses = {pod.container: pod.add() for pod in lost + again + elsewhere}
        # The same boot: pods stay, however often the daemon starts.
        self.daemons[0].restart("ipamd")
        wait_for("ipamd to answer", lambda: lost[0].call("STATUS")[0] == 0, 30)
        time.sleep(1)
        assert self.addresses_in_use() == 8 and len(self.objects("wep")) == 8
        # Another boot: links and namespaces are gone, the disk is not.
        self.daemons[0].kill("ipamd")
        self.daemons[0].kill("felix")
        for pod in lost + again:
            pod.gone()
        wait_for("the links to go", lambda: "cali" not in self.lab.nodes[0].namespace.ip("-br", "link").stdout, 30)
        self.daemons[0].boot_as("11111111-2222-4333-8444-555555555555")
        self.daemons[0].start("felix")
        self.daemons[0].start("ipamd")
        sandboxes = [self.pod(name=f"again-{i}") for i in range(3)]
        for pod in sandboxes:
            addresses[pod.container] = pod.add()
        wait_for("the lost pods' addresses to be free", lambda: self.addresses_in_use() == 5, 20)  # not after 60 s
        held = {e["spec"]["containerID"]: e["spec"]["ipNetworks"][0] for e in self.objects("wep")}
        assert held == {p.container: addresses[p.container] for p in sandboxes + elsewhere}, held
        self.expect_sound()
        # And once more: they are of this boot now.
        self.daemons[0].restart("ipamd")
        wait_for("ipamd to answer", lambda: sandboxes[0].call("STATUS")[0] == 0, 30)
        time.sleep(1)
        assert self.addresses_in_use() == 5
        for pod in lost + again:  # what the runtime deletes after its own start
            pod.delete()
        assert self.addresses_in_use() == 5
        for pod in sandboxes + elsewhere:
            pod.delete()
            pod.gone()
        self.expect_nothing_left()

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
    return FaultTest(options).run(options.tests)


if __name__ == "__main__":
    sys.exit(main())
