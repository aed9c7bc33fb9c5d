"""manul-bgpd on links without addresses of their own: peers found by router advertisements, IPv4 routes over IPv6 next
hops (RFC 8950), with FRR and BIRD; two links with one and the same neighbour address; links that go away.

    bgpd_unnumbered.py BGPD MANULCTL [unittest arguments]

Needs root and FRR or BIRD; exit status 77 (skipped) without them.
"""
import shutil
import sys
import unittest

import bgp_speakers
import bgpd_rig as rig
from bgp_speakers import Session
from bgpd_rig import affinity, eventually, resource, run

BLOCK4, BLOCK6 = "10.65.1.0/26", "fd00:65::40/122"
POD4, POD6 = "10.65.1.1", "fd00:65::41"
NET4, NET6 = "198.51.100.0/24", "2001:db8:aaaa::/48"
HOST4, HOST6 = "198.51.100.1", "2001:db8:aaaa::1"
POOLS = (resource("IPPool", "pods4", cidr="10.65.0.0/16", blockSize=26),
         resource("IPPool", "pods6", cidr="fd00:65::/48", blockSize=122))
SAME = "fe80::aa"  # the neighbour of two links


def forwards(part):
    for name in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
                 "net.ipv4.fib_multipath_hash_policy=1"):
        run("ip", "netns", "exec", part.namespace.name, "sysctl", "-qw", name)


class Unnumbered(unittest.TestCase):
    def setUp(self):
        self.rig = rig.Rig()
        self.addCleanup(self.tear_down)
        self.node = self.rig.node("node-a")
        self.others = []

    def tear_down(self):
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            print(self.node.log()[-3000:], *(other.log()[-3000:] for other in self.others), sep="\n", file=sys.stderr)
        self.rig.close()

    def prepare(self, *others):
        """Addresses that packets go between, on no link."""
        self.others += others
        for part, addresses in ((self.node, (POD4, POD6)), *((other, (HOST4, HOST6)) for other in others)):
            forwards(part)
            for address in addresses:
                part.namespace.ip("addr", "add", address, "dev", "lo")

    def start(self, *peers):
        self.node.start()
        self.node.apply(resource("Node", "node-a", bgp={"ipv4Address": f"{POD4}/32", "asNumber": 64512}),
                        resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512), *POOLS,
                        *peers, affinity("node-a", BLOCK4), affinity("node-a", BLOCK6))

    def link(self, other, name, other_name, here=(), there=()):
        self.rig.link(self.node, name, here, other, other_name, there)

    def learned_both(self):
        return NET4 in self.node.learned() and NET6 in self.node.learned("-6")

    def pings(self):
        """Packets of both families there and back."""
        def one(source, target):
            return run("ip", "netns", "exec", self.node.namespace.name, "ping", "-c1", "-W1", "-I", source, target,
                       check=False)
        return all("1 received" in one(*pair) for pair in ((POD4, HOST4), (POD6, HOST6)))

    def ways(self):
        """Links that the IPv4 route leads over."""
        route = next(r for (dst, _), r in self.node.namespace.routes("proto", "176").items() if dst == NET4)
        for hop in route.get("nexthops", [route]):
            self.assertEqual(hop["via"]["family"], "inet6")
        return sorted(hop["dev"] for hop in route.get("nexthops", [route]))


@unittest.skipUnless(bgp_speakers.Frr.installed(), "needs FRR")
class Frr(Unnumbered):
    def frr(self, *links):
        frr = bgp_speakers.Frr(self.rig, "frr", "10.0.0.2")
        for i, (here, there) in enumerate(links):
            self.link(frr, f"up{i}", f"down{i}", here, there)
        self.prepare(frr)
        frr.start(65000, [Session("", "external", interface=f"down{i}") for i in range(len(links))],
                  {NET4: [], NET6: []})
        return frr

    def interface_peers(self, count, **more):
        return [resource("BGPPeer", f"up{i}", interface=f"up{i}", asNumber=65000, **more) for i in range(count)]

    def test_each_finds_the_other_and_packets_pass(self):
        frr = self.frr(((), ()))
        self.start(*self.interface_peers(1))
        eventually("routes of both families", self.learned_both)
        eventually("FRR has the blocks", lambda: frr.heard(BLOCK4) and frr.heard(BLOCK6))
        self.assertEqual(self.ways(), ["up0"])
        eventually("packets pass", self.pings)
        peer = self.node.ask("peers")["peers"][0]
        self.assertRegex(peer["address"], "^fe80::.*%up0$")
        shown = self.node.ask("peers", peer=peer["address"])["peers"][0]["capabilities"]
        for side in ("sent", "received"):
            self.assertIn("extended-next-hop IPv4 over IPv6", shown[side])
        route = self.node.ask("routes", prefix=NET4)["routes"][0]
        self.assertEqual((route["nextHop"], route["interface"]), (peer["address"], "up0"))

    def test_without_a_neighbour_the_peer_says_so(self):
        self.start(*self.interface_peers(1))
        eventually("there is no link", lambda: "no interface up0" in self.node.session("up0")["lastError"])
        frr = self.rig.router("silent", "10.0.0.9", "")
        self.link(frr, "up0", "down0")
        eventually("there is nobody on it", lambda: "no router has been heard" in self.node.session("up0")["lastError"])

    def test_one_neighbour_address_on_two_links(self):
        frr = self.frr(((), [f"{SAME}/64"]), ((), [f"{SAME}/64"]))
        self.start(*self.interface_peers(2))
        eventually("both sessions are up", lambda: all(self.node.is_up(f"{SAME}%up{i}") for i in range(2)))
        eventually("routes lead over both links", lambda: self.learned_both() and self.ways() == ["up0", "up1"])
        eventually("packets pass", self.pings)
        self.node.namespace.ip("link", "set", "up0", "down")
        eventually("one way is left", lambda: self.ways() == ["up1"])
        eventually("packets pass over the other link", self.pings)
        self.node.namespace.ip("link", "set", "up0", "up")
        eventually("both again", lambda: self.ways() == ["up0", "up1"])

    def test_a_link_that_flaps_and_one_that_is_made_anew(self):
        frr = self.frr(((), ()))
        self.start(*self.interface_peers(1))
        eventually("routes of both families", self.learned_both)
        for part, name in ((self.node, "up0"), (frr, "down0")):
            part.namespace.ip("link", "set", name, "down")
            eventually("the routes have gone", lambda: not self.node.learned())
            part.namespace.ip("link", "set", name, "up")
            eventually("the routes are back", self.learned_both)
            eventually("packets pass", self.pings)
        self.node.namespace.ip("link", "del", "up0")
        eventually("the peer waits for its link", lambda: "no interface" in self.node.session("up0")["lastError"])
        self.link(frr, "up0", "down0")
        eventually("the routes are back", self.learned_both)
        eventually("packets pass", self.pings)


@unittest.skipUnless(shutil.which("bird"), "needs BIRD")
class Bird(Unnumbered):
    CHANNELS = """
  ipv4 { import all; export where proto = "s4"; extended next hop on; };
  ipv6 { import all; export where proto = "s6"; };"""

    def bird(self, neighbour):
        router = self.rig.router("router", "10.0.0.2", f"""
protocol static s4 {{ ipv4; route {NET4} blackhole; }}
protocol static s6 {{ ipv6; route {NET6} blackhole; }}
protocol bgp node {{ local fe80::2 as 65000; {neighbour}; connect retry time 1; error wait time 1, 2; {self.CHANNELS}
}}""")
        self.link(router, "up0", "down0", ["fe80::1/64"], ["fe80::2/64"])
        self.prepare(router)
        router.start()
        return router

    def wait_exchange(self, router):
        eventually("routes of both families", self.learned_both)
        eventually("BIRD has the blocks", lambda: router.route(BLOCK4) and router.route(BLOCK6))
        eventually("packets pass", self.pings)

    def test_a_neighbour_that_is_named_by_its_address(self):
        router = self.bird("neighbor fe80::1%down0 as 64512; passive")
        self.start(resource("BGPPeer", "r", interface="up0", peerIP="fe80::2", asNumber=65000))
        self.wait_exchange(router)
        self.assertTrue(self.node.is_up("fe80::2%up0"))

    def test_a_neighbour_that_is_found_because_it_connects(self):
        router = self.bird("neighbor fe80::1%down0 as 64512")
        self.start(resource("BGPPeer", "r", interface="up0", asNumber=65000, passive=True, bfd={}))
        self.wait_exchange(router)


if __name__ == "__main__":
    sys.exit(rig.main())
