"""Packets flow while manul-bgpd dies, restarts and leaves: two nodes and a BIRD router in network namespaces.

    bgpd_restart.py BGPD MANULCTL [unittest arguments]

Needs root, bird and ping; exit status 77 (skipped) without them. FRR's part is skipped where it is not installed.
"""
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import bgp_speakers
import bgpd_rig as rig
from bgpd_rig import affinity, eventually, resource

TOR = "192.0.2.9"
NODES = {"node-a": "192.0.2.1", "node-b": "192.0.2.2"}
BLOCKS = {"node-a": "10.65.1.0/26", "node-b": "10.65.2.0/26"}
PODS = {"node-a": "10.65.1.1", "node-b": "10.65.2.1"}
OUTSIDE = "198.51.100.7"
STATIC = "protocol static s4 { ipv4; route 198.51.100.0/24 blackhole; }"


def router(options=""):
    return STATIC + "".join(f"""
protocol bgp {name.replace("-", "")} {{
  local as 65000; neighbor {address} as 64512; graceful restart on; graceful restart time 60; {options}
  connect retry time 5; error wait time 1, 2;
  ipv4 {{ import all; export where proto = "s4"; next hop self; }};
}}""" for name, address in NODES.items())


class Flow:
    """A ping each 10 ms, until asked how many were lost."""

    def __init__(self, namespace, source, target):
        self.name = f"{source} -> {target}"
        self.process = subprocess.Popen(["ip", "netns", "exec", namespace.name, "ping", "-q", "-i", "0.01", "-I", source,
                                         target], stdout=subprocess.PIPE, text=True)

    def lost(self):
        self.process.send_signal(signal.SIGINT)
        text = self.process.communicate(timeout=20)[0]
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", text).groups())
        return sent, sent - received


class Restart(unittest.TestCase):
    def setUp(self):
        self.rig = rig.Rig()
        self.addCleanup(self.tear_down)
        self.nodes = {name: self.rig.node(name) for name in NODES}
        self.tor = self.rig.router("tor", TOR, router())
        # One subnet: a bridge on the router.
        self.tor.namespace.ip("link", "add", "lan", "type", "bridge")
        self.tor.namespace.ip("addr", "add", f"{TOR}/24", "dev", "lan")
        self.tor.namespace.ip("link", "set", "lan", "up")
        for index, (name, node) in enumerate(self.nodes.items()):
            self.rig.link(node, "up0", [f"{NODES[name]}/24"], self.tor, f"down{index}", [])
            self.tor.namespace.ip("link", "set", f"down{index}", "master", "lan")
            node.namespace.ip("addr", "add", f"{PODS[name]}/32", "dev", "lo")
        self.tor.namespace.ip("addr", "add", f"{OUTSIDE}/32", "dev", "lo")

    def tear_down(self):
        result = self._outcome.result
        failed = any(test is self or getattr(test, "test_case", None) is self
                     for test, _ in result.failures + result.errors)
        if failed:
            for node in self.nodes.values():
                print(node.log()[-3000:], file=sys.stderr)
            print(self.tor.log()[-3000:], file=sys.stderr)
        self.rig.close(keep=failed and "MANUL_KEEP" in os.environ)

    def start(self, **peer):
        self.tor.start()
        for node in self.nodes.values():
            node.start()
        first = next(iter(self.nodes.values()))
        first.apply(resource("BGPConfiguration", "default", asNumber=64512),
                    resource("IPPool", "pods4", cidr="10.65.0.0/16", blockSize=26),
                    *(resource("Node", name, bgp={"ipv4Address": f"{address}/24"}) for name, address in NODES.items()),
                    resource("BGPPeer", "tor", peerIP=TOR, asNumber=65000, **peer),
                    *(affinity(name, block) for name, block in BLOCKS.items()))
        eventually("everybody has all routes", self.complete)

    def complete(self):
        return (all(node.learned() == {"198.51.100.0/24"} | {BLOCKS[other] for other in NODES if other != name}
                    for name, node in self.nodes.items()) and
                all(self.tor.route(block) for block in BLOCKS.values()))

    def flows(self):
        a, b = (self.nodes[name] for name in NODES)
        return [Flow(a.namespace, PODS["node-a"], PODS["node-b"]), Flow(b.namespace, PODS["node-b"], PODS["node-a"]),
                Flow(self.tor.namespace, OUTSIDE, PODS["node-a"]), Flow(a.namespace, PODS["node-a"], OUTSIDE)]

    def none_lost(self, flows):
        for flow in flows:
            sent, lost = flow.lost()
            self.assertGreater(sent, 50, flow.name)
            self.assertEqual(lost, 0, f"{flow.name}: {lost} of {sent} lost")

    def again_in_step(self, node):
        """bgpd is back, its peers have heard all of it, and nothing stale is left anywhere."""
        eventually("sessions are up", lambda: all(p["state"] == "Established" for p in node.ask("peers")["peers"]))
        eventually("in sync", lambda: node.ask("status")["inSync"])
        for other in self.nodes.values():
            eventually("nothing is stale", lambda other=other: not any(
                p.get("ipv4", {}).get("stale") for p in other.ask("peers")["peers"]))
        eventually("everybody has all routes", self.complete)

    def test_no_packet_is_lost_through_kill_and_through_sigterm(self):
        self.start()
        node = self.nodes["node-a"]
        for sign in ("kill", "terminate"):
            with self.subTest(sign):
                flows = self.flows()
                time.sleep(0.5)
                node.stop(sign)
                time.sleep(1)  # peers have noticed
                self.assertTrue(all(self.tor.route(block) for block in BLOCKS.values()), "BIRD keeps the routes")
                self.assertEqual(self.nodes["node-b"].session(NODES["node-a"])["ipv4"]["stale"], True)
                node.start()
                self.again_in_step(node)
                time.sleep(0.5)
                self.none_lost(flows)
        self.assertIn("Administrative Reset", self.nodes["node-b"].log())  # between ours, RFC 8538
        self.assertNotIn("Received: Administrative", self.tor.log())       # to BIRD, which does not know it

    def test_no_packet_is_lost_when_bird_restarts(self):
        self.start()
        flows = self.flows()
        time.sleep(0.5)
        rig.stop(self.tor.process, "kill")
        self.assertEqual(self.nodes["node-a"].learned(), {"198.51.100.0/24", BLOCKS["node-b"]})
        self.tor.control.unlink(missing_ok=True)
        self.tor.process = self.tor.namespace.spawn("bird", "-f", "-R", "-c", self.tor.config, "-s", self.tor.control,
                                                    log=self.tor.directory / "bird.out")
        eventually("BIRD answers", lambda: self.tor.ask("show status", check=False))
        eventually("BIRD has the blocks again", self.complete, 60)
        self.again_in_step(self.nodes["node-a"])
        self.none_lost(flows)

    def test_a_route_that_is_gone_after_the_restart_is_swept_everywhere(self):
        self.start()
        node = self.nodes["node-a"]
        node.stop("kill")
        self.nodes["node-b"].delete("blockaffinity", affinity("node-a", BLOCKS["node-a"])["metadata"]["name"])
        self.nodes["node-b"].delete("blockaffinity", affinity("node-b", BLOCKS["node-b"])["metadata"]["name"])
        self.assertIn(BLOCKS["node-b"], node.learned())
        node.start()
        eventually("the peer's stale route is gone", lambda: BLOCKS["node-a"] not in self.nodes["node-b"].learned())
        eventually("BIRD's too", lambda: not self.tor.route(BLOCKS["node-a"]))
        eventually("the kernel's too", lambda: node.learned() == {"198.51.100.0/24"})
        eventually("the own blackhole too",
                   lambda: (BLOCKS["node-a"], 1032) not in node.namespace.routes("proto", "176"))

    def test_leaving_takes_everything_back(self):
        self.start()
        node = self.nodes["node-a"]
        answer = rig.run("ip", "netns", "exec", node.namespace.name, rig.MANULCTL, "bgp", "shutdown", "-m", "new disks",
                         env=node.env)
        self.assertIn("left BGP", answer)
        self.assertEqual(node.namespace.routes("proto", "176"), {})
        eventually("BIRD has dropped the block", lambda: not self.tor.route(BLOCKS["node-a"]))
        eventually("the other node, too", lambda: BLOCKS["node-a"] not in self.nodes["node-b"].learned())
        self.assertIn("new disks", self.nodes["node-b"].session(NODES["node-a"])["lastError"])
        self.assertIn("new disks", self.tor.log() + self.tor.ask("show protocols all nodea"))
        rig.run("ip", "netns", "exec", node.namespace.name, rig.MANULCTL, "bgp", "start", env=node.env)
        eventually("everybody has all routes again", self.complete, 60)


class WithFrr(unittest.TestCase):
    """FRR keeps a restarting node's routes, and is told that it is a restart (RFC 8538 is spoken by both)."""

    def test_frr_keeps_the_routes_of_a_node_that_restarts(self):
        if not bgp_speakers.Frr.installed():
            self.skipTest("FRR is not installed")
        the_rig = rig.Rig()
        self.addCleanup(the_rig.close)
        node = the_rig.node("node-a")
        frr = bgp_speakers.Frr(the_rig, "frr", TOR)
        the_rig.link(node, "up0", [f"{NODES['node-a']}/24"], frr, "down0", [f"{TOR}/24"])
        frr.start(65000, [bgp_speakers.Session(NODES["node-a"], 64512, TOR)], {"198.51.100.0/24": []})
        node.start()
        node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512),
                   resource("IPPool", "pods4", cidr="10.65.0.0/16", blockSize=26),
                   resource("BGPPeer", "tor", peerIP=TOR, asNumber=65000), affinity("node-a", BLOCKS["node-a"]))
        block = BLOCKS["node-a"]

        def exchanged():
            return frr.heard(block) and node.learned() == {"198.51.100.0/24"}

        eventually("routes both ways", exchanged)
        for sign in ("kill", "terminate"):
            with self.subTest(sign):
                node.stop(sign)
                eventually("FRR has noticed", lambda: "stale" in frr.heard(block))
                self.assertEqual(node.learned(), {"198.51.100.0/24"})
                node.start()
                eventually("nothing is stale", lambda: exchanged() and '"stale":true' not in frr.heard(block).replace(" ", ""))
                eventually("in sync", lambda: node.ask("status")["inSync"])
        rig.run("ip", "netns", "exec", node.namespace.name, rig.MANULCTL, "bgp", "shutdown", env=node.env)
        eventually("FRR dropped the block when the node left", lambda: not frr.heard(block))


if __name__ == "__main__":
    sys.exit(rig.main("bird", "ping"))
