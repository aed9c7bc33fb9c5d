"""manul-bgpd and what RFCs say about who may be told of a route: well-known communities and roles. Byte by byte, as
bgpd_conformance.py.

    bgpd_rules.py BGPD MANULCTL [unittest arguments]

Needs root; exit status 77 (skipped) without.
"""
import sys

import bgpd_rig as rig
from bgp_peer import UPDATE, capability, encoded, four_octet_as, multiprotocol, update_body
from bgpd_conformance import (A4, A_AS, BAD, BASE, BOTH, GOOD, I4, NODE_AS, ORIGIN, ROLE4, ROLE_AS, Listened, used,
                              withdraw)
from bgpd_rig import eventually, resource

NO_EXPORT, NO_ADVERTISE, NO_EXPORT_SUBCONFED, NOPEER = "ffffff01", "ffffff02", "ffffff03", "ffffff04"
OTHER = "10.65.9.0/24"
GRACEFUL_SHUTDOWN, LLGR_STALE, NO_LLGR, BLACKHOLE = "ffff0000", "ffff0006", "ffff0007", "ffff029a"


class Communities(Listened):
    @staticmethod
    def body(attributes, *communities):
        value = "".join(communities)
        return update_body(bytes.fromhex(attributes + f"c008{len(value) // 2:02x}" + value), encoded(BAD))

    def test_from_outside_to_an_internal_peer(self):
        rows = [
            ("NO_EXPORT", [NO_EXPORT], used("c008" + NO_EXPORT, "400500000064")),
            ("NO_EXPORT_SUBCONFED", [NO_EXPORT_SUBCONFED], used("c008" + NO_EXPORT_SUBCONFED)),
            ("NO_ADVERTISE", [NO_ADVERTISE], withdraw()),
            ("NO_ADVERTISE behind others", ["00010002", NO_EXPORT, NO_ADVERTISE], withdraw()),
            ("NOPEER", [NOPEER], used("c008" + NOPEER)),
            ("BLACKHOLE", [BLACKHOLE], used("c008" + BLACKHOLE)),
            ("GRACEFUL_SHUTDOWN (RFC 8326)", [GRACEFUL_SHUTDOWN], used("c008" + GRACEFUL_SHUTDOWN, "400500000000")),
            ("LLGR_STALE, to a peer that does not know it (RFC 9494 4.3)", [LLGR_STALE], withdraw()),
            ("NO_LLGR", [NO_LLGR], used("c008" + NO_LLGR)),
            ("one that nobody has defined", ["ffff9999"], used("c008ffff9999")),
        ]
        self.check([(name, self.body(BASE, *values), wanted) for name, values, wanted in rows], self.a_up)

    def test_from_inside_to_an_external_peer(self):
        self.listener.close()
        eventually("down", lambda: not self.node.is_up(I4))
        self.listener = self.a_up()
        path, next_hop = "400200", "400304c0000205" + "40050400000064"
        rows = [
            ("NO_EXPORT", [NO_EXPORT], withdraw()),
            ("NO_EXPORT_SUBCONFED", [NO_EXPORT_SUBCONFED], withdraw()),
            ("NO_ADVERTISE", [NO_ADVERTISE], withdraw()),
            ("NOPEER", [NOPEER], used("c008" + NOPEER)),
            ("GRACEFUL_SHUTDOWN", [GRACEFUL_SHUTDOWN], used("c008" + GRACEFUL_SHUTDOWN, without=[5])),
            ("NO_LLGR", [NO_LLGR], used("c008" + NO_LLGR)),
        ]
        self.check([(name, self.body(ORIGIN + path + next_hop, *values), wanted) for name, values, wanted in rows],
                   self.hear, path, next_hop, lambda number: f"c00804{number:08x}")


class LongLivedRestart(Listened):
    """RFC 9494: what a peer that does not come back has said is the last resort, for those who know what that means."""

    def test_routes_of_a_peer_that_stays_away(self):
        knows = BOTH + four_octet_as(NODE_AS) + capability(64, bytes.fromhex("0078" + "00010180")) + capability(
            71, bytes.fromhex("00010180" + "000e10"))
        restarts = BOTH + four_octet_as(A_AS) + capability(64, bytes.fromhex("0001" + "00010180")) + capability(
            71, bytes.fromhex("00010180" + "000e10"))
        for name, capabilities, told in (("does not know", BOTH + four_octet_as(NODE_AS), False), ("knows", knows, True)):
            with self.subTest(listener=name):
                self.listener.close()
                eventually("down", lambda: not self.node.is_up(I4))
                self.listener = self.peer(I4).up(NODE_AS, capabilities)
                peer = self.a_up(restarts)
                never = BASE + "c00804" + NO_LLGR
                peer.say(UPDATE, update_body(bytes.fromhex(BASE), encoded(BAD)))
                peer.say(UPDATE, update_body(bytes.fromhex(never), encoded(GOOD)))
                self.listener.wait(lambda: {BAD, GOOD} <= set(self.listener.routes))
                peer.close()
                # The restart time is a second; what must not be kept for long goes with it.
                self.listener.wait(lambda: GOOD not in self.listener.routes)
                if told:
                    self.listener.wait(lambda: self.listener.routes[BAD].get(8, (0, b""))[1].hex() == LLGR_STALE)
                else:
                    self.listener.wait(lambda: BAD not in self.listener.routes)
                routes = self.node.ask("routes", peer=A4)["routes"]
                self.assertEqual([route["prefix"] for route in routes], [BAD])
                self.a_up().close()  # it is back without the capability: nothing is left
                self.listener.wait(lambda: BAD not in self.listener.routes)


class Roles(Listened):
    """RFC 9234 section 5. The peer's role is the other one of the pair."""

    def roles(self, ours, theirs):
        self.node.delete("bgppeer", "role")
        eventually("the peer is forgotten", lambda: self.node.session(ROLE4) is None)
        self.node.apply(resource("BGPPeer", "role", peerIP=ROLE4, asNumber=ROLE_AS, passive=True, role=ours))
        eventually("the peer is wanted", lambda: self.node.session(ROLE4))
        return lambda: self.peer(ROLE4).up(ROLE_AS, multiprotocol(1) + four_octet_as(ROLE_AS) + capability(9, theirs))

    def test_what_comes_in(self):
        path, next_hop = "4002060201" + f"{ROLE_AS:08x}", "400304c0000208"

        def body(attributes):
            return update_body(bytes.fromhex(ORIGIN + path + next_hop + attributes), encoded(BAD))
        plain, own, other = body(""), body(f"c02304{ROLE_AS:08x}"), body("c0230400000007")
        rows = {
            ("Provider", b"\3"): (used(without=[35]), withdraw(), withdraw()),
            ("RS", b"\2"): (used(without=[35]), withdraw(), withdraw()),
            ("Peer", b"\4"): (used(f"c023{ROLE_AS:08x}"), used(f"c023{ROLE_AS:08x}"), withdraw()),
            ("Customer", b"\0"): (used(f"c023{ROLE_AS:08x}"), used(f"c023{ROLE_AS:08x}"), used("c02300000007")),
            ("RSClient", b"\1"): (used(f"c023{ROLE_AS:08x}"), used(f"c023{ROLE_AS:08x}"), used("c02300000007")),
        }
        for (ours, theirs), (without, of_peer, of_another) in rows.items():
            with self.subTest(ours=ours):
                connect = self.roles(ours, theirs)
                self.check([("no mark", plain, without), ("the peer's mark", own, of_peer),
                            ("another's mark", other, of_another)], connect, path, next_hop)
                self.sender.close()
                eventually("down", lambda: not self.node.is_up(ROLE4))

    def test_what_goes_out(self):
        """To whom a route with the mark may go, and who gets one with ours."""
        sender = self.hear_from_inside()
        mark = "c0230400000007"
        for ours, theirs, marked_goes, plain_has in (
                ("Provider", b"\3", True, f"{NODE_AS:08x}"), ("RS", b"\2", True, f"{NODE_AS:08x}"),
                ("Peer", b"\4", False, f"{NODE_AS:08x}"), ("Customer", b"\0", False, ""), ("RSClient", b"\1", False, "")):
            with self.subTest(ours=ours):
                sender(BAD, mark)
                sender(GOOD, "")
                listener = self.roles(ours, theirs)()
                listener.wait(lambda listener=listener: GOOD in listener.routes)
                self.assertEqual(listener.routes[GOOD].get(35, (0, b""))[1].hex(), plain_has)
                if marked_goes:
                    listener.wait(lambda listener=listener: BAD in listener.routes)
                    self.assertEqual(listener.routes[BAD][35][1].hex(), mark[6:])
                else:
                    sender(OTHER, "")  # behind the table of the beginning
                    listener.wait(lambda listener=listener: OTHER in listener.routes)
                    self.assertNotIn(BAD, listener.routes)
                    sender(OTHER, mark)  # what has got the mark is taken back
                    listener.wait(lambda listener=listener: OTHER not in listener.routes)
                listener.close()
                eventually("down", lambda: not self.node.is_up(ROLE4))

    def hear_from_inside(self):
        """Announces a prefix of a pool as an internal peer."""
        def announce(prefix, attributes):
            self.listener.say(UPDATE, update_body(
                bytes.fromhex(ORIGIN + "400200" + "400304c0000205" + "40050400000064" + attributes), encoded(prefix)))
        return announce


if __name__ == "__main__":
    sys.exit(rig.main())
