"""What tests of manul-bgpd with one other speaker have in common: the two on a link, and a third one behind either."""
import sys

import bgp_speakers
import bgpd_rig as rig
from bgp_speakers import Session
from bgpd_rig import affinity, eventually, resource

NODE4, NODE6 = "192.0.2.1", "2001:db8::1"
PEER4, PEER6 = "192.0.2.2", "2001:db8::2"
POOLS = (resource("IPPool", "pods4", cidr="10.65.0.0/16", blockSize=26),
         resource("IPPool", "pods6", cidr="fd00:65::/48", blockSize=122))
BLOCK4, BLOCK6 = "10.65.1.0/26", "fd00:65::40/122"
OTHER4, THIRD4 = "10.65.9.0/26", "192.0.3.2"
ROUTES = {"198.51.100.0/24": ["65000:7"], "2001:db8:aaaa::/48": ["65000:7"]}


class Interop:
    """One node and one speaker on a link. Subclasses name the speaker."""
    speaker = None

    def setUp(self):
        if not self.speaker.installed():
            self.skipTest(f"{self.speaker.program} is not installed")
        self.rig = rig.Rig()
        self.addCleanup(self.tear_down)
        self.node = self.rig.node("node-a")
        self.peer = self.speaker(self.rig, "peer", PEER4)
        self.rig.link(self.node, "up0", [f"{NODE4}/24", f"{NODE6}/64"], self.peer, "down0",
                      [f"{PEER4}/24", f"{PEER6}/64"])

    def tear_down(self):
        result = self._outcome.result
        if any(test is self or getattr(test, "test_case", None) is self
               for test, _ in result.failures + result.errors):
            print(self.node.log()[-3000:], self.peer.log(), sep="\n", file=sys.stderr)
        self.rig.close()

    def start(self, node_as, peer_as, gtsm=False, client=False, others=(), **peer):
        self.peer.start(peer_as, [Session(NODE4, node_as, PEER4, gtsm=gtsm, client=client),
                                  Session(NODE6, node_as, PEER6, gtsm=gtsm, client=client), *others], ROUTES)
        self.node.start()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=node_as), *POOLS,
                        resource("BGPPeer", "p4", peerIP=PEER4, asNumber=peer_as, **peer),
                        resource("BGPPeer", "p6", peerIP=PEER6, asNumber=peer_as, **peer),
                        affinity("node-a", BLOCK4), affinity("node-a", BLOCK6))

    def wait_exchange(self):
        eventually("the node has the speaker's routes in its kernel",
                   lambda: self.node.learned() == {"198.51.100.0/24"} and
                   self.node.learned("-6") == {"2001:db8:aaaa::/48"})
        eventually("the speaker has the node's blocks", lambda: self.peer.heard(BLOCK4) and self.peer.heard(BLOCK6))

    def routes_of(self, prefix):
        return self.node.ask("routes", prefix=prefix)["routes"]

    def third(self, neighbour, neighbour_side, marks=""):
        """BIRD on a link of its own behind `neighbour`, with a route (`marks` change it); everything internal."""
        third = self.rig.router("third", THIRD4, f"""
protocol static statics {{ ipv4; route {OTHER4} blackhole; }}
protocol static links {{ ipv4; route 192.0.2.0/24 via {neighbour_side}; }}
protocol bgp inner {{
  local {THIRD4} as 64512; neighbor {neighbour_side} as 64512; connect retry time 2; error wait time 1, 2;
  ipv4 {{ import all; next hop self;
    export filter {{ if proto != "statics" then reject; {marks} accept; }}; }};
}}""")
        self.rig.link(neighbour, "far0", [f"{neighbour_side}/24"], third, "near0", [f"{THIRD4}/24"])
        third.start()
        return third

    def wait_exchange_with_third(self):
        eventually("the node has both routes", lambda: self.node.learned() == {"198.51.100.0/24", OTHER4})


def main():
    if not any(speaker.installed() for speaker in bgp_speakers.ALL):
        print("needs another BGP speaker")
        return 77
    return rig.main()
