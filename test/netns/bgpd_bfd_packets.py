"""BFD of manul-bgpd, packet by packet (RFC 5880 sections 4.1, 6.8.6 and 6.8.7, RFC 5881, RFC 5883): what it sends, what it
answers, and what it takes no notice of.

    bgpd_bfd_packets.py BGPD MANULCTL [unittest arguments]

Needs root; exit status 77 (skipped) without.
"""
import collections
import socket
import struct
import sys
import time

import bgpd_rig as rig
from bgp_peer import inside
from bgpd_conformance import A4, A_AS, I4, NODE4, NODE_AS, Conformance
from bgpd_rig import eventually, resource

ADMIN_DOWN, DOWN, INIT, UP = range(4)
POLL, FINAL, AUTHENTICATED, DEMAND, MULTIPOINT = 0x20, 0x10, 0x04, 0x02, 0x01
EXPIRED = 1
MINE = 7
IP_RECVTTL = 12
Packet = collections.namedtuple("Packet", "version diagnostic state flags multiplier length my your tx rx echo ttl port")


def packet(state, your=0, flags=0, my=MINE, version=1, diagnostic=0, multiplier=50, length=24, tx=100_000, rx=100_000, behind=b""):
    """The multiplier leaves this side seconds for a packet: the machine may be busy."""
    return struct.pack(">BBBBIIIII", version << 5 | diagnostic, state << 6 | flags, multiplier, length, my, your, tx, rx, 0) + behind


class Neighbour:
    """The other end of a BFD session with the node."""

    def __init__(self, namespace, address, port):
        self.port = port
        with inside(namespace):
            self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        self.receiver.bind((address, port))
        self.sender.bind((address, 0))

    def send(self, data, ttl=255):
        self.sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        self.sender.sendto(data, (NODE4, self.port))

    def hear(self, seconds=10):
        """The next packet; none in time is a failure."""
        self.receiver.settimeout(seconds)
        data, control, _, source = self.receiver.recvmsg(512, 64)
        ttl = struct.unpack("i", control[0][2])[0]
        first, second, multiplier, length, *numbers = struct.unpack(">BBBBIIIII", data)
        return Packet(first >> 5, first & 31, second >> 6, second & 63, multiplier, length, *numbers, ttl, source[1])

    def forget_what_came(self):
        self.receiver.setblocking(False)
        try:
            while True:
                self.receiver.recv(512)
        except BlockingIOError:
            pass

    def until(self, condition, say=None, seconds=10):
        """Hears packets, saying something each 50 ms, until one is as wanted."""
        end = time.monotonic() + seconds
        found = None
        while time.monotonic() < end:
            if say:
                self.send(say)
            try:
                found = self.hear(0.05)
            except TimeoutError:
                continue
            if condition(found):
                return found
        raise AssertionError(f"the last packet is {found}")

    def come_up(self):
        """Three ways; returns the node's discriminator."""
        node = self.until(lambda p: p.state == DOWN)
        self.until(lambda p: p.state == INIT and p.your == MINE, packet(DOWN))
        self.until(lambda p: p.state == UP, packet(INIT, node.my))
        return node.my

    def close(self):
        self.receiver.close()
        self.sender.close()


def bad_packets(state, your):
    """What section 6.8.6 discards, whatever it says besides."""
    yield "version 0", packet(state, your, version=0)
    yield "version 2", packet(state, your, version=2)
    yield "length 23", packet(state, your, length=23)
    yield "length beyond the datagram", packet(state, your, length=25)
    yield "shorter than a packet", packet(state, your)[:23]
    yield "empty", b""
    yield "multiplier 0", packet(state, your, multiplier=0)
    yield "multipoint", packet(state, your, MULTIPOINT)
    yield "my discriminator 0", packet(state, your, my=0)
    yield "authenticated, which is not agreed upon", packet(state, your, AUTHENTICATED, length=28, behind=b"\1\4\1x")
    yield "authenticated without that part", packet(state, your, AUTHENTICATED)
    yield "your discriminator of nobody", packet(state, your ^ 0x5a5a5a5a)


class Packets(Conformance):
    def neighbour(self, address, port=3784, **bfd):
        """The fields of the peers that setUp knows stay as they are."""
        number = A_AS if address == A4 else NODE_AS
        self.node.apply(resource("BGPPeer", "a" if address == A4 else "i", peerIP=address, asNumber=number, passive=True,
                                 families=["IPv4", "IPv6"], bfd={"intervalMs": 150, "multiplier": 3, **bfd}))
        found = Neighbour(self.far.namespace.name, address, port)
        self.addCleanup(found.close)
        return found

    def test_what_is_sent_before_anybody_answers(self):
        neighbour = self.neighbour(A4)
        first, second = neighbour.hear(), neighbour.hear()
        for each in (first, second):
            self.assertEqual((each.version, each.state, each.flags, each.multiplier, each.length), (1, DOWN, 0, 3, 24))
            self.assertEqual((each.your, each.echo, each.ttl, each.rx), (0, 0, 255, 150_000))
            self.assertGreaterEqual(each.tx, 1_000_000)
            self.assertNotEqual(each.my, 0)
            self.assertGreaterEqual(each.port, 49152)
            self.assertEqual((each.my, each.port), (first.my, first.port))

    def test_bad_packets_do_not_bring_a_session_up(self):
        neighbour = self.neighbour(A4)
        node = neighbour.hear()
        for name, data in bad_packets(DOWN, 0):
            with self.subTest(name):
                neighbour.send(data)
        neighbour.send(packet(DOWN), ttl=254)  # RFC 5881 section 5
        neighbour.send(packet(INIT))  # your discriminator 0
        neighbour.send(packet(UP))
        for _ in range(2):
            found = neighbour.hear()
            self.assertEqual((found.state, found.your, found.my), (DOWN, 0, node.my))

    def test_bad_packets_do_not_end_a_session_nor_keep_it_alive(self):
        neighbour = self.neighbour(A4)
        your = neighbour.come_up()
        for name, data in [*bad_packets(DOWN, your), *bad_packets(ADMIN_DOWN, your)]:
            with self.subTest(name):
                neighbour.forget_what_came()
                neighbour.send(data)
                for _ in range(3):
                    neighbour.send(packet(UP, your))
                    self.assertEqual(neighbour.hear().state, UP)
        neighbour.send(packet(ADMIN_DOWN, your), ttl=1)
        self.assertEqual(neighbour.until(lambda p: p.rx == 150_000, packet(UP, your)).state, UP)
        neighbour.send(packet(UP, your, multiplier=3))
        neighbour.forget_what_came()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for _, data in bad_packets(UP, your):
                neighbour.send(data)
            neighbour.send(packet(UP, your), ttl=254)
            found = neighbour.hear()
            if found.state != UP:
                break
        self.assertEqual((found.state, found.diagnostic), (DOWN, EXPIRED))

    def test_states_and_answers(self):
        neighbour = self.neighbour(A4)
        your = neighbour.come_up()
        neighbour.until(lambda p: p.flags & POLL, packet(UP, your))  # the shorter interval is announced
        neighbour.until(lambda p: not p.flags & POLL and p.tx == 150_000, packet(UP, your, FINAL))
        with self.subTest("a Poll is answered with Final"):
            neighbour.forget_what_came()
            neighbour.send(packet(UP, your, POLL))
            found = neighbour.until(lambda p: p.flags & FINAL, packet(UP, your))
            self.assertFalse(found.flags & POLL)
        with self.subTest("reserved bits and diagnostics of nobody change nothing, nor does what is behind the packet"):
            for data in (packet(UP, your, diagnostic=31), packet(UP, your, behind=b"more"), packet(UP, your, 0x08)):
                neighbour.send(data)
                self.assertEqual(neighbour.hear().state, UP)
        with self.subTest("demand mode of the neighbour: nothing is sent without need, and a Poll is still answered"):
            neighbour.until(lambda p: p.flags & FINAL, packet(UP, your, DEMAND | POLL))
            time.sleep(0.2)  # what was on its way
            neighbour.forget_what_came()
            for _ in range(6):
                neighbour.send(packet(UP, your, DEMAND))
                time.sleep(0.1)
            neighbour.receiver.setblocking(False)
            with self.assertRaises(BlockingIOError):
                neighbour.receiver.recv(512)
            neighbour.send(packet(UP, your, DEMAND | POLL))
            self.assertTrue(neighbour.hear().flags & FINAL)
        with self.subTest("AdminDown ends the session, and Down begins a new one"):
            found = neighbour.until(lambda p: p.state == DOWN, packet(ADMIN_DOWN, your))
            self.assertEqual(found.diagnostic, 3)
            neighbour.until(lambda p: p.state == INIT, packet(DOWN, your))
            neighbour.until(lambda p: p.state == UP, packet(UP, your))
        with self.subTest("a neighbour that starts anew"):
            found = neighbour.until(lambda p: p.state == DOWN, packet(DOWN, your, my=8))
            neighbour.until(lambda p: p.state == INIT and p.your == 8, packet(DOWN, my=8))
            neighbour.until(lambda p: p.state == UP, packet(INIT, your, my=8))
        with self.subTest("silence"):
            neighbour.send(packet(UP, your, multiplier=3, my=8))
            found = neighbour.until(lambda p: p.state == DOWN)
            self.assertEqual(found.diagnostic, EXPIRED)
            eventually("your discriminator is forgotten", lambda: neighbour.hear().your == 0)

    def test_several_hops_away(self):
        neighbour = self.neighbour(I4, 4784, mode="MultiHop")
        your = neighbour.come_up()
        neighbour.send(packet(UP, your), ttl=3)
        neighbour.until(lambda p: p.state == UP, packet(UP, your))


if __name__ == "__main__":
    sys.exit(rig.main())
