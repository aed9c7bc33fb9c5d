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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

from namespaces import Namespace, wait_for
from topology import BUILD, Lab

REFERENCE = pathlib.Path("/usr/lib/cni")
VERSION = "1.0.0"


class Manul:
    """One node with its three daemons; policy is in force before ADD returns."""
    name = "manul"

    def __init__(self):
        self.lab = Lab(suffix=f"b{os.getpid()}", nodes=1)
        lab = self.lab
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the generator, cni_calls")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=int, default=0, help="pods that exist beforehand")
    parser.add_argument("--alone", action="store_true", help="without the reference plugins")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    candidates = [Manul()]
    try:
        if not arguments.alone:
            if not (REFERENCE / "ptp").exists():
                raise SystemExit("the reference plugins are missing: install containernetworking-plugins")
            candidates.append(Reference("ptp", {"ipMasq": False}, "10.71.0.0/16"))
            candidates.append(Reference("bridge", {"bridge": "bench0", "isGateway": True, "ipMasq": False}, "10.72.0.0/16"))
        serial, parallel, draining = ({c.name: [] for c in candidates} for _ in range(3))
        for _ in range(arguments.rounds):
            for candidate in candidates:
                serial[candidate.name].append(measure(candidate, arguments.program, arguments.count, 1, keep=arguments.keep, secondDelete=True))
                parallel[candidate.name].append(measure(candidate, arguments.program, arguments.count, 16, keep=arguments.keep))
            draining["manul"].append(measure(candidates[0], arguments.program, arguments.count, 16, addsWhileDraining=50))
    finally:
        for candidate in candidates:
            candidate.close()
    if arguments.json:
        print(json.dumps({"serial": serial, "parallel": parallel, "draining": draining}))
        return
    print(f"{arguments.count} pods, {arguments.keep} before them, median of {arguments.rounds} rounds; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs\n")
    print(f"{'':<22}{'ADD p50 ms':>11}{'p99':>8}{'ADD/s x16':>11}{'DEL p50 ms':>11}{'p99':>8}{'DEL/s x16':>11}{'gone/s':>8}{'2nd DEL ms':>11}")
    for c in candidates:
        s, p = serial[c.name], parallel[c.name]
        print(f"{c.name:<22}{show(middle(s, 'add', 'p50')):>11}{show(middle(s, 'add', 'p99')):>8}{show(middle(p, 'addsPerSecond'), 0):>11}"
              f"{show(middle(s, 'del', 'p50')):>11}{show(middle(s, 'del', 'p99')):>8}{show(middle(p, 'delsPerSecond'), 0):>11}"
              f"{show(middle(p, 'drainedPerSecond'), 0):>8}{show(middle(s, 'secondDel', 'p50')):>11}")
    print(f"\nmanul, ADD while {arguments.count} links are being deleted: p50 {show(middle(draining['manul'], 'addWhileDraining', 'p50'))} ms, "
          f"p99 {show(middle(draining['manul'], 'addWhileDraining', 'p99'))} ms")


if __name__ == "__main__":
    main()
