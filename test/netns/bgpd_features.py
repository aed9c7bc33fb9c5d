"""manul-bgpd with every other open speaker, beyond plain routes: attributes, several paths, refresh, shutdown texts,
passwords, restarts of the other side, IPv4 routes over IPv6 sessions.

    bgpd_features.py BGPD MANULCTL [unittest arguments]

Needs root and at least one of the speakers; exit status 77 (skipped) without them.
"""
import base64
import sys
import time
import unittest

import bgp_interop
import bgp_speakers
from bgp_interop import BLOCK4, BLOCK6, NODE4, NODE6, OTHER4, PEER4, PEER6, POOLS, THIRD4
from bgp_speakers import RICH, Session
from bgpd_rig import affinity, eventually, resource

NET4, NET6 = "198.51.100.0/24", "2001:db8:aaaa::/48"
SHARED4 = "10.65.77.0/26"  # announced by two


class Features(bgp_interop.Interop):
    """What the speaker cannot do is in `lacks`."""
    lacks = ()

    def need(self, feature):
        if feature in self.lacks:
            self.skipTest(f"the speaker has no {feature}")

    def begin(self, sessions, node_as=64512, peer_as=64512, routes=None, peers=(), node=None, **peer):
        self.again = lambda **how: self.peer.start(peer_as, sessions, {NET4: []} if routes is None else routes, **how)
        self.again()
        self.node.start()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=node_as), *POOLS,
                        *([resource("Node", "node-a", bgp={"ipv4Address": f"{NODE4}/24", "ipv6Address": f"{NODE6}/64",
                                                           "asNumber": node_as, **node})] if node else []),
                        resource("BGPPeer", "p4", **{"peerIP": PEER4, "asNumber": peer_as, **peer}), *peers,
                        affinity("node-a", BLOCK4))

    def exchanged(self):
        eventually("the node has the speaker's route", lambda: NET4 in self.node.learned())
        eventually("the speaker has the node's block", lambda: self.peer.heard(BLOCK4))

    def twins(self, neighbour):
        """BIRD behind `neighbour`, as two internal peers with one route each to the same prefix. It holds no two
        sessions with one address, so `neighbour` has two as well."""
        sessions = "".join(f"""
protocol bgp twin{i} {{
  local 192.0.3.{i} as 64512; neighbor 192.0.3.{far} as 64512; strict bind yes; connect retry time 1; connect delay time 1;
  ipv4 {{ import none; next hop self; export filter {{ bgp_path.prepend({65100 + i}); accept; }}; }};
}}""" for i, far in ((2, 1), (3, 4)))
        twins = self.rig.router("twins", THIRD4, f"""
protocol static shared {{ ipv4; route {SHARED4} blackhole; }}{sessions}""")
        self.rig.link(neighbour, "far0", ["192.0.3.1/24", "192.0.3.4/24"], twins, "near0", ["192.0.3.2/24", "192.0.3.3/24"])
        twins.start()

    def test_attributes_both_ways(self):
        self.need("internal routes with every attribute")
        third = self.third(self.node, "192.0.3.1", f"""
    bgp_community.add((65000,7)); bgp_large_community.add((65000,1,2)); bgp_ext_community.add((rt,65000,9));
    bgp_origin = ORIGIN_INCOMPLETE; bgp_med = 50; bgp_local_pref = 200;""")
        self.begin([Session(NODE4, 64512, PEER4)], routes={NET4: RICH}, node={"routeReflectorClusterID": "10.0.0.1"},
                   peers=[resource("BGPPeer", "third", peerIP=THIRD4, asNumber=64512)])
        eventually("the speaker hears of the other route", lambda: self.peer.heard(OTHER4))
        for word in self.peer.words:
            self.assertRegex(self.peer.heard(OTHER4), word)
        eventually("BIRD hears of the speaker's route", lambda: third.route(NET4))
        lacking = {bgp_speakers.Bird.words[i] for i in self.unannounced}
        for word in bgp_speakers.Bird.words:
            if word not in lacking:
                self.assertRegex(third.route(NET4), word)
        shown = self.routes_of(NET4)[0]
        self.assertEqual((shown["med"], shown["localPreference"], shown["origin"]), (50, 200, 2))
        self.assertTrue({"65000:7", "65000:1:2"} <= set(shown["communities"]), shown["communities"])

    unannounced = ()  # of RICH, what the speaker's own commands cannot give a route

    def test_several_paths_to_the_speaker(self):
        self.need("add-path")
        self.twins(self.node)
        self.begin([Session(NODE4, 64512, PEER4, add_path=True)], node={"routeReflectorClusterID": "10.0.0.1"},
                   addPath="Both", peers=[resource("BGPPeer", f"t{i}", peerIP=f"192.0.3.{i}", asNumber=64512)
                                          for i in (2, 3)])
        eventually("the speaker has both paths", lambda: self.peer.paths(SHARED4) == 2)

    def test_several_paths_from_the_speaker(self):
        self.need("add-path")
        self.need("reflection of several paths")
        self.twins(self.peer)
        self.node.namespace.ip("route", "add", "192.0.3.0/24", "via", PEER4)
        self.begin([Session(NODE4, 64512, PEER4, client=True, add_path=True),
                    *(Session(f"192.0.3.{i}", 64512, f"192.0.3.{here}", client=True) for i, here in ((2, 1), (3, 4)))])
        eventually("the node has both paths", lambda: len(self.routes_of(SHARED4)) == 2)
        self.assertEqual(len({route["pathIdentifier"] for route in self.routes_of(SHARED4)}), 2)

    def test_refresh_both_ways(self):
        self.need("route refresh")
        self.begin([Session(NODE4, 64512, PEER4)], peer_as=65000)
        self.exchanged()
        before = self.node.session(PEER4)
        if "refresh answers" not in self.lacks:
            self.node.ask("command", what="refresh-in", peer=PEER4)
            eventually("the speaker sends its routes again",
                       lambda: self.node.session(PEER4)["updatesIn"] > before["updatesIn"])
        if "refresh requests" not in self.lacks:
            self.peer.ask_again(NODE4)
            eventually("the node sends its routes again",
                       lambda: self.node.session(PEER4)["routeBytesOut"] > before["routeBytesOut"])
        eventually("nothing is stale", lambda: not self.node.session(PEER4)["ipv4"]["stale"])
        self.exchanged()
        self.assertEqual(self.node.session(PEER4)["timesUp"], before["timesUp"])

    def test_the_nodes_farewell_is_read(self):
        self.need("words for farewells")
        self.begin([Session(NODE4, 64512, PEER4)], peer_as=65000)
        self.exchanged()
        self.node.ask("command", what="shutdown", peer=PEER4, text="new cable, ask Eva")
        seen = lambda: self.peer.neighbour(NODE4) + self.peer.whole_log()
        eventually("the speaker shows the text", lambda: "new cable, ask Eva" in seen())

    def test_the_speakers_farewell_is_read(self):
        self.need("shutdown texts")
        self.begin([Session(NODE4, 64512, PEER4)], peer_as=65000)
        self.exchanged()
        self.peer.shut_down(NODE4, "back at noon")
        eventually("the node shows the text", lambda: "back at noon" in self.node.session(PEER4)["lastError"])

    def secret(self, password):
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tor", "namespace": "manul-system"},
                "data": {"password": base64.b64encode(password.encode()).decode()}}

    def test_a_password_that_is_wrong_is_named(self):
        self.need("passwords")
        self.begin([Session(NODE4, 64512, PEER4, password="correct")], peer_as=65000,
                   password={"secretKeyRef": {"name": "tor", "key": "password"}}, peers=[self.secret("wrong")])
        eventually("the node says what it may be", lambda: "password" in self.node.session(PEER4)["lastError"], 60)
        self.assertNotEqual(self.node.session(PEER4)["state"], "Established")
        self.node.apply(self.secret("correct"))
        self.exchanged()
        self.node.apply(resource("BGPPeer", "p4", peerIP=PEER4, asNumber=65000))  # and one that is missing here
        eventually("the session ends", lambda: not self.node.is_up(PEER4))
        time.sleep(1)
        self.assertFalse(self.node.is_up(PEER4))

    def test_the_speakers_restart_loses_no_route(self):
        self.need("graceful restart as the restarting side")
        self.begin([Session(NODE4, 64512, PEER4, graceful=True)], peer_as=65000)
        self.exchanged()
        eventually("the speaker's table is whole", lambda: self.node.session(PEER4)["ipv4"]["endOfRib"])

        def kept(condition):
            self.assertIn(NET4, self.node.learned())
            return condition()
        self.peer.stop("kill")
        eventually("the node keeps stale routes", lambda: kept(lambda: self.node.session(PEER4)["ipv4"]["stale"]))
        self.again(restarting=True)
        eventually("the session is back", lambda: kept(lambda: self.node.is_up(PEER4)))
        eventually("nothing is stale", lambda: (self.early_end_of_rib or kept(lambda: True)) and
                   not self.node.session(PEER4)["ipv4"]["stale"], 60)
        self.exchanged()

    early_end_of_rib = False  # the speaker says that its table is whole before it has sent its own routes

    def test_ipv4_over_an_ipv6_session(self):
        self.need("extended next hop")
        self.begin([Session(NODE6, 64512, PEER6, families="46", extra=self.over_ipv6)], peer_as=65000,
                   routes={NET4: [], NET6: []}, peerIP=PEER6, families=["IPv4", "IPv6"])
        self.node.apply(affinity("node-a", BLOCK6))
        self.exchanged()
        eventually("and IPv6", lambda: NET6 in self.node.learned("-6") and self.peer.heard(BLOCK6))
        route = next(r for (dst, _), r in self.node.namespace.routes("proto", "176").items() if dst == NET4)
        self.assertEqual(route["via"]["host"], PEER6)

    over_ipv6 = ()


class Frr(Features, unittest.TestCase):
    speaker = bgp_speakers.Frr
    over_ipv6 = ("capability extended-nexthop",)
    early_end_of_rib = True


class Gobgp(Features, unittest.TestCase):
    speaker = bgp_speakers.Gobgp
    unannounced = (2,)
    lacks = ("extended next hop", "refresh requests")  # softresetin looks at what was received once more


class Openbgpd(Features, unittest.TestCase):
    speaker = bgp_speakers.Openbgpd
    # Asked to send its routes again, 7.7 says "AID IPv4 unicast not negotiated", whatever was.
    lacks = ("extended next hop", "graceful restart as the restarting side", "refresh answers")


class Exabgp(Features, unittest.TestCase):
    speaker = bgp_speakers.Exabgp
    lacks = ("add-path", "reflection of several paths", "route refresh", "shutdown texts", "words for farewells",
             "extended next hop", "graceful restart as the restarting side")


class Bird(Features, unittest.TestCase):
    speaker = bgp_speakers.Bird
    lacks = ("graceful restart as the restarting side",)  # in bgpd_restart.py


if __name__ == "__main__":
    sys.exit(bgp_interop.main())
