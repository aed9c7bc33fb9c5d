"""BFD of manul-bgpd against BIRD's and, where it is installed, FRR's, in network namespaces: sessions of both families,
single hop and multihop, and a path that dies without a word.

    bgpd_bfd.py BGPD MANULCTL [unittest arguments]

Needs root and bird; exit status 77 (skipped) without them.
"""
import os
import pathlib
import shutil
import sys
import time
import unittest

import bgpd_rig as rig
from bgpd_rig import eventually, resource, run

NODE4, NODE6 = "192.0.2.1", "2001:db8::1"
TOR4, TOR6 = "192.0.2.2", "2001:db8::2"
FAR4 = "198.51.100.1"  # on the router's loopback: a second hop away as far as BFD is concerned
FRR = pathlib.Path("/usr/lib/frr")
FAST = {"intervalMs": 150, "multiplier": 3}
DEAD = "BFD"

BIRD_BFD = """protocol bfd {
  interface "*" { min rx interval 150 ms; min tx interval 150 ms; idle tx interval 300 ms; multiplier 3; };
  multihop { min rx interval 150 ms; min tx interval 150 ms; idle tx interval 300 ms; multiplier 3; };
}"""


def bgp(name, local, neighbour, family, options=""):
    return f"""protocol bgp {name} {{
  local {local} as 65000; neighbor {neighbour} as 64512; bfd on; connect retry time 2; error wait time 1, 2; {options}
  {family} {{ import all; export none; }};
}}"""


class Bfd(unittest.TestCase):
    def setUp(self):
        self.rig = rig.Rig()
        self.addCleanup(self.tear_down)
        self.node = self.rig.node("node-a")
        self.daemons = []

    def tear_down(self):
        result = self._outcome.result
        if any(test is self or getattr(test, "test_case", None) is self
               for test, _ in result.failures + result.errors):
            print(self.node.log()[-3000:], self.tor.log()[-2000:], sep="\n", file=sys.stderr)
        for daemon in self.daemons:
            rig.stop(daemon)
        self.rig.close()

    def connect(self, protocols):
        self.tor = self.rig.router("tor", TOR4, protocols)
        self.rig.link(self.node, "up0", [f"{NODE4}/24", f"{NODE6}/64"], self.tor, "down0", [f"{TOR4}/24", f"{TOR6}/64"])
        self.tor.namespace.ip("addr", "add", f"{FAR4}/32", "dev", "lo")
        self.node.namespace.ip("route", "add", FAR4, "via", TOR4)
        self.node.start()

    def peers(self, *addresses, **peer):
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512),
                        *(resource("BGPPeer", f"p{i}", peerIP=address, asNumber=65000, **peer)
                          for i, address in enumerate(addresses)))

    def bfd_up(self, address, single_hop):
        session = self.node.session(address) or {}
        bfd = session.get("bfd") or {}
        return session.get("state") == "Established" and bfd.get("state") == "Up" and bfd["singleHop"] == single_hop

    def wait_up(self, *addresses, single_hop=True):
        for address in addresses:
            eventually(f"BGP and BFD with {address} are up", lambda: self.bfd_up(address, single_hop))

    def wait_steady(self, *addresses, single_hop):
        """Up and staying so: FRR replaces a session when it learns more about the link, which it announces as
        AdminDown; a path that dies just then is nobody's to notice (RFC 5882 section 3.2)."""
        since = time.monotonic()
        end = since + rig.PATIENCE
        while time.monotonic() < since + 2:
            if not all(self.bfd_up(address, single_hop) for address in addresses):
                since = time.monotonic()
            self.assertLess(time.monotonic(), end, "BFD does not stay up")
            time.sleep(0.05)

    def cut(self):
        """The router hears the node no more, and the node the router neither; both links stay up."""
        run("ip", "netns", "exec", self.node.namespace.name, "nft", "-f", "-", stdin="""
table inet cut {
  chain in { type filter hook input priority -300; iifname "up0" drop; }
  chain out { type filter hook output priority -300; oifname "up0" drop; }
}""")

    def mend(self):
        run("ip", "netns", "exec", self.node.namespace.name, "nft", "delete", "table", "inet", "cut")

    def assert_cut_is_found(self, *addresses, single_hop=True):
        self.wait_up(*addresses, single_hop=single_hop)
        self.wait_steady(*addresses, single_hop=single_hop)
        self.cut()
        start = time.monotonic()
        for address in addresses:
            eventually(f"the session with {address} is down", lambda: not self.node.is_up(address), 10)
        took = time.monotonic() - start
        for address in addresses:
            self.assertIn(DEAD, self.node.session(address)["lastError"])
        print(f"  found after {took * 1000:.0f} ms (3 x 150 ms)", file=sys.stderr)
        self.mend()
        self.wait_up(*addresses, single_hop=single_hop)

    def test_bird_single_hop_both_families(self):
        self.connect("\n".join([BIRD_BFD, bgp("n4", TOR4, NODE4, "ipv4", "direct;"),
                                bgp("n6", TOR6, NODE6, "ipv6", "direct;")]))
        self.tor.start()
        self.peers(TOR4, TOR6, bfd=FAST)
        self.assert_cut_is_found(TOR4, TOR6)
        self.node.namespace.ip("link", "set", "up0", "down")  # takes the node's IPv6 address along
        for address in (TOR4, TOR6):
            eventually(f"the session with {address} is down", lambda address=address: not self.node.is_up(address), 10)
            self.assertIn(DEAD, self.node.session(address)["lastError"])

    def test_bird_multihop(self):
        self.connect("\n".join([BIRD_BFD, bgp("far", FAR4, NODE4, "ipv4", "multihop;")]))
        self.tor.start()
        self.peers(FAR4, bfd=FAST)
        self.assert_cut_is_found(FAR4, single_hop=False)

    def test_taking_bfd_out_ends_no_session(self):
        """BIRD takes AdminDown, and silence, for a failure of the path."""
        self.connect("\n".join([BIRD_BFD, bgp("n4", TOR4, NODE4, "ipv4", "direct;")]))
        self.tor.start()
        self.peers(TOR4, bfd=FAST)
        self.wait_up(TOR4)
        self.peers(TOR4)
        time.sleep(2)  # more than three times the detection time
        session = self.node.session(TOR4)
        self.assertEqual((session["state"], session["timesUp"]), ("Established", 1))
        self.tor.reconfigure("\n".join([BIRD_BFD, bgp("n4", TOR4, NODE4, "ipv4", "direct;").replace("bfd on", "bfd off")]))
        eventually("BFD has ended", lambda: (self.node.session(TOR4).get("bfd") or {}).get("state") != "Up")
        self.assertEqual(self.node.session(TOR4)["timesUp"], 1)

    @unittest.skipUnless((FRR / "bfdd").exists(), "FRR is not installed")
    def test_frr_single_hop_both_families(self):
        self.connect("")
        directory = self.rig.directory / "frr"
        directory.mkdir()
        self.rig.directory.chmod(0o755)  # FRR's daemons run as a user of their own
        shutil.chown(directory, "frr", "frr")
        state = pathlib.Path("/var/run/frr", f"mbt{os.getpid()}")
        state.mkdir(parents=True, exist_ok=True)
        shutil.chown(state, "frr", "frr")
        self.addCleanup(shutil.rmtree, state, True)
        config = directory / "frr.conf"
        config.write_text(f"""
hostname tor
router bgp 65000
 bgp router-id {TOR4}
 no bgp ebgp-requires-policy
 neighbor {NODE4} remote-as 64512
 neighbor {NODE4} bfd 3 150 150
 neighbor {NODE6} remote-as 64512
 neighbor {NODE6} bfd 3 150 150
 address-family ipv6 unicast
  neighbor {NODE6} activate
 exit-address-family
""")
        for name in ("zebra", "bfdd", "bgpd"):
            self.daemons.append(self.tor.namespace.spawn(
                FRR / name, "-N", f"mbt{os.getpid()}", "-f", config, "-i", directory / f"{name}.pid",
                "--vty_socket", directory, log=directory / f"{name}.log"))
            eventually(f"{name} runs", lambda: (directory / f"{name}.vty").exists())
        self.peers(TOR4, TOR6, bfd=FAST)
        self.assert_cut_is_found(TOR4, TOR6)


if __name__ == "__main__":
    sys.exit(rig.main("bird"))
