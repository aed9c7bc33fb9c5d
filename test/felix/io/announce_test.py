#!/usr/bin/env python3
"""Endpoints that manul-ipamd announces before it has committed them: in force at once, and the store decides.

usage: announce_test.py MANUL_FELIX MANULCTL    (root)
"""
import json
import os
import socket
import sys
import time

from pod_node import Node, sh, wait_until

BOUND = 2  # seconds until felix gives up what nobody confirms


class Ipamd:
    """What manul-ipamd says; what it commits is committed by manulctl here."""

    def __init__(self, node):
        self.node, self.path = node, f"{node.work}/run/felix-expected.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def say(self, text):
        self.socket.sendto(text.encode(), self.path)

    def document(self, pod, **spec):
        name = f"{self.node.name}-k8s-{pod}-eth0"
        return name, {
            "apiVersion": "projectcalico.org/v3", "kind": "WorkloadEndpoint",
            "metadata": {"name": name, "namespace": "default", "resourceVersion": "77", "uid": "5ee1e0e6-77f4-4d4c-a2a1-0d5d2c4f9a77",
                         "labels": {"projectcalico.org/orchestrator": "k8s", "app": pod}},
            "spec": {"orchestrator": "k8s", "node": self.node.name, "pod": pod, "endpoint": "eth0", "containerID": f"{pod}1",
                     "interfaceName": f"cali{pod}", "ipNetworks": [f"{self.node.address(pod)}/32"], "profiles": ["kns.default"], **spec}}

    def expect(self, pod, revision="77", **spec):
        name, document = self.document(pod, **spec)
        self.say(f"expected 1 {revision}\ndefault/{name} {json.dumps(document)}")

    def withdraw(self, pod, revision="77"):
        self.say(f"withdrawn 1 {revision}\ndefault/{self.node.name}-k8s-{pod}-eth0")


def mark(node, pod):
    try:
        with open(f"{node.work}/run/endpoints/cali{pod}", encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def has_route(node, pod):
    return f"dev cali{pod}" in sh(f"ip -n {node.ns} route show {node.address(pod)}").stdout


def in_force(node, pod):
    group = json.loads(sh(f"ip -n {node.ns} -j link show cali{pod}").stdout)[0]["group"]
    return mark(node, pod) is not None and has_route(node, pod) and group not in ("default", "0")


def is_closed(node, pod):
    group = json.loads(sh(f"ip -n {node.ns} -j link show cali{pod}").stdout)[0]["group"]
    return mark(node, pod) is None and not has_route(node, pod) and group in ("default", "0")


def settle(node):
    """Felix has read everything that was sent to it before: a commit of now is in force."""
    node.apply(node.endpoint("last"))
    wait_until("the last endpoint is in force", lambda: mark(node, "last"), node)
    node.ctl("delete", "workloadendpoint", f"{node.name}-k8s-last-eth0", "-n", "default")
    wait_until("the last endpoint is gone", lambda: not mark(node, "last"), node)


def check_withdrawn(node, ipamd):
    ipamd.expect("a")
    wait_until("the announced endpoint is in force", lambda: in_force(node, "a"), node)
    assert mark(node, "a")["containerID"] == "a1" and mark(node, "a")["resourceVersion"] == "77", mark(node, "a")
    ipamd.withdraw("a", "76")  # of an earlier attempt
    ipamd.withdraw("b")
    settle(node)
    assert in_force(node, "a")
    ipamd.withdraw("a")
    wait_until("the withdrawn endpoint is closed", lambda: is_closed(node, "a"), node, BOUND * 0.75)
    assert "FELIX_ENDPOINT_NOT_STORED" in node.felix_log()


def check_expired(node, ipamd):
    began = time.monotonic()
    ipamd.expect("a")
    wait_until("the announced endpoint is in force", lambda: in_force(node, "a"), node)
    wait_until("the endpoint that nobody confirms is closed", lambda: is_closed(node, "a"), node)
    assert time.monotonic() - began >= BOUND


def check_confirmed(node, ipamd):
    """By another program than ipamd it is stored at another revision, which counts as any newer version."""
    ipamd.expect("a")
    wait_until("the announced endpoint is in force", lambda: in_force(node, "a"), node)
    node.apply(node.endpoint("a"))
    wait_until("the mark names the stored version", lambda: mark(node, "a") and mark(node, "a")["resourceVersion"] != "77", node)
    stored = mark(node, "a")
    ipamd.withdraw("a")
    ipamd.expect("a", interfaceName="calib")  # the store has it: not believed
    settle(node)
    time.sleep(BOUND * 1.5)
    assert in_force(node, "a") and mark(node, "a") == stored and is_closed(node, "b")
    node.ctl("delete", "workloadendpoint", f"{node.name}-k8s-a-eth0", "-n", "default")
    wait_until("the deleted endpoint is closed", lambda: is_closed(node, "a"), node)


def check_address_of_another(node, ipamd):
    ipamd.expect("a", ipNetworks=[f"{node.address('b')}/32"])
    wait_until("the announced endpoint is in force", lambda: mark(node, "a"), node)
    node.apply(node.endpoint("b"))
    wait_until("the stored endpoint has its address", lambda: in_force(node, "b"), node, BOUND * 0.75)
    assert mark(node, "a") is None
    node.ctl("delete", "workloadendpoint", f"{node.name}-k8s-b-eth0", "-n", "default")


def check_refused(node, ipamd):
    for text in ("", "expected 1", "expected 2 77\ndefault/x {}", "expected 1 77", "expected 1 77\nnonsense", "expected 1 77\ndefault/x",
                 "expected 1 77\ndefault/x {", "withdrawn 1 77\ndefault/x {}", "expected 1 77\ndefault/x []", "x" * 100000):
        ipamd.say(text)
    ipamd.expect("a", node="another-node")
    ipamd.expect("b", ipNetworks=["nonsense"])
    settle(node)
    assert is_closed(node, "a") and is_closed(node, "b")
    assert os.stat(ipamd.path).st_mode & 0o777 == 0o600  # nobody but root


def check_restart(node, felix, ipamd):
    ipamd.expect("a")
    wait_until("the announced endpoint is in force", lambda: in_force(node, "a"), node)
    felix.kill()
    felix.wait()
    node.processes.remove(felix)
    os.truncate(node.log, 0)
    node.start_felix()
    wait_until("what was announced to the felix before is closed", lambda: is_closed(node, "a"), node)
    ipamd.expect("a")
    wait_until("the announced endpoint is in force", lambda: in_force(node, "a"), node)


def main():
    with Node(*sys.argv[1:3], pods=["a", "b", "last"]) as node:
        felix = node.start_felix()
        ipamd = Ipamd(node)
        check_withdrawn(node, ipamd)
        check_expired(node, ipamd)
        check_confirmed(node, ipamd)
        check_address_of_another(node, ipamd)
        check_refused(node, ipamd)
        check_restart(node, felix, ipamd)
    print("announced endpoints are in force at once, and the store decides")


main()
