"""What Calico's resources say about BGP, on a real node with BIRD beside it: filters, passwords, addresses of services,
listen ranges, ways to peers; and what manulctl says about it.

    bgpd_policy.py BGPD MANULCTL [unittest arguments]

Needs root and bird; exit status 77 (skipped) without them.
"""
import base64
import ipaddress
import json
import re
import sys
import unittest

import bgpd_bird as base
import bgpd_rig as rig
from bgpd_bird import BLOCK4, NODE4, NODE6, STATIC4, TOR4, TOR6, tor
from bgpd_rig import eventually, resource


def core(kind, name, version="v1", namespace="shop", **rest):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **rest}


def bgp_filter(name, **rules):
    return resource("BGPFilter", name, **rules)


class PolicyTest(base.BgpdTest):
    def ctl(self, *arguments, check=True):
        return rig.run("ip", "netns", "exec", self.node.namespace.name, rig.MANULCTL, *arguments, env=self.node.env,
                       check=check)

    def at_tor(self, prefix):
        return bool(self.tor.route(prefix))


class Filters(PolicyTest):
    def test_import_and_export_in_both_families_change_under_the_session(self):
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        self.wait_blocks()
        since = self.node.session(TOR4)["since"]

        self.node.apply(bgp_filter(
            "f",
            importV4=[{"action": "Reject", "matchOperator": "In", "cidr": "203.0.113.0/24"},
                      {"action": "Accept", "matchOperator": "Equal", "cidr": "198.51.100.0/24",
                       "operations": [{"addCommunity": {"value": "64512:7"}}]}],
            importV6=[{"action": "Reject"}],
            exportV4=[{"action": "Accept", "matchOperator": "In", "cidr": "10.65.0.0/16",
                       "operations": [{"addCommunity": {"value": "64512:1:2"}},
                                      {"prependASPath": {"prefix": [64512, 64999]}}]}],
            exportV6=[{"action": "Reject", "matchOperator": "In", "cidr": "fd00:65::/48"}]))
        for name, address in (("tor4", TOR4), ("tor6", TOR6)):
            self.node.apply(resource("BGPPeer", name, peerIP=address, asNumber=65000, filters=["f"]))
        eventually("imports are filtered", lambda: self.node.learned() == {"198.51.100.0/24"} and
                   self.node.learned("-6") == set())
        eventually("exports are filtered", lambda: not self.at_tor(base.BLOCK6) and
                   "64512 64512 64999" in self.tor.route(BLOCK4))
        self.assertIn("(64512, 1, 2)", self.tor.route(BLOCK4))
        shown = json.loads(self.ctl("bgp", "routes", "198.51.100.0/24", "-o", "json"))
        self.assertEqual(shown[0]["communities"], ["64512:7"])
        self.assertEqual(shown[0]["filterRule"], "f importV4[1]")
        rejected = json.loads(self.ctl("bgp", "routes", "--rejected", "--peer", TOR4, "-o", "json"))
        self.assertEqual([(r["prefix"], r["verdict"], r["filterRule"]) for r in rejected],
                         [("203.0.113.0/24", "rejected by an import filter", "f importV4[0]")])

        # A filter that opens up: what the router had sent is still there.
        self.node.apply(bgp_filter("f", exportV4=[{"action": "Reject"}]))
        self.wait_routes()
        eventually("the block is taken back", lambda: not self.at_tor(BLOCK4) and self.at_tor(base.BLOCK6))
        for name, address in (("tor4", TOR4), ("tor6", TOR6)):
            self.node.apply(resource("BGPPeer", name, peerIP=address, asNumber=65000))
        self.wait_blocks()
        self.assertEqual(self.node.session(TOR4)["since"], since)
        self.assertEqual(self.node.session(TOR4)["timesUp"], 1)

    def test_hosts_own_routes_leave_by_a_filter_alone(self):
        self.node.namespace.ip("link", "add", "dummy0", "type", "veth", "peer", "name", "end0")
        self.node.namespace.ip("link", "set", "dummy0", "up")
        self.node.namespace.ip("link", "set", "end0", "up")
        self.node.namespace.ip("addr", "add", "172.20.1.1/24", "dev", "dummy0")
        self.node.namespace.ip("route", "add", "172.21.0.0/16", "dev", "dummy0", "proto", "static", "metric", "50")
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_blocks()
        self.assertFalse(self.at_tor("172.20.1.0/24") or self.at_tor("172.21.0.0/16"))
        self.node.apply(bgp_filter("hosts", exportV4=[
            {"action": "Accept", "interface": "dummy*", "matchOperator": "In", "cidr": "172.16.0.0/12"}]),
            resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000, filters=["hosts"]))
        eventually("both routes", lambda: self.at_tor("172.20.1.0/24") and self.at_tor("172.21.0.0/16"))
        self.node.namespace.ip("route", "del", "172.21.0.0/16")
        eventually("one is gone", lambda: not self.at_tor("172.21.0.0/16"))
        self.node.apply(bgp_filter("hosts", exportV4=[{"action": "Accept", "priority": 50}]))
        eventually("none has this priority", lambda: not self.at_tor("172.20.1.0/24"))
        self.node.namespace.ip("route", "add", "172.22.0.0/16", "dev", "dummy0", "proto", "static", "metric", "50")
        eventually("a new one has", lambda: self.at_tor("172.22.0.0/16"))
        self.assertTrue(self.at_tor(BLOCK4))  # no rule holds for it

    def test_a_trial_says_what_would_change_and_changes_nothing(self):
        self.tor.start()
        self.start()
        self.node.apply(bgp_filter("f", importV4=[{"action": "Reject", "matchOperator": "In", "cidr": "9.0.0.0/8"}]))
        self.node.apply(resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000, filters=["f"]))
        self.wait_up()
        self.wait_routes()
        self.wait_blocks()
        path = self.node.directory / "trial.json"
        path.write_text(json.dumps(bgp_filter(
            "f", importV4=[{"action": "Reject", "matchOperator": "In", "cidr": "203.0.113.0/24"}],
            exportV4=[{"action": "Reject", "matchOperator": "In", "cidr": "10.65.0.0/16"}])))
        rows = json.loads(self.ctl("bgp", "filter", "test", "-f", path, "-o", "json"))
        self.assertEqual(sorted((r["peer"], r["direction"], r["prefix"], r["before"], r["after"]) for r in rows),
                         [(TOR4, "export", BLOCK4, "sent", "not sent by f exportV4[0]"),
                          (TOR4, "import", "203.0.113.0/24", "accepted", "rejected by f importV4[0]")])
        self.assertIn("rejected by f importV4[0]", self.ctl("bgp", "filter", "test", "-f", path))
        self.assertEqual(self.node.learned(), {"198.51.100.0/24", "203.0.113.0/24"})
        path.write_text(json.dumps(bgp_filter("other", importV4=[{"action": "Reject"}])))
        self.assertIn("Nothing would change", self.ctl("bgp", "filter", "test", "-f", path))
        self.assertIn("203.0.113.0/24", self.ctl("bgp", "filter", "test", "-f", path, "--peer", TOR4, "--filters",
                                                 "other"))


class Resources(PolicyTest):
    def test_a_password_from_a_stored_secret(self):
        self.tor.protocols = base.tor(options='password "battery staple";')
        self.tor.start()
        self.start(password={"secretKeyRef": {"name": "tor", "key": "password"}})
        eventually("the reason is shown", lambda: "Secret manul-system/tor" in
                   (self.node.session(TOR4) or {}).get("lastError", ""))
        eventually("also from another machine, through the datastore",
                   lambda: "Secret manul-system/tor" in self.ctl("node", "status", "node-a", check=False))
        secret = core("Secret", "tor", namespace="manul-system",
                      data={"password": base64.b64encode(b"battery staple").decode()})
        self.node.apply(secret)
        self.wait_up()
        self.node.delete("bgppeer", "tor6")
        self.tor.reconfigure(base.tor(options='password "rotated";'))
        self.node.apply({**secret, "data": {"password": base64.b64encode(b"rotated").decode()}})
        eventually("up with the new password", lambda: self.node.is_up(TOR4) and self.tor.up("n4"))

    def test_local_as_of_a_peer(self):
        self.tor.protocols = base.tor(node_as=65123)
        self.tor.start()
        self.start(localASNumber=65123)
        self.wait_up()
        self.wait_blocks()
        self.assertIn("BGP.as_path: 65123", self.tor.route(BLOCK4))

    def test_one_peer_that_cannot_work_leaves_the_other_alone(self):
        self.tor.start()
        self.start()
        self.node.apply(bgp_filter("known", importV4=[{"action": "Reject"}]))
        self.node.apply(resource("BGPPeer", "bad", peerIP="192.0.2.77", asNumber=65000, filters=["known"]),
                        resource("BGPPeer", "twice", peerIP=TOR4, asNumber=65009))
        self.wait_up()
        rows = json.loads(self.ctl("bgp", "peers", "-o", "json"))
        self.assertEqual([r["name"] for r in rows if r["address"] == TOR4], ["BGPPeer(tor4)"])
        findings = [c["message"] for c in self.node.ask("report")["conditions"]]
        self.assertIn(f"BGPPeer(twice): {TOR4} is defined by BGPPeer(tor4) already", findings)

    def test_communities_of_prefix_advertisements(self):
        self.tor.start()
        self.start()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512,
                                 communities=[{"name": "pods", "value": "64512:100"}],
                                 prefixAdvertisements=[{"cidr": "10.65.0.0/16", "communities": ["pods", "64512:1:9"]}]))
        self.wait_up()
        eventually("tagged", lambda: "(64512,100)" in self.tor.route(BLOCK4) and
                   "(64512, 1, 9)" in self.tor.route(BLOCK4))

    def test_service_addresses_come_and_go_with_their_endpoints(self):
        self.tor.start()
        self.start()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512,
                                 serviceClusterIPs=[{"cidr": "10.96.0.0/16"}],
                                 serviceExternalIPs=[{"cidr": "198.18.0.0/24"}]))
        eventually("the ranges", lambda: self.at_tor("10.96.0.0/16") and self.at_tor("198.18.0.0/24"))
        service = core("Service", "web", spec={"clusterIP": "10.96.0.10", "externalIPs": ["198.18.0.5"],
                                               "externalTrafficPolicy": "Local", "type": "NodePort",
                                               "ports": [{"port": 80}]})

        def slice_with(node, ready):
            return core("EndpointSlice", "web-1", version="discovery.k8s.io/v1", addressType="IPv4",
                        endpoints=[{"addresses": ["10.65.1.9"], "nodeName": node, "conditions": {"ready": ready}}],
                        ports=[{"port": 80}])

        def apply_slice(node, ready):
            document = slice_with(node, ready)
            document["metadata"]["labels"] = {"kubernetes.io/service-name": "web"}
            self.node.apply(document)

        self.node.apply(service)
        apply_slice("node-b", True)
        apply_slice("node-a", True)
        eventually("single addresses", lambda: self.at_tor("10.96.0.10/32") and self.at_tor("198.18.0.5/32"))
        apply_slice("node-a", False)
        eventually("they are withdrawn", lambda: not self.at_tor("10.96.0.10/32") and not self.at_tor("198.18.0.5/32"))
        self.assertTrue(self.at_tor("10.96.0.0/16"))

    def test_a_listen_range_takes_whoever_comes_and_forgets_who_goes(self):
        self.tor.start()
        self.node.start()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512),
                        *base.POOLS, base.affinity("node-a", BLOCK4),
                        bgp_filter("routers", importV4=[{"action": "Reject", "matchOperator": "In",
                                                         "cidr": "203.0.113.0/24"}]),
                        resource("BGPPeer", "bare", listenRange="192.0.3.0/24", asNumber=65000),
                        resource("BGPPeer", "rack", listenRange="192.0.2.0/24", asNumber=65000, filters=["routers"]))
        eventually("the router connects", lambda: self.node.is_up(TOR4) and self.tor.up("n4"))
        eventually("its routes, filtered", lambda: self.node.learned() == {"198.51.100.0/24"})
        eventually("it has the block", lambda: self.at_tor(BLOCK4))
        messages = [c["message"] for c in self.node.ask("report")["conditions"]]
        self.assertTrue(any(m.startswith("BGPPeer(bare): a peer with listenRange needs filters") for m in messages))
        self.tor.ask("disable n4")
        eventually("it is forgotten", lambda: self.node.session(TOR4) is None)
        eventually("with its routes", lambda: not self.node.learned())
        self.tor.ask("enable n4")
        eventually("and welcome again", lambda: self.node.is_up(TOR4))

    def test_a_peer_behind_a_gateway(self):
        far = "203.0.113.99"
        self.tor.namespace.ip("addr", "add", f"{far}/32", "dev", "lo")
        self.tor.protocols = "\n".join([
            "protocol static s4 { ipv4; route 198.51.100.0/24 blackhole; }",
            "protocol static s6 { ipv6; route 2001:db8:aaaa::/48 blackhole; }",
            base.bgp("n4", 65000, NODE4, 64512, "ipv4", f"multihop; source address {far};")])
        self.tor.start()
        self.node.start()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512),
                        *base.POOLS, base.affinity("node-a", BLOCK4),
                        resource("BGPPeer", "far", peerIP=far, asNumber=65000, reachableBy=TOR4))
        eventually("up", lambda: self.node.is_up(far) and self.tor.up("n4"))
        way = self.node.namespace.routes("proto", "176")[(far, 1024)]
        self.assertEqual(way["gateway"], TOR4)
        eventually("routes whose next hop is behind it", lambda: "198.51.100.0/24" in self.node.learned())
        eventually("the block", lambda: self.at_tor(BLOCK4))
        self.node.delete("bgppeer", "far")
        eventually("the way is gone", lambda: not self.node.learned())


class Explain(PolicyTest):
    def test_routes_are_listed_in_order_of_their_prefixes_however_many_they_are(self):
        """More than fit in one answer of the daemon, and in one table; 9.0.0.0 stands before 10.0.0.0."""
        prefixes = [ipaddress.ip_network((n << 24 | m << 8, 24)) for n in (9, 100, 10) for m in range(2500)]
        statics = " ".join(f"route {prefix} blackhole;" for prefix in prefixes)
        self.tor.protocols = tor(statics=f"protocol static s4 {{ ipv4; {statics} }}")
        self.tor.start()
        self.start()
        self.wait_up()
        eventually("all are known", lambda: self.node.session(TOR4)["ipv4"]["accepted"] == len(prefixes))
        wanted = [str(prefix) for prefix in sorted(prefixes)]
        lines = [line for line in self.ctl("bgp", "routes", "--peer", TOR4).splitlines() if line]
        self.assertEqual([line.split()[0] for line in lines if not line.startswith("PREFIX ")], wanted)
        self.assertEqual([at for at, line in enumerate(lines) if line.startswith("PREFIX ")], [0, 5001])
        for form in ("json", "yaml"):
            text = self.ctl("bgp", "routes", "--peer", TOR4, "-o", form)
            found = re.findall(r"""["']?prefix["']?: ?["']?([0-9./]+)""", text)
            self.assertEqual(found, wanted, form)

    def test_peers_routes_why_and_commands(self):
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        self.wait_blocks()
        table = self.ctl("bgp", "peers")
        row = next(line for line in table.splitlines() if line.startswith(TOR4 + " ")).split()
        self.assertEqual(row[1], "65000")
        self.assertIn("Established", row)
        peer = json.loads(self.ctl("bgp", "peers", TOR4, "-o", "json"))[0]
        self.assertEqual((peer["ipv4"]["received"], peer["ipv4"]["accepted"], peer["ipv4"]["sent"]), (2, 2, 1))
        self.assertIn("route-refresh", peer["capabilities"]["received"])
        self.assertIn("four-octet-as 64512", peer["capabilities"]["sent"])
        self.assertIn("2 received, 2 accepted, 1 sent", self.ctl("bgp", "peers", TOR4))

        rows = json.loads(self.ctl("bgp", "routes", "--best", "-o", "json"))
        self.assertEqual({r["prefix"] for r in rows if r.get("peer") == TOR4}, {"198.51.100.0/24", "203.0.113.0/24"})
        sent = json.loads(self.ctl("bgp", "routes", "--sent", "--peer", TOR4, "-o", "json"))
        self.assertEqual([(r["prefix"], r["asPath"], r["nextHop"], r["med"]) for r in sent],
                         [(BLOCK4, "64512", NODE4, 0)])
        self.assertEqual(json.loads(self.ctl("bgp", "routes", "--as-path", "^65000$", "198.51.0.0/16", "-o", "json"))
                         [0]["prefix"], "198.51.100.0/24")
        self.assertEqual(self.ctl("bgp", "routes", "--as-path", "65001", "-o", "json").split(), ["[]"])
        self.assertEqual(self.ctl("bgp", "routes", "--community", "1:1", "-o", "json").split(), ["[]"])
        self.assertIn("should be a community", self.failing("bgp", "routes", "--community", "x"))
        self.assertIn("there is no peer 192.0.2.200", self.failing("bgp", "routes", "--peer", "192.0.2.200"))
        self.assertIn("PREFIX", self.ctl("bgp", "routes"))
        self.assertIn("prefix: 2001:db8:aaaa::/48", self.ctl("bgp", "routes", "2001:db8::/32", "-o", "yaml"))

        why = self.ctl("bgp", "why", "198.51.100.7")
        self.assertIn("best", why)
        self.assertIn("not sent: the best path is its own", why)
        self.assertIn("yes", self.ctl("bgp", "why", BLOCK4))
        why = json.loads(self.ctl("bgp", "why", "198.51.100.0/24", "-o", "json"))
        self.assertEqual(why["paths"][0]["verdict"], "best")
        self.assertIn("Nobody announces 192.0.9.0/24", self.ctl("bgp", "why", "192.0.9.0/24"))

        before = self.node.session(TOR4)["updatesIn"]
        self.ctl("bgp", "refresh", TOR4)
        eventually("the router sent its routes again", lambda: self.node.session(TOR4)["updatesIn"] > before)
        self.ctl("bgp", "refresh", TOR4, "--out")
        self.ctl("bgp", "reset", TOR4, "-m", "new cable")
        eventually("a second session", lambda: self.node.session(TOR4)["timesUp"] == 2)
        self.wait_up()
        self.assertIn("Administrative Reset: new cable", self.node.log())
        self.assertNotEqual(self.failing("bgp", "reset", "192.0.2.200"), "")

    def failing(self, *arguments):
        try:
            self.ctl(*arguments)
        except rig.RigError as error:
            return str(error)
        return ""

    def test_a_status_object_is_filled(self):
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        self.node.apply(resource("CalicoNodeStatus", "mine", node="node-a", classes=["Agent", "BGP", "Routes"],
                                 updatePeriodSeconds=1),
                        resource("CalicoNodeStatus", "other", node="node-b", classes=["BGP"], updatePeriodSeconds=1))

        def status(name):
            return json.loads(self.ctl("get", "caliconodestatus", name, "-o", "json")).get("status", {})

        eventually("established sessions", lambda: status("mine").get("bgp", {}).get("numberEstablishedV4") == 1)
        eventually("routes", lambda: any(r["destination"] == "198.51.100.0/24" for r in
                                         status("mine").get("routes", {}).get("routesV4", [])))
        self.assertEqual(status("mine")["agent"]["birdV4"]["state"], "Ready")
        self.assertEqual(status("mine")["bgp"]["peersV4"][0]["peerIP"], TOR4)
        self.assertEqual(status("other"), {})

    def test_metrics_and_probes(self):
        settings = self.node.settings.read_text()
        self.node.settings.write_text(settings + "bgpd:\n  metrics_port: 9092\n  health_port: 9100\n")
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_blocks()
        read = ["ip", "netns", "exec", self.node.namespace.name, "curl", "-s", "-m", "5"]
        text = rig.run(*read, "http://127.0.0.1:9092/metrics")
        self.assertIn(f'manul_bgpd_peer_state{{name="BGPPeer(tor4)",peer="{TOR4}"}} 6', text)
        self.assertIn('afi="ipv4",dir="received"', text)
        self.assertIn("ok", rig.run(*read, "http://127.0.0.1:9100/readyz").lower())


if __name__ == "__main__":
    unittest.TestCase.longMessage = True
    sys.exit(rig.main("bird"))
