"""Replays recorded BGP messages: replay_recorded.py BGP_REPLAY DIRECTORY

The directory has *.jsonl (objects with `hex`: a message, or with `fragment` what follows a
header) and mrt/* (MRT files, RFC 6396, also compressed); other people's data, which is not part of this repository.
"""
import bz2
import gzip
import json
import pathlib
import struct
import subprocess
import sys

BGP4MP = (16, 17)
MESSAGES = {1: ("2", ""), 4: ("4", ""), 6: ("2", ""), 7: ("4", ""), 8: ("2", "+"), 9: ("4", "+"), 10: ("2", "+"), 11: ("4", "+")}


def messages_of_mrt(path):
    opener = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    with opener(path, "rb") as file:
        data = file.read()
    while len(data) >= 12:
        _, kind, subtype, length = struct.unpack(">IHHI", data[:12])
        record, data = data[12:12 + length], data[12 + length:]
        if kind not in BGP4MP or subtype not in MESSAGES:
            continue
        octets, ids = MESSAGES[subtype]
        at = (4 if kind == 17 else 0) + 2 * int(octets)
        family = struct.unpack(">H", record[at + 2:at + 4])[0]
        at += 4 + 2 * (4 if family == 1 else 16)
        yield octets, ids, record[at:]


def messages_of_lines(path):
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        message = bytes.fromhex(entry["hex"])
        if entry.get("fragment"):
            if entry.get("type", "").lower() != "update":
                continue
            message = b"\xff" * 16 + struct.pack(">HB", 19 + len(message), 2) + message
        yield "4", "", message


def main():
    directory = pathlib.Path(sys.argv[2])
    files = sorted(directory.glob("*.jsonl")) + sorted((directory / "mrt").glob("*"))
    failed = not files
    for path in files:
        read = messages_of_lines if path.suffix == ".jsonl" else messages_of_mrt
        lines = "".join(f"{octets}{ids} {message.hex()}\n" for octets, ids, message in read(path))
        done = subprocess.run([sys.argv[1]], input=lines, text=True, capture_output=True)
        print(path.name, done.stdout.strip().replace("\n", ", "), done.stderr[-500:])
        failed |= done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
