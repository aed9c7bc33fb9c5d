"""manul-bgpd and the tables of its peers: what is kept when a session ends, what a table that comes again replaces, what
is asked for and offered. Byte by byte, as bgpd_conformance.py.

    bgpd_tables.py BGPD MANULCTL [unittest arguments]

Needs root; exit status 77 (skipped) without.
"""
import shutil
import struct
import sys
import unittest

import bgpd_rig as rig
from bgp_peer import KEEPALIVE, NOTIFICATION, REFRESH, UPDATE, Peer, capability, encoded, four_octet_as, message, update_body
from bgpd_conformance import A4, A_AS, BAD, BASE, BOTH, GOOD, I4, NEXT_HOP, NODE_AS, OLD4, OLD_AS, ORIGIN, Conformance
from bgpd_rig import eventually, resource


class Tables(Conformance):
    """What is kept of a peer's table when its session ends, and when it is sent again."""
    OTHER = "10.65.9.0/24"

    def setUp(self):
        super().setUp()
        self.listener = self.hear()
        self.marker = self.peer(OLD4).up(OLD_AS, b"")
        self.marks = 0

    def heard(self):
        """Which of the two prefixes the listener has when all that was done so far has reached it."""
        for _ in range(2):
            self.marks += 1
            mark = f"c00804{self.marks:08x}"
            self.marker.say(KEEPALIVE).say(UPDATE, update_body(
                bytes.fromhex(ORIGIN + "4002040201fdee" + "400304c0000206" + mark), encoded(GOOD)))
            self.listener.say(KEEPALIVE)
            self.listener.wait(lambda mark=mark: self.listener.routes.get(GOOD, {}).get(8, (0, b""))[1].hex() == mark[6:])
        return {prefix for prefix in (BAD, self.OTHER) if prefix in self.listener.routes}

    def announce(self, peer, *announced):
        peer.say(UPDATE, update_body(bytes.fromhex(BASE), b"".join(map(encoded, announced))))
        self.listener.wait(lambda: set(announced) <= set(self.listener.routes))

    def restarting(self, flags=0, seconds=120, kept=True):
        """Capabilities of a peer with graceful restart: flag 8 has restarted, 4 knows RFC 8538."""
        value = struct.pack(">H", flags << 12 | seconds) + bytes.fromhex("000101" + ("80" if kept else "00"))
        return BOTH + four_octet_as(A_AS) + capability(64, value)

    def test_what_is_kept_when_the_session_ends(self):
        plain = BOTH + four_octet_as(A_AS)
        cease = lambda *data: lambda peer: peer.say(NOTIFICATION, bytes(data)).ended()  # noqa: E731
        lost = Peer.close
        rows = [  # capabilities, the end, whether routes stay
            ("without the capability", plain, lost, False),
            ("lost", self.restarting(), lost, True),
            ("lost, and a restart time of 0", self.restarting(seconds=0), lost, False),
            ("a NOTIFICATION before RFC 8538", self.restarting(), cease(6, 4), False),
            ("a NOTIFICATION after it", self.restarting(4), cease(6, 4), True),
            ("an error after it", self.restarting(4), cease(3, 1), True),
            ("a hard reset", self.restarting(4), cease(6, 9, 6, 2), False),
            ("an error of the peer's", self.restarting(), lambda peer: peer.say(UPDATE, b"\0\0\xff\xff").ended(), False),
        ]
        for name, capabilities, end, stays in rows:
            with self.subTest(name):
                peer = self.a_up(capabilities)
                self.announce(peer, BAD)
                end(peer)
                eventually("down", lambda: not self.node.is_up(A4))
                self.assertEqual(self.heard(), {BAD} if stays else set())
                self.a_up(plain).close()  # who comes back without the capability has nothing left
                eventually("all gone", lambda: self.heard() == set())

    def test_what_is_kept_when_the_peer_is_back(self):
        end_of_rib, end_of_rib6 = update_body(), update_body(bytes.fromhex("800f03000201"))
        rows = [
            ("nothing kept there", self.restarting(8, kept=False), [], set()),
            ("all kept, nothing said yet", self.restarting(8), [], {BAD, self.OTHER}),
            ("End-of-RIB", self.restarting(8), [end_of_rib], set()),
            ("End-of-RIB of another family", self.restarting(8), [end_of_rib6], {BAD, self.OTHER}),
            ("one again, and End-of-RIB", self.restarting(8),
             [update_body(bytes.fromhex(BASE), encoded(BAD)), end_of_rib], {BAD}),
            ("End-of-RIB in MP_UNREACH_NLRI", self.restarting(8),
             [update_body(bytes.fromhex(BASE), encoded(BAD)), update_body(bytes.fromhex("800f03000101"))], {BAD}),
        ]
        for name, capabilities, messages, left in rows:
            with self.subTest(name):
                peer = self.a_up(self.restarting())
                self.announce(peer, BAD, self.OTHER)
                peer.close()
                eventually("down", lambda: not self.node.is_up(A4))
                self.assertEqual(self.heard(), {BAD, self.OTHER})
                peer = self.a_up(capabilities)
                for body in messages:
                    peer.say(UPDATE, body)
                eventually("what is left", lambda left=left: self.heard() == left, 5)
                peer.close()
                eventually("down again", lambda: not self.node.is_up(A4))
                self.a_up().close()
                eventually("all gone", lambda: self.heard() == set())

    def test_a_peer_that_does_not_come_back_is_waited_for_as_long_as_it_asked(self):
        peer = self.a_up(self.restarting(seconds=1))
        self.announce(peer, BAD)
        peer.close()
        eventually("gone", lambda: self.heard() == set(), 10)

    def test_our_own_offer(self):
        found = self.a_up().heard[0][1][10:]
        self.assertEqual(found[0], 2)  # one parameter with all capabilities
        offered = found[2:]
        values = {}
        while offered:
            values.setdefault(offered[0], []).append(offered[2:2 + offered[1]].hex())
            offered = offered[2 + offered[1]:]
        self.assertEqual(values[1], ["00010001", "00020001"])
        self.assertEqual((values[2], values[6], values[70]), ([""], [""], [""]))
        self.assertEqual(values[64], ["4078" + "00010100" + "00020100"])  # not restarted, RFC 8538, 120 s, nothing kept
        self.assertEqual(values[65], [f"{NODE_AS:08x}"])
        self.assertEqual(values[69], ["00010101" + "00020101"])  # receive
        self.assertNotIn(9, values)

    def test_a_table_between_marks_replaces_the_one_before(self):
        peer = self.a_up(BOTH + four_octet_as(A_AS) + capability(70))
        self.announce(peer, BAD, self.OTHER)
        peer.say(REFRESH, bytes.fromhex("00010101"))
        self.announce(peer, BAD)
        self.assertEqual(self.heard(), {BAD, self.OTHER})
        peer.say(REFRESH, bytes.fromhex("00010201"))
        eventually("one is left", lambda: self.heard() == {BAD})
        # And the other way round.
        peer.heard.clear()
        peer.say(REFRESH, bytes.fromhex("00020001"))
        peer.wait(lambda: len(peer.heard) == 2)
        self.assertEqual([(kind, body.hex()) for kind, body in peer.heard], [(REFRESH, "00020101"), (REFRESH, "00020201")])

    def test_several_paths_of_one_peer(self):
        """RFC 7911: a path goes with its identifier alone."""
        peer = self.a_up(BOTH + four_octet_as(A_AS) + capability(69, bytes.fromhex("00010102")))

        def path(identifier, prefix=BAD):
            return struct.pack(">I", identifier) + encoded(prefix)
        longer = ORIGIN + "40020a02020000fde80000fde9" + NEXT_HOP
        peer.say(UPDATE, update_body(bytes.fromhex(BASE), path(1)))
        peer.say(UPDATE, update_body(bytes.fromhex(longer), path(2)))

        def length():
            for _ in range(2):  # behind the message in question, on its connection; the second in a turn behind the first
                self.marks += 1
                mark = f"c00804{self.marks:08x}"
                peer.say(UPDATE, update_body(bytes.fromhex(BASE + mark), path(9, self.OTHER)))
                self.listener.wait(
                    lambda mark=mark: self.listener.routes.get(self.OTHER, {}).get(8, (0, b""))[1].hex() == mark[6:])
            return len(self.listener.routes[BAD][2][1]) // 4 if BAD in self.listener.routes else 0
        self.assertEqual(length(), 1)
        peer.say(UPDATE, update_body(withdrawn=path(3)))
        self.assertEqual(length(), 1)
        peer.say(UPDATE, update_body(withdrawn=path(1)))
        self.assertEqual(length(), 2)
        peer.say(UPDATE, update_body(bytes.fromhex("40010107" + longer[8:]), path(2)))  # an error concerns its path alone
        self.assertEqual(length(), 0)
        self.assertFalse(peer.closed)
        peer.say(UPDATE, update_body(bytes.fromhex(BASE), path(1) + b"\0\0"))
        self.assertEqual(peer.ended(), "3/10")

    @unittest.skipUnless(shutil.which("bgpdump"), "bgpdump is not installed")
    def test_a_table_dump_tells_the_paths_of_one_peer_apart(self):
        """RFC 8050; a table without such peers has the records of RFC 6396 (bgpd_bird.py)."""
        peer = self.a_up(BOTH + four_octet_as(A_AS) + capability(69, bytes.fromhex("00010102")))
        for identifier, path in ((7, "40020602010000fde8"), (8, "40020a02020000fde80000fde9")):
            peer.say(UPDATE, update_body(bytes.fromhex(ORIGIN + path + NEXT_HOP), struct.pack(">I", identifier) + encoded(BAD)))
        self.node.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=NODE_AS,
                                 mrtDump={"path": f"{self.rig.directory}/rib.%Y.mrt", "interval": "1s"}))

        def dumped():
            files = list(self.rig.directory.glob("rib.2*.mrt"))
            text = rig.run("bgpdump", "-m", files[0], check=False) if files else ""
            return {tuple(line.split("|")[3:8]) for line in text.splitlines() if line.startswith("TABLE_DUMP2_AP")}
        eventually("bgpdump reads both", lambda: dumped() == {(A4, "65000", BAD, "7", "65000"), (A4, "65000", BAD, "8", "65000 65001")})


class Refresh(Conformance):
    def test_requests(self):
        sender = self.a_up()
        sender.say(UPDATE, update_body(bytes.fromhex(BASE), encoded(BAD)))
        plain = [
            ("IPv4", "00010001", True), ("IPv6, without routes", "00020001", False),
            ("a family that is not ours", "00190046", False), ("with outbound filters", "00010001" + "0180000100", True),
            # Without RFC 7313 the octet of the subtype is reserved, and ignored (RFC 2918 section 3).
            ("reserved octet 1", "00010101", True), ("reserved octet 2", "00010201", True),
            ("reserved octet 3", "00010301", True),
        ]
        marking = [("a request", "00010001", True), ("a begin mark", "00010101", False), ("an end mark", "00010201", False),
                   ("an unknown subtype", "00010301", False)]
        for capabilities, rows in ((b"", plain), (capability(70), marking)):
            listener = self.peer(I4).up(NODE_AS, BOTH + four_octet_as(NODE_AS) + capabilities)
            listener.wait(lambda listener=listener: BAD in listener.routes)
            for name, body, answered in rows:
                with self.subTest(name, marks=bool(capabilities)):
                    listener.routes.clear()
                    listener.say(REFRESH, bytes.fromhex(body))
                    # The answer to a request behind it shows that this one is through.
                    before = listener.updates
                    if answered:
                        listener.wait(lambda listener=listener: BAD in listener.routes)
                    else:
                        listener.say(REFRESH, bytes.fromhex("00010001")).wait(
                            lambda listener=listener, before=before: listener.updates > before)
                    self.assertFalse(listener.closed)
            listener.close()
            eventually("down", lambda: not self.node.is_up(I4))
        for name, body in (("a mark that is too long", "0001010100"), ("a mark that is too short", "000102"),
                           ("of the other kind", "000102010000")):
            with self.subTest(name):
                sender = sender if not sender.closed else self.a_up()
                wanted = message(REFRESH, bytes.fromhex(body)).hex()
                self.assertEqual(sender.say(REFRESH, bytes.fromhex(body)).ended(), f"7/1 {wanted}")
        with self.subTest("a request that is too short"):
            self.assertEqual(self.a_up().say(REFRESH, b"\0\1\0").ended(), "1/2 0016")


if __name__ == "__main__":
    sys.exit(rig.main())
