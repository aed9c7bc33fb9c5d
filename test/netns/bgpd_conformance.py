"""manul-bgpd before peers that say, byte by byte, what RFC 4271 and its successors have an answer for: what it answers,
whether the session stays, and what of the routes reaches another peer.

    bgpd_conformance.py BGPD MANULCTL [unittest arguments]

Needs root; exit status 77 (skipped) without.
"""
import struct
import sys
import time
import unittest

import bgpd_rig as rig
from bgp_peer import (KEEPALIVE, NOTIFICATION, OPEN, REFRESH, UPDATE, Peer, capability, encoded, four_octet_as,
                      multiprotocol, open_body, read, update_body)
from bgpd_rig import eventually, resource

NODE4, NODE_AS = "192.0.2.1", 64512
A4, A_AS = "192.0.2.2", 65000  # external, both families
I4 = "192.0.2.5"               # internal, both families
OLD4, OLD_AS = "192.0.2.6", 65006  # external, knows no capabilities
ANY4, ANY_AS = "192.0.2.130", 65130  # external, from a listen range
STRANGER4 = "192.0.2.7"  # nobody's
ROLE4, ROLE_AS = "192.0.2.8", 65008  # external; we are its customer
BAD, GOOD = "10.65.7.0/24", "10.65.8.0/24"  # in a pool, so that they go on to the internal peer
BAD6 = "fd00:65::/64"
BOTH = multiprotocol(1) + multiprotocol(2)

ORIGIN = "40010100"
PATH = "40020602010000fde8"
NEXT_HOP = "400304c0000202"
BASE = ORIGIN + PATH + NEXT_HOP
GLOBAL6 = "20010db8000000000000000000000002"
LOCAL6 = "fe80" + "00" * 13 + "02"


def reach6(next_hop=GLOBAL6, prefix=encoded(BAD6).hex(), flags="80", size=None):
    value = "000201" + f"{len(next_hop) // 2 if size is None else size:02x}" + next_hop + "00" + prefix
    return f"{flags}0e{len(value) // 2:02x}{value}"


def withdraw():
    return "withdrawn"


def reset(answer):
    return answer


def used(*kept, without=()):
    """Passed on with these attributes, "flags type value" in hex, and without those types."""
    return kept, tuple(without)


class Conformance(unittest.TestCase):
    def setUp(self):
        self.rig = rig.Rig()
        self.addCleanup(self.rig.close)
        self.node = self.rig.node("node-a")
        self.far = self.rig.router("far", A4, "")
        self.rig.link(self.node, "up0", [f"{NODE4}/24", "2001:db8::1/64"], self.far, "down0",
                      [f"{A4}/24", "2001:db8::2/64"])
        for address in (I4, OLD4, STRANGER4, ROLE4, ANY4):
            self.far.namespace.ip("address", "add", f"{address}/24", "dev", "down0")
        self.node.start()
        both = {"families": ["IPv4", "IPv6"], "passive": True}
        self.node.apply(
            resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False, asNumber=NODE_AS),
            resource("IPPool", "pods4", cidr="10.65.0.0/16"), resource("IPPool", "pods6", cidr="fd00:65::/48"),
            resource("BGPFilter", "all", importV4=[{"action": "Accept"}]),
            resource("BGPPeer", "a", peerIP=A4, asNumber=A_AS, **both),
            resource("BGPPeer", "i", peerIP=I4, asNumber=NODE_AS, **both),
            resource("BGPPeer", "old", peerIP=OLD4, asNumber=OLD_AS, passive=True),
            resource("BGPPeer", "role", peerIP=ROLE4, asNumber=ROLE_AS, passive=True, role="Customer"),
            resource("BGPPeer", "any", listenRange="192.0.2.128/25", asNumber=ANY_AS, filters=["all"]))
        eventually("the peers are wanted", lambda: len(self.node.ask("peers")["peers"]) == 4)
        self.open_peers = []
        self.addCleanup(lambda: [peer.close() for peer in self.open_peers])

    def peer(self, source=A4, identifier=None):
        self.open_peers.append(Peer.connected(self.far.namespace.name, source, NODE4, identifier))
        return self.open_peers[-1]

    def a_up(self, capabilities=BOTH + four_octet_as(A_AS), **fields):
        return self.peer().up(A_AS, capabilities, **fields)

    def hear(self):
        """An internal peer that is up and told of everything."""
        return self.peer(I4).up(NODE_AS, BOTH + four_octet_as(NODE_AS))


class BeforeTheSession(Conformance):
    def test_headers(self):
        rows = [
            ("marker", b"\xff" * 15 + b"\xfe" + bytes.fromhex("001304"), "1/1"),
            ("marker of a longer message", b"\x00" * 16 + bytes.fromhex("001d01"), "1/1"),
            *((f"length {size} of type {kind}", b"\xff" * 16 + struct.pack(">HB", size, kind), f"1/2 {size:04x}")
              for size, kind in ((0, 1), (18, 4), (28, OPEN), (22, UPDATE), (20, NOTIFICATION), (18, KEEPALIVE),
                                 (20, KEEPALIVE), (21, REFRESH), (4097, OPEN), (4097, KEEPALIVE))),
            ("type 0", b"\xff" * 16 + bytes.fromhex("001300"), "1/3 00"),
            ("type 6", b"\xff" * 16 + bytes.fromhex("001306"), "1/3 06"),
            ("type 255", b"\xff" * 16 + bytes.fromhex("0013ff"), "1/3 ff"),
        ]
        for name, data, wanted in rows:
            with self.subTest(name):
                self.assertEqual(self.peer().send(data).ended(), wanted)
        for name, data, wanted in rows:
            with self.subTest(name + ", in the session"):
                self.assertEqual(self.a_up().send(data).ended(), wanted)

    def test_opens(self):
        four = four_octet_as(A_AS)
        v4 = multiprotocol(1)
        rows = [
            ("version 3", open_body(A_AS, A4, version=3), "2/1 0004"),
            ("version 5", open_body(A_AS, A4, version=5), "2/1 0004"),
            ("AS 0", open_body(0, A4), "2/2"),
            ("AS 0 in the capability", open_body(A_AS, A4, capabilities=four_octet_as(0)), "2/2"),
            ("another AS", open_body(65001, A4), "2/2"),
            ("another AS in the capability", open_body(A_AS, A4, capabilities=four_octet_as(4200000000)), "2/2"),
            ("AS 23456 alone", open_body(23456, A4), "2/2"),
            ("AS 23456 in the capability", open_body(23456, A4, capabilities=four_octet_as(23456)), "2/2"),
            ("identifier 0", open_body(A_AS, "0.0.0.0", capabilities=v4 + four), "2/3"),
            ("hold time 1", open_body(A_AS, A4, hold=1), "2/6"),
            ("hold time 2", open_body(A_AS, A4, hold=2), "2/6"),
            ("authentication parameter", open_body(A_AS, A4, parameters=b"\1\1\0"), "2/4"),
            ("parameter 7", open_body(A_AS, A4, parameters=b"\7\0"), "2/4"),
            ("parameter that overruns", open_body(A_AS, A4, parameters=b"\2\7\0"), "2/0"),
            ("parameters shorter than said", open_body(A_AS, A4)[:-1] + b"\5\2\0", "2/0"),
            ("bytes behind the parameters", open_body(A_AS, A4) + b"\2\0", "2/0"),
            ("capability that overruns", open_body(A_AS, A4, capabilities=b"\x41\4\0\0"), "2/0"),
            ("capability of one octet", open_body(A_AS, A4, capabilities=b"\2"), "2/0"),
            ("multiprotocol of 3 octets", open_body(A_AS, A4, capabilities=capability(1, b"\0\1\0")), "2/0"),
            ("four-octet AS of 2 octets", open_body(A_AS, A4, capabilities=capability(65, b"\xfd\xe8")), "2/0"),
            ("extended parameters cut short", open_body(A_AS, A4)[:-1] + b"\xff\xff\0", "2/0"),
            ("families that we lack", open_body(A_AS, A4, capabilities=multiprotocol(25, 70) + four),
             "2/7 0104000100010104" + "00020001"),
        ]
        for name, body, wanted in rows:
            with self.subTest(name):
                self.assertEqual(self.peer().say(OPEN, body).ended(), wanted)
        with self.subTest("an internal peer with our identifier"):
            self.assertEqual(self.peer(I4, NODE4).open(NODE_AS, four_octet_as(NODE_AS)).ended(), "2/3")
        with self.subTest("another AS than that of the listen range"):
            self.assertEqual(self.peer(ANY4).open(A_AS, four).ended(), "2/2")
        role = v4 + four_octet_as(ROLE_AS)
        for name, roles, wanted in (("the same role", b"\3", "2/11"), ("an unknown role", b"\5", "2/11"),
                                    ("two roles", b"\0\4", "2/11")):
            with self.subTest(name):
                offered = b"".join(capability(9, bytes([each])) for each in roles)
                self.assertEqual(self.peer(ROLE4).open(ROLE_AS, role + offered).ended(), wanted)
        with self.subTest("two roles, where we have none"):
            self.assertEqual(self.peer().open(A_AS, v4 + four + capability(9, b"\0") + capability(9, b"\4")).ended(), "2/11")

    def test_opens_that_are_right_whatever_they_look_like(self):
        four = four_octet_as(A_AS)
        v4 = multiprotocol(1)
        extended = v4 + four + b"".join(capability(200 + n, bytes(90)) for n in range(4))
        parameter = b"\2" + struct.pack(">H", len(extended)) + extended
        rows = [
            ("no parameters at all", open_body(A_AS, A4)),
            ("hold time 0", open_body(A_AS, A4, hold=0, capabilities=v4 + four)),
            ("hold time 3", open_body(A_AS, A4, hold=3, capabilities=v4 + four)),
            ("hold time 65535", open_body(A_AS, A4, hold=65535, capabilities=v4 + four)),
            ("our identifier from outside", open_body(A_AS, NODE4, capabilities=v4 + four)),
            ("AS_TRANS beside the real number", open_body(23456, A4, capabilities=v4 + four)),
            # The capability is what counts, as for BIRD, GoBGP and OpenBGPD; FRR refuses this.
            ("another number beside the real one", open_body(65001, A4, capabilities=v4 + four)),
            ("several paths with a number that nobody knows", open_body(A_AS, A4, capabilities=v4 + four + capability(
                69, bytes.fromhex("00010103" "00020104")))),
            ("each capability in a parameter of its own",
             open_body(A_AS, A4, parameters=bytes([2, len(v4)]) + v4 + bytes([2, len(four)]) + four)),
            ("every capability twice", open_body(A_AS, A4, capabilities=2 * (v4 + four + capability(2)))),
            ("unknown capabilities", open_body(A_AS, A4, capabilities=v4 + four + capability(250, b"x" * 30))),
            ("empty capabilities parameter", open_body(A_AS, A4, parameters=b"\2\0")),
            ("capabilities with lengths that are wrong and do no harm",
             open_body(A_AS, A4, capabilities=v4 + four + capability(2, b"\0") + capability(64, b"\0") +
                       capability(69, b"\0\1\1") + capability(71, b"\0") + capability(9, b"\0\0") + capability(6, b"\0") +
                       capability(70, b"\0") + capability(5, b"\0\1") + capability(73, b"\5") + capability(75))),
            ("extended parameters", open_body(A_AS, A4)[:-1] + b"\xff\xff" + struct.pack(">H", len(parameter)) + parameter),
        ]
        for name, body in rows:
            with self.subTest(name):
                peer = self.peer().say(OPEN, body).say(KEEPALIVE)
                peer.wait(lambda peer=peer: peer.keepalives)
                eventually("up", lambda: self.node.is_up(A4))
                peer.close()
                eventually("down", lambda: not self.node.is_up(A4))
        with self.subTest("an external peer of a listen range"):
            self.peer(ANY4).up(ANY_AS)
            eventually("up", lambda: self.node.is_up(ANY4))

    def test_capabilities_that_the_peer_refuses(self):
        """RFC 5492 section 3: the next OPEN does without, the one after it has them again."""
        def offered(peer):
            """Codes; those of multiprotocol with their families."""
            peer.wait(lambda: peer.heard)
            rest, found = peer.heard[0][1][12:], []
            while rest:
                found.append(rest[0] if rest[0] != 1 else (1, rest[2:6].hex()))
                rest = rest[2 + rest[1]:]
            return found

        def refused(notification):
            peer = self.peer()
            found = offered(peer)
            self.assertEqual(peer.say(NOTIFICATION, notification).ended(), "")
            return found
        v6 = (1, "00020001")
        everything = refused(b"\2\4")
        self.assertLessEqual({(1, "00010001"), v6, 2, 6, 64, 65, 69, 70}, set(everything))
        with self.subTest("a session without capabilities"):
            peer = self.peer()
            self.assertEqual(offered(peer), [])
            peer.up(A_AS, b"")
            listener = self.hear()
            peer.say(UPDATE, update_body(bytes.fromhex(ORIGIN + "4002040201fde8" + NEXT_HOP), encoded(BAD)))
            listener.wait(lambda: BAD in listener.routes)
            self.assertFalse(self.node.session(A4)["capabilities"]["sent"])
            # Nothing was said of extended messages (RFC 8654 section 4).
            self.assertEqual(peer.send(b"\xff" * 16 + struct.pack(">HB", 4097, UPDATE)).ended(), "1/2 1001")
        with self.subTest("the next one has all, and another error changes nothing"):
            self.assertEqual(refused(b"\2\2"), everything)
        with self.subTest("some of them, and more of them"):
            self.assertEqual(refused(b"\2\7" + multiprotocol(2) + capability(69, b"\0\1\1\1")), everything)
            left = [each for each in everything if each not in (v6, 69)]
            self.assertEqual(refused(b"\2\7" + capability(70)), left)
            self.assertEqual(refused(b"\2\7" + multiprotocol(25, 70)), [each for each in left if each != 70])
            # That one is not ours to leave out.
            self.assertEqual(refused(b"\6\5"), everything)

    def test_messages_in_the_wrong_state(self):
        refresh, update = bytes.fromhex("00010001"), update_body()
        good = open_body(A_AS, A4, capabilities=BOTH + four_octet_as(A_AS))
        rows = [(REFRESH, refresh), (UPDATE, update)]
        for kind, body in [*rows, (KEEPALIVE, b"")]:
            with self.subTest("OpenSent", kind=kind):
                self.assertEqual(self.peer().say(kind, body).ended(), f"5/1 {kind:02x}")
        for kind, body in [*rows, (OPEN, good)]:
            with self.subTest("OpenConfirm", kind=kind):
                self.assertEqual(self.peer().say(OPEN, good).say(kind, body).ended(), f"5/2 {kind:02x}")
        for body in (good, good[:9] + b"\1\1"):
            with self.subTest("Established", body=body.hex()):
                self.assertEqual(self.a_up().say(OPEN, body).ended(), "5/3 01")

    def test_a_notification_ends_the_connection_without_an_answer(self):
        rows = [
            ("in OpenSent", lambda peer: peer, b"\6\2", "received Cease/Administrative Shutdown"),
            ("in OpenConfirm", lambda peer: peer.open(A_AS, four_octet_as(A_AS)), b"\6\4",
             "received Cease/Administrative Reset"),
            ("in Established", lambda peer: peer.up(A_AS), b"\3\1", "received UPDATE Message Error/Malformed Attribute List"),
            ("of a code that nobody knows", lambda peer: peer.up(A_AS), b"\x63\x07", "received code 99/subcode 7"),
            ("words", lambda peer: peer.up(A_AS), b"\6\2\5hello", "received Cease/Administrative Shutdown: hello"),
            ("words of length 0", lambda peer: peer.up(A_AS), b"\6\2\0", "received Cease/Administrative Shutdown"),
            ("words that overrun", lambda peer: peer.up(A_AS), b"\6\4\6hello", "received Cease/Administrative Reset"),
            ("words that are none", lambda peer: peer.up(A_AS), b"\6\2\3a\xff\xfe", "received Cease/Administrative Shutdown"),
            ("255 octets of words", lambda peer: peer.up(A_AS), b"\6\2\xff" + b"x" * 255,
             "received Cease/Administrative Shutdown: " + "x" * 255),
            ("a version error", lambda peer: peer, b"\2\1\0\3", "received OPEN Message Error/Unsupported Version Number"),
        ]
        for name, begin, body, words in rows:
            with self.subTest(name):
                peer = begin(self.peer())
                self.assertEqual(peer.say(NOTIFICATION, body).ended(), "")
                eventually("it is shown", lambda words=words: self.node.session(A4)["lastError"] == words)

    def test_who_is_not_expected_is_told_so(self):
        """RFC 4486 section 4: Cease/Connection Rejected; not without end, and a peer notices nothing of it."""
        self.assertEqual(self.peer(STRANGER4).ended(), "6/5")
        self.assertEqual(self.peer(STRANGER4).open(A_AS, BOTH + four_octet_as(A_AS)).say(KEEPALIVE).ended(), "6/5")
        started = time.monotonic()
        answers = [self.peer(STRANGER4).ended() for _ in range(150)]
        self.assertLessEqual(set(answers), {"6/5", ""})
        self.assertLessEqual(answers.count("6/5"), 64 + 4 * (time.monotonic() - started))
        self.assertGreater(answers.count("6/5"), 32)
        peer = self.a_up()
        rig.run("ip", "netns", "exec", self.node.namespace.name, rig.MANULCTL, "bgp", "shutdown", "-m",
                "later", env=self.node.env)
        told = "6/2 05" + b"later".hex()
        self.assertEqual(peer.ended(), told)
        self.assertEqual(self.peer().ended(), told)  # as long as it lasts

    def test_a_second_connection_beside_the_session(self):
        first = self.a_up()
        self.assertEqual(self.peer().ended(), "6/7")
        self.assertEqual(self.peer().open(A_AS, four_octet_as(A_AS)).ended(), "6/7")
        self.assertEqual(self.node.session(A4)["timesUp"], 1)
        self.assertFalse(first.closed)
        # A peer with graceful restart that connects anew has restarted (RFC 4724 section 4.2).
        first.close()
        eventually("down", lambda: not self.node.is_up(A4))
        restart = BOTH + four_octet_as(A_AS) + capability(64, bytes.fromhex("00780001018000020180"))
        first = self.a_up(restart)
        second = self.a_up(restart)
        self.assertEqual(first.ended(), "")
        self.assertTrue(self.node.is_up(A4))
        self.assertFalse(second.closed)


class Listened(Conformance):
    """An internal peer hears what becomes of the UPDATEs of another."""

    def setUp(self):
        super().setUp()
        self.listener = self.hear()
        self.tested = 0

    def settled(self, mark):
        """Whether the listener was told of everything that the sender said; not if the sender's session ended.

        `mark` makes a number into an attribute that reaches the listener as it is."""
        for _ in range(2):  # the second goes out in a turn behind the first
            self.tested += 1
            attribute = mark(self.tested)
            self.sender.say(KEEPALIVE).say(UPDATE, update_body(
                bytes.fromhex(ORIGIN + self.path + self.next_hop + attribute), encoded(GOOD)))
            self.listener.say(KEEPALIVE)
            end = time.monotonic() + 20
            while self.listener.routes.get(GOOD, {}).get(int(attribute[2:4], 16), (0, b""))[1].hex() != attribute[6:]:
                self.assertLess(time.monotonic(), end, "not told")
                self.assertFalse(self.listener.closed)
                if self.sender.closed:
                    return False
                read([self.listener, self.sender], 20)
        return True

    def outcome(self, body, mark, prefix=BAD):
        """"withdrawn", the attributes that were passed on, or the NOTIFICATION that ended the session."""
        self.sender.say(UPDATE, body)
        if self.settled(mark):
            return self.listener.routes.get(prefix, "withdrawn")
        return self.sender.ended()

    def check(self, rows, connect, path=PATH, next_hop=NEXT_HOP, mark=lambda number: f"800404{number:08x}"):
        self.path, self.next_hop = path, next_hop
        self.sender = connect()
        for name, body, wanted, *prefix in rows:
            with self.subTest(name):
                if self.sender.closed:
                    self.sender = connect()
                good = bytes.fromhex(ORIGIN + path + next_hop)
                self.sender.say(UPDATE, update_body(good, encoded(BAD)))
                found = self.outcome(body, mark, *prefix)
                if isinstance(wanted, str):
                    self.assertEqual(found, wanted)
                    continue
                self.assertIsInstance(found, dict, found)
                kept, without = wanted
                seen = {f"{flags:02x}{type_:02x}{value.hex()}" for type_, (flags, value) in found.items()}
                self.assertLessEqual(set(kept), seen)
                self.assertFalse(set(without) & set(found))


class Updates(Listened):
    def test_from_outside(self):
        def body(attributes, announced=BAD, withdrawn=""):
            return update_body(bytes.fromhex(attributes), encoded(announced) if announced else b"",
                               encoded(withdrawn) if withdrawn else b"")
        rows = [
            # RFC 4271 6.3, RFC 7606 sections 3 to 5: the message
            ("withdrawn section overruns", struct.pack(">H", 9) + b"\0\0", reset("3/1")),
            ("attribute section overruns", bytes.fromhex("0000000540010100"), reset("3/1")),
            ("prefix of 33 bits", body(BASE, None) + b"\x21\x0a\0\0\0\0", reset("3/10")),
            ("prefix cut short", body(BASE, None) + b"\x18\x0a\x41", reset("3/10")),
            ("withdrawn prefix of 33 bits", bytes.fromhex("0006210a000000000000"), reset("3/10")),
            ("bits behind the prefix", body(BASE, None) + bytes.fromhex("170a4107"), used(), "10.65.6.0/23"),
            ("withdrawn and announced at once", body(BASE, BAD, BAD), used()),
            ("one octet left of the attributes", body(BASE + "80"), withdraw()),
            ("attribute overruns the section", body(BASE + "80040800000001"), withdraw()),
            ("nothing announced, and an attribute overruns", body(ORIGIN + "80", None), reset("3/1 80")),
            ("a multicast prefix", body(BASE, "224.0.0.0/8"), withdraw(), "224.0.0.0/8"),
            ("a loopback prefix", body(BASE, "127.0.0.0/8"), withdraw(), "127.0.0.0/8"),
            # 3 c: flags
            ("ORIGIN optional", body("c0010100" + PATH + NEXT_HOP), withdraw()),
            ("AS_PATH not transitive", body(ORIGIN + "00" + PATH[2:] + NEXT_HOP), withdraw()),
            ("NEXT_HOP optional", body(ORIGIN + PATH + "c0" + NEXT_HOP[2:]), withdraw()),
            ("MED transitive", body(BASE + "c0040400000001"), withdraw()),
            ("COMMUNITIES not transitive", body(BASE + "80080400010001"), withdraw()),
            ("partial ORIGIN", body("60010100" + PATH + NEXT_HOP), used("400100")),
            ("long form of a short attribute", body("5001000100" + PATH + NEXT_HOP), used("400100")),
            ("partial COMMUNITIES stay partial", body(BASE + "e0080400010001"), used("e00800010001")),
            # 3 d: missing
            ("no ORIGIN", body(PATH + NEXT_HOP), withdraw()),
            ("no AS_PATH", body(ORIGIN + NEXT_HOP), withdraw()),
            ("no NEXT_HOP", body(ORIGIN + PATH), withdraw()),
            ("no attributes", body(""), withdraw()),
            # 3 g: twice
            ("MED twice", body(BASE + "80040400000001" + "80040400000002"), used("800400000001")),
            ("ORIGIN twice", body(BASE + "40010102"), used("400100")),
            ("MP_REACH_NLRI twice", body(ORIGIN + PATH + reach6() + reach6(), None), reset("3/1")),
            ("MP_UNREACH_NLRI twice", body(BASE + 2 * "800f03000201"), reset("3/1")),
            # 7.1 to 7.4
            ("ORIGIN of length 0", body("400100" + PATH + NEXT_HOP), withdraw()),
            ("ORIGIN of length 2", body("4001020000" + PATH + NEXT_HOP), withdraw()),
            ("ORIGIN 3", body("40010103" + PATH + NEXT_HOP), withdraw()),
            ("ORIGIN 3, nothing announced", body("40010103" + PATH, None), reset("3/6 40010103")),
            ("AS_PATH: unknown segment", body(ORIGIN + "40020605010000fde8" + NEXT_HOP), withdraw()),
            ("AS_PATH: segment of none", body(ORIGIN + "40020802010000fde80200" + NEXT_HOP), withdraw()),
            ("AS_PATH: segment overruns", body(ORIGIN + "40020602020000fde8" + NEXT_HOP), withdraw()),
            ("AS_PATH: an octet too many", body(ORIGIN + "40020702010000fde802" + NEXT_HOP), withdraw()),
            ("AS_PATH: confederation sequence", body(ORIGIN + "40020c03010000fde902010000fde8" + NEXT_HOP), withdraw()),
            ("AS_PATH: confederation set", body(ORIGIN + "40020c02010000fde804010000fde9" + NEXT_HOP), withdraw()),
            ("AS_PATH: AS 0 (RFC 7607)", body(ORIGIN + "40020a02020000fde800000000" + NEXT_HOP), withdraw()),
            ("AS_PATH: AS set (RFC 9774)", body(ORIGIN + "40020c02010000fde801010000fde9" + NEXT_HOP), withdraw()),
            ("AS_PATH: empty", body(ORIGIN + "400200" + NEXT_HOP), withdraw()),
            ("AS_PATH: another first AS", body(ORIGIN + "40020602010000fde9" + NEXT_HOP), withdraw()),
            ("AS_PATH: our AS", body(ORIGIN + "40020a02020000fde80000fc00" + NEXT_HOP), withdraw()),
            ("AS_PATH: AS_TRANS", body(ORIGIN + "40020a02020000fde800005ba0" + NEXT_HOP), used("400202020000fde800005ba0")),
            ("NEXT_HOP of length 3", body(ORIGIN + PATH + "400303c00002"), withdraw()),
            ("NEXT_HOP of length 16", body(ORIGIN + PATH + "400310" + GLOBAL6), withdraw()),
            ("NEXT_HOP 0.0.0.0", body(ORIGIN + PATH + "40030400000000"), withdraw()),
            ("NEXT_HOP 127.0.0.1", body(ORIGIN + PATH + "4003047f000001"), withdraw()),
            ("NEXT_HOP multicast", body(ORIGIN + PATH + "400304e0000001"), withdraw()),
            ("NEXT_HOP 255.255.255.255", body(ORIGIN + PATH + "400304ffffffff"), withdraw()),
            ("NEXT_HOP of all hosts on the link", body(ORIGIN + PATH + "400304c00002ff"), withdraw()),
            ("NEXT_HOP that is the link's network", body(ORIGIN + PATH + "400304c0000200"), withdraw()),
            ("NEXT_HOP our own", body(ORIGIN + PATH + "400304c0000201"), withdraw()),
            ("NEXT_HOP that leads nowhere", body(ORIGIN + PATH + "400304cb007109"), withdraw()),
            ("NEXT_HOP of a third router", body(ORIGIN + PATH + "400304c0000209"), used("4003c0000209")),
            ("MED of length 3", body(BASE + "800403000000"), withdraw()),
            # 7.5 to 7.10: not from outside
            ("LOCAL_PREF", body(BASE + "40050400000007"), used("400500000064")),
            ("LOCAL_PREF of length 3", body(BASE + "400503000000"), used("400500000064")),
            ("ORIGINATOR_ID", body(BASE + "80090401010101"), used(without=[9])),
            ("ORIGINATOR_ID of length 3", body(BASE + "800903010101"), used(without=[9])),
            ("CLUSTER_LIST", body(BASE + "800a0401010101"), used(without=[10])),
            ("CLUSTER_LIST of length 0", body(BASE + "800a00"), used(without=[10])),
            ("ATOMIC_AGGREGATE", body(BASE + "400600"), used("4006")),
            ("ATOMIC_AGGREGATE of length 1", body(BASE + "40060100"), used(without=[6])),
            ("AGGREGATOR", body(BASE + "c007080000fde8c0000202"), used("c0070000fde8c0000202")),
            ("AGGREGATOR of length 6", body(BASE + "c00706fde8c0000202"), used(without=[7])),
            ("AGGREGATOR with AS 0", body(BASE + "c0070800000000c0000202"), used(without=[7])),
            # communities of every kind
            ("COMMUNITIES of length 0", body(BASE + "c00800"), withdraw()),
            ("COMMUNITIES of length 5", body(BASE + "c008050001000101"), withdraw()),
            ("EXTENDED_COMMUNITIES of length 7", body(BASE + "c01007" + "00" * 7), withdraw()),
            ("EXTENDED_COMMUNITIES of length 0", body(BASE + "c01000"), withdraw()),
            ("IPV6_EXTENDED_COMMUNITIES of length 19", body(BASE + "c01913" + "00" * 19), withdraw()),
            ("LARGE_COMMUNITY of length 11", body(BASE + "c0200b" + "00" * 11), withdraw()),
            ("LARGE_COMMUNITY of length 0", body(BASE + "c02000"), withdraw()),
            ("LARGE_COMMUNITY", body(BASE + "c0200c" + "00000001" * 3), used("c020" + "00000001" * 3)),
            ("ONLY_TO_CUSTOMER of length 3", body(BASE + "c02303000001"), withdraw()),
            ("ONLY_TO_CUSTOMER of length 8", body(BASE + "c023080000fde80000fde8"), withdraw()),
            ("LARGE_COMMUNITY twice (RFC 8092 3)", body(BASE + "c02024" + "00000001" * 3 + "00000002" * 3 + "00000001" * 3),
             used("c020" + "00000001" * 3 + "00000002" * 3)),
            # 5.3, 7.11, 7.12: other families
            ("MP_REACH_NLRI", body(ORIGIN + PATH + reach6(), None), used(), BAD6),
            ("next hop with a link-local one", body(ORIGIN + PATH + reach6(GLOBAL6 + LOCAL6), None), used(), BAD6),
            ("next hop of length 4", body(ORIGIN + PATH + reach6("c0000202"), None),
             reset("3/9 " + reach6("c0000202"))),
            ("next hop of length 24", body(ORIGIN + PATH + reach6("00" * 8 + GLOBAL6), None),
             reset("3/9 " + reach6("00" * 8 + GLOBAL6))),
            ("next hop of length 48", body(ORIGIN + PATH + reach6(2 * ("00" * 8 + GLOBAL6)), None),
             reset("3/9 " + reach6(2 * ("00" * 8 + GLOBAL6)))),
            ("next hop of length 0", body(ORIGIN + PATH + reach6(""), None), reset("3/9 " + reach6(""))),
            ("next hop overruns", body(ORIGIN + PATH + reach6("c0000202", size=200), None),
             reset("3/9 " + reach6("c0000202", size=200))),
            ("next hop ::", body(ORIGIN + PATH + reach6("00" * 16), None), withdraw(), BAD6),
            ("next hop ff02::1", body(ORIGIN + PATH + reach6("ff02" + "00" * 13 + "01"), None), withdraw(), BAD6),
            ("next hop our own", body(ORIGIN + PATH + reach6(GLOBAL6[:-1] + "1"), None), withdraw(), BAD6),
            ("prefix of 129 bits", body(ORIGIN + PATH + reach6(prefix="81" + "00" * 17), None),
             reset("3/9 " + reach6(prefix="81" + "00" * 17))),
            ("IPv6 next hop of an IPv4 route", body(ORIGIN + PATH + "800e19" + "000101" + "10" + GLOBAL6 + "00" +
                                                    encoded(BAD).hex(), None),
             reset("3/9 800e19" + "000101" + "10" + GLOBAL6 + "00" + encoded(BAD).hex())),
            ("IPv4 in MP_REACH_NLRI", body(ORIGIN + PATH + "800e0d" + "000101" + "04c0000202" + "00" +
                                           encoded(BAD).hex(), None), used()),
            ("MP_REACH_NLRI with wrong flags", body(ORIGIN + PATH + reach6(flags="c0"), None),
             reset("3/4 " + reach6(flags="c0"))),
            ("MP_REACH_NLRI of length 4", body(ORIGIN + PATH + "800e0400020100", None), reset("3/9 800e0400020100")),
            ("MP_REACH_NLRI of another family", body(BASE + "800e09001946" + "04c0000202" + "00"), used()),
            ("MP_REACH_NLRI of another family alone", body(ORIGIN + PATH + "800e09001946" + "04c0000202" + "00", None), used()),
            ("MP_REACH_NLRI of a multicast family", body(BASE + "800e09000102" + "04c0000202" + "00"), used()),
            ("MP_REACH_NLRI that announces nothing", body(BASE + reach6(prefix="")), used()),
            ("MP_REACH_NLRI whose reserved octet is set",
             body(ORIGIN + PATH + "800e1e000201" + "10" + GLOBAL6 + "ff" + encoded(BAD6).hex(), None), used(), BAD6),
            ("MP_REACH_NLRI without the reserved octet", body(ORIGIN + PATH + "800e14000201" + "10" + GLOBAL6, None),
             reset("3/9 800e14000201" + "10" + GLOBAL6)),
            ("MP_REACH_NLRI: prefix cut short", body(ORIGIN + PATH + reach6(prefix="40fd"), None),
             reset("3/9 " + reach6(prefix="40fd"))),
            ("MP_UNREACH_NLRI of another family", body(BASE + "800f03001946"), used()),
            ("MP_UNREACH_NLRI of another family alone", body("800f05001946aaaa", None), used()),
            ("MP_UNREACH_NLRI with wrong flags", body("c00f07000201" + encoded(BAD).hex(), None),
             reset("3/4 c00f07000201" + encoded(BAD).hex())),
            ("MP_UNREACH_NLRI of length 2", body("800f020002", None), reset("3/9 800f020002")),
            ("MP_UNREACH_NLRI: prefix cut short", body("800f0500020140fd", None), reset("3/9 800f0500020140fd")),
            # what nobody knows
            ("unknown, well-known", body(BASE + "40630107"), reset("3/2 40630107")),
            ("unknown, well-known, not transitive", body(BASE + "00630107"), reset("3/2 00630107")),
            ("unknown, optional transitive", body(BASE + "c0630107"), used("e06307")),
            ("unknown, partial already", body(BASE + "e0630107"), used("e06307")),
            ("unknown, optional", body(BASE + "80630107"), used(without=[99])),
            ("unknown, of 300 octets", body(BASE + "d063012c" + "07" * 300), used("e063" + "07" * 300)),
            ("AIGP", body(BASE + "801a0b01000b0000000000000001"), used(without=[26])),
            ("PREFIX_SID, TUNNEL_ENCAP, PMSI_TUNNEL", body(BASE + "c028020102" + "c017020304" + "c016020506"),
             used("e0280102", "e0170304", "e0160506")),
            ("AS4_PATH and AS4_AGGREGATOR", body(BASE + "c0110602010000fde8" + "c012080000fde8c0000202"),
             used(without=[17, 18])),
            ("several errors: the strongest", body(BASE + "40060100" + "800403000000"), withdraw()),
            ("a long message", update_body(bytes.fromhex(BASE), b"".join(
                encoded(f"10.65.{64 + n // 256}.{n % 256}/32") for n in range(1500)) + encoded(BAD)), used()),
            # RFC 8654: the listener takes 4096 octets, and gets the route as soon as it fits
            ("what does not fit into the listener's messages", body(BASE + "d063ea60" + "07" * 60000), withdraw()),
            ("what fits just so", body(BASE + "d0630f00" + "07" * 3840), used("e063" + "07" * 3840)),
        ]
        self.check(rows, self.a_up)

    def test_from_inside(self):
        """What is an error from inside alone. An external peer hears what an internal one says about a pool."""
        path, next_hop, pref = "400200", "400304c0000205", "40050400000064"

        def body(attributes):
            return update_body(bytes.fromhex(ORIGIN + path + next_hop + attributes), encoded(BAD))
        rows = [
            ("LOCAL_PREF of length 3", body("400503000000"), withdraw()),
            ("LOCAL_PREF optional", body("c0050400000064"), withdraw()),
            ("ORIGINATOR_ID of length 5", body(pref + "8009050101010101"), withdraw()),
            ("ORIGINATOR_ID our own", body(pref + "800904c0000201"), withdraw()),
            ("ORIGINATOR_ID", body(pref + "80090401010101"), used(without=[5, 9])),
            ("CLUSTER_LIST of length 0", body(pref + "800a00"), withdraw()),
            ("CLUSTER_LIST of length 6", body(pref + "800a06010101010101"), withdraw()),
            ("CLUSTER_LIST", body(pref + "800a0401010101"), used(without=[5, 10])),
            ("no LOCAL_PREF", body(""), withdraw()),
            ("no LOCAL_PREF, IPv6", update_body(bytes.fromhex(ORIGIN + path + reach6())), withdraw(), BAD6),
            ("LOCAL_PREF twice", body(pref + pref), used(without=[5])),
        ]
        self.listener.close()
        eventually("down", lambda: not self.node.is_up(I4))
        self.listener = self.a_up()
        # Relayed routes have a MED of their own: the number goes into a community.
        self.check(rows, self.hear, path, next_hop + pref, lambda number: f"c00804{number:08x}")

    def test_from_a_peer_with_two_octet_numbers(self):
        path, next_hop = "4002040201fdee", "400304c0000206"

        def body(attributes, path=path):
            return update_body(bytes.fromhex(ORIGIN + path + next_hop + attributes), encoded(BAD))
        rows = [
            ("AS4_PATH", body("c0110602" + "01fa56ea01", "4002060202fdee5ba0"), used("400202020000fdeefa56ea01", without=[17])),
            ("AS4_PATH that is longer", body("c0110a0202fa56ea01fa56ea02"), used("400202010000fdee", without=[17])),
            ("AS4_PATH that is malformed", body("c0110502" + "01fa56ea"), used("400202010000fdee", without=[17])),
            ("AS4_PATH with a segment of a confederation", body("c0110c" + "03010000fde9" + "0201fa56ea01", "4002060202fdee5ba0"),
             used("400202020000fdeefa56ea01", without=[17])),
            ("AS4_PATH beside an AGGREGATOR of a router that did not know it",
             body("c00706fdeec0000206" + "c01106" + "0201fa56ea01" + "c01208fa56ea01c0000207", "4002060202fdee5ba0"),
             used("400202020000fdee00005ba0", "c0070000fdeec0000206", without=[17, 18])),
            ("AS4_PATH that is empty", body("c01100"), used("400202010000fdee", without=[17])),
            ("AS4_AGGREGATOR alone", body("c01208fa56ea01c0000207"), used("400202010000fdee", without=[7, 18])),
            ("AS4_PATH with AS 0", body("c01106020100000000"), used("400202010000fdee", without=[17])),
            ("AGGREGATOR of 6 octets", body("c00706fdeec0000206"), used("c0070000fdeec0000206")),
            ("AGGREGATOR of 8 octets", body("c007080000fdeec0000206"), used(without=[7])),
            ("AS4_AGGREGATOR", body("c007065ba0c0000206" + "c01208fa56ea01c0000207"), used("c007fa56ea01c0000207", without=[18])),
            ("AS4_AGGREGATOR of 7 octets", body("c007065ba0c0000206" + "c01207fa56ea01c00002"),
             used("c00700005ba0c0000206", without=[18])),
            ("numbers of four octets", body("", "40020602010000fdee"), withdraw()),
            ("a path that is too long as four-octet numbers", body("", f"5002{68 * 512:04x}" + 68 * ("02ff" + 255 * "fdee")),
             withdraw()),
        ]
        self.check(rows, lambda: self.peer(OLD4).up(OLD_AS, b""), path, next_hop)

    def test_marks_for_customers_only(self):
        """RFC 9234: we are the customer of this peer, so it marks, or we do."""
        path, next_hop = "4002060201" + f"{ROLE_AS:08x}", "400304c0000208"
        role = multiprotocol(1) + four_octet_as(ROLE_AS) + capability(9, b"\0")

        def body(attributes):
            return update_body(bytes.fromhex(ORIGIN + path + next_hop + attributes), encoded(BAD))
        rows = [("marked by us", body(""), used(f"c023{ROLE_AS:08x}")),
                ("marked by it", body("c0230400000007"), used("c02300000007"))]
        self.check(rows, lambda: self.peer(ROLE4).up(ROLE_AS, role), path, next_hop)


if __name__ == "__main__":
    sys.exit(rig.main())
