#!/usr/bin/env python3
"""How fast manul-bgpd is beside Debian's BGP speakers, all as black boxes, in one run.

Each speaker runs alone in a network namespace and talks over a veth pair to bgp_load, which plays all peers in another.
The candidates take turns within each round, and the median of the rounds is shown, with the ratio to the best of the
others behind it: above 1, Manul is that many times better.
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import speakers
from namespaces import Namespace, wait_for

ADDRESS, ADDRESS6, ASN = "10.99.0.1", "fd99::1", 65000
FIRST_SENDER_AS, FIRST_RECEIVER_AS = 100000, 110000
FAST = [speakers.Manul, speakers.Bird, speakers.GoBgp]
ALL = [speakers.Manul, speakers.Bird, speakers.Frr, speakers.OpenBgpd, speakers.GoBgp]


def scenarios(quick):
    """Name, title, options of bgp_load, candidates, figures (member of its answer, label)."""
    feed = 50_000 if quick else 500_000
    speed = [(f"{phase}_{what}", f"{label}, {unit}") for phase, label in (
        ("announce", "announce"), ("loss", "session loss"), ("relearn", "relearn"), ("withdraw", "withdraw"))
        for what, unit in (("s", "s"), ("cpu_s", "s of CPU"))]
    peak = ("peak_rss_mb", "peak memory, MB")
    yield ("full", f"full feed, 2 x {feed:,} prefixes to 2 receivers", {"scenario": "full", "prefixes": feed},
           FAST if quick else ALL, [*speed, peak])
    reflection = [("reflect_s", "all announce, s"), ("reflect_cpu_s", "all announce, s of CPU"), ("change_p50_ms", "one node's change to all, p50 ms"),
                  ("rejoin_s", "a tenth comes back, s"), peak, ("pss_mb", "proportional memory (PSS), MB"), ("drops", "sessions dropped by the speaker")]
    for clients, blocks in ((50, 16),) if quick else ((300, 16), (1000, 8)):
        yield (f"reflector-{clients}", f"route reflector, {clients} clients x {blocks} blocks",
               {"scenario": "reflector", "clients": clients, "blocks": blocks},
               [*([speakers.Manul, speakers.Bird] if quick else [speakers.Manul, speakers.Bird, speakers.Frr]), speakers.Relay], reflection)
    delays = [("p50_ms", "p50 ms"), ("p99_ms", "p99 ms"), ("max_ms", "worst ms")]
    for load, prefixes, gap in (("idle", 20_000, 0.01), ("churn", 100_000, 0.01), ("feed", 100_000 if quick else 1_000_000, 0.002)):
        yield (f"latency-{load}", f"one prefix, announced to seen: {load}",
               {"scenario": "latency", "load": load, "prefixes": prefixes, "probes": 200 if quick else 500, "probe_gap": gap},
               [*([speakers.Manul, speakers.Bird] if quick else [speakers.Manul, speakers.Bird, speakers.Frr]),
                *([speakers.Relay] if load == "idle" else [])], delays)
    yield ("timers", f"hold time 3 s, keepalives each second, through {2 * feed:,} prefixes that are selected at once",
           {"scenario": "timers", "prefixes": feed, "hold_time": 3, "graceful_restart": 1}, [speakers.Manul, speakers.Bird],
           [("announce_s", "all told, s"), ("longest_silence_s", "longest silence of a session, s"), ("drops", "sessions lost")])
    yield ("kernel", f"{2 * feed:,} prefixes into the kernel", {"scenario": "full", "prefixes": feed, "only_announce": 1},
           [speakers.Manul, speakers.Bird, speakers.Routes],
           [("kernel_s", "announced to all in the kernel, s"), ("kernel_cpu_s", "s of CPU"), ("routes_per_s", "routes a second")])


class Rig:
    """Two namespaces, a link, one speaker; all gone when it is closed."""

    def __init__(self, candidate, options, programs, kernel):
        self.tmp = tempfile.TemporaryDirectory(prefix="bgp-bench-")
        directory = pathlib.Path(self.tmp.name)
        directory.chmod(0o755)
        reflector = options["scenario"] == "reflector"
        if reflector:
            peers = [(speakers.sender_address(i), ASN) for i in range(options["clients"])]
        else:
            numbers = [FIRST_SENDER_AS, FIRST_SENDER_AS + 1, FIRST_RECEIVER_AS, FIRST_RECEIVER_AS + 1]
            peers = [(speakers.sender_address(i), asn) for i, asn in enumerate(numbers)]
        self.case = SimpleNamespace(directory=directory, address=ADDRESS, address6=ADDRESS6, asn=ASN, peers=peers, reflector=reflector,
                                    v6=not reflector, kernel=kernel)
        self.inside = Namespace(f"mbb{os.getpid()}-speaker")
        self.outside = Namespace(f"mbb{os.getpid()}-peers")
        self.options, self.programs = options, programs
        self.process = None
        self.speaker = candidate(self.case, programs)

    def connect(self):
        for namespace in (self.inside, self.outside):
            namespace.create()
        self.inside.ip("link", "add", "b0", "type", "veth", "peer", "name", "b0", "netns", self.outside.name)
        for namespace, last in ((self.inside, 1), (self.outside, 2)):
            namespace.exec("sysctl", "-qw", "net.ipv6.conf.b0.accept_dad=0")
            namespace.ip("address", "add", f"10.99.0.{last}/16", "dev", "b0")
            namespace.ip("address", "add", f"fd99::{last}/64", "dev", "b0", "nodad")
            namespace.ip("link", "set", "b0", "up")
        self.outside.ip("route", "add", "local", "10.99.128.0/17", "dev", "lo")
        self.outside.ip("route", "add", "local", "fd99::8000:0:0/96", "dev", "lo")

    def start(self):
        self.process = self.inside.spawn(self.speaker.command(), self.case.directory / "log")
        wait_for("the speaker to listen", self.listening, 60)
        time.sleep(1)

    def listening(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.speaker.name} has ended: {(self.case.directory / 'log').read_text()[-600:]}")
        lines = pathlib.Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(":00B3") and line.split()[3] == "0A" for line in lines)

    def processes(self):
        children = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                    children.setdefault(int(parent), []).append(int(entry.name))
        found, waiting = [], [self.process.pid]
        while waiting:
            found.append(waiting.pop())
            waiting += children.get(found[-1], [])
        return found

    def start_load(self):
        options = {**self.options, "speaker": ADDRESS, "speaker_as": ASN, "pids": ",".join(map(str, self.processes())),
                   "no_table": int(isinstance(self.speaker, speakers.Relay))}
        command = [self.programs.load, *(f"{name}={value}" for name, value in options.items())]
        return subprocess.Popen(["nsenter", f"--net={self.outside.path}", *command], stdout=subprocess.PIPE, text=True)

    def measure(self):
        with self.start_load() as load:
            try:
                if self.options.get("only_announce"):
                    return self.measure_kernel(load)
                text = load.stdout.read()
            finally:
                load.kill()
        return json.loads(text) if text.strip() else {"ok": False, "error": "no answer from the load generator"}

    def measure_kernel(self, load):
        """The clock stops when the kernel's tables have everything; bgp_load tells when it began to send."""
        total = 2 * self.options["prefixes"]
        of_v6 = int(total * 0.15)
        cpu = self.cpu()
        wait_for("all routes in the kernel", lambda: self.are_in_kernel(total - of_v6, of_v6), 180, interval=0.03)
        done = time.monotonic()
        answer = json.loads(load.stdout.readline())
        answer["kernel_cpu_s"] = self.cpu() - cpu
        answer["kernel_s"] = done - answer["announce_at"]
        answer["routes_per_s"] = total / answer["kernel_s"]
        return answer

    def measure_alone(self):
        """What the kernel needs without any speaker."""
        options = {name: value for name, value in self.options.items() if name == "prefixes"}
        command = [*self.speaker.command(), *(f"{name}={value}" for name, value in options.items())]
        return json.loads(self.inside.exec(*command).stdout)

    def cpu(self):
        """Seconds on the processor of all threads of the speaker."""
        return sum(int(task.read_text().split()[0]) for pid in self.processes()
                   for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9

    def are_in_kernel(self, of_v4, of_v6):
        """The kernel may add some of its own meanwhile. IPv4 is counted by a walk over the table, which takes a processor
        from the speaker, so that comes when IPv6, which is counted already and has been mixed with it, is complete."""
        return self.kernel_routes_v6() - self.before[1] >= of_v6 and self.kernel_routes_v4() - self.before[0] >= of_v4

    def kernel_routes_v4(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/net/fib_triestat").read_text()
        return sum(int(line.split()[1]) for line in text.splitlines() if line.strip().startswith("Prefixes:"))

    def kernel_routes_v6(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/net/rt6_stats").read_text().split()[3], 16)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
                    break
        self.speaker.close()
        for namespace in (self.inside, self.outside):
            namespace.remove()
        self.tmp.cleanup()


def measure(candidate, options, programs, kernel):
    rig = Rig(candidate, options, programs, kernel)
    try:
        rig.connect()
        if candidate is speakers.Routes:
            return rig.measure_alone()
        rig.start()
        if kernel:
            rig.before = (rig.kernel_routes_v4(), rig.kernel_routes_v6())
        return rig.measure()
    except Exception as problem:  # a speaker that fails is a result
        return {"ok": False, "error": str(problem)}
    finally:
        rig.close()


def raise_neighbour_limits():
    """A thousand clients on one link need a thousand neighbour entries; the limits are the machine's."""
    for name, least in (("gc_thresh3", 8192), ("gc_thresh2", 4096), ("gc_thresh1", 2048)):
        limit = pathlib.Path("/proc/sys/net/ipv4/neigh/default", name)
        if int(limit.read_text()) < least:
            limit.write_text(str(least))


def show(title, candidates, figures, rounds):
    names = [candidate.name for candidate in candidates]
    print(f"\n{title}\n{'':34}" + "".join(f"{name:>15}" for name in names) + f"{'ratio':>8}")
    for member, label in figures:
        values = {}
        for name in names:
            known = [one[name][member] for one in rounds if one[name].get("ok") and member in one[name]]
            if known:
                values[name] = statistics.median(known)
        others = [value for name, value in values.items() if name != "manul" and name not in speakers.YARDSTICKS and value > 0]
        ratio = ""
        if values.get("manul") and others and member != "drops":
            more_is_better = member == "routes_per_s"
            best = max(others) if more_is_better else min(others)
            ratio = f"{values['manul'] / best if more_is_better else best / values['manul']:.2f}"
        print(f"{label:34}" + "".join(f"{values[name]:15.4g}" if name in values else f"{'-':>15}" for name in names) + f"{ratio:>8}")
    for one in rounds:
        for name, result in one.items():
            if not result.get("ok"):
                print(f"  {name} failed: {result.get('error', 'unknown')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("load")
    parser.add_argument("relay")
    parser.add_argument("bgpd")
    parser.add_argument("manulctl")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, and only the faster peers")
    parser.add_argument("--only", help="names of scenarios, separated by commas: full, reflector-300, reflector-1000, latency-idle, "
                        "latency-churn, latency-feed, timers, kernel")
    parser.add_argument("--speakers", help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root")
        return 77
    programs = SimpleNamespace(**{name: os.path.abspath(getattr(arguments, name)) for name in ("load", "relay", "bgpd", "manulctl")})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that namespaces and processes go, too
    only = arguments.only.split(",") if arguments.only else None
    everything, failed = {}, False
    raise_neighbour_limits()
    for name, title, options, candidates, figures in scenarios(arguments.quick):
        if only and name not in only:
            continue
        if arguments.speakers:
            candidates = [candidate for candidate in candidates if candidate.name in arguments.speakers.split(",")]
        rounds = [{candidate.name: measure(candidate, options, programs, name == "kernel") for candidate in candidates}
                  for _ in range(arguments.rounds)]
        everything[name] = rounds
        failed = failed or any(not one["manul"].get("ok") for one in rounds if "manul" in one)
        if arguments.output == "table":
            show(title, candidates, figures, rounds)
            sys.stdout.flush()
    if arguments.output == "json":
        json.dump(everything, sys.stdout, indent=2)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
