"""Peerings that Calico's resources describe beside plain ones, between real daemons: workloads that speak BGP, Nodes that
peer in return, the mesh with a password and a port of its own, next hops, loops that are allowed, aggregated services.

    bgpd_peerings.py BGPD MANULCTL [unittest arguments]

Needs root and bird; exit status 77 (skipped) without them.
"""
import base64
import sys
import unittest

import bgpd_rig as rig
from bgp_peer import UPDATE, Peer, encoded, four_octet_as, multiprotocol, update_body
from bgpd_rig import affinity, eventually, resource

NODE_A, NODE_B, ROUTER, OTHER, INSIDE = (f"192.0.2.{n}" for n in (1, 3, 2, 4, 5))
NODE6, ROUTER6 = "2001:db8::1", "2001:db8::2"
PEERING, PEERING6 = "169.254.0.179", "fd00:169::179"
BLOCK_A, BLOCK_B = "10.65.1.0/26", "10.65.2.0/26"
POOL = resource("IPPool", "pods4", cidr="10.65.0.0/16", blockSize=26)


def configuration(**more):
    return resource("BGPConfiguration", "default", **{"nodeToNodeMeshEnabled": False, "asNumber": 64512, **more})


def node_object(name, address, **bgp):
    made = resource("Node", name, bgp={"ipv4Address": f"{address}/24", **bgp})
    made["metadata"]["labels"] = {"rack": name}
    return made


class Peerings(unittest.TestCase):
    def setUp(self):
        self.rig = rig.Rig()
        self.addCleanup(self.rig.close)
        self.a = self.rig.node("node-a")
        self.peers = []
        self.addCleanup(lambda: [peer.close() for peer in self.peers])

    def second_node(self):
        b = self.rig.node("node-b")
        self.rig.link(self.a, "up0", [f"{NODE_A}/24"], b, "up0", [f"{NODE_B}/24"])
        self.a.start()
        b.start()
        self.a.apply(POOL, node_object("node-a", NODE_A), node_object("node-b", NODE_B), affinity("node-a", BLOCK_A),
                     affinity("node-b", BLOCK_B))
        return b

    def exchanged(self, b):
        eventually("both blocks", lambda: BLOCK_B in self.a.learned() and BLOCK_A in b.learned())

    def test_a_node_that_is_peered_with_peers_in_return(self):
        b = self.second_node()
        peer = {"peerIP": NODE_A, "nodeSelector": "rack == 'node-b'"}
        self.a.apply(configuration(), resource("BGPPeer", "one-way", reversePeering="Manual", **peer))
        eventually("one end alone is configured", lambda: b.session(NODE_A)  # and the mesh of before is gone
                   and b.session(NODE_A)["name"] == "BGPPeer(one-way)" and self.a.session(NODE_B) is None)
        self.a.apply(resource("BGPPeer", "one-way", **peer))
        self.exchanged(b)
        self.assertEqual(self.a.session(NODE_B)["name"], "BGPPeer(one-way)")
        self.a.apply(resource("BGPPeer", "one-way", reversePeering="Manual", **peer))
        eventually("the other end is gone", lambda: self.a.session(NODE_B) is None)
        eventually("with its routes", lambda: not self.a.learned() and not b.learned())

    def test_the_mesh_with_a_port_and_a_password(self):
        b = self.second_node()
        self.exchanged(b)  # the mesh is on as long as nobody says otherwise
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mesh", "namespace": "manul-system"},
                  "data": {"key": base64.b64encode(b"correct horse").decode()}}
        self.a.apply(secret, configuration(nodeToNodeMeshEnabled=True, listenPort=1790, nodeMeshMaxRestartTime="10s",
                                           nodeMeshPassword={"secretKeyRef": {"name": "mesh", "key": "key"}}))

        def moved():
            sockets = rig.run("ip", "netns", "exec", self.a.namespace.name, "ss", "-Htn", "state", "established",
                              "( sport = :1790 or dport = :1790 )")
            return NODE_B in sockets and self.a.is_up(NODE_B) and b.is_up(NODE_A)
        eventually("up on the other port", moved)
        self.exchanged(b)
        self.a.apply(configuration(asNumber=64512))
        eventually("no mesh, no routes", lambda: not self.a.learned() and not b.learned())

    def test_a_workload_peers_with_its_node(self):
        """It knows one address for all nodes, which stands on its link; what it announces in a pool goes on to routers."""
        router = self.rig.router("tor", ROUTER, f"""
protocol bgp n4 {{ local as 65000; neighbor {NODE_A} as 64512; ipv4 {{ import all; export none; }}; }}""")
        pod = self.rig.router("pod", "10.65.1.5", f"""
protocol static s4 {{ ipv4; route 10.65.200.0/24 blackhole; route 192.0.2.128/25 blackhole; }}
protocol bgp n4 {{ local 10.65.1.5 as 65100; neighbor {PEERING} as 64512; multihop; connect retry time 1;
  connect delay time 1; error wait time 1, 2; ipv4 {{ import all; export where proto = "s4"; }}; }}""")
        self.rig.link(self.a, "up0", [f"{NODE_A}/24"], router, "down0", [f"{ROUTER}/24"])
        self.a.start()
        router.start()
        endpoint = resource("WorkloadEndpoint", "node--a-cni-speaker-eth0", node="node-a", orchestrator="cni",
                            containerID="speaker", endpoint="eth0", interfaceName="cali0123456789a",
                            ipNetworks=["10.65.1.5/32"], profiles=[])
        endpoint["metadata"].update(namespace="default", labels={"role": "bgp"})
        self.a.apply(configuration(localWorkloadPeeringIPV4=PEERING), POOL, affinity("node-a", BLOCK_A), endpoint,
                     resource("BGPPeer", "tor", peerIP=ROUTER, asNumber=65000),
                     resource("BGPPeer", "workloads", localWorkloadSelector="role == 'bgp'", asNumber=65100))
        eventually("the peer is wanted", lambda: self.a.session("10.65.1.5"))
        # The link comes after the endpoint.
        self.rig.link(self.a, "cali0123456789a", [], pod, "eth0", ["10.65.1.5/32"])
        pod.namespace.ip("route", "add", PEERING, "dev", "eth0")
        self.a.namespace.ip("route", "add", "10.65.1.5/32", "dev", "cali0123456789a", "metric", "1023")
        pod.start()
        eventually("the workload is up", lambda: self.a.is_up("10.65.1.5") and pod.up("n4"))
        self.assertEqual(self.a.session("10.65.1.5")["name"], "BGPPeer(workloads) default/speaker")
        eventually("its route in the pool goes on", lambda: "65100" in router.route("10.65.200.0/24"))
        self.assertEqual(router.route("192.0.2.128/25"), "")
        eventually("and is in the kernel", lambda: "10.65.200.0/24" in self.a.learned())
        eventually("it has the node's block", lambda: pod.route(BLOCK_A))
        # What the node itself sends to the workload comes from the node's address.
        way = rig.run("ip", "-n", self.a.namespace.name, "route", "get", "10.65.1.5")
        self.assertIn(f"src {NODE_A}", way)

        def on_link():
            return PEERING in rig.run("ip", "-n", self.a.namespace.name, "addr", "show", "dev", "cali0123456789a")
        self.assertTrue(on_link())
        self.a.apply(configuration())
        eventually("the address goes with the setting", lambda: not on_link())
        self.a.apply(configuration(localWorkloadPeeringIPV4=PEERING))
        eventually("and comes with it", on_link)
        self.a.delete("bgppeer", "workloads")
        eventually("and goes with the peer", lambda: not on_link())
        eventually("the router is told", lambda: not router.route("10.65.200.0/24"))

    def test_a_workload_peers_with_its_node_by_ipv6(self):
        router = self.rig.router("tor", ROUTER, f"""
protocol bgp n6 {{ local {ROUTER6} as 65000; neighbor {NODE6} as 64512; ipv6 {{ import all; export none; }}; }}""")
        pod = self.rig.router("pod", "10.65.1.5", f"""
protocol static s6 {{ ipv6; route fd00:65:200::/64 blackhole; route 2001:db8:9::/64 blackhole; }}
protocol bgp n6 {{ local fd00:65:1::5 as 65100; neighbor {PEERING6} as 64512; multihop; connect retry time 1;
  connect delay time 1; error wait time 1, 2; ipv6 {{ import all; export where proto = "s6"; }}; }}""")
        self.rig.link(self.a, "up0", [f"{NODE_A}/24", f"{NODE6}/64"], router, "down0", [f"{ROUTER}/24", f"{ROUTER6}/64"])
        self.a.start()
        router.start()
        endpoint = resource("WorkloadEndpoint", "node--a-cni-speaker-eth0", node="node-a", orchestrator="cni",
                            containerID="speaker", endpoint="eth0", interfaceName="cali0123456789a",
                            ipNetworks=["fd00:65:1::5/128"], profiles=[])
        endpoint["metadata"].update(namespace="default", labels={"role": "bgp"})
        pool, block = resource("IPPool", "pods6", cidr="fd00:65::/32", blockSize=122), "fd00:65:1::/122"
        self.a.apply(configuration(localWorkloadPeeringIPV6=PEERING6), pool, affinity("node-a", block), endpoint,
                     resource("BGPPeer", "tor", peerIP=ROUTER6, asNumber=65000),
                     resource("BGPPeer", "workloads", localWorkloadSelector="role == 'bgp'", asNumber=65100))
        eventually("the peer is wanted", lambda: self.a.session("fd00:65:1::5"))
        self.rig.link(self.a, "cali0123456789a", [], pod, "eth0", ["fd00:65:1::5/128"])
        pod.namespace.ip("-6", "route", "add", PEERING6, "dev", "eth0")
        self.a.namespace.ip("-6", "route", "add", "fd00:65:1::5/128", "dev", "cali0123456789a", "metric", "1023")
        pod.start()
        eventually("the workload is up", lambda: self.a.is_up("fd00:65:1::5") and pod.up("n6"))
        eventually("its route in the pool goes on", lambda: "65100" in router.route("fd00:65:200::/64"))
        self.assertEqual(router.route("2001:db8:9::/64"), "")
        eventually("and is in the kernel", lambda: "fd00:65:200::/64" in self.a.learned("-6"))
        eventually("it has the node's block", lambda: pod.route(block))
        # What the node itself sends to the workload comes from the node's address.
        way = rig.run("ip", "-n", self.a.namespace.name, "-6", "route", "get", "fd00:65:1::5")
        self.assertIn(f"src {NODE6}", way)

        def on_link():
            return PEERING6 in rig.run("ip", "-n", self.a.namespace.name, "-6", "addr", "show", "dev", "cali0123456789a")
        self.assertTrue(on_link())
        self.a.apply(configuration())
        eventually("the address goes with the setting", lambda: not on_link())
        self.a.apply(configuration(localWorkloadPeeringIPV6=PEERING6))
        eventually("and comes with it", on_link)

    def crowd(self, **settings):
        """Peers in the hands of the test: two outside, one inside."""
        far = self.rig.router("far", ROUTER, "")
        self.rig.link(self.a, "up0", [f"{NODE_A}/24"], far, "down0", [f"{ROUTER}/24"])
        for address in (OTHER, INSIDE):
            far.namespace.ip("addr", "add", f"{address}/24", "dev", "down0")
        far.namespace.ip("addr", "add", "192.0.9.9/32", "dev", "lo")
        self.a.namespace.ip("route", "add", "192.0.9.0/24", "via", ROUTER)
        self.a.start()
        self.a.apply(configuration(**settings), POOL, affinity("node-a", BLOCK_A),
                     resource("BGPPeer", "router", peerIP=ROUTER, asNumber=65000, passive=True),
                     resource("BGPPeer", "other", peerIP=OTHER, asNumber=65001, passive=True),
                     resource("BGPPeer", "inside", peerIP=INSIDE, asNumber=64512, passive=True))
        eventually("the peers are wanted", lambda: len(self.a.ask("peers")["peers"]) == 3)
        self.peers = [Peer.connected(far.namespace.name, address, NODE_A).up(number, multiprotocol(1) + four_octet_as(number))
                      for address, number in ((ROUTER, 65000), (OTHER, 65001), (INSIDE, 64512))]
        return self.peers

    @staticmethod
    def announce(peer, prefix, next_hop, path=(), internal=False):
        numbers = b"".join(number.to_bytes(4, "big") for number in path)
        segment = bytes([2, len(path)]) + numbers if path else b""
        attributes = (b"\x40\x01\x01\0" + b"\x40\x02" + bytes([len(segment)]) + segment + b"\x40\x03\4" +
                      bytes(int(part) for part in next_hop.split(".")) + (b"\x40\5\4\0\0\0\x64" if internal else b""))
        peer.say(UPDATE, update_body(attributes, encoded(prefix)))

    def hears(self, peer, prefix, next_hop):
        """As it is told now, and after a change of the peer's definition: over the same session."""
        packed = bytes(int(part) for part in next_hop.split("."))
        peer.wait(lambda: peer.routes.get(prefix, {}).get(3, (0, b""))[1] == packed)

    def test_next_hops(self):
        router, other, inside = self.crowd()
        # From outside to inside: as it was, or the node.
        self.announce(router, "10.65.9.0/24", ROUTER, [65000])
        self.hears(inside, "10.65.9.0/24", ROUTER)
        self.a.apply(resource("BGPPeer", "inside", peerIP=INSIDE, asNumber=64512, passive=True, nextHopMode="Self"))
        self.hears(inside, "10.65.9.0/24", NODE_A)
        # From inside to outside: the node where the next hop is not on the link, as it was where that is wanted.
        self.announce(inside, "10.65.10.0/24", "192.0.9.9", internal=True)
        self.announce(inside, "10.65.11.0/24", INSIDE, internal=True)
        self.hears(other, "10.65.10.0/24", NODE_A)
        self.hears(other, "10.65.11.0/24", INSIDE)
        for keep in ({"keepOriginalNextHop": True}, {"nextHopMode": "Keep"}):
            with self.subTest(keep):
                self.a.apply(resource("BGPPeer", "other", peerIP=OTHER, asNumber=65001, passive=True, **keep))
                self.hears(other, "10.65.10.0/24", "192.0.9.9")
                self.hears(other, BLOCK_A, NODE_A)
                self.a.apply(resource("BGPPeer", "other", peerIP=OTHER, asNumber=65001, passive=True))
                self.hears(other, "10.65.10.0/24", NODE_A)

    def test_whoever_is_named_inside_a_range_has_the_named_peers_password_or_none(self):
        self.crowd()
        for peer in self.peers:
            peer.close()

        def definition(name, key=None, **spec):
            password = {"password": {"secretKeyRef": {"name": "keys", "key": key}}} if key else {}
            return resource("BGPPeer", name, passive=True, filters=["all"], **password, **spec)
        keys = {key: base64.b64encode(key.encode()).decode() for key in ("range", "own")}
        self.a.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "manul-system"},
                      "data": keys}, resource("BGPFilter", "all", importV4=[{"action": "Accept"}]),
                     definition("range", "range", listenRange="192.0.2.0/24", asNumber=64512),
                     definition("other", "own", peerIP=OTHER, asNumber=64512),
                     definition("router", peerIP=ROUTER, asNumber=64512))
        self.a.delete("bgppeer", "inside")

        def admitted(address, key):
            try:
                peer = Peer.connected(self.rig.parts[1].namespace.name, address, NODE_A, key=key, seconds=1)
            except TimeoutError:
                return False
            self.peers.append(peer)
            peer.up(64512).close()
            return True
        for address, key in ((ROUTER, None), (OTHER, "own"), (INSIDE, "range")):
            eventually(f"{address} with {key}", lambda address=address, key=key: admitted(address, key))
        for address, key in ((ROUTER, "range"), (OTHER, "range"), (INSIDE, None)):
            self.assertFalse(admitted(address, key), (address, key))
        # Its address is one of those that the range was cut into: with a key of its own, and without.
        self.a.apply(definition("inside", "own", peerIP=INSIDE, asNumber=64512))
        eventually("with its own", lambda: admitted(INSIDE, "own"))
        self.a.apply(definition("inside", peerIP=INSIDE, asNumber=64512))
        eventually("and with none", lambda: admitted(INSIDE, None))
        self.a.delete("bgppeer", "inside")
        eventually("as all in the range", lambda: admitted(INSIDE, "range"))
        self.a.delete("bgppeer", "router")
        eventually("the range is whole again", lambda: admitted(ROUTER, "range"))
        self.assertFalse(admitted(ROUTER, None))

    def test_a_node_that_is_about_to_be_shut_down_says_so(self):
        """RFC 8326, by the node's own BGPConfiguration, while its sessions stay up."""
        router, _, inside = self.crowd()
        relayed = "10.65.10.0/24"
        self.announce(inside, relayed, INSIDE, internal=True)
        for peer in (router, inside):
            peer.wait(lambda peer=peer: BLOCK_A in peer.routes)
        router.wait(lambda: relayed in router.routes)
        drain = resource("BGPConfiguration", "node.node-a",
                         prefixAdvertisements=[{"cidr": "0.0.0.0/0", "communities": ["65535:0"]}])
        self.a.apply(drain)
        for peer in (router, inside):
            peer.wait(lambda peer=peer: peer.routes[BLOCK_A].get(8, (0, b""))[1] == b"\xff\xff\0\0")
        router.wait(lambda: router.routes[relayed].get(8, (0, b""))[1] == b"\xff\xff\0\0")
        # What speaks to the receivers does not keep routes here: NO_EXPORT, and NO_ADVERTISE.
        drain["spec"]["prefixAdvertisements"][0]["communities"] = ["65535:65281", "65535:65282"]
        self.a.apply(drain)
        for peer in (router, inside):
            peer.wait(lambda peer=peer: peer.routes[BLOCK_A].get(8, (0, b""))[1] == b"\xff\xff\xff\1\xff\xff\xff\2")
        self.a.delete("bgpconfiguration", "node.node-a")
        for peer in (router, inside):
            peer.wait(lambda peer=peer: 8 not in peer.routes[BLOCK_A])
        self.assertEqual({p["timesUp"] for p in self.a.ask("peers")["peers"]}, {1})

    def test_a_path_through_the_own_as_is_used_as_often_as_it_is_allowed(self):
        router, _, _ = self.crowd()

        def verdict():
            return [r["verdict"] for r in self.a.ask("routes", prefix="10.65.9.0/24")["routes"]]
        self.announce(router, "10.65.9.0/24", ROUTER, [65000, 64512, 64512])
        eventually("a loop", lambda: verdict() == ["own AS in the path"])
        for times, wanted in ((1, "own AS in the path"), (2, "best")):
            self.a.apply(resource("BGPPeer", "router", peerIP=ROUTER, asNumber=65000, passive=True,
                                  numAllowedLocalASNumbers=times))
            eventually(f"{times} times", lambda wanted=wanted: verdict() == [wanted])

    def test_load_balancer_addresses_one_by_one(self):
        router, _, _ = self.crowd(serviceLoadBalancerIPs=[{"cidr": "198.18.0.0/24"}])
        router.wait(lambda: "198.18.0.0/24" in router.routes)
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
                   "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.10", "ports": [{"port": 80}]},
                   "status": {"loadBalancer": {"ingress": [{"ip": "198.18.0.7"}]}}}
        endpoints = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                     "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
                     "endpoints": [{"addresses": ["10.65.2.9"], "nodeName": "node-b", "conditions": {"ready": True}}],
                     "ports": [{"port": 80}]}
        self.a.apply(service, endpoints, configuration(serviceLoadBalancerIPs=[{"cidr": "198.18.0.0/24"}],
                                                       serviceLoadBalancerAggregation="Disabled"))
        router.wait(lambda: "198.18.0.7/32" in router.routes and "198.18.0.0/24" not in router.routes)
        endpoints["endpoints"][0]["conditions"]["ready"] = False
        self.a.apply(endpoints)
        router.wait(lambda: "198.18.0.7/32" not in router.routes)


if __name__ == "__main__":
    sys.exit(rig.main("bird"))
