"""What bgpd does when others do things to the kernel: flapping links, meddling programs, floods of events, leftovers.

    bgpd_kernel.py BGPD MANULCTL [unittest arguments]

Needs root and bird; exit status 77 (skipped) without them.
"""
import re
import signal
import subprocess
import sys
import time

import bgpd_rig as rig
from bgpd_bird import NODE4, TOR4, BgpdTest, bgp, tor
from bgpd_rig import eventually, resource

OTHER4 = "192.0.3.2"
MANY = [f"198.{18 + i // 256}.{i % 256}.0/24" for i in range(300)]


def static(prefixes):
    return "protocol static s4 { ipv4; " + " ".join(f"route {p} blackhole;" for p in prefixes) + " }"


class Uplinks(BgpdTest):
    """Two routers announce the same prefixes over an uplink each."""

    def setUp(self):
        super().setUp()
        self.tor.protocols = "\n".join([static(MANY), bgp("n4", 65000, NODE4, 64512, "ipv4")])
        self.other = self.rig.router("tor2", OTHER4, "\n".join([static(MANY), bgp("n4", 65001, "192.0.3.1", 64512, "ipv4")]))
        self.rig.link(self.node, "up1", ["192.0.3.1/24"], self.other, "down1", [f"{OTHER4}/24"])
        for router in (self.tor, self.other):
            router.namespace.ip("addr", "add", "198.18.0.7/32", "dev", "lo")
            router.start()
        self.node.start()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512),
                        resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000, sourceAddress="None"),
                        resource("BGPPeer", "other", peerIP=OTHER4, asNumber=65001, sourceAddress="None"))

    def both(self):
        """Every prefix has a route of ours with both ways, none of them dead."""
        routes = self.node.namespace.routes("proto", "176")
        whole = 0
        for prefix in MANY:
            ways = routes.get((prefix, 1024), {}).get("nexthops", [])
            alive = {way["gateway"] for way in ways if "dead" not in way.get("flags", [])}
            whole += alive == {TOR4, OTHER4}
        return whole == len(MANY)

    def ping(self, count):
        """Of so many pings to the prefix that both routers have, how many come back."""
        text = rig.run("ip", "netns", "exec", self.node.namespace.name, "ping", "-q", "-c", count, "-i", "0.01", "-W", "1",
                       "198.18.0.7", check=False)
        return int(re.search(r"(\d+) received", text).group(1))

    def test_one_uplink_flaps(self):
        eventually("two ways for every prefix", self.both)
        flow = subprocess.Popen(["ip", "netns", "exec", self.node.namespace.name, "ping", "-q", "-i", "0.01",
                                 "198.18.0.7"], stdout=subprocess.PIPE, text=True)
        for pause in (0, 0, 0.02, 0.1, 0.3):
            self.node.namespace.ip("link", "set", "up1", "down")
            time.sleep(pause)
            self.assertEqual(len([1 for p in MANY if (p, 1024) in self.node.namespace.routes("proto", "176")]), len(MANY),
                             "no prefix is without a route while one uplink is left")
            self.node.namespace.ip("link", "set", "up1", "up")
            time.sleep(pause)
        eventually("two ways for every prefix again", self.both)
        flow.send_signal(signal.SIGINT)
        text = flow.communicate(timeout=20)[0]
        print("while the uplink flapped:", re.search(r"\d+ packets transmitted.*", text).group(0), file=sys.stderr)
        self.assertEqual(self.ping(50), 50)
        eventually("nothing is refused", lambda: self.node.ask("status")["kernel"]["refused"] == 0)

    def test_both_uplinks_flap(self):
        eventually("two ways for every prefix", self.both)
        for _ in range(3):
            for link in ("up0", "up1"):
                self.node.namespace.ip("link", "set", link, "down")
            for link in ("up0", "up1"):
                self.node.namespace.ip("link", "set", link, "up")
        eventually("two ways for every prefix again", self.both)
        self.assertEqual(self.ping(50), 50)


class ManyRoutes(BgpdTest):
    def test_thousands_of_routes_that_change_and_are_meddled_with_while_they_are_written(self):
        """Tables follow each other faster than they are written, so that numbers of withdrawn prefixes are used again
        and outcomes come for routes that are wanted no more."""
        def prefixes(round_):
            return {f"100.{64 + round_ % 3 * 8 + n // 250}.{n % 250}.0/24" for n in range(4000)}

        def table(round_):
            return tor(statics=f"protocol static s4 {{ ipv4; {' '.join(f'route {p} blackhole;' for p in prefixes(round_))} }}")
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        for round_ in range(8):
            self.tor.reconfigure(table(round_))
            for prefix in sorted(prefixes(round_))[:200:40]:
                rig.run("ip", "-n", self.node.namespace.name, "route", "del", prefix, "proto", "176", check=False)
        eventually("the kernel has the last table", lambda: self.node.learned() == prefixes(7), 60)
        self.assertTrue(self.node.is_up(TOR4))
        answer = rig.run("ip", "netns", "exec", self.node.namespace.name, rig.MANULCTL, "bgp", "shutdown", env=self.node.env)
        self.assertIn("left BGP", answer)
        self.assertEqual(self.node.namespace.routes("proto", "176"), {})


class Meddling(BgpdTest):
    def setUp(self):
        super().setUp()
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()

    def metrics(self):
        return sorted(metric for prefix, metric in self.node.namespace.routes("proto", "176") if prefix == "198.51.100.0/24")

    def test_the_priority_that_a_filter_sets_is_the_metric(self):
        def peer(*filters):
            self.node.apply(resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000, filters=list(filters)))
        operations = [{"setPriority": {"value": 512}}]
        self.node.apply(resource("BGPFilter", "preferred", importV4=[{
            "action": "Accept", "cidr": "198.51.100.0/24", "matchOperator": "Equal", "operations": operations}]))
        peer("preferred")
        eventually("the metric is the filter's", lambda: self.metrics() == [512])
        self.node.namespace.ip("route", "del", "198.51.100.0/24", "proto", "176", "metric", "512")
        eventually("it is back when somebody deletes it", lambda: self.metrics() == [512])
        self.node.stop("kill")
        self.node.namespace.ip("route", "add", "198.51.100.0/24", "via", TOR4, "proto", "176", "metric", "1024")
        self.node.start()
        eventually("a leftover of a change that was cut short is gone", lambda: self.metrics() == [512])
        peer()
        eventually("the metric is the usual one", lambda: self.metrics() == [1024])

    def delete_all(self):
        for prefix in ("198.51.100.0/24", "203.0.113.0/24", "2001:db8:aaaa::/48"):
            self.node.namespace.ip("route", "del", prefix, "proto", "176")

    def route(self):
        return self.node.namespace.routes("proto", "176").get(("198.51.100.0/24", 1024))

    def test_a_route_that_somebody_deletes_is_back(self):
        for _ in range(5):
            self.node.namespace.ip("route", "del", "198.51.100.0/24", "proto", "176")
            eventually("it is back", self.route)
        self.delete_all()
        self.wait_routes()
        self.assertIn("BGPD_ROUTE_MEDDLED", self.node.log())

    def test_a_route_of_ours_that_somebody_changes_is_repaired(self):
        before = self.route()
        self.node.namespace.ip("route", "replace", "198.51.100.0/24", "via", "192.0.2.77", "proto", "176", "metric", "1024")
        eventually("as before", lambda: self.route() == before)

    def test_the_route_of_another_program_in_our_place_stays_until_it_goes(self):
        self.node.namespace.ip("route", "replace", "198.51.100.0/24", "via", "192.0.2.77", "proto", "static", "metric", "1024")
        eventually("counted", lambda: self.node.ask("status")["kernel"]["refused"] == 1)
        self.assertEqual(self.node.namespace.routes("proto", "static")[("198.51.100.0/24", 1024)]["gateway"], "192.0.2.77")
        self.node.namespace.ip("route", "del", "198.51.100.0/24", "proto", "static")
        eventually("ours is back", self.route)
        self.assertEqual(self.node.ask("status")["kernel"]["refused"], 0)

    def test_a_flood_of_events_while_bgpd_cannot_read(self):
        batch = self.node.directory / "flood"
        flood = [f"20.{i // 65536}.{i // 256 % 256}.{i % 256}/32" for i in range(60_000)]
        batch.write_text("".join(f"route add blackhole {p} proto 99\n" for p in flood))
        self.node.process.send_signal(signal.SIGSTOP)
        try:
            rig.run("ip", "-n", self.node.namespace.name, "-batch", batch, timeout=120)
            # Nobody can hear of this any more.
            self.delete_all()
        finally:
            self.node.process.send_signal(signal.SIGCONT)
        self.wait_routes()
        self.assertTrue(self.node.is_up(TOR4))
        self.assertIn("BGPD_KERNEL_OVERRUN", self.node.log())


class Leftovers(BgpdTest):
    def test_thousands_of_routes_of_an_earlier_run_are_read_in_slices_and_swept(self):
        batch = self.node.directory / "left"
        left = [f"20.0.{i // 256}.{i % 256}/32" for i in range(20_000)]
        batch.write_text("".join(f"route add {p} via {TOR4} proto 176 metric 1024\n" for p in left) +
                         f"route add 20.1.0.0/16 via {TOR4} proto static metric 1024\n")
        rig.run("ip", "-n", self.node.namespace.name, "-batch", batch, timeout=120)
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512),
                        resource("Node", "node-a", bgp={"ipv4Address": f"{NODE4}/24"}),
                        resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000))
        self.node.start()
        eventually("all are known", lambda: self.node.ask("status")["kernel"]["stale"] == len(left))
        self.tor.start()
        eventually("only what the router says is left",
                   lambda: self.node.learned() == {"198.51.100.0/24", "203.0.113.0/24"}, 60)
        self.assertIn(("20.1.0.0/16", 1024), self.node.namespace.routes("proto", "static"))


del BgpdTest  # else it would be run again


if __name__ == "__main__":
    sys.exit(rig.main("bird", "ping"))
