"""A monitoring station (BMP): takes one connection after another and keeps what comes; or, told so, reads nothing.

    bmp_collector.py ADDRESS PORT FILE [deaf]

FILE is a capture with one TCP segment a message, which every decoder of packets reads; each connection starts it anew.
"""
import os
import socket
import struct
import sys
import time


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(payload, sequence, port):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 1, 0, 64, 6, 0, bytes((192, 0, 2, 1)),
                         bytes((192, 0, 2, 2)))
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return header + struct.pack("!HHIIBBHHH", 40000, port, sequence, 1, 0x50, 0x18, 65535, 0, 0) + payload


def keep(connection, path, port):
    rest, sequence = b"", 1
    with open(path + ".new", "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101))  # raw IP
        out.flush()
        os.rename(path + ".new", path)
        while data := connection.recv(65536):
            rest += data
            while len(rest) >= 5 and len(rest) >= (length := struct.unpack("!I", rest[1:5])[0]):
                frame = packet(rest[:length], sequence, port)
                sequence += length
                rest = rest[length:]
                out.write(struct.pack("<IIII", int(time.time()), 0, len(frame), len(frame)) + frame)
            out.flush()


def main():
    address, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as server:
        while True:
            connection, _ = server.accept()
            if sys.argv[4:] == ["deaf"]:
                time.sleep(3600)
            with connection:
                keep(connection, path, port)


if __name__ == "__main__":
    main()
