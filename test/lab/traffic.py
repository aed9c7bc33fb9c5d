"""Servers inside pods and a connectivity matrix with real packets.

One process serves every pod: a socket stays in the namespace in which it was made.
"""
import errno
import select
import socket
import struct
import time

TCP_PORTS = (53, 80, 8080, 5432)
UDP_PORTS = (53,)


def _listen(kind, port):
    server = socket.socket(socket.AF_INET6, kind)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        server.listen(64)
    server.setblocking(False)
    return server


def open_servers(namespace, tcp=TCP_PORTS, udp=UDP_PORTS):
    """Listening sockets inside `namespace`, both families on each."""
    return namespace.call(lambda: [_listen(socket.SOCK_STREAM, p) for p in tcp] + [_listen(socket.SOCK_DGRAM, p) for p in udp])


def serve(servers_by_name, should_stop=lambda: False, log=None):
    """Accepts and greets on TCP, echoes on UDP, until told to stop. `servers_by_name`: name -> sockets."""
    poller = select.epoll()
    by_fd = {}
    for name, servers in servers_by_name.items():
        for server in servers:
            poller.register(server, select.EPOLLIN)
            by_fd[server.fileno()] = (name, server)
    while not should_stop():
        for fd, _ in poller.poll(0.2):
            name, server = by_fd[fd]
            try:
                if server.type == socket.SOCK_STREAM:
                    connection, peer = server.accept()
                    connection.sendall(f"{name}\n".encode())
                    connection.close()
                else:
                    data, peer = server.recvfrom(2048)
                    server.sendto(data, peer)
                if log:
                    log(name, server.getsockname()[1], peer[0])
            except OSError:
                pass  # the peer is gone; the next one counts
    poller.close()


class Attempt:
    """One connection or datagram on its way; `done` when the verdict is known."""

    def __init__(self, source, address, protocol, port, source_port=0):
        self.allowed = None
        self.protocol = protocol
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        self.socket = source.call(lambda: socket.socket(family, kind))
        self.socket.setblocking(False)
        if source_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("", source_port))
        if protocol == "tcp":
            # RST on close: thousands of attempts leave no TIME-WAIT behind.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            result = self.socket.connect_ex((address, port))
            if result not in (0, errno.EINPROGRESS):
                self.finish(False)
        else:
            try:
                self.socket.connect((address, port))
                self.socket.send(b"manul")
            except OSError:
                self.finish(False)

    def finish(self, allowed):
        self.allowed = allowed
        self.socket.close()

    def ready(self, events):
        if self.protocol == "tcp":
            self.finish(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and not events & select.EPOLLERR)
        else:
            try:
                self.finish(self.socket.recv(64) == b"manul")
            except OSError:
                self.finish(False)


def probe(wanted, timeout=1.5):
    """`wanted`: list of (source namespace, address, protocol, port). Returns a list of bools, all tried at once.

    An attempt that hears nothing within the timeout was dropped. A refused connection counts as not allowed too: every
    pod of a lab serves the ports that are probed.
    """
    attempts = [Attempt(*each) for each in wanted]
    poller = select.epoll()
    waiting = {}
    for attempt in attempts:
        if attempt.allowed is None:
            poller.register(attempt.socket, select.EPOLLOUT if attempt.protocol == "tcp" else select.EPOLLIN)
            waiting[attempt.socket.fileno()] = attempt
    deadline = time.monotonic() + timeout
    while waiting and (left := deadline - time.monotonic()) > 0:
        for fd, events in poller.poll(left):
            attempt = waiting.pop(fd)
            poller.unregister(fd)
            attempt.ready(events)
    for attempt in waiting.values():
        attempt.finish(False)
    poller.close()
    return [attempt.allowed for attempt in attempts]


def matrix(pods, protocol="tcp", port=8080, family=4, timeout=1.5):
    """{(source, target): allowed} over every ordered pair of pods (objects with name, namespace, address4, address6)."""
    pairs = [(a, b) for a in pods for b in pods if a is not b]
    results = probe([(a.namespace, b.address4 if family == 4 else b.address6, protocol, port) for a, b in pairs], timeout)
    return {(a.name, b.name): ok for (a, b), ok in zip(pairs, results)}


def print_matrix(pods, verdicts, out):
    """Rows are sources, columns are targets, as the people who read it think: from the left to the top."""
    width = max(len("from \\ to"), *(len(p.name) for p in pods))
    out("  " + "from \\ to".ljust(width + 2) + "  ".join(p.name.ljust(6) for p in pods))
    for a in pods:
        cells = []
        for b in pods:
            text = "-" if a is b else ("ok" if verdicts[(a.name, b.name)] else "DENIED")
            cells.append(text.ljust(max(6, len(b.name))))
        out("  " + a.name.ljust(width + 2) + "  ".join(cells))
