#!/usr/bin/env python3
"""What ipamd does only after waiting: pods that vanished without a DEL, and the cluster's chores when the process that does
them stops, comes back, and dies. Mostly asleep, a minute and a half in all.

Closes with `N passed, N failed`. Runs beside a second copy of itself.
"""
import json
import os
import signal
import sys
import time

from cni_rig import POOL, CniTest, Lab, wait_for

BALANCERS = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "balancers"},
             "spec": {"cidr": "192.0.2.0/27", "blockSize": 29, "allowedUses": ["LoadBalancer"], "nodeSelector": "all()"}}


class PatienceTest(CniTest):
    POOLS = [POOL, BALANCERS]

    def __init__(self):
        super().__init__(Lab(suffix=f"p{os.getpid()}", nodes=3))
        self.lost = []

    def holder(self):
        leases = [item["spec"] for item in self.objects("leases.coordination.k8s.io") if item["metadata"]["name"] == "manul-cluster-chores"]
        return leases[0]["holderIdentity"] if leases else None

    def renewed(self):
        return [item["spec"]["renewTime"] for item in self.objects("leases.coordination.k8s.io")][0]

    def process(self, node):
        return self.daemons[[n.name for n in self.lab.nodes].index(node)]

    def apply_service(self, name):
        self.ctl("apply", "-f", "-", stdin=json.dumps(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
             "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}))

    def told(self, name):
        services = [s for s in self.objects("services") if s["metadata"]["name"] == name]
        return [i["ip"] for i in services[0].get("status", {}).get("loadBalancer", {}).get("ingress", [])]

    def givers(self, name):
        """Nodes whose daemon says that it gave this Service an address, once for each time."""
        return [n.name for n in self.lab.nodes for line in (n.log_dir / "ipamd").read_text().splitlines()
                if "IPAMD_SERVICE_GIVEN" in line and f"default/{name}:" in line]

    def test_pods_vanish_without_a_del(self):
        self.lost = [self.pod(node=i % 3) for i in range(6)] + [self.pod(name="recreated")]
        stays = self.pod()
        for pod in [*self.lost, stays]:
            pod.add()
        for pod in self.lost:
            pod.gone()
        self.gone_at = time.monotonic()
        self.stays = stays
        # A StatefulSet's pod comes back under its name while the old one's DEL is lost.
        self.second = self.pod(name="recreated")
        self.second.add()

    def test_one_does_the_chores_and_one_that_slept_too_long_leaves_them_to_its_successor(self):
        first = wait_for("somebody to hold the lease", self.holder, 20)
        self.apply_service("one")
        wait_for("its address", lambda: self.told("one"), 20)
        wait_for("who gave it to say so", lambda: self.givers("one"), 20)  # after it is in the store
        assert self.givers("one") == [first], self.givers("one")

        # It stops, alive: it believes that it holds the lease, and wakes up when that is another's.
        os.kill(self.process(first).processes["ipamd"].pid, signal.SIGSTOP)
        stopped = time.monotonic()
        self.apply_service("two")
        second = wait_for("another holder", lambda: (h := self.holder()) != first and h, 60)
        assert time.monotonic() - stopped > 15, "taken over from a holder that may still act"
        wait_for("the second address", lambda: self.told("two"), 20)
        os.kill(self.process(first).processes["ipamd"].pid, signal.SIGCONT)
        self.apply_service("three")
        wait_for("the third address", lambda: self.told("three"), 20)
        time.sleep(6)  # each looks at the lease every 5 s
        assert self.holder() == second
        assert self.givers("two") == [second] and self.givers("three") == [second], (self.givers("two"), self.givers("three"))

    def test_what_vanished_is_free_after_a_minute_and_not_sooner(self):
        wait_for("the lost pods' addresses to be free", lambda: len(self.objects("wep")) == 2, 120, 0.5)
        assert time.monotonic() - self.gone_at >= 55
        assert {e["spec"]["containerID"] for e in self.objects("wep")} == {self.stays.container, self.second.container}
        self.expect_sound(90)  # the address of a pod whose endpoint its successor took over is found in a round of its own
        for pod in (self.stays, self.second):
            pod.delete()
            pod.gone()
        for pod in self.lost:  # the DEL comes after all
            pod.delete()
        wait_for("the last pods to go", lambda: not self.objects("wep"), 30)

    def test_the_chores_go_on_when_their_process_is_killed(self):
        second, before = self.holder(), self.renewed()
        self.process(second).kill("ipamd")
        self.apply_service("four")
        third = wait_for("the next holder", lambda: (h := self.holder()) != second and h, 60)
        wait_for("the fourth address", lambda: self.told("four"), 20)
        assert self.renewed() != before
        wait_for("who gave it to say so", lambda: self.givers("four"), 20)
        assert self.givers("four") == [third]
        self.process(second).start("ipamd")
        addresses = [a for name in ("one", "two", "three", "four") for a in self.told(name)]
        assert len(addresses) == len(set(addresses)) == 4, addresses
        for name in ("one", "two", "three", "four"):
            self.ctl("delete", "service", name, "-n", "default")
        self.expect_nothing_left(90)


if __name__ == "__main__":
    sys.exit(PatienceTest().run(sys.argv[1:]))
