#!/usr/bin/env python3
"""ADD and DEL of the plugin with its daemons behind it, beside Debian's reference plugins, in one run.

The candidates take turns within each round, and the median round of each figure is shown: what else the machine does
falls on all of them. Every candidate works in a network namespace of its own.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

from namespaces import Namespace
from topology import BUILD, Lab

REFERENCE = pathlib.Path("/usr/lib/cni")
VERSION = "1.0.0"


class Manul:
    """One node with its three daemons; policy is in force before ADD returns."""
    name = "manul"

    def __init__(self):
        self.lab = Lab(suffix=f"b{os.getpid()}", nodes=1)
        lab = self.lab
        # /run is a memory file system on every host with systemd, and marks and sockets are made there for each pod.
        lab.run_root.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "manul-bench", lab.run_root], check=True)
        try:
            self.start(lab)
        except BaseException:
            self.close()
            raise

    def start(self, lab):
        lab.make_directories()
        lab.make_rack()
        lab.start_nodes()
        node = lab.nodes[0]
        node.ctl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "bench"},
                                                       "spec": {"cidr": "10.240.0.0/14"}}))
        self.namespace = node.namespace
        self.chain = [{"path": str(BUILD / "cni/manul"), "config": {
            "cniVersion": VERSION, "name": "bench", "type": "manul", "run_dir": str(node.run_dir), "state_dir": str(node.state_dir)}}]

    def close(self):
        self.lab.down()
        subprocess.run(["umount", self.lab.run_root], check=False)
        self.lab.run_root.rmdir()


class Floor:
    """Process start and the kernel's own work, by a plugin that does nothing else."""
    name = "floor (kernel only)"

    def __init__(self, program):
        self.namespace = Namespace(f"manul-bench{os.getpid()}-floor")
        self.namespace.create()
        self.chain = [{"path": program, "config": {"cniVersion": VERSION, "name": "bench", "type": "floor"}}]

    def close(self):
        self.namespace.remove()


class Reference:
    """A Debian plugin with host-local; no policy."""

    def __init__(self, plugin, config, subnet):
        self.name = f"{plugin} + host-local"
        self.directory = tempfile.mkdtemp(prefix="cni-bench-")
        self.namespace = Namespace(f"manul-bench{os.getpid()}-{plugin}")
        self.namespace.create()
        self.chain = [{"path": str(REFERENCE / plugin), "config": {
            "cniVersion": VERSION, "name": "bench", "type": plugin, **config,
            "ipam": {"type": "host-local", "dataDir": self.directory, "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}}}]

    def close(self):
        self.namespace.remove()
        shutil.rmtree(self.directory)


def measure(candidate, program, count, parallel, **more):
    options = {"chain": candidate.chain, "count": count, "parallel": parallel, "prefix": f"mb{os.getpid()}", **more}
    done = candidate.namespace.exec(program, json.dumps(options), check=False, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{candidate.name}: {done.stdout.strip()} {done.stderr.strip()}")
    return json.loads(done.stdout)


def middle(rounds, *path):
    values = []
    for one in rounds:
        for key in path:
            one = one.get(key) if one else None
        if one is not None:
            values.append(one)
    return statistics.median(values) if values else None


def show(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def flush_us(directory="/var/lib", count=50):
    """What one small durable write costs where the store lies: an ADD and a DEL wait for one each."""
    path = pathlib.Path(directory) / f"manul-bench-{os.getpid()}"
    with open(path, "wb", buffering=0) as file:
        file.write(bytes(65536))
        os.fsync(file.fileno())
        times = []
        for i in range(count):
            started = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 8192, i % 8 * 8192)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1e6)
    path.unlink()
    return statistics.median(times)


# What is measured, how it is read out of the rounds, and what is wanted: name, unit, rounds, path, target, smaller is better.
LINES = (("ADD, one at a time, p50", "ms", "serial", ("add", "p50"), 1.7, True),
         ("ADD, one at a time, p99", "ms", "serial", ("add", "p99"), None, True),
         ("ADD, 16 at once", "/s", "parallel", ("addsPerSecond",), 900, False),
         ("DEL, one at a time, p50", "ms", "serial", ("del", "p50"), 1.2, True),
         ("DEL, one at a time, p99", "ms", "serial", ("del", "p99"), None, True),
         ("DEL, 16 at once, answered", "/s", "parallel", ("delsPerSecond",), None, False),
         ("DEL, 16 at once, links gone", "/s", "parallel", ("drainedPerSecond",), 1400, False),
         ("repeated DEL, p50", "ms", "serial", ("secondDel", "p50"), 0.7, True),
         ("ADD while links are deleted, p50", "ms", "draining", ("addWhileDraining", "p50"), None, True))


def print_table(rounds, names):
    """One line a figure, one column a candidate; the last column compares with the reference plugin."""
    widths = [34, 6] + [max(len(name), 10) + 2 for name in names] + [10, 8, 12]
    heads = ["", ""] + list(names) + ["target", "", "of ptp"]
    print("".join(f"{h:>{w}}" if i > 1 else f"{h:<{w}}" for i, (h, w) in enumerate(zip(heads, widths))))
    for title, unit, kind, path, target, smaller in LINES:
        values = [middle(rounds[kind].get(name, []), *path) for name in names]
        digits = 0 if unit == "/s" else 2
        verdict = ""
        if target is not None and values[0] is not None:
            verdict = "met" if (values[0] <= target if smaller else values[0] >= target) else "missed"
        peer = next((value for name, value in zip(names, values) if name.startswith("ptp")), None)
        ratio = f"{values[0] / peer:.2f}" if peer and values[0] else "-"
        row = [title, unit] + [show(value, digits) for value in values] + [show(target, 0 if unit == "/s" else 1), verdict, ratio]
        print("".join(f"{c:>{w}}" if i > 1 else f"{c:<{w}}" for i, (c, w) in enumerate(zip(row, widths))))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the generator, cni_calls")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=int, default=0, help="pods that exist beforehand")
    parser.add_argument("--alone", action="store_true", help="without the reference plugins")
    parser.add_argument("--floor", help="the plugin that does the kernel's work alone, cni_floor")
    parser.add_argument("--json", help="a file for every figure of every round")
    arguments = parser.parse_args()
    candidates = [Manul()]
    try:
        if not arguments.alone:
            if not (REFERENCE / "ptp").exists():
                raise SystemExit("the reference plugins are missing: install containernetworking-plugins")
            candidates.append(Reference("ptp", {"ipMasq": False}, "10.71.0.0/16"))
            candidates.append(Reference("bridge", {"bridge": "bench0", "isGateway": True, "ipMasq": False}, "10.72.0.0/16"))
        if arguments.floor:
            candidates.insert(1, Floor(arguments.floor))
        rounds = {kind: {c.name: [] for c in candidates} for kind in ("serial", "parallel", "draining")}
        flushes = []
        for _ in range(arguments.rounds):
            flushes.append(flush_us())
            for candidate in candidates:
                rounds["serial"][candidate.name].append(
                    measure(candidate, arguments.program, arguments.count, 1, keep=arguments.keep, secondDelete=True))
                rounds["parallel"][candidate.name].append(measure(candidate, arguments.program, arguments.count, 16, keep=arguments.keep))
            rounds["draining"]["manul"].append(measure(candidates[0], arguments.program, arguments.count, 16, addsWhileDraining=50))
    finally:
        for candidate in candidates:
            candidate.close()
    flush = statistics.median(flushes)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(
            {"count": arguments.count, "keep": arguments.keep, "cpus": os.cpu_count(), "load": os.getloadavg(), "flush_us": flush, **rounds}))
    print(f"{arguments.count} pods, {arguments.keep} before them, median of {arguments.rounds} rounds; load {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} CPUs; one durable write takes {flush:.0f} us here\n")
    print_table(rounds, [c.name for c in candidates])


if __name__ == "__main__":
    main()
