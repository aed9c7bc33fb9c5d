"""Other BGP speakers, each in a network namespace, behind one interface: FRR, GoBGP, OpenBGPD and ExaBGP from Debian's
packages. (BIRD, which needs more of its own ways, is bgpd_rig.Router.)

A speaker is told its sessions and what it announces, and asked what it has heard:

    speaker = Frr(rig, "frr", "192.0.2.2")
    speaker.start(65000, [Session("192.0.2.1", 64512)], {"198.51.100.0/24": ["65000:7"]})
    speaker.heard("10.65.1.0/26")     # the speaker's own words about the route; empty: none
"""
import dataclasses
import json
import os
import pathlib
import pwd
import shutil

import bgpd_rig as rig
from bgpd_rig import eventually, run


@dataclasses.dataclass
class Session:
    neighbour: str
    remote_as: int
    local: str = ""  # own address
    gtsm: bool = False
    password: str = ""
    client: bool = False  # the speaker reflects for this neighbour
    interface: str = ""   # the neighbour is whoever is on this link; `neighbour` is of no interest then
    extra: tuple = ()     # more lines about the neighbour, in the speaker's own words
    add_path: bool = False
    graceful: bool = False
    families: str = ""    # "46": both over this session; else that of the neighbour's address

    @property
    def name(self):
        return self.interface or self.neighbour

    @property
    def v6(self):
        return ":" in self.neighbour


    def carries(self, v6):
        return bool(self.interface or self.families == "46" or self.v6 == v6)


@dataclasses.dataclass
class Attributes:
    """Of a route that a speaker announces."""
    communities: tuple = ()
    large: tuple = ()
    target: str = ""  # a route target, which is an extended community
    origin: str = "igp"
    med: int = None
    local_pref: int = None


# Everything at once, and as the node shows it; what a speaker calls it is its `words`.
RICH = Attributes(("65000:7",), ("65000:1:2",), "65000:9", "incomplete", 50, 200)


def attributes(given):
    return given if isinstance(given, Attributes) else Attributes(tuple(given))


class Speaker:
    words = ()  # regular expressions for each of RICH in what `heard` returns
    program = ""  # a file that is there when the package is installed
    gtsm = password = reflects = True  # what the package can do

    def __init__(self, the_rig, name, router_id):
        self.rig = the_rig
        self.router_id = router_id
        self.namespace = rig.Namespace(name)
        self.directory = the_rig.directory / name
        self.directory.mkdir(mode=0o755)
        self.processes = []
        the_rig.parts.append(self)

    @classmethod
    def installed(cls):
        return os.path.exists(cls.program)

    def spawn(self, *command, env=None):
        self.processes.append(self.namespace.spawn(*command, log=self.directory / "out.log", env=env))

    def ask(self, *command, check=False):
        return run("ip", "netns", "exec", self.namespace.name, *command, check=check)

    def log(self):
        return "".join(path.read_text(errors="replace")[-2000:] for path in self.directory.glob("*.log"))

    def neighbour(self, neighbour):
        """What the speaker says about a session."""
        return ""

    def whole_log(self):
        return "".join(path.read_text(errors="replace") for path in self.directory.glob("*.log"))

    def stop(self, signal="terminate"):
        for process in self.processes:
            rig.stop(process, signal)
        self.processes = []

    def close(self):
        self.stop("kill")
        self.namespace.remove()


class Frr(Speaker):
    program = "/usr/lib/frr/bgpd"
    words = ('"65000:7"', '"65000:1:2"', "RT:65000:9", '"origin":"incomplete"', '"metric":50', '"locPrf":200')

    def start(self, local_as, sessions, routes, restarting=False):
        self.local_as = local_as
        links = any(s.interface for s in sessions)
        lines = [f"hostname {self.namespace.name}", f"router bgp {local_as}",
                 f" bgp router-id {self.router_id}", " no bgp ebgp-requires-policy", " no bgp network import-check",
                 " no bgp default ipv4-unicast", " timers connect 2"]
        if any(s.graceful for s in sessions):
            lines += [" bgp graceful-restart", " bgp graceful-restart preserve-fw-state"]
        for s in sessions:
            lines.append(f" neighbor {s.interface} interface remote-as {s.remote_as}" if s.interface else
                         f" neighbor {s.neighbour} remote-as {s.remote_as}")
            lines += [f" neighbor {s.name} {line}" for line in s.extra]
            lines += [f" neighbor {s.neighbour} ttl-security hops 1"] if s.gtsm else []
            lines += [f" neighbor {s.neighbour} password {s.password}"] if s.password else []
        for v6 in (False, True):
            lines.append(f" address-family {'ipv6' if v6 else 'ipv4'} unicast")
            for i, prefix in enumerate(routes):
                if (":" in prefix) == v6:
                    lines.append(f"  network {prefix} route-map colour{i}")
            for s in sessions:
                if s.carries(v6):
                    lines += [f"  neighbor {s.name} addpath-tx-all-paths"] if s.add_path else []
                    lines.append(f"  neighbor {s.name} activate")
                    lines += [f"  neighbor {s.neighbour} route-reflector-client"] if s.client else []
            lines.append(" exit-address-family")
        for i, given in enumerate(routes.values()):
            a = attributes(given)
            lines += [f"route-map colour{i} permit 10", f" set origin {a.origin}"]
            lines += [f" set community {' '.join(a.communities)}"] if a.communities else []
            lines += [f" set large-community {' '.join(a.large)}"] if a.large else []
            lines += [f" set extcommunity rt {a.target}"] if a.target else []
            lines += [f" set metric {a.med}"] if a.med is not None else []
            lines += [f" set local-preference {a.local_pref}"] if a.local_pref is not None else []
        config = self.directory / "bgpd.conf"
        config.write_text("\n".join(lines) + "\n")
        self.state = pathlib.Path("/var/run/frr", self.namespace.name)
        self.state.mkdir(parents=True, exist_ok=True)
        user = "frr" if links else "root"  # zebra knows no other
        common = ["-N", self.namespace.name, "--vty_socket", self.directory, "-u", user, "-g", user, "-P", "0",
                  "-z", self.directory / "zserv.api"]
        if links:  # zebra advertises the router on its links, and writes routes
            self.rig.directory.chmod(0o711)
            for directory in (self.directory, self.state):
                shutil.chown(directory, user, user)
            (self.directory / "zebra.conf").write_text(f"hostname {self.namespace.name}\n")
            self.spawn("/usr/lib/frr/zebra", *common, "-f", self.directory / "zebra.conf", "-i",
                       self.directory / "zebra.pid", "--log", f"file:{self.directory}/zebra.log")
            eventually("zebra answers", lambda: self.show("show version"))
        self.spawn(self.program, *common, *([] if links else ["-Z", "-n", "-S"]), "-f", config, "-p", "179", "-i",
                   self.directory / "bgpd.pid", "--log", f"file:{self.directory}/bgpd.log")
        eventually("FRR answers", lambda: self.show("show version"))

    def show(self, *commands):
        return run("vtysh", "--vty_socket", self.directory, *(part for c in commands for part in ("-c", c)), check=False)

    def ask_again(self, neighbour):
        self.show(f"clear bgp {neighbour} soft in")

    def shut_down(self, neighbour, text):
        self.show("configure terminal", f"router bgp {self.local_as}", f"neighbor {neighbour} shutdown message {text}")

    def neighbour(self, neighbour):
        return self.show(f"show bgp neighbors {neighbour} json")

    def paths(self, prefix):
        return len(json.loads(self.heard(prefix) or '{"paths": []}')["paths"])

    def heard(self, prefix):
        text = self.show(f"show bgp {'ipv6' if ':' in prefix else 'ipv4'} unicast {prefix} json")
        try:
            return text if json.loads(text or "{}").get("paths") else ""
        except ValueError:
            return ""

    def close(self):
        super().close()
        if hasattr(self, "state"):
            shutil.rmtree(self.state, ignore_errors=True)


class Gobgp(Speaker):
    program = "/usr/bin/gobgpd"
    words = ("65000:7", "65000:1:2", "65000:9", r"Origin: \?", "Med: 50", "LocalPref: 200")

    def start(self, local_as, sessions, routes, restarting=False):
        text = [f'[global.config]\nas = {local_as}\nrouter-id = "{self.router_id}"\n'
                'local-address-list = ["0.0.0.0", "::"]\n']
        for s in sessions:
            text.append(f'[[neighbors]]\n[neighbors.config]\nneighbor-address = "{s.neighbour}"\npeer-as = {s.remote_as}')
            text += [f'auth-password = "{s.password}"'] if s.password else []
            text.append('[neighbors.timers.config]\nconnect-retry = 2\nidle-hold-time-after-reset = 2')
            text += ['[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255'] if s.gtsm else []
            text += [f'[neighbors.route-reflector.config]\nroute-reflector-client = true\n'
                     f'route-reflector-cluster-id = "{self.router_id}"'] if s.client else []
            text += ['[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = 60'] if s.graceful else []
            for v6 in (False, True):
                if s.carries(v6):
                    text.append(f'[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\n'
                                f'afi-safi-name = "{"ipv6" if v6 else "ipv4"}-unicast"')
                    text += ['[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true'] if s.graceful else []
                    text += ['[neighbors.afi-safis.add-paths.config]\nreceive = true\nsend-max = 8'] if s.add_path else []
        config = self.directory / "gobgpd.toml"
        config.write_text("\n".join(text) + "\n")
        self.spawn(self.program, "-t", "toml", "-f", config, "--api-hosts", "127.0.0.1:50051",
                   *(["-r"] if restarting else []))
        eventually("GoBGP answers", lambda: "AS" in self.ask("gobgp", "global"))
        for prefix, given in routes.items():
            family = ["-a", "ipv6"] if ":" in prefix else []
            local = next((s.local for s in sessions if s.v6 == (":" in prefix)), "")
            a = attributes(given)
            self.ask("gobgp", "global", "rib", "add", prefix, "origin", a.origin,
                     *(["nexthop", local] if local else []),
                     *(["med", a.med] if a.med is not None else []),
                     *(["local-pref", a.local_pref] if a.local_pref is not None else []),
                     *(["community", ",".join(a.communities)] if a.communities else []),
                     *(["large-community", ",".join(a.large)] if a.large else []),
                     *(["rt", a.target] if a.target else []), *family, check=True)

    def ask_again(self, neighbour):
        self.ask("gobgp", "neighbor", neighbour, "softresetin")

    def shut_down(self, neighbour, text):
        self.ask("gobgp", "neighbor", neighbour, "shutdown", "--reason", text)

    def neighbour(self, neighbour):
        return self.ask("gobgp", "neighbor", neighbour)

    def paths(self, prefix):
        return self.heard(prefix).count(prefix)

    def heard(self, prefix):
        text = self.ask("gobgp", "global", "rib", prefix, *(["-a", "ipv6"] if ":" in prefix else []))
        return text if prefix in text else ""


class Openbgpd(Speaker):
    program = "/usr/sbin/bgpd"
    words = ("65000:7", "65000:1:2", "rt 65000:9", "(?i)origin incomplete", "metric 50", "localpref 200")

    def start(self, local_as, sessions, routes, restarting=False):
        for user in ("_openbgpd", "_bgpd"):  # bgpd changes into its user's home, which nothing has made yet
            try:
                os.makedirs(pwd.getpwnam(user).pw_dir, mode=0o755, exist_ok=True)
            except KeyError:
                continue
        self.socket = self.directory / "bgpd.sock"
        lines = [f"AS {local_as}", f"router-id {self.router_id}", "fib-update no", f'socket "{self.socket}"',
                 "nexthop qualify via default", "connect-retry 2"]
        for prefix, given in routes.items():
            a = attributes(given)
            sets = [f"origin {a.origin}", *(f"community {c}" for c in a.communities),
                    *(f"large-community {c}" for c in a.large)]
            sets += [f"ext-community rt {a.target}"] if a.target else []
            sets += [f"med {a.med}"] if a.med is not None else []
            sets += [f"localpref {a.local_pref}"] if a.local_pref is not None else []
            lines.append(f"network {prefix} set {{ {', '.join(sets)} }}")
        for s in sessions:
            lines += [f"neighbor {s.neighbour} {{", f"  remote-as {s.remote_as}",
                      f"  announce IPv4 {'unicast' if s.carries(False) else 'none'}",
                      f"  announce IPv6 {'unicast' if s.carries(True) else 'none'}"]
            lines += ["  announce add-path recv yes", "  announce add-path send all"] if s.add_path else []
            lines += ["  ttl-security yes"] if s.gtsm else []
            lines += [f"  tcp md5sig password {s.password}"] if s.password else []
            lines += [f"  route-reflector {self.router_id}"] if s.client else []
            lines.append("}")
        lines += ["allow from any", "allow to any"]
        config = self.directory / "bgpd.conf"
        config.write_text("\n".join(lines) + "\n")
        config.chmod(0o600)
        self.spawn(self.program, "-d", "-f", config)
        eventually("OpenBGPD answers", lambda: self.ask("bgpctl", "-s", self.socket, "show"))

    def stop(self, signal="terminate"):
        super().stop(signal)
        # A killed parent's children hold the port until they notice, and the next one would not get it.
        eventually("OpenBGPD's processes are gone", lambda: not run("ip", "netns", "pids", self.namespace.name).split())

    def ctl(self, *command):
        return self.ask("bgpctl", "-s", self.socket, *command)

    def ask_again(self, neighbour):
        self.ctl("neighbor", neighbour, "refresh")

    def shut_down(self, neighbour, text):
        self.ctl("neighbor", neighbour, "down", text)

    def neighbour(self, neighbour):
        return self.ctl("show", "neighbor", neighbour)

    def paths(self, prefix):
        return self.heard(prefix).count("BGP routing table entry for")

    def heard(self, prefix):
        text = self.ctl("show", "rib", "detail", prefix)
        return text if prefix in text else ""


class Exabgp(Speaker):
    """Hears and announces, decides nothing."""
    program = "/usr/sbin/exabgp"
    gtsm = reflects = False
    words = (r"\[ ?65000, ?7 ?\]", r"\[ ?65000, ?1 ?, ?2 ?\]", "target:65000:9", '"origin": "incomplete"', '"med": 50',
             '"local-preference": 200')

    def start(self, local_as, sessions, routes, restarting=False):
        self.messages = self.directory / "messages.json"
        text = [f"process store {{ run /usr/bin/tee -a {self.messages}; encoder json; }}"]
        for s in sessions:
            families = "ipv6 unicast;" if s.v6 else "ipv4 unicast;"
            lines = [f"neighbor {s.neighbour} {{", f"  router-id {self.router_id}; local-address {s.local};",
                     f"  local-as {local_as}; peer-as {s.remote_as}; hold-time 90;"]
            lines += [f"  md5-password '{s.password}';"] if s.password else []
            lines += ["  capability { add-path send/receive; }"] if s.add_path else []
            lines += [f"  family {{ {families} }}",
                      "  api { processes [ store ]; neighbor-changes; receive { parsed; update; } }", "  static {"]
            for prefix, given in routes.items():
                if (":" in prefix) == s.v6:
                    a = attributes(given)
                    line = f"    route {prefix} next-hop {s.local} origin {a.origin}"
                    line += f" community [ {' '.join(a.communities)} ]" if a.communities else ""
                    line += f" large-community [ {' '.join(a.large)} ]" if a.large else ""
                    line += f" extended-community [ target:{a.target} ]" if a.target else ""
                    line += f" med {a.med}" if a.med is not None else ""
                    line += f" local-preference {a.local_pref}" if a.local_pref is not None else ""
                    for i in range(2 if s.add_path else 1):
                        lines.append(line + (f" path-information 0.0.0.{i + 1} as-path [ {65100 + i} ]"
                                             if s.add_path else "") + ";")
            text.append("\n".join(lines + ["  }", "}"]))
        config = self.directory / "exabgp.conf"
        config.write_text("\n".join(text) + "\n")
        self.spawn(self.program, config, env={"exabgp.daemon.user": "root", "exabgp.api.ack": "false",
                                              "exabgp.api.cli": "false", "exabgp.daemon.pid": f"{self.directory}/pid"})

    def heard(self, prefix):
        last = ""
        for line in self.messages.read_text().splitlines() if self.messages.exists() else []:
            if f'"{prefix}"' in line:
                last = "" if '"withdraw"' in line else line
        return last


class Bird(Speaker):
    """As a peer in tables of features; bgpd_rig.Router is BIRD with whatever configuration."""
    program = "/usr/sbin/bird"
    words = (r"\(65000,7\)", r"\(65000, 1, 2\)", r"\(rt, 65000, 9\)", "BGP.origin: Incomplete", "BGP.med: 50",
             "BGP.local_pref: 200")

    def start(self, local_as, sessions, routes, restarting=False):
        self.sessions = sessions
        lines = [f'log "{self.directory}/bird.log" all;', f"router id {self.router_id};", "protocol device {}",
                 "protocol direct { ipv4 { import none; }; ipv6 { import none; }; }"]
        if any(s.families for s in sessions):  # their next hops are to be reachable
            lines.append("protocol static links { ipv6; route 2001:db8::/64 via \"down0\"; }")
        for family in ("ipv4", "ipv6"):
            mine = {p: attributes(g) for p, g in routes.items() if (":" in p) == (family == "ipv6")}
            lines += [f"protocol static own_{family} {{ {family};", *(f"  route {p} blackhole;" for p in mine), "}"]
            lines += [f"filter out_{family} {{", f"  if proto ~ \"own_*\" then {{"]
            for prefix, a in mine.items():
                lines.append(f"    if net = {prefix} then {{ bgp_origin = ORIGIN_{a.origin.upper()};")
                lines += [f"      bgp_community.add(({c.replace(':', ',')}));" for c in a.communities]
                lines += [f"      bgp_large_community.add(({c.replace(':', ',')}));" for c in a.large]
                lines += [f"      bgp_ext_community.add((rt, {a.target.replace(':', ',')}));"] if a.target else []
                lines += [f"      bgp_med = {a.med};"] if a.med is not None else []
                lines += [f"      bgp_local_pref = {a.local_pref};"] if a.local_pref is not None else []
                lines.append("    }")
            lines += ["    accept; }", "  if source = RTS_BGP then accept;", "  reject;", "}"]
        for i, s in enumerate(sessions):
            lines += [f"protocol bgp peer{i} {{ local {s.local} as {local_as}; neighbor {s.neighbour} as {s.remote_as};",
                      "  connect retry time 2; connect delay time 1; error wait time 1, 2;"]
            lines += [f'  password "{s.password}";'] if s.password else []
            lines += ["  ttl security on;"] if s.gtsm else []
            lines += ["  rr client;"] if s.client else []
            for v6 in (False, True):
                if s.carries(v6):
                    family = "ipv6" if v6 else "ipv4"
                    lines.append(f"  {family} {{ import all; export filter out_{family};"
                                 + (" add paths on;" if s.add_path else "")
                                 + (" extended next hop on;" if s.v6 and not v6 else "") + " };")
            lines.append("}")
        config = self.directory / "bird.conf"
        config.write_text("\n".join(lines) + "\n")
        self.control = self.directory / "bird.ctl"
        self.spawn(self.program, "-f", "-c", config, "-s", self.control)
        eventually("BIRD answers", lambda: self.ctl("show status"))

    def ctl(self, *command):
        return run("birdc", "-s", self.control, *command, check=False)

    def name_of(self, neighbour):
        return f"peer{next(i for i, s in enumerate(self.sessions) if s.neighbour == neighbour)}"

    def ask_again(self, neighbour):
        self.ctl("reload", "in", self.name_of(neighbour))

    def shut_down(self, neighbour, text):
        self.ctl("disable", self.name_of(neighbour), f'"{text}"')

    def neighbour(self, neighbour):
        return self.ctl("show", "protocols", "all", self.name_of(neighbour))

    def heard(self, prefix):
        text = self.ctl("show", "route", prefix, "all")
        return text if prefix in text else ""

    def paths(self, prefix):
        return self.heard(prefix).count("BGP.as_path") if self.heard(prefix) else 0


ALL = (Frr, Gobgp, Openbgpd, Exabgp, Bird)
