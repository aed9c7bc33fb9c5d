#!/usr/bin/env python3
"""Two nodes and their daemons on a real etcd at the router: pods, packets, policy, and an etcd that dies."""
import ipaddress
import json
import os
import sys
import time

from namespaces import LabError, run, stop_process, start_time, wait_for
from system_test import SystemTest
from topology import MANIFESTS, Lab


class EtcdLab(Lab):
    """etcd listens at the router, so that nodes reach it over their network as real ones do."""

    def __init__(self, suffix: str, nodes: int):
        super().__init__(suffix, nodes)
        self.endpoint = "http://10.99.0.1:2379"
        for node in self.nodes:
            node.datastore = f"datastore:\n  type: etcd\n  etcd:\n    endpoints: [{self.endpoint}]\n"
            node.ctl_in_namespace = True

    def start_etcd(self):
        process = self.tor.spawn(
            ["etcd", "--data-dir", self.state_root / "etcd", "--listen-client-urls", self.endpoint,
             "--advertise-client-urls", self.endpoint, "--listen-peer-urls", "http://10.99.0.1:2380",
             "--initial-advertise-peer-urls", "http://10.99.0.1:2380",
             "--initial-cluster", "default=http://10.99.0.1:2380"], self.run_root / "etcd.log")
        self.remember("etcd", process.pid)
        wait_for("etcd to answer", lambda: self.etcdctl("endpoint", "health").returncode == 0, 30)

    def kill_etcd(self):
        pid, _ = self.processes["etcd"]
        os.kill(pid, 9)
        wait_for("etcd to be gone", lambda: start_time(pid) is None or self.etcdctl("endpoint", "health").returncode != 0, 10)

    def etcdctl(self, *arguments):
        return self.tor.exec("etcdctl", "--endpoints", self.endpoint, "--command-timeout=2s", *arguments,
                             env={"ETCDCTL_API": "3"}, check=False)


class EtcdTest(SystemTest):
    def __init__(self):
        self.lab = EtcdLab(f"e{os.getpid()}", 2)
        self.figures = {}

    def tests(self):
        return [self.the_lab_comes_up_on_etcd, self.pods_get_addresses_and_reach_each_other, self.a_global_deny_acts,
                self.policy_and_pods_stay_while_etcd_is_away, self.everything_goes_on_when_etcd_is_back,
                self.a_pod_goes_and_leaves_nothing, self.objects_stand_where_they_should]

    def the_lab_comes_up_on_etcd(self):
        lab = self.lab
        lab.make_directories()
        lab.make_rack()
        lab.start_router()
        lab.start_etcd()
        lab.start_nodes()
        self.ctl("apply", "-f", MANIFESTS / "rack.yaml")
        lab.wait_for_sessions()

    def pods_get_addresses_and_reach_each_other(self):
        lab = self.lab
        lab.plan_pods()
        self.ctl("apply", "-f", "-", stdin=lab.pod_manifest())
        for pod in lab.pods:
            lab.add_pod(pod)
        lab.start_servers()
        owners = {i["spec"]["cidr"]: i["spec"]["node"] for i in json.loads(self.ctl("get", "blockaffinity", "-o", "json").stdout)["items"]}
        for pod in lab.pods:
            assert [n for c, n in owners.items() if ipaddress.ip_address(pod.address4) in ipaddress.ip_network(c)] == [pod.node]
        self.expect(self.pairs(lambda a, b: True), "TCP between all pods")
        self.expect(self.pairs(lambda a, b: True), "TCP over IPv6 between all pods", family=6)

    def a_global_deny_acts(self):
        self.ctl("apply", "-f", MANIFESTS / "deny-clients.yaml")
        self.expect(self.pairs(self.denied), "the global deny")

    @staticmethod
    def denied(a, b):
        return not (a.startswith("client") and b.startswith("server"))

    def policy_and_pods_stay_while_etcd_is_away(self):
        self.lab.kill_etcd()
        done = self.ctl("get", "gnp", check=False, timeout=60)
        assert done.returncode != 0 and "10.99.0.1:2379" in done.stderr, done
        self.expect(self.pairs(self.denied), "the same as before, without etcd")

    def everything_goes_on_when_etcd_is_back(self):
        lab = self.lab
        lab.start_etcd()
        self.ctl("delete", "gnp", "deny-clients")
        self.expect(self.pairs(lambda a, b: True), "everything after the deny is gone", patience=30)
        pod = lab.pod("client1")
        lab.remove_pod(pod)
        lab.plan = [pod]
        pod.namespace = lab.pod_namespace(pod.name)
        lab.add_pod(pod)
        assert pod.address4, pod

    def a_pod_goes_and_leaves_nothing(self):
        pod = self.lab.pod("client2")
        self.lab.remove_pod(pod)
        wait_for("the address to be free", lambda: "is not assigned" in
                 self.ctl("ipam", "show", f"--ip={pod.address4}", check=False).stdout, 15)
        text = self.ctl("ipam", "check").stdout
        assert "found 0 problems" in text, text

    def objects_stand_where_they_should(self):
        keys = self.lab.etcdctl("get", "--prefix", "--keys-only", "/").stdout.split()
        assert keys and all(key.startswith("/manul/v1/") for key in keys), keys
        assert "/manul/v1/core/pods/web/client1" in keys and "/manul/v1/projectcalico.org/tiers/-/default" in keys, keys


if __name__ == "__main__":
    sys.exit(EtcdTest().run())
