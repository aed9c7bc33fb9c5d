"""Two nodes of network namespaces for edits_test.py: one whose felix sees every edit, and one that begins with what the
edits came to. Everything is named after this process and removed at the end."""
import collections
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

import felix_rig
from felix_rig import sh

PREFIX = f"mfd{os.getpid()}"
OTHER_ENDS = f"{PREFIX}-o"


class Links:
    """What interfaces a node has, and the `ip` commands that lead there."""

    def __init__(self):
        self.links = {}
        self.made = 0

    def make(self, name):
        link = self.links[name]
        self.made += 1
        lines = [f"link add {name} address ee:ee:ee:ee:ee:ee type veth peer name v{self.made} netns {OTHER_ENDS}",
                 f"link set {name} mtu {link['mtu']}"]
        lines += [f"link set {name} alias {link['alias']}"] if link["alias"] else []
        lines += [f"link set {name} up"] if link["up"] else []
        return lines + [f"addr add {a} dev {name}" + (" nodad" if ":" in a else "") for a in link["addresses"]]

    def add(self, name, alias="", addresses=()):
        self.links[name] = {"alias": alias, "up": True, "mtu": 1500, "addresses": list(addresses)}
        return self.make(name)

    def rename(self, name, to):
        link = self.links[to] = self.links.pop(name)
        link["addresses"] = [a for a in link["addresses"] if ":" not in a]  # the kernel's doing, as the link goes down
        return [f"link set {name} down", f"link set {name} name {to}", f"link set {to} up"]

    def change(self, name, what, value):
        self.links[name][what] = value
        return [f"link set {name} {what} {value}"]

    def address(self, name, address, there):
        self.links[name]["addresses"] = [a for a in self.links[name]["addresses"] if a != address]
        if there:
            self.links[name]["addresses"].append(address)
        return [f"addr {'add' if there else 'del'} {address} dev {name}" + (" nodad" if there and ":" in address else "")]


class Side:
    """A namespace with felix and a store of its own."""

    def __init__(self, programs, name, work):
        self.felix_program, self.manulctl = programs
        self.ns, self.work, self.felix = f"{PREFIX}-{name}", f"{work}/{name}", None
        os.makedirs(self.work)
        sh(f"ip netns add {self.ns} && ip -n {self.ns} link set lo up")
        sh(f"ip netns exec {self.ns} sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.addr_gen_mode=1")
        with open(f"{self.work}/manul.yaml", "w", encoding="utf-8") as settings:
            settings.write("node: {name: node1, address_detection: {ipv4: none, ipv6: none}}\n"
                           f"run_dir: {self.work}/run\nstate_dir: {self.work}/state\n"
                           f"datastore: {{path: {self.work}/store.db}}\n")

    def ip(self, lines):
        if lines:
            sh(["ip", "-n", self.ns, "-batch", "-"], "\n".join(lines) + "\n")

    def ctl(self, *arguments, text=None, check=True):
        return sh(["ip", "netns", "exec", self.ns, self.manulctl, "--config", f"{self.work}/manul.yaml", *arguments],
                  text, check)

    def log(self):
        with open(f"{self.work}/felix.log", encoding="utf-8") as log:
            return log.read()

    def launch(self):
        with open(f"{self.work}/felix.log", "a", encoding="utf-8") as log:
            self.felix = subprocess.Popen(["ip", "netns", "exec", self.ns, self.felix_program, "--config",
                                           f"{self.work}/manul.yaml"], stderr=log)

    def start(self):
        self.launch()
        self.wait_in_sync()

    def wait_in_sync(self):
        end = time.monotonic() + 30
        while not self.ask("status").get("inSync"):
            if time.monotonic() > end or self.felix.poll() is not None:
                raise RuntimeError("felix does not come into sync:\n" + self.log())
            time.sleep(0.01)

    def kill(self):
        if self.felix:
            self.felix.kill()
            self.felix.wait()
            self.felix = None

    def remove(self):
        self.kill()
        sh(f"ip netns del {self.ns}", check=False)

    def ask(self, op):
        return felix_rig.ask(f"{self.work}/run", op)

    def report(self, field="notInForce"):
        """What felix says of objects that are not in force, or the like."""
        answer = self.ctl("get", "nodereport", "node1.felix", "-o", "json", check=False)
        if answer.returncode:
            return None
        told = json.loads(answer.stdout)["spec"].get(field, [])
        return [f"{entry['name']}: {entry['reason']}" for entry in told] if field == "notInForce" else told

    def kernel(self):
        """What the kernel holds of felix, without what differs by chance: handles, indexes, numbers of groups, names."""
        links = json.loads(sh(f"ip -n {self.ns} -j link show").stdout)
        groups, lines = collections.defaultdict(list), []
        for link in links:
            group = 0 if link["group"] == "default" else int(link["group"], 0)
            groups[group].append(link["ifname"])
            kind = "no class" if group == 0 else "closed" if group == 0x6d000000 else "class"
            lines.append(f"link {link['ifname']} mtu {link['mtu']}: {kind}")
        for family in "-4", "-6":
            for route in json.loads(sh(f"ip -n {self.ns} -N -d -j {family} route show table all").stdout or "[]"):
                if route["protocol"] != "2":  # the kernel's own
                    lines.append("route " + " ".join(f"{k}={v}" for k, v in sorted(route.items())
                                                     if k not in ("flags", "pref")))
        for qdisc in json.loads(sh(f"tc -n {self.ns} -j -d qdisc show").stdout or "[]"):
            if qdisc["kind"] != "noqueue":
                qdisc.pop("refcnt", None)
                lines.append("qdisc " + json.dumps(qdisc, sort_keys=True))
        lines += [f"endpoint {e['name']} {e['interface']} {e['programmed']}" for e in self.ask("endpoints").get("endpoints", [])]
        return sorted(lines + rules(sh(f"ip netns exec {self.ns} nft -s -n list ruleset").stdout, groups))


def rules(listing, groups):
    """Chains and maps called by what they hold where a felix that edits may have another name than one that begins."""
    tables, table, current, elements = {}, None, None, None
    for line in map(str.strip, listing.splitlines()):
        if opening := re.match(r"table (\S+ \S+) \{", line):
            table, current = tables.setdefault(opening[1], {"chain": {}, "set": {}, "map": {}}), None
        elif (opening := re.match(r"(chain|set|map) (\S+) \{", line)) and current is None:
            current = table[opening[1]][opening[2]] = {"lines": [], "elements": []}
        elif elements is None and line == "}":
            current = None
        elif current is not None and line:
            if line.startswith("elements = {"):
                line, elements = line.removeprefix("elements = {").strip(), ""
            if elements is None:
                current["lines"].append(line)
                continue
            elements += line.removesuffix("}")
            if line.endswith("}"):
                current["elements"], elements = [e.strip() for e in elements.split(",") if e.strip()], None
    return [line for name, table in tables.items() for line in Named(name, table, groups).lines()]


class Named:
    """The lines of one table, with chains and maps called by a hash of what they hold."""

    def __init__(self, name, table, groups):
        self.name, self.table, self.groups, self.known = name, table, groups, {}

    def label(self, chain):
        if chain not in self.known:
            text = "\n".join(self.chain(self.table["chain"][chain]))
            self.known[chain] = "[" + hashlib.sha1(text.encode()).hexdigest()[:10] + "]"
        return self.known[chain]

    def verdicts(self, text):
        return re.sub(r"\b(jump|goto) ([^\s,}]+)", lambda m: f"{m[1]} {self.label(m[2])}", text)

    def elements(self, name, of):
        out = []
        for element in of["elements"]:
            if name == "class":  # by the links that are in the group
                group, verdict = element.split(":", 1)
                element = ",".join(sorted(self.groups[int(group.strip(), 0)])) + ":" + verdict
            out.append(self.verdicts(element))
        return sorted(out)

    def map(self, name):
        if name == "class" or name not in self.table["map"]:
            return "@" + name
        return "{" + hashlib.sha1("\n".join(self.elements(name, self.table["map"][name])).encode()).hexdigest()[:10] + "}"

    def chain(self, chain):
        out = []
        for line in chain["lines"]:
            line = re.sub(r' comment "([0-9a-f]{16}) [0-9a-f]{16}"', r" id \1", line)
            line = self.verdicts(re.sub(r' comment "[0-9a-f]{16}"', "", line))
            line = re.sub(r"@([^\s,}]+)", lambda m: self.map(m[1]), line)
            out.append(re.sub(r"\{ ([^{}]*) \}", lambda m: "{ " + ", ".join(sorted(m[1].split(", "))) + " }", line))
        return out

    def lines(self):
        out = []
        for name, chain in self.table["chain"].items():
            content = self.chain(chain)
            if content and content[0].startswith("type "):
                # An empty base chain is as good as none.
                out += [f"{self.name} {name} {i:03}: {line}" for i, line in enumerate(content) if len(content) > 1]
            else:
                kept = "list" if re.match("[tc]_", name) else name
                out += [f"{self.name} {kept} {self.label(name)} {i:03}: {line}" for i, line in enumerate(content)]
        for name, held in [*self.table["set"].items(), *self.table["map"].items()]:
            out += [f"{self.name} {self.map(name)} {e}" for e in self.elements(name, held)]
        return out


class Edited:
    """The node whose felix sees every edit, and the comparison with one that begins."""

    def __init__(self, programs):
        self.programs, self.begun = programs, 0
        self.work = tempfile.mkdtemp(prefix="mfd")
        sh(f"ip netns add {OTHER_ENDS}")
        self.links = Links()
        self.node = Side(programs, "n", self.work)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.remove()
        sh(f"ip netns del {OTHER_ENDS}", check=False)
        shutil.rmtree(self.work, ignore_errors=True)

    def apply(self, *objects):
        self.node.ctl("apply", "-f", "-", text="\n---\n".join(json.dumps(o) for o in objects))

    def delete(self, *objects):
        self.node.ctl("delete", "-f", "-", text="\n---\n".join(json.dumps(o) for o in objects))

    def check(self, what):
        """A felix that begins with this store and these interfaces comes to the same, and verify finds nothing."""
        self.begun += 1
        fresh = Side(self.programs, f"t{self.begun}", self.work)
        try:
            fresh.ip([line for name in self.links.links for line in self.links.make(name)])
            with sqlite3.connect(f"{self.node.work}/store.db") as store, sqlite3.connect(f"{fresh.work}/store.db") as copy:
                store.backup(copy)
            fresh.start()
            end = time.monotonic() + 20
            while (edited := self.node.kernel()) != (begun := fresh.kernel()) or self.node.report() != fresh.report():
                if time.monotonic() > end:
                    differs = [f"+ {line}" for line in edited if line not in begun]
                    differs += [f"- {line}" for line in begun if line not in edited]
                    raise SystemExit(f"{what}: felix holds other things than one that begins now:\n" + "\n".join(differs) +
                                     f"\nreports: {self.node.report()}, {fresh.report()}\n{self.node.log()[-3000:]}")
                time.sleep(0.05)
            verified = self.node.ctl("policy", "verify", check=False)
            if verified.returncode:
                raise SystemExit(f"{what}: {verified.stdout}{verified.stderr}")
        finally:
            fresh.remove()
