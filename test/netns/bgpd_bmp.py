"""What monitoring stations are told (BMP, RFC 7854), read by Wireshark's decoder; a router with BIRD is the peer.

    bgpd_bmp.py BGPD MANULCTL [unittest arguments]

Needs root, bird and tshark; exit status 77 (skipped) without them.
"""
import collections
import pathlib
import sys

import bgpd_rig as rig
from bgpd_bird import BLOCK6, TOR4, TOR6, BgpdTest, tor
from bgpd_rig import affinity, eventually, resource

COLLECTOR = pathlib.Path(__file__).with_name("bmp_collector.py")
PORT = 1790
OPENED, CLOSED, ROUTES, GREETING, GOODBYE = "3", "2", "0", "4", "5"
RECEIVED, ACCEPTED, SENT, RECEIVED6, ACCEPTED6, SENT6 = "0x00", "0x40", "0x50", "0x80", "0xc0", "0xd0"
Message = collections.namedtuple("Message", "type peer_type flags peer4 peer6 reached4 reached6 lost4 lost6 why broken")
FIELDS = ("bmp.type bmp.peer.type bmp.peer.flags bmp.peer.ip.addr bmp.peer.ipv6.addr bgp.nlri_prefix "
          "bgp.mp_reach_nlri_ipv6_prefix bgp.withdrawn_prefix bgp.mp_unreach_nlri_ipv6_prefix bmp.peer.down.reason "
          "_ws.malformed").split()


class Stations(BgpdTest):
    def setUp(self):
        super().setUp()
        self.collectors = []
        self.addCleanup(self.stop_collectors)
        self.tor.start()
        self.start()
        self.wait_up()
        self.wait_routes()
        self.wait_blocks()

    def stop_collectors(self):
        while self.collectors:
            rig.stop(self.collectors.pop(), "kill")

    def collect(self, port=PORT, *options):
        path = self.rig.directory / f"bmp{port}.pcap"
        self.collectors.append(self.tor.namespace.spawn(sys.executable, COLLECTOR, TOR4, port, path, *options,
                                                        log=self.rig.directory / "collector.log"))
        return path

    def watch(self, *ports):
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=64512,
                                 bmpCollectors=[{"address": TOR4, "port": port} for port in ports]))

    def messages(self, path):
        """As tshark reads them; whatever it finds malformed is an error."""
        if not path.exists():
            return []
        command = ["tshark", "-r", path, "-d", "tcp.port==40000,bmp", "-T", "fields", "-E", "separator=|"]
        for field in FIELDS:
            command += ["-e", field]
        found = [Message(*line.split("|")) for line in rig.run(*command, check=False).splitlines()]
        for message in found:
            self.assertEqual(message.broken, "", message)
        return found

    @staticmethod
    def tables(messages):
        """{(peer or "", flags): prefixes} after all the messages."""
        tables = collections.defaultdict(set)
        for message in messages:
            peer = "" if message.peer_type == "3" else message.peer4 or message.peer6
            if message.type == CLOSED:
                tables = collections.defaultdict(set, {k: v for k, v in tables.items() if k[0] != peer})
            table = tables[peer, message.flags]
            table |= set(filter(None, (message.reached4 + "," + message.reached6).split(",")))
            table -= set(filter(None, (message.lost4 + "," + message.lost6).split(",")))
        return {key: prefixes for key, prefixes in tables.items() if prefixes}

    FIRST = {(TOR4, RECEIVED): {"198.51.100.0", "203.0.113.0"}, (TOR4, ACCEPTED): {"198.51.100.0", "203.0.113.0"},
             (TOR4, SENT): {"10.65.1.0"}, (TOR6, RECEIVED6): {"2001:db8:aaaa::"},
             (TOR6, ACCEPTED6): {"2001:db8:aaaa::"}, (TOR6, SENT6): {"fd00:65::40"},
             ("", RECEIVED): {"198.51.100.0", "203.0.113.0", "10.65.1.0", "2001:db8:aaaa::", "fd00:65::40"}}

    def knows(self, path, tables):
        eventually(f"the station knows {tables}", lambda: self.tables(self.messages(path)) == tables)

    def test_a_station_learns_what_is_there_and_then_what_changes(self):
        path = self.collect()
        self.watch(PORT)
        self.knows(path, self.FIRST)
        first = self.messages(path)
        self.assertEqual([m.type for m in first[:4]], [GREETING, OPENED, OPENED, OPENED])
        self.assertEqual([m.peer_type for m in first[1:4]], ["3", "0", "0"])
        self.assertTrue(all(m.type == ROUTES for m in first[4:]))

        self.tor.reconfigure(tor(statics="protocol static s4 { ipv4; route 198.51.100.0/24 blackhole; }"))
        self.node.delete("blockaffinity", affinity("node-a", BLOCK6)["metadata"]["name"])
        changed = {**self.FIRST, (TOR4, RECEIVED): {"198.51.100.0"}, (TOR4, ACCEPTED): {"198.51.100.0"},
                   ("", RECEIVED): {"198.51.100.0", "10.65.1.0", "2001:db8:aaaa::"}}
        del changed[TOR6, SENT6]
        self.knows(path, changed)

        # A filter refuses what the router says: it is received, but not accepted.
        self.node.apply(resource("BGPFilter", "none", importV6=[{"action": "Reject"}]))
        self.node.apply(resource("BGPPeer", "tor6", peerIP=TOR6, asNumber=65000, filters=["none"]))
        del changed[TOR6, ACCEPTED6]
        changed["", RECEIVED] = {"198.51.100.0", "10.65.1.0"}
        self.knows(path, changed)

        self.node.delete("bgppeer", "tor4")
        self.knows(path, {(TOR6, RECEIVED6): {"2001:db8:aaaa::"}, ("", RECEIVED): {"10.65.1.0"}})
        rig.stop(self.tor.process)
        eventually("both ends are told", lambda: [m.why for m in self.messages(path) if m.type == CLOSED][:1] == ["5"] and
                   [m.why for m in self.messages(path) if m.type == CLOSED][1:] in (["3"], ["4"]))
        self.node.stop()
        eventually("goodbye", lambda: self.messages(path)[-1].type == GOODBYE)

    def test_a_station_that_comes_back_begins_anew_and_a_deaf_one_harms_nobody(self):
        self.watch(PORT, PORT + 1)  # nobody listens yet
        eventually("the reason is logged", lambda: "BGPD_BMP_DOWN" in self.node.log())
        path = self.collect()
        self.collect(PORT + 1, "deaf")
        self.knows(path, self.FIRST)
        statics = " ".join(f"route 100.{n // 256}.{n % 256}.0/24 blackhole;" for n in range(3000))
        self.tor.reconfigure(tor(statics=f"protocol static s4 {{ ipv4; {statics} }}"))
        eventually("all are known", lambda: len(self.tables(self.messages(path)).get((TOR4, ACCEPTED), ())) == 3000)
        self.stop_collectors()
        path.unlink()
        eventually("it is missed", lambda: self.node.log().count("BGPD_BMP_DOWN") > 2)
        path = self.collect()
        eventually("it has all again", lambda: len(self.tables(self.messages(path)).get(("", RECEIVED), ())) == 3003)
        self.assertTrue(self.node.is_up(TOR4) and self.node.is_up(TOR6))

        path.unlink()
        self.node.stop("kill")
        self.node.start()
        eventually("the next run tells all",
                   lambda: len(self.tables(self.messages(path)).get(("", RECEIVED), ())) == 3003)
        begin = self.messages(path)[:2]
        self.assertEqual([(m.type, m.peer_type) for m in begin], [(GREETING, ""), (OPENED, "3")])


def load_tests(loader, *_):
    """Not the suites that the base class came with."""
    return loader.loadTestsFromTestCase(Stations)


if __name__ == "__main__":
    sys.exit(rig.main("bird", "tshark"))
