#!/usr/bin/env python3
"""The lab as a person uses it: `./dev up`, `./dev down`, `./dev ctl`, `./dev shell` end here."""
import argparse
import os
import statistics
import subprocess
import sys
import time

from namespaces import LabError, wait_for
from topology import BUILD, MANIFESTS, OUTSIDE4, Lab
from traffic import matrix, print_matrix, probe

BOLD, GREEN, RED, OFF = ("\033[1m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "", "", "")


class Steps:
    """Progress: one line a step with its time; a failure names the step."""

    def __init__(self, total):
        self.total, self.done, self.times = total, 0, []

    def run(self, title, function):
        self.done += 1
        label = f"[{self.done}/{self.total}] {title}"
        if sys.stdout.isatty():
            print(f"{label} ...", end="\r", flush=True)
        started = time.monotonic()
        try:
            result = function()
        except LabError as error:
            print(f"\n{RED}failed:{OFF} step '{title}': {error}")
            raise SystemExit(1) from None
        took = time.monotonic() - started
        self.times.append((title, took))
        print(f"{label:<66} {GREEN}ok{OFF} {took:6.2f} s")
        return result


def settle(lab, family=4):
    """The matrix once every pair talks, or the last one seen: routes arrive within moments of the pods."""
    deadline = time.monotonic() + 20
    while True:
        verdicts = matrix(lab.pods, family=family, timeout=0.7)
        if all(verdicts.values()) or time.monotonic() > deadline:
            return verdicts
        time.sleep(0.2)


def expect_denied(lab):
    wanted = lambda a, b: not (lab.pod(a).labels["app"] == "client" and lab.pod(b).labels["app"] == "server")
    verdicts = {}

    def as_wanted():
        verdicts.update(matrix(lab.pods, timeout=0.7))
        return all(verdicts[pair] == wanted(*pair) for pair in verdicts)

    wait_for("the deny policy to act as written", as_wanted, 20)
    return verdicts


def up(arguments):
    lab = Lab(arguments.suffix, arguments.nodes)
    if lab.running() or lab.tor.exists():
        print("the lab was up already: starting it afresh")
        lab.down()
    started = time.monotonic()
    steps = Steps(8)
    first = lab.nodes[0]

    def network():
        lab.make_directories()
        lab.make_rack()
        lab.start_router()

    def resources():
        first.ctl("apply", "-f", MANIFESTS / "rack.yaml")
        lab.plan_pods()
        first.ctl("apply", "-f", "-", stdin=lab.pod_manifest())

    def pods():
        for pod in lab.pods:
            lab.add_pod(pod)
        lab.start_servers()

    def routes():
        nodes = {node.address4 for node in lab.nodes} | {node.address6 for node in lab.nodes}
        return wait_for("the pod routes on the router", lambda: (r := lab.bird_routes()) and
                        nodes <= set(r.values()) and r, 30)

    steps.run(f"network: {len(lab.nodes)} nodes and a router (BIRD)", network)
    steps.run("daemons: bgpd, felix and ipamd on every node", lab.start_nodes)
    steps.run("resources: pools, AS numbers, peers, pods", resources)
    steps.run("BGP sessions with the router", lab.wait_for_sessions)
    steps.run(f"pods: {len(lab.pods)} through the CNI plugin", pods)
    known = steps.run("pod routes on the router", routes)
    before = steps.run("packets between all pods", lambda: settle(lab))
    first.ctl("apply", "-f", MANIFESTS / "deny-clients.yaml")
    after = steps.run("packets again, with a global deny applied", lambda: expect_denied(lab))

    print(f"\n{BOLD}BGP sessions{OFF}  (./dev ctl node status)\n")
    print(first.ctl("node", "status", "--all").stdout.rstrip())
    print(f"\n{BOLD}Routes to pods, as the router holds them{OFF}  (birdc show route)\n")
    for prefix, via in sorted(known.items()):
        print(f"  {prefix:<28} via {via}")
    for title, verdicts in (("before", before), ("after", after)):
        print(f"\n{BOLD}TCP 8080 between the pods, {title} the global deny{OFF}\n")
        print_matrix(lab.pods, verdicts, print)
    outside = probe([(pod.namespace, OUTSIDE4, "tcp", 80) for pod in lab.pods])
    print(f"\n  from the pods to {OUTSIDE4}, outside the rack, by the router's default route: {sum(outside)} of {len(outside)}")
    adds = sorted(pod.add_ms for pod in lab.pods)
    print(f"  CNI ADD, process start to answer: median {statistics.median(adds):.1f} ms, slowest {adds[-1]:.1f} ms")
    print(f"  the lab is up after {time.monotonic() - started:.1f} s")
    print(f"""
{BOLD}What to try next{OFF}
  ./dev ctl get wep -A -o wide          every pod's address and interface
  ./dev ctl ipam show --show-blocks     pools and the nodes' blocks
  ./dev ctl @node2 node status          sessions of one node
  ./dev ctl delete gnp deny-clients     take the deny away again
  ./dev shell client1 nc -vz {lab.pod('server1').address4} 8080
  ./dev shell node1 nft list table ip manul_i
  ./dev down                            remove every trace""")


def down(arguments):
    removed = Lab(arguments.suffix).down()
    print("the lab is down: processes, namespaces and files are removed" if removed else "the lab was not up; nothing is left of it")


def ctl(arguments):
    lab = Lab.load(arguments.suffix)
    words = arguments.words
    node = lab.nodes[0]
    named = bool(words) and words[0].startswith("@")
    if named:
        node, words = lab.node(words[0][1:]), words[1:]
    if words[:2] == ["node", "status"] and not named and len(words) == 2:
        words = [*words, "--all"]
    # In the node's network namespace: some commands look at its kernel.
    os.execvp("nsenter", ["nsenter", f"--net={node.namespace.path}", str(BUILD / "ctl/manulctl"),
                          "--config", str(node.config), *words])


def shell(arguments):
    lab = Lab.load(arguments.suffix)
    places = {"tor": lab.tor, **{n.name: n.namespace for n in lab.nodes}, **{p.name: p.namespace for p in lab.pods}}
    if not arguments.words or arguments.words[0] not in places:
        raise LabError(f"name one of: {', '.join(places)}")
    command = arguments.words[1:] or [os.environ.get("SHELL", "/bin/bash")]
    sys.exit(subprocess.run(["nsenter", f"--net={places[arguments.words[0]].path}", *command]).returncode)


def main():
    parser = argparse.ArgumentParser(prog="./dev")
    parser.add_argument("--suffix", default=os.environ.get("MANUL_LAB_SUFFIX", ""), help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--nodes", type=int, default=3, choices=range(1, 31), metavar="N")
    commands.add_parser("down")
    for name in ("ctl", "shell"):
        commands.add_parser(name).add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    try:
        {"up": up, "down": down, "ctl": ctl, "shell": shell}[arguments.command](arguments)
    except LabError as error:
        print(f"{RED}error:{OFF} {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
