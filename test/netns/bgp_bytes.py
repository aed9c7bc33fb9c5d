"""A BGP peer that says exactly what it is told: bgp_bytes.py SOURCE DESTINATION STEP...

Steps: open:AS, keepalive, up (waits for the peer's KEEPALIVE), message:TYPE:HEX (a message around a body), raw:HEX,
wait:SECONDS. Prints what the peer sends, a line a message, until it closes or the steps are done and it is silent.
"""
import select
import socket
import struct
import sys
import time

NAMES = {1: "open", 2: "update", 3: "notification", 4: "keepalive", 5: "route-refresh"}


class Peer:
    def __init__(self, source, destination):
        self.socket = socket.create_connection((destination, 179), timeout=5, source_address=(source, 0))
        self.buffer = b""
        self.heard = []
        self.closed = False

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # closed: what it said before is still there to read

    def message(self, kind, body=b""):
        self.send(b"\xff" * 16 + struct.pack(">HB", 19 + len(body), kind) + body)

    def listen(self, seconds, until=None):
        end = time.monotonic() + seconds
        while not self.closed and time.monotonic() < end and until not in self.heard:
            ready, _, _ = select.select([self.socket], [], [], max(0, end - time.monotonic()))
            if not ready:
                break
            try:
                data = self.socket.recv(65536)
            except OSError:
                data = b""
            self.closed = not data
            self.buffer += data
            while len(self.buffer) >= 19 and len(self.buffer) >= struct.unpack(">H", self.buffer[16:18])[0]:
                size = struct.unpack(">H", self.buffer[16:18])[0]
                body, kind = self.buffer[19:size], self.buffer[18]
                self.buffer = self.buffer[size:]
                self.heard.append(NAMES.get(kind, str(kind)))
                detail = f"{body[0]}/{body[1]} {body[2:].hex()}" if kind == 3 else body.hex()
                print(NAMES.get(kind, kind), detail, flush=True)


def main():
    peer = Peer(sys.argv[1], sys.argv[2])
    for step in sys.argv[3:]:
        name, _, rest = step.partition(":")
        if name == "open":
            capabilities = bytes.fromhex("010400010001" + "4104") + struct.pack(">I", int(rest))
            parameters = bytes([2, len(capabilities)]) + capabilities
            peer.message(1, struct.pack(">BHHIB", 4, int(rest), 90, 0xC0000202, len(parameters)) + parameters)
        elif name == "keepalive":
            peer.message(4)
        elif name == "up":
            peer.listen(5, until="keepalive")
        elif name == "message":
            kind, _, body = rest.partition(":")
            peer.message(int(kind), bytes.fromhex(body))
        elif name == "raw":
            peer.send(bytes.fromhex(rest))
        elif name == "wait":
            peer.listen(float(rest))
    peer.listen(2)


if __name__ == "__main__":
    main()
