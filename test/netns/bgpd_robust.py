"""manul-bgpd among peers that mean no good: floods, a peer that never reads, our own routes, next hops that lead nowhere;
a clock that jumps, and a disk without room.

    bgpd_robust.py BGPD MANULCTL [unittest arguments]

A router with BIRD keeps a session with a hold time of 3 s through all of it. Needs root and bird; exit status 77
(skipped) without them.
"""
import datetime
import os
import pathlib
import subprocess
import sys
import time
import unittest

import bgpd_rig as rig
from bgpd_bird import BLOCK4, NODE4, SPEAKER, TOR4, BgpdTest, tor
from bgpd_rig import eventually, resource

BAD4, STRANGER4 = "192.0.2.66", "192.0.2.77"
FLOOD = pathlib.Path(__file__).with_name("bgp_flood.py")


class Robust(BgpdTest):
    def setUp(self):
        super().setUp()
        self.tor.protocols = tor(options="hold time 3; keepalive time 1;")
        self.tor.start()
        for address in (BAD4, STRANGER4):
            self.tor.namespace.ip("address", "add", f"{address}/24", "dev", "down0")
        self.start()
        self.node.apply(resource("BGPPeer", "bad", peerIP=BAD4, asNumber=65066, passive=True,
                                 maxPrefixes={"count": 100, "warnPercent": 50}))
        self.wait_up()
        self.wait_routes()
        self.wait_blocks()
        self.first_up = self.node.session(TOR4)["timesUp"]

    def bad(self, *steps, wait=True):
        command = ["ip", "netns", "exec", self.tor.namespace.name, sys.executable, SPEAKER, BAD4, NODE4, *steps]
        return rig.run(*command).splitlines() if wait else subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid()}/fd"))

    def pid(self):
        """Of bgpd itself, which `ip netns exec` became."""
        return self.node.process.pid

    def memory_kb(self):
        status = pathlib.Path(f"/proc/{self.pid()}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def still_well(self):
        self.assertEqual(self.node.session(TOR4)["timesUp"], self.first_up, self.node.log()[-2000:])
        self.assertTrue(self.node.is_up(TOR4))
        self.assertEqual(self.node.learned(), {"198.51.100.0/24", "203.0.113.0/24"})

    def flood(self, source, mode):
        return rig.run("ip", "netns", "exec", self.tor.namespace.name, sys.executable, FLOOD, source, NODE4, mode, "4")

    def test_thousands_of_connections_from_strangers_and_from_a_peer(self):
        before, memory = self.descriptors(), self.memory_kb()
        for source, mode in ((STRANGER4, "connect"), (BAD4, "connect"), (BAD4, "hold"), (BAD4, "garbage")):
            with self.subTest(f"{mode} from {source}"):
                self.assertGreater(int(self.flood(source, mode)), 200)
                self.still_well()
        eventually("their descriptors are free again", lambda: self.descriptors() <= before + 2)
        self.assertLess(self.memory_kb() - memory, 20_000)

    def test_a_peer_that_never_reads_delays_nobody(self):
        """The router announces a table again and again until the deaf peer's queue is full, and then some more. Our
        socket buffers are small, so that this does not take megabytes."""
        rig.run("ip", "netns", "exec", self.node.namespace.name, "sysctl", "-qw", "net.ipv4.tcp_wmem=4096 4096 8192")
        deaf = subprocess.Popen(["ip", "netns", "exec", self.tor.namespace.name, sys.executable, FLOOD, BAD4, NODE4,
                                 "deaf", "60"], stdout=subprocess.DEVNULL)
        try:
            eventually("the deaf peer is up", lambda: self.node.is_up(BAD4))
            self.node.apply(resource("BGPFilter", "all", exportV4=[{"action": "Accept"}]),
                            resource("BGPPeer", "bad", peerIP=BAD4, asNumber=65066, passive=True, filters=["all"]))
            memory = self.memory_kb()
            for round_ in range(20):
                statics = " ".join(f"route 100.{64 + n // 250}.{n % 250}.0/24 blackhole {{ bgp_community.add((65000, "
                                   f"{round_ + n % 50})); }};" for n in range(4000))
                self.tor.reconfigure(tor(statics=f"protocol static s4 {{ ipv4; {statics} }}",
                                         options="hold time 3; keepalive time 1;"))
                eventually("all are learned", lambda: len(self.node.learned()) == 4000)
                if round_ >= 4 and self.node.session(BAD4)["backlogBytes"] > 0:
                    break
            self.assertGreater(self.node.session(BAD4)["backlogBytes"], 0)
            self.assertEqual(self.node.session(TOR4)["timesUp"], self.first_up)
            self.assertLess(self.memory_kb() - memory, 40_000)
        finally:
            rig.stop(deaf, "kill")

    def test_own_routes_that_come_back_and_next_hops_that_lead_nowhere(self):
        def update(next_hop, *prefixes, path="0201" + f"{65066:08x}"):
            attributes = ("40010100" + f"4002{len(path) // 2:02x}" + path + "400304" +
                          "".join(f"{int(octet):02x}" for octet in next_hop.split(".")))
            return f"message:2:0000{len(attributes) // 2:04x}{attributes}{''.join(prefixes)}"
        block = "1a0a410100"  # 10.65.1.0/26, the node's own
        looped = "0202" + f"{65066:08x}{64512:08x}"
        speaker = self.bad("open:65066", "keepalive", "up",
                           update(BAD4, block), update(BAD4, "18c80101", path=looped), update("10.99.99.99", "18c80102"),
                           update(NODE4, "18c80103"), update(BAD4, "18c80104"), "wait:8", wait=False)
        try:
            good = {"198.51.100.0/24", "203.0.113.0/24", "200.1.4.0/24"}
            eventually("only the good one is in use", lambda: self.node.learned() == good)
            verdicts = {r["prefix"]: r["verdict"] for r in self.node.ask("routes", peer=BAD4)["routes"]}
            self.assertEqual(verdicts["200.1.1.0/24"], "own AS in the path")
            self.assertEqual(verdicts["200.1.2.0/24"], "next hop unreachable")
            self.assertEqual(verdicts["200.1.3.0/24"], "next hop is an own address")
            self.assertEqual(self.node.namespace.routes("proto", "176")[BLOCK4, 1032]["type"], "blackhole")
            self.assertEqual(self.node.session(TOR4)["timesUp"], self.first_up)
        finally:
            speaker.wait()

    def test_a_table_beyond_the_maximum_is_warned_about_and_then_refused(self):
        attributes = "40010100" + "400206" + "0201" + f"{65066:08x}" + "400304c0000242"
        half = "".join(f"18c802{n:02x}" for n in range(60))
        rest = "".join(f"18c803{n:02x}" for n in range(60))
        start = f"message:2:0000{len(attributes) // 2:04x}{attributes}"
        lines = self.bad("open:65066", "keepalive", "up", start + half, "wait:1", start + rest, "wait:5")
        self.assertIn("notification 6/1 00010100000064", [line.strip() for line in lines])
        self.assertIn("BGPD_MANY_PREFIXES", self.node.log())
        eventually("nothing of it is left", lambda: self.node.learned() == {"198.51.100.0/24", "203.0.113.0/24"})
        self.still_well()


class ClockJumps(BgpdTest):
    """The daemon is told another time of day than the rest of the machine (clock_jump.cpp)."""
    HOLD = 3  # seconds

    def jump(self, days):
        """At once, for a running process, too: readers see the old number or the new one."""
        new = self.rig.directory / "offset.new"
        new.write_text(str(days * 86400))
        new.rename(self.rig.directory / "offset")

    def age(self, days):
        """Seconds since the session changed, by the clock that the daemon sees."""
        since = datetime.datetime.fromisoformat(self.node.session(TOR4)["since"].replace("Z", "+00:00"))
        return time.time() + days * 86400 - since.timestamp()

    def test_sessions_and_routes_do_not_notice_that_the_clock_jumps(self):
        self.jump(0)
        # GCC's address sanitizer, a library of its own, has to come before any other.
        sanitizer = [line.split()[2] for line in rig.run("ldd", rig.BGPD).splitlines() if "libasan" in line]
        self.node.prefix = ["env", "LD_PRELOAD=" + ":".join([*sanitizer, os.environ["MANUL_CLOCK_JUMP"]]),
                            f"MANUL_CLOCK_OFFSET={self.rig.directory}/offset"]
        self.tor.protocols = tor(options=f"hold time {self.HOLD}; keepalive time 1;")
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        self.wait_blocks()
        up_since = time.monotonic()
        for days in (1, -1, 3650):
            with self.subTest(days=days):
                self.jump(days)
                time.sleep(self.HOLD + 0.5)
                session = self.node.session(TOR4)
                self.assertEqual((session["state"], session["timesUp"]), ("Established", 1), self.node.log()[-2000:])
                self.assertTrue(self.tor.up("n4"))
                self.assertAlmostEqual(self.age(days), time.monotonic() - up_since, delta=30)
                statics = f"protocol static s4 {{ ipv4; route 100.64.{abs(days) % 256}.0/24 blackhole; }}"
                self.tor.reconfigure(tor(statics=statics, options=f"hold time {self.HOLD}; keepalive time 1;"))
                eventually("what is announced meanwhile is learned",
                           lambda days=days: self.node.learned() == {f"100.64.{abs(days) % 256}.0/24"})


class FullDisk(BgpdTest):
    """The datastore and the table dumps are on a file system that has no room left."""

    def setUp(self):
        super().setUp()
        self.small = self.rig.directory / "small"
        self.small.mkdir()
        rig.run("mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "manul-test", self.small)
        self.addCleanup(rig.run, "umount", "-l", self.small)
        self.node.settings.write_text(self.node.settings.read_text().replace(f"{self.rig.directory}/store.db",
                                                                             f"{self.small}/store.db"))

    def fill(self):
        try:
            with open(self.small / "filler", "wb", buffering=0) as filler:
                while filler.write(bytes(4096)):
                    pass
        except OSError:
            pass

    def test_routes_come_and_go_and_what_is_written_comes_back_with_the_room(self):
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        self.fill()
        self.applies(resource("BGPPeer", "more", peerIP="192.0.2.99", asNumber=65099))  # there may be room in the log
        self.tor.reconfigure(tor(statics="protocol static s4 { ipv4; route 100.64.1.0/24 blackhole; }"))
        eventually("routes are learned", lambda: self.node.learned() == {"100.64.1.0/24"})
        rig.stop(self.tor.process)  # the report of the sessions changes, and cannot be written
        eventually("down", lambda: not self.node.is_up(TOR4))
        self.tor.start()
        self.wait_up()
        (self.small / "filler").unlink()
        dump = {"path": f"{self.small}/rib.%Y.mrt", "interval": "1s"}
        eventually("there is room again", lambda: self.applies(resource(
            "BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512, mrtDump=dump)))
        eventually("the table is dumped", lambda: list(self.small.glob("*.mrt")))
        self.fill()
        for dumped in self.small.glob("*.mrt"):
            dumped.unlink()
            self.fill()
        eventually("it is said that a dump failed", lambda: "BGPD_MRT_FAILED" in self.node.log())
        self.assertTrue(self.node.is_up(TOR4))
        (self.small / "filler").unlink()
        eventually("the next one is there", lambda: list(self.small.glob("*.mrt")))
        eventually("nothing is left of the other", lambda: not list(self.small.glob("*.unfinished")))
        self.assertEqual(self.node.session(TOR4)["timesUp"], 2)

    def applies(self, document):
        try:
            self.node.apply(document)
        except rig.RigError:
            return False
        return True


def load_tests(loader, *_):
    """Not the suites that the base class came with."""
    return unittest.TestSuite(map(loader.loadTestsFromTestCase, (Robust, ClockJumps, FullDisk)))


if __name__ == "__main__":
    sys.exit(rig.main("bird"))
