"""A BGP peer in the hands of a test: sockets inside a namespace, messages byte by byte, and what came back as values."""
import contextlib
import ctypes
import ipaddress
import os
import select
import socket
import struct
import time

OPEN, UPDATE, NOTIFICATION, KEEPALIVE, REFRESH = 1, 2, 3, 4, 5
CLONE_NEWNET = 0x40000000
TCP_MD5SIG, TCP_REPAIR = 14, 19
LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(namespace):
    """This thread's sockets are made in that network namespace; they stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if LIBC.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        LIBC.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


def message(kind, body=b""):
    return b"\xff" * 16 + struct.pack(">HB", 19 + len(body), kind) + body


def capability(code, value=b""):
    return bytes([code, len(value)]) + value


def multiprotocol(afi, safi=1):
    return capability(1, struct.pack(">HBB", afi, 0, safi))


def four_octet_as(number):
    return capability(65, struct.pack(">I", number))


def open_body(as_number, identifier, hold=90, capabilities=b"", version=4, parameters=None):
    """Fields of an OPEN; `parameters` in place of the one that holds the capabilities."""
    if parameters is None:
        parameters = bytes([2, len(capabilities)]) + capabilities if capabilities else b""
    return (struct.pack(">BHHI", version, as_number if as_number < 65536 else 23456, hold,
                        int(ipaddress.ip_address(identifier))) + bytes([len(parameters)]) + parameters)


def update_body(attributes=b"", announced=b"", withdrawn=b""):
    return struct.pack(">H", len(withdrawn)) + withdrawn + struct.pack(">H", len(attributes)) + attributes + announced


def encoded(prefix):
    network = ipaddress.ip_network(prefix)
    return bytes([network.prefixlen]) + network.network_address.packed[:(network.prefixlen + 7) // 8]


def prefixes(data, family=4):
    found = []
    while data:
        size = (data[0] + 7) // 8
        packed = data[1:1 + size].ljust(4 if family == 4 else 16, b"\0")
        found.append(str(ipaddress.ip_network((packed, data[0]))))
        data = data[1 + size:]
    return found


def attributes_of(section):
    """{type: (flags without extended length, value)}"""
    found = {}
    while section:
        wide = section[0] & 0x10
        head = 4 if wide else 3
        size = struct.unpack(">H", section[2:4])[0] if wide else section[2]
        found[section[1]] = (section[0] & 0xEF, section[head:head + size])
        section = section[head + size:]
    return found


def md5_signature(address, key):
    """struct tcp_md5sig of linux/tcp.h, for an IPv4 address."""
    remote = struct.pack("=HH4s", socket.AF_INET, 0, ipaddress.ip_address(address).packed)
    return remote.ljust(128, b"\0") + struct.pack("=BBHi", 0, 0, len(key), 0) + key.encode().ljust(80, b"\0")


class Peer:
    """One TCP connection to or from the daemon. `routes` is what it has announced: {prefix: attributes}."""

    def __init__(self, connection, identifier):
        self.identifier = identifier
        self.socket = connection
        self.socket.setblocking(False)
        self.buffer = b""
        self.closed = False
        self.heard = []  # (type, body), UPDATEs and KEEPALIVEs left out
        self.keepalives = 0
        self.updates = 0
        self.routes = {}

    @classmethod
    def connected(cls, namespace, source, destination, identifier=None, ttl=64, key=None, seconds=5):
        v6 = ":" in destination
        with inside(namespace):
            connection = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
        connection.settimeout(seconds)
        if v6:
            connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        else:
            connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        if key is not None:
            connection.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, md5_signature(destination, key))
        connection.bind((source, 0))
        try:
            connection.connect((destination, 179))
        except OSError:
            connection.close()
            raise
        return cls(connection, identifier or source)

    def send(self, data):
        with contextlib.suppress(OSError):  # closed: what it said before is still there to read
            self.socket.setblocking(True)
            self.socket.sendall(data)
        self.socket.setblocking(False)
        return self

    def say(self, kind, body=b""):
        return self.send(message(kind, body))

    def open(self, as_number, capabilities=b"", **fields):
        return self.say(OPEN, open_body(as_number, self.identifier, capabilities=capabilities, **fields))

    def up(self, as_number, capabilities=None, **fields):
        """The session stands when this returns."""
        if capabilities is None:
            capabilities = multiprotocol(1) + four_octet_as(as_number)
        self.open(as_number, capabilities, **fields).say(KEEPALIVE)
        self.wait(lambda: self.keepalives > 0)
        return self

    def wait(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if self.closed or left < 0:
                raise AssertionError(f"{'closed' if self.closed else 'silent'}; heard {self.heard}")
            read([self], left)
        return self

    def take_what_came(self):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.closed = not data
        self.buffer += data
        while len(self.buffer) >= 19 and len(self.buffer) >= (size := struct.unpack(">H", self.buffer[16:18])[0]):
            kind, body = self.buffer[18], self.buffer[19:size]
            self.buffer = self.buffer[size:]
            self.take(kind, body)

    def take(self, kind, body):
        if kind == KEEPALIVE:
            self.keepalives += 1
        elif kind == UPDATE:
            self.updates += 1
            withdrawn_end = 2 + struct.unpack(">H", body[:2])[0]
            section_end = withdrawn_end + 2 + struct.unpack(">H", body[withdrawn_end:withdrawn_end + 2])[0]
            attributes = attributes_of(body[withdrawn_end + 2:section_end])
            for prefix in prefixes(body[2:withdrawn_end]):
                self.routes.pop(prefix, None)
            for prefix in prefixes(body[section_end:]):
                self.routes[prefix] = attributes
            if 15 in attributes:
                for prefix in prefixes(attributes[15][1][3:], 6):
                    self.routes.pop(prefix, None)
            if 14 in attributes:
                value = attributes[14][1]
                for prefix in prefixes(value[5 + value[3]:], 4 if value[1] == 1 else 6):
                    self.routes[prefix] = attributes
        else:
            self.heard.append((kind, body))

    def ended(self):
        """Waits for the end of the connection: "code/subcode data" of the NOTIFICATION before it, "" without one."""
        end = time.monotonic() + 20
        while not self.closed:
            if time.monotonic() > end:
                raise AssertionError(f"the connection stays; heard {self.heard}")
            read([self], end - time.monotonic())
        found = [body for kind, body in self.heard if kind == NOTIFICATION]
        assert len(found) <= 1, found
        return f"{found[0][0]}/{found[0][1]} {found[0][2:].hex()}".strip() if found else ""

    def close(self):
        self.socket.close()
        self.closed = True

    def reset(self):
        """Ends the connection with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def vanish(self):
        """The end of the connection is gone without a word, as when a machine loses power."""
        self.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        self.close()


def read(peers, seconds):
    """Takes what comes next to any of them, if anything does within the time."""
    sockets = {peer.socket: peer for peer in peers if not peer.closed}
    for ready in select.select(list(sockets), [], [], max(0, seconds))[0]:
        sockets[ready].take_what_came()
