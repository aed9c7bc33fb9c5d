"""manul-bgpd and connections that meet, break off, fall silent or come in pieces. Byte by byte, as bgpd_conformance.py.

    bgpd_connections.py BGPD MANULCTL [unittest arguments]

Needs root; exit status 77 (skipped) without.
"""
import socket
import sys
import time

import bgpd_rig as rig
from bgp_peer import KEEPALIVE, UPDATE, Peer, encoded, four_octet_as, inside, message, multiprotocol, open_body, update_body
from bgpd_conformance import A4, A_AS, BAD, BASE, BOTH, GOOD, NODE4, Conformance
from bgpd_rig import eventually, resource

C4 = "192.0.2.10"  # external, and we connect to it


class Collisions(Conformance):
    """RFC 4271 section 6.8 and RFC 6286 section 2.3: both sides have connected, and one connection is to stay."""

    def setUp(self):
        super().setUp()
        self.far.namespace.ip("address", "add", f"{C4}/24", "dev", "down0")
        with inside(self.far.namespace.name):
            self.listener = socket.create_server((C4, 179))
        self.listener.settimeout(20)
        self.addCleanup(self.listener.close)

    def two(self, as_number, identifier):
        """A connection of the node's and one of the peer's; each has heard the node's OPEN."""
        self.node.apply(resource("BGPPeer", "c", peerIP=C4, asNumber=as_number))
        ours = Peer(self.listener.accept()[0], identifier)
        self.open_peers.append(ours)
        theirs = self.peer(C4, identifier)
        for connection in (ours, theirs):
            connection.wait(lambda connection=connection: connection.heard)
        return ours, theirs

    def forget(self):
        self.node.delete("bgppeer", "c")
        eventually("the peer is forgotten", lambda: self.node.session(C4) is None)
        for peer in self.open_peers:
            peer.close()
        self.open_peers.clear()

    def test_of_two_connections_that_of_the_larger_identifier_stays(self):
        rows = [("the peer's is larger", "192.0.2.200", 65010, "theirs"), ("ours is larger", "10.0.0.1", 65010, "ours"),
                ("the same, the peer's AS is larger", NODE4, 65010, "theirs"),
                ("the same, our AS is larger", NODE4, 64000, "ours")]
        for name, identifier, as_number, kept in rows:
            for first in ("ours", "theirs"):
                with self.subTest(name, first=first):
                    pair = dict(zip(("ours", "theirs"), self.two(as_number, identifier)))
                    second = "theirs" if first == "ours" else "ours"
                    capabilities = multiprotocol(1) + four_octet_as(as_number)
                    pair[first].open(as_number, capabilities).wait(lambda: pair[first].keepalives)
                    pair[second].open(as_number, capabilities)
                    lost = "theirs" if kept == "ours" else "ours"
                    self.assertEqual(pair[lost].ended(), "6/7")
                    pair[kept].wait(lambda: pair[kept].keepalives).say(KEEPALIVE)
                    eventually("up", lambda: self.node.is_up(C4))
                    self.assertEqual(self.node.session(C4)["timesUp"], 1)
                    self.forget()

    def test_an_established_session_stays_whatever_the_identifiers_are(self):
        for identifier in ("192.0.2.200", "10.0.0.1"):
            for first in ("ours", "theirs"):
                with self.subTest(identifier=identifier, first=first):
                    pair = dict(zip(("ours", "theirs"), self.two(65010, identifier)))
                    capabilities = multiprotocol(1) + four_octet_as(65010)
                    pair[first].up(65010, capabilities)
                    other = pair["theirs" if first == "ours" else "ours"]
                    self.assertEqual(other.open(65010, capabilities).ended(), "6/7")
                    self.assertTrue(self.node.is_up(C4))
                    self.assertFalse(pair[first].closed)
                    self.forget()

    def test_an_error_on_one_connection_leaves_the_other_alone(self):
        for wrong in ("ours", "theirs"):
            with self.subTest(wrong=wrong):
                pair = dict(zip(("ours", "theirs"), self.two(65010, "192.0.2.200")))
                self.assertEqual(pair[wrong].open(65011, four_octet_as(65011)).ended(), "2/2")
                pair["theirs" if wrong == "ours" else "ours"].up(65010, multiprotocol(1) + four_octet_as(65010))
                eventually("up", lambda: self.node.is_up(C4))
                self.forget()


class Faults(Conformance):
    def setUp(self):
        super().setUp()
        self.listener = self.hear()

    def announced(self, peer):
        peer.say(UPDATE, update_body(bytes.fromhex(BASE), encoded(BAD)))
        self.listener.wait(lambda: BAD in self.listener.routes)
        return peer

    def forgotten(self, words):
        self.listener.wait(lambda: BAD not in self.listener.routes)
        eventually("it is shown", lambda: words in self.node.session(A4)["lastError"])
        # The way is free for the next session, and nothing of a message that was cut short came through.
        self.announced(self.a_up()).close()
        self.listener.wait(lambda: BAD not in self.listener.routes)
        self.assertNotIn(GOOD, self.listener.routes)

    def test_a_connection_that_breaks_off_within_a_message(self):
        whole = message(UPDATE, update_body(bytes.fromhex(BASE), encoded(GOOD)))
        for size in (1, 18, 19, 23, len(whole) - 1):
            with self.subTest(size=size, end="RST"):
                self.announced(self.a_up()).send(whole[:size]).reset()
                self.forgotten("reset")
            with self.subTest(size=size, end="FIN"):
                peer = self.announced(self.a_up()).send(whole[:size])
                peer.socket.shutdown(socket.SHUT_WR)
                self.assertEqual(peer.ended(), "")
                self.forgotten("closed")

    def test_a_session_octet_by_octet(self):
        peer = self.peer()
        said = [message(1, open_body(A_AS, A4, capabilities=BOTH + four_octet_as(A_AS))), message(KEEPALIVE),
                message(UPDATE, update_body(bytes.fromhex(BASE), encoded(BAD)))]
        for octet in b"".join(said):
            peer.send(bytes([octet]))
            time.sleep(0.001)
        self.listener.wait(lambda: BAD in self.listener.routes)
        self.assertEqual(self.node.session(A4)["malformedIn"], 0)

    def test_many_messages_in_one_piece(self):
        peer = self.peer()
        updates = b"".join(message(UPDATE, update_body(bytes.fromhex(BASE + f"800404{n:08x}"), encoded(BAD)))
                           for n in range(3000))
        peer.send(message(1, open_body(A_AS, A4, capabilities=BOTH + four_octet_as(A_AS))) + message(KEEPALIVE) + updates +
                  message(UPDATE, update_body(bytes.fromhex(BASE), encoded(GOOD))))
        self.listener.wait(lambda: {BAD, GOOD} <= set(self.listener.routes))
        self.assertEqual(self.node.session(A4)["malformedIn"], 0)

    def test_a_peer_that_is_too_far_away_gets_no_answer(self):
        """RFC 5082, also for what it says before its connection is looked at."""
        far_away, near, six = "192.0.2.11", "192.0.2.12", "2001:db8::11"
        capabilities = multiprotocol(1) + multiprotocol(2) + four_octet_as(65011)
        said = message(1, open_body(65011, far_away, capabilities=capabilities)) + message(KEEPALIVE)
        for address, hops in ((far_away, 1), (near, 2), (six, 3)):
            self.far.namespace.ip("address", "add", f"{address}/{64 if ':' in address else 24}", "dev", "down0", "nodad")
            self.node.apply(resource("BGPPeer", f"gtsm{hops}", peerIP=address, asNumber=65011, passive=True, ttlSecurity=hops))
            eventually("the peer is wanted", lambda address=address: self.node.session(address))
        for address, ttl, answered in ((far_away, 254, False), (far_away, 1, False), (far_away, 255, True), (near, 253, False),
                                       (near, 254, True), (six, 252, False), (six, 253, True)):
            with self.subTest(address=address, ttl=ttl):
                for _ in range(5):
                    node = "2001:db8::1" if address == six else NODE4
                    peer = Peer.connected(self.far.namespace.name, address, node, ttl=ttl).send(said)
                    self.open_peers.append(peer)
                    if answered:
                        peer.wait(lambda peer=peer: peer.keepalives)
                        peer.close()
                    else:
                        self.assertEqual((peer.ended(), peer.heard), ("", []))
                    eventually("down", lambda address=address: not self.node.is_up(address))

    def test_silence_ends_the_session_and_so_does_a_message_that_never_ends(self):
        for name, dribble in (("silence", b""), ("a message that never ends", message(UPDATE, bytes(4000)))):
            with self.subTest(name):
                peer = self.announced(self.a_up(hold=3))
                said = time.monotonic()
                for octet in dribble[:60]:
                    if peer.closed:
                        break
                    peer.send(bytes([octet]))
                    peer.take_what_came()
                    time.sleep(0.1)
                self.assertEqual(peer.ended(), "4/0")
                self.assertGreater(time.monotonic() - said, 2.5)
                self.forgotten("hold timer expired")

    def test_a_peer_that_has_lost_its_end_of_the_connection(self):
        peer = self.announced(self.a_up(hold=3))
        rig.run("ip", "netns", "exec", self.far.namespace.name, "sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=1")
        self.far.namespace.ip("address", "del", f"{A4}/24", "dev", "down0")
        peer.vanish()
        eventually("the hold time is over", lambda: not self.node.is_up(A4), 15)
        self.listener.wait(lambda: BAD not in self.listener.routes)
        self.far.namespace.ip("address", "add", f"{A4}/24", "dev", "down0")
        self.announced(self.a_up())

    def test_a_peer_that_is_back_before_its_loss_was_noticed(self):
        self.announced(self.a_up(hold=9)).vanish()
        # The old session is kept until a keepalive on it meets nobody (RFC 4271 section 6.8).
        self.assertEqual(self.peer().ended(), "6/7")
        eventually("the old one is gone", lambda: not self.node.is_up(A4), 15)
        self.announced(self.a_up())


if __name__ == "__main__":
    sys.exit(rig.main())
