"""manul-bgpd against BIRD in network namespaces: real sessions, real kernel routes, real restarts.

    bgpd_bird.py BGPD MANULCTL [unittest arguments]

Needs root and bird; exit status 77 (skipped) without them.
"""
import os
import shutil
import subprocess
import sys
import unittest

import bgpd_rig as rig
from bgpd_rig import affinity, eventually, resource

NODE4, NODE6 = "192.0.2.1", "2001:db8::1"
TOR4, TOR6 = "192.0.2.2", "2001:db8::2"
POOLS = (resource("IPPool", "pods4", cidr="10.65.0.0/16", blockSize=26),
         resource("IPPool", "pods6", cidr="fd00:65::/48", blockSize=122))
BLOCK4, BLOCK6 = "10.65.1.0/26", "fd00:65::40/122"
STATIC4 = "protocol static s4 { ipv4; route 198.51.100.0/24 blackhole; route 203.0.113.0/24 blackhole; }"
STATIC6 = "protocol static s6 { ipv6; route 2001:db8:aaaa::/48 blackhole; }"


def bgp(name, local_as, neighbour, remote_as, family, options=""):
    return f"""protocol bgp {name} {{
  local as {local_as}; neighbor {neighbour} as {remote_as}; graceful restart on; connect retry time 5;
  error wait time 1, 2; {options}
  {family} {{ import all; export where proto = "s4" || proto = "s6"; next hop self; }};
}}"""


def tor(local_as=65000, node_as=64512, statics=STATIC4, options=""):
    return "\n".join([statics, STATIC6, bgp("n4", local_as, NODE4, node_as, "ipv4", options),
                      bgp("n6", local_as, NODE6, node_as, "ipv6", options)])


class BgpdTest(unittest.TestCase):
    """One node and one router, linked by a veth pair."""

    def setUp(self):
        self.rig = rig.Rig()
        self.addCleanup(self.tear_down)
        self.node = self.rig.node("node-a")
        self.tor = self.rig.router("tor", TOR4, tor())
        self.rig.link(self.node, "up0", [f"{NODE4}/24", f"{NODE6}/64"], self.tor, "down0", [f"{TOR4}/24", f"{TOR6}/64"])

    def tear_down(self):
        result = self._outcome.result
        failed = any(test is self or getattr(test, "test_case", None) is self
                     for test, _ in result.failures + result.errors)
        if failed and self.node.process is not None:
            print(self.node.log()[-3000:], self.tor.log()[-2000:], sep="\n", file=sys.stderr)
        self.rig.close(keep=failed and "MANUL_KEEP" in os.environ)

    def start(self, local_as=64512, remote_as=65000, **peer):
        self.node.start()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=local_as), *POOLS,
                        resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=remote_as, **peer),
                        resource("BGPPeer", "tor6", peerIP=TOR6, asNumber=remote_as, **peer),
                        affinity("node-a", BLOCK4), affinity("node-a", BLOCK6))

    def wait_up(self):
        eventually("both sessions are up on both sides",
                   lambda: self.node.is_up(TOR4) and self.node.is_up(TOR6) and self.tor.up("n4") and self.tor.up("n6"))

    def wait_routes(self):
        eventually("routes of the router are in the kernel",
                   lambda: self.node.learned() == {"198.51.100.0/24", "203.0.113.0/24"} and
                   self.node.learned("-6") == {"2001:db8:aaaa::/48"})

    def wait_blocks(self):
        eventually("the router has the blocks", lambda: self.tor.route(BLOCK4) and self.tor.route(BLOCK6))


class TableDump(BgpdTest):
    @unittest.skipUnless(shutil.which("bgpdump"), "bgpdump is not installed")
    def test_the_table_is_dumped_in_mrt_format(self):
        self.tor.start()
        self.start()
        self.wait_routes()
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512,
                                 mrtDump={"path": f"{self.rig.directory}/rib.%Y.mrt", "interval": "1s"}))

        def dumped():
            files = list(self.rig.directory.glob("rib.2*.mrt"))
            text = rig.run("bgpdump", "-m", files[0], check=False) if files else ""
            return {tuple(line.split("|")[3:9]) for line in text.splitlines() if line.startswith("TABLE_DUMP2")}
        wanted = {(TOR4, "65000", "198.51.100.0/24", "65000", "IGP", TOR4),
                  (TOR6, "65000", "2001:db8:aaaa::/48", "65000", "IGP", TOR6),
                  ("0.0.0.0", "64512", BLOCK4, "", "IGP", "0.0.0.0")}
        eventually("bgpdump reads peers' routes and our own", lambda: wanted <= dumped())


class Sessions(BgpdTest):
    def test_ebgp_both_families_routes_both_ways_and_into_the_kernel(self):
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        self.wait_blocks()
        # Origin, metric and protocol as they were agreed upon.
        text = self.tor.route(BLOCK4)
        self.assertIn("BGP.as_path: 64512", text)
        self.assertIn(f"BGP.next_hop: {NODE4}", text)
        self.assertIn("BGP.med: 0", text)
        self.assertIn(NODE6, self.tor.route(BLOCK6))
        routes = self.node.namespace.routes("proto", "176")
        self.assertEqual(routes[(BLOCK4, 1032)]["type"], "blackhole")
        self.assertEqual(routes[("198.51.100.0/24", 1024)]["gateway"], TOR4)
        # A packet goes there and back: the pod's address stands on the node, the router's network behind the router.
        self.node.namespace.ip("addr", "add", "10.65.1.1/32", "dev", "lo")
        self.tor.namespace.ip("addr", "add", "198.51.100.7/32", "dev", "lo")
        self.node.namespace.ip("addr", "add", "fd00:65::41/128", "dev", "lo")
        self.tor.namespace.ip("addr", "add", "2001:db8:aaaa::7/128", "dev", "lo")
        for here, there in (("198.51.100.7", "10.65.1.1"), ("2001:db8:aaaa::7", "fd00:65::41")):
            rig.run("ip", "netns", "exec", self.tor.namespace.name, "ping", "-c", "1", "-W", "3", "-I", here, there)

        # What changes at one end changes at the other.
        self.tor.reconfigure(tor(statics="protocol static s4 { ipv4; route 198.51.100.0/24 blackhole; }"))
        eventually("the withdrawn route left the kernel", lambda: self.node.learned() == {"198.51.100.0/24"})
        self.node.delete("blockaffinity", affinity("node-a", BLOCK4)["metadata"]["name"])
        eventually("the router lost the block", lambda: not self.tor.route(BLOCK4))
        eventually("its blackhole is gone", lambda: (BLOCK4, 1032) not in self.node.namespace.routes("proto", "176"))

        # The operator takes the peer away: Cease, and nothing of it stays.
        self.node.delete("bgppeer", "tor4")
        eventually("the router was told", lambda: "Received: Peer de-configured" in self.tor.log() or
                   "Peer de-configured" in self.tor.ask("show protocols all n4"))
        eventually("its routes are gone", lambda: not self.node.learned())
        self.assertEqual(self.node.learned("-6"), {"2001:db8:aaaa::/48"})

    def test_ibgp(self):
        self.tor.protocols = tor(local_as=64512)
        self.tor.start()
        self.start(remote_as=64512)
        self.wait_up()
        self.wait_routes()
        self.wait_blocks()
        self.assertIn("BGP.local_pref: 100", self.tor.route(BLOCK4))

    def test_bgpd_is_there_first(self):
        self.start()
        eventually("waiting", lambda: self.node.session(TOR4)["state"] in ("Active", "Connect"))
        eventually("the reason is shown", lambda: "Connection refused" in self.node.session(TOR4)["lastError"])
        self.tor.start()
        self.wait_up()
        self.wait_routes()

    def test_ttl_security(self):
        self.tor.protocols = tor(options="ttl security on;")
        self.tor.start()
        self.start(ttlSecurity=1)
        self.wait_up()

    def test_a_password_on_both_sides(self):
        self.tor.protocols = tor(options='password "correct horse";')
        self.tor.start()
        secrets = self.node.directory / "etc"
        (secrets / "manul/secrets/tor").mkdir(parents=True)
        (secrets / "manul/secrets/tor/password").write_text("correct horse\n")
        (secrets / "manul/secrets/tor/password").chmod(0o644)  # not good enough
        # The daemon sees these files below /etc, nobody else does.
        (self.node.directory / "work").mkdir()
        overlay = (f"mount -t overlay overlay -o lowerdir=/etc,upperdir={secrets},workdir={self.node.directory}/work /etc"
                   ' && exec "$@"')
        self.node.prefix = ["unshare", "-m", "sh", "-c", overlay, "sh"]
        probe = subprocess.run(["unshare", "-m", "sh", "-c", overlay, "sh", "true"], capture_output=True, check=False)
        if probe.returncode != 0:
            self.skipTest("no overlay file system here")
        self.start(password={"secretKeyRef": {"name": "tor", "key": "password"}})
        eventually("a file that others can read is refused",
                   lambda: "has mode 0644; it must be 0600" in (self.node.session(TOR4) or {}).get("lastError", ""))
        (secrets / "manul/secrets/tor/password").chmod(0o600)
        self.wait_up()  # nobody has to say that a file has changed

    def test_equal_paths_share_the_load_and_a_lost_link_moves_it(self):
        other4 = "192.0.3.2"
        other = self.rig.router("tor2", other4, "\n".join([
            STATIC4, bgp("n4", 65001, "192.0.3.1", 64512, "ipv4")]))
        self.rig.link(self.node, "up1", ["192.0.3.1/24"], other, "down1", [f"{other4}/24"])
        self.tor.start()
        other.start()
        self.start()
        self.node.apply(resource("BGPPeer", "other", peerIP=other4, asNumber=65001, sourceAddress="None"))

        def gateways():
            route = self.node.namespace.routes("proto", "176").get(("198.51.100.0/24", 1024), {})
            ways = route.get("nexthops") or ([route] if "gateway" in route else [])
            return {way["gateway"] for way in ways if "dead" not in way.get("flags", [])}

        eventually("two ways", lambda: gateways() == {TOR4, other4})
        self.node.namespace.ip("link", "set", "up1", "down")
        eventually("the way that is left", lambda: gateways() == {TOR4})
        self.node.namespace.ip("link", "set", "up1", "up")
        eventually("two ways again", lambda: gateways() == {TOR4, other4})
        # The kernel drops routes over a link that goes down, even when it comes back at once.
        for _ in range(3):
            self.node.namespace.ip("link", "set", "up0", "down")
            self.node.namespace.ip("link", "set", "up0", "up")
        eventually("two ways after a flap", lambda: gateways() == {TOR4, other4})
        eventually("nothing is refused", lambda: self.node.ask("status")["kernel"]["refused"] == 0)


class Kernel(BgpdTest):
    def test_restart_keeps_the_routes_and_removes_what_is_stale_when_in_sync(self):
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        for sign in ("terminate", "kill"):
            before = self.node.namespace.routes("proto", "176")
            self.assertIn(("203.0.113.0/24", 1024), before)
            self.node.stop(sign)
            after = self.node.namespace.routes("proto", "176")
            self.assertEqual(before, after, "a stopped bgpd leaves the kernel as it is")
            # Meanwhile the router forgets one route.
            self.tor.reconfigure(tor(statics="protocol static s4 { ipv4; route 198.51.100.0/24 blackhole; }"))
            monitor = subprocess.Popen(["ip", "-n", self.node.namespace.name, "-o", "monitor", "route"],
                                       stdout=subprocess.PIPE, text=True)
            self.node.start()
            eventually("the stale route is gone", lambda: self.node.learned() == {"198.51.100.0/24"})
            self.assertIn((BLOCK4, 1032), self.node.namespace.routes("proto", "176"))
            monitor.terminate()
            heard = monitor.communicate()[0]
            self.assertNotIn("Deleted 198.51.100.0/24", heard, "a route that stays is never away")
            self.assertNotIn(f"Deleted blackhole {BLOCK4}", heard)
            eventually("nothing is left over", lambda: self.node.ask("status")["kernel"]["stale"] == 0)
            self.tor.reconfigure(tor())
            self.wait_routes()
        self.assertNotIn("Administrative Shutdown", self.tor.log())

    def test_routes_of_others_are_left_alone(self):
        foreign = ["203.0.113.0/24", "via", TOR4, "proto", "static", "metric", "1024"]
        self.node.namespace.ip("route", "add", *foreign)
        self.tor.start()
        self.start()
        self.wait_up()
        eventually("the refusal is counted", lambda: self.node.ask("status")["kernel"]["refused"] == 1)
        self.assertIn("BGPD_ROUTE_REFUSED", self.node.log())
        self.assertEqual(self.node.namespace.routes("proto", "static")[("203.0.113.0/24", 1024)]["gateway"], TOR4)
        self.node.namespace.ip("route", "del", *foreign)
        eventually("taken when it is free", lambda: self.node.learned() == {"198.51.100.0/24", "203.0.113.0/24"})
        # The other way round: another metric beside ours stays when ours goes.
        self.node.namespace.ip("route", "add", "198.51.100.0/24", "via", TOR4, "proto", "static", "metric", "2000")
        self.node.delete("bgppeer", "tor4")
        eventually("ours are gone", lambda: not self.node.learned())
        self.assertIn(("198.51.100.0/24", 2000), self.node.namespace.routes("proto", "static"))

    def test_no_kernel_is_a_pure_reflector(self):
        self.tor.start()
        self.node.start("--no-kernel")
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False), *POOLS,
                        resource("BGPPeer", "tor4", peerIP=TOR4, asNumber=65000), affinity("node-a", BLOCK4))
        eventually("the session is up", lambda: self.node.is_up(TOR4))
        eventually("routes are known", lambda: len(self.node.ask("routes", prefix="198.51.100.0/24")["routes"]) == 1)
        self.assertEqual(self.node.namespace.routes("proto", "176"), {})


SPEAKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bgp_bytes.py")


class Malformed(BgpdTest):
    """A peer that sends bytes of our choice, from the router's namespace."""

    def setUp(self):
        super().setUp()
        self.start()
        eventually("the peer is wanted", lambda: self.node.session(TOR4))

    def send(self, *steps):
        """Runs the byte speaker; returns what it received, a line each."""
        command = ["ip", "netns", "exec", self.tor.namespace.name, sys.executable, SPEAKER, TOR4, NODE4, *steps]
        return rig.run(*command).split("\n")

    def notification(self, *steps):
        """The NOTIFICATION that ends the session: "code/subcode data". Whoever was sent away for an error is refused for
        a moment, but no longer, however many there were before."""
        found = eventually("an answer", lambda: [line for line in self.send(*steps) if line.startswith("notification")], 15)
        self.assertEqual(len(found), 1)
        return found[0].removeprefix("notification ").strip()

    def test_what_is_wrong_before_the_session_is_up(self):
        marker = "ff" * 16
        cases = [
            ("marker", ["raw:" + "00" * 16 + "001304"], "1/1"),
            ("length", ["raw:" + marker + "001204"], "1/2 0012"),
            ("type", ["raw:" + marker + "00140900"], "1/3 09"),
            ("version", ["message:1:03fde8005ac000020200"], "2/1 0004"),
            ("AS", ["message:1:04fde9005ac000020200"], "2/2"),
            ("identifier", ["message:1:04fde8005a0000000000"], "2/3"),
            ("hold time", ["message:1:04fde80001c000020200"], "2/6"),
            ("UPDATE in OpenSent", ["message:2:00000000"], "5/1 02"),
            ("ROUTE-REFRESH in OpenSent", ["message:5:00010001"], "5/1 05"),
            ("OPEN twice", ["open:65000", "open:65000"], "5/2 01"),
            ("parameter that nobody knows", ["message:1:04fde8005ac000020203070100"], "2/4"),
            ("no family in common", ["message:1:04fde8005ac0000202080206010400020001"], "2/7 010400010001"),
        ]
        for name, steps, wanted in cases:
            with self.subTest(name):
                self.assertEqual(self.notification(*steps), wanted)

    def test_what_is_wrong_in_the_session(self):
        route = "40010100" + "40020602010000fde8" + "400304c0000202"
        up = ["open:65000", "keepalive", "up"]
        cases = [
            ("attributes overrun the message", "message:2:0000ffff", "3/1"),
            ("unknown well-known attribute", f"message:2:0000{len(route) // 2 + 3:04x}{route}406300080a", "3/2 406300"),
            ("prefix of 33 bits", "message:2:00000000210a00000000", "3/10"),
            ("MP_REACH_NLRI cut short", "message:2:00000006800e03000201", "3/9 800e03000201"),
            ("OPEN in the session", "open:65000", "5/3 01"),
            ("refresh mark that is too long", "message:5:0001010100", "7/1 " + "ff" * 16 + "0018050001010100"),
            ("header in the session", "raw:" + "ff" * 16 + "001304" + "ff" * 16 + "001405", "1/2 0014"),
        ]
        for name, step, wanted in cases:
            with self.subTest(name):
                self.assertEqual(self.notification(*up, step), wanted)

    def test_treat_as_withdraw_keeps_the_session(self):
        good = "40010100" + "40020602010000fde8" + "400304c0000202"
        bad = "40010107" + "40020602010000fde8" + "400304c0000202"
        size = f"{len(good) // 2:04x}"
        steps = ["open:65000", "keepalive", "up", f"message:2:0000{size}{good}18c63364" + "18cb0071",
                 "wait:1.5", f"message:2:0000{size}{bad}18c63364", "wait:2", "keepalive", "wait:1"]
        speaker = subprocess.Popen(["ip", "netns", "exec", self.tor.namespace.name, sys.executable, SPEAKER, TOR4, NODE4,
                                    *steps], stdout=subprocess.PIPE, text=True)
        try:
            eventually("both routes", lambda: self.node.learned() == {"198.51.100.0/24", "203.0.113.0/24"}, 10)
            eventually("one withdrawn by its error", lambda: self.node.learned() == {"203.0.113.0/24"}, 10)
            self.assertTrue(self.node.is_up(TOR4))
        finally:
            heard = speaker.communicate()[0]
        self.assertNotIn("notification", heard)


if __name__ == "__main__":
    sys.exit(rig.main("bird"))
