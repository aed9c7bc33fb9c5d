"""Settings of manul-bgpd that only show beside a real router and kernel: where it listens, which address sessions start
from, whose prefixes count as the host's, next hops that lead nowhere, what is not possible here.

    bgpd_settings.py BGPD MANULCTL [unittest arguments]

Needs root and bird; exit status 77 (skipped) without them.
"""
import errno
import socket
import sys
import time

import bgpd_bird as base
import bgpd_rig as rig
from bgpd_bird import BLOCK4, NODE4, NODE6, TOR4, TOR6
from bgpd_rig import eventually, resource, run

LOOPBACK4 = "203.0.113.77"


def kernel_has_tcp_ao():
    """TCP_AO_ADD_KEY with a request that is wrong in every way: known, or not even that."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, 38, bytes(288))
        except OSError as problem:
            return problem.errno != errno.ENOPROTOOPT
    return True


class Settings(base.BgpdTest):
    def configuration(self, **more):
        return resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512, **more)

    def listening(self):
        text = run("ip", "netns", "exec", self.node.namespace.name, "ss", "-Hltn", "sport", "=", "179")
        return {line.split()[3].rsplit(":", 1)[0].strip("[]*") for line in text.splitlines()}

    def test_bind_mode_moves_the_listening_sockets(self):
        self.tor.start()
        self.start()
        self.wait_up()
        self.assertTrue(self.listening().isdisjoint({NODE4, NODE6}))
        self.node.apply(resource("Node", "node-a", bgp={"ipv4Address": f"{NODE4}/24", "ipv6Address": f"{NODE6}/64"}),
                        self.configuration(bindMode="NodeIP"))
        eventually("it listens on the node's addresses alone", lambda: self.listening() == {NODE4, NODE6})
        self.wait_up()
        self.tor.ask("restart n4")
        self.wait_up()

    def test_sessions_start_from_the_nodes_address_wherever_it_is(self):
        self.node.namespace.ip("addr", "add", f"{LOOPBACK4}/32", "dev", "lo")
        self.tor.namespace.ip("route", "add", LOOPBACK4, "via", NODE4)
        self.tor.protocols = "\n".join([base.STATIC4, base.STATIC6, base.bgp(
            "n4", 65000, LOOPBACK4, 64512, "ipv4", "multihop; passive;")])
        self.tor.start()
        self.node.start()
        self.node.apply(resource("Node", "node-a", bgp={"ipv4Address": f"{LOOPBACK4}/32"}), self.configuration(),
                        *base.POOLS, resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000))
        eventually("the session is up", lambda: self.node.is_up(TOR4) and self.tor.up("n4"))
        self.node.apply(resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000, sourceAddress="None"))
        eventually("the router does not know the link's address", lambda: not self.node.is_up(TOR4))
        self.node.apply(resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000))
        eventually("the session is back", lambda: self.node.is_up(TOR4))

    def test_prefixes_of_ignored_interfaces_are_not_the_hosts(self):
        for name, address in (("seen0", "10.99.1.1/24"), ("quiet0", "10.99.2.1/24")):
            self.node.namespace.ip("link", "add", name, "type", "veth", "peer", "name", f"{name}x")
            self.node.namespace.ip("addr", "add", address, "dev", name)
            for end in (name, f"{name}x"):
                self.node.namespace.ip("link", "set", end, "up")
        self.tor.start()
        self.start()
        self.node.apply(self.configuration(ignoredInterfaces=["quiet*"]),
                        resource("BGPFilter", "links", exportV4=[{"action": "Accept", "matchOperator": "In",
                                                                  "cidr": "10.99.0.0/16"}]),
                        resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000, filters=["links"]))
        eventually("one prefix is announced", lambda: self.tor.route("10.99.1.0/24"))
        self.assertEqual(self.tor.route("10.99.2.0/24"), "")
        self.node.apply(self.configuration())
        eventually("then both", lambda: self.tor.route("10.99.2.0/24"))

    def test_next_hops_that_lead_nowhere(self):
        far = "10.200.0.9"
        self.tor.protocols = "\n".join([base.STATIC4, base.STATIC6, f"""
protocol bgp n4 {{
  local as 65000; neighbor {NODE4} as 64512; error wait time 1, 2;
  ipv4 {{ import all; export filter {{ if proto != "s4" then reject;
    if net = 203.0.113.0/24 then bgp_next_hop = {far}; accept; }}; }};
}}"""])
        self.tor.start()
        self.start()
        eventually("the route with a good next hop", lambda: self.node.learned() == {"198.51.100.0/24"})

        def verdict():
            return [r["verdict"] for r in self.node.ask("routes", prefix="203.0.113.0/24")["routes"]]
        eventually("the other is kept out, with the reason", lambda: verdict() == ["next hop unreachable"])
        self.node.namespace.ip("route", "add", "10.200.0.0/24", "via", TOR4)
        eventually("both", lambda: self.node.learned() == {"198.51.100.0/24", "203.0.113.0/24"})
        eventually("and said to be", lambda: verdict() == ["best"])
        self.node.namespace.ip("route", "del", "10.200.0.0/24")
        eventually("one again", lambda: self.node.learned() == {"198.51.100.0/24"})

    def test_tcp_ao_where_the_kernel_has_none_is_refused_and_said(self):
        if kernel_has_tcp_ao():
            self.skipTest("this kernel has TCP-AO")
        self.tor.start()
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "k", "namespace": "manul-system"},
                  "data": {"k": "a2V5"}}
        self.node.start()
        self.node.apply(self.configuration(), secret,
                        resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000, tcpAO={"sendID": 5, "receiveID": 5},
                                 password={"secretKeyRef": {"name": "k", "key": "k"}}),
                        resource("BGPPeer", "tor6", peerIP=TOR6, asNumber=65000))
        eventually("the other peer is up", lambda: self.node.is_up(TOR6))
        self.assertIn("this kernel has no TCP-AO", self.node.session(TOR4)["lastError"])
        time.sleep(2)  # and it stays so, although the router asks for no key at all
        self.assertEqual((self.node.session(TOR4)["state"], self.tor.up("n4")), ("Idle", False))


if __name__ == "__main__":
    sys.exit(rig.main("bird"))
