"""manul-bgpd with every other open speaker: both families, external and internal sessions, routes, communities, GTSM,
passwords, reflection both ways, the end of either side.

    bgpd_interop.py BGPD MANULCTL [unittest arguments]

Needs root and at least one of the speakers; exit status 77 (skipped) without them.
"""
import sys
import unittest

import bgp_interop
import bgp_speakers
from bgp_interop import BLOCK4, BLOCK6, NODE4, NODE6, OTHER4, PEER4, PEER6, ROUTES, THIRD4
from bgp_speakers import Session
from bgpd_rig import affinity, eventually, resource


class Interop(bgp_interop.Interop):
    def test_external(self):
        self.start(64512, 65000)
        self.wait_exchange()
        self.assertIn("64512", self.peer.heard(BLOCK4))
        for prefix in ROUTES:
            self.assertIn("65000:7", str(self.routes_of(prefix)), "communities arrive")

    def test_internal(self):
        self.start(64512, 64512)
        self.wait_exchange()
        for prefix in ROUTES:
            self.assertEqual([route["asPath"] for route in self.routes_of(prefix)], [""])

    def test_four_octet_as_numbers(self):
        self.start(4200000001, 4200000002)
        self.wait_exchange()
        self.assertIn("4200000001", self.peer.heard(BLOCK4))

    def test_withdrawal_and_the_speakers_restart(self):
        self.start(64512, 65000)
        self.wait_exchange()
        self.node.delete("blockaffinity", affinity("node-a", BLOCK4)["metadata"]["name"])
        eventually("the speaker has lost the block", lambda: not self.peer.heard(BLOCK4))
        self.assertTrue(self.peer.heard(BLOCK6))
        self.node.apply(affinity("node-a", BLOCK4))
        self.peer.stop("kill")
        self.peer.start(65000, [Session(NODE4, 64512, PEER4), Session(NODE6, 64512, PEER6)], ROUTES)
        self.wait_exchange()

    def test_ttl_security(self):
        if not self.speaker.gtsm:
            self.skipTest("the speaker has none")
        self.start(64512, 65000, gtsm=True, ttlSecurity=1)
        self.wait_exchange()

    def test_the_node_reflects(self):
        third = self.third(self.node, "192.0.3.1")
        self.start(64512, 64512)
        self.node.apply(resource("Node", "node-a", bgp={"ipv4Address": f"{NODE4}/24", "ipv6Address": f"{NODE6}/64",
                                                        "asNumber": 64512, "routeReflectorClusterID": "10.0.0.1"}),
                        resource("BGPPeer", "third", peerIP=THIRD4, asNumber=64512))
        eventually("BIRD hears of the speaker's route", lambda: "10.0.0.1" in third.route("198.51.100.0/24"))
        self.assertIn(f"BGP.originator_id: {PEER4}", third.route("198.51.100.0/24"))
        eventually("the speaker hears of BIRD's route", lambda: self.peer.heard(OTHER4))
        self.assertIn(THIRD4, self.peer.heard(OTHER4))
        self.wait_exchange_with_third()

    def test_the_speaker_reflects(self):
        if not self.speaker.reflects:
            self.skipTest("the speaker decides nothing")
        third = self.third(self.peer, "192.0.3.1")
        self.node.namespace.ip("route", "add", "192.0.3.0/24", "via", PEER4)
        self.start(64512, 64512, client=True, others=[Session("192.0.3.2", 64512, "192.0.3.1", client=True)])
        eventually("BIRD hears of the node's block", lambda: "cluster_list" in third.route(BLOCK4))
        self.assertIn(f"BGP.originator_id: {NODE4}", third.route(BLOCK4))
        eventually("the node hears of BIRD's route", lambda: OTHER4 in self.node.learned())
        self.wait_exchange_with_third()


class Frr(Interop, unittest.TestCase):
    speaker = bgp_speakers.Frr


class Gobgp(Interop, unittest.TestCase):
    speaker = bgp_speakers.Gobgp


class Openbgpd(Interop, unittest.TestCase):
    speaker = bgp_speakers.Openbgpd


class Exabgp(Interop, unittest.TestCase):
    speaker = bgp_speakers.Exabgp


if __name__ == "__main__":
    sys.exit(bgp_interop.main())
