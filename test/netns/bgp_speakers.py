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

    @property
    def v6(self):
        return ":" in self.neighbour


class Speaker:
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

    def stop(self, signal="terminate"):
        for process in self.processes:
            rig.stop(process, signal)
        self.processes = []

    def close(self):
        self.stop("kill")
        self.namespace.remove()


class Frr(Speaker):
    program = "/usr/lib/frr/bgpd"

    def start(self, local_as, sessions, routes):
        lines = [f"hostname {self.namespace.name}", f"router bgp {local_as}",
                 f" bgp router-id {self.router_id}", " no bgp ebgp-requires-policy", " no bgp network import-check",
                 " no bgp default ipv4-unicast", " timers connect 2"]
        for s in sessions:
            lines.append(f" neighbor {s.neighbour} remote-as {s.remote_as}")
            lines += [f" neighbor {s.neighbour} ttl-security hops 1"] if s.gtsm else []
            lines += [f" neighbor {s.neighbour} password {s.password}"] if s.password else []
        for v6 in (False, True):
            lines.append(f" address-family {'ipv6' if v6 else 'ipv4'} unicast")
            for prefix, communities in routes.items():
                if (":" in prefix) == v6:
                    lines.append(f"  network {prefix}" + (" route-map colour" if communities else ""))
            for s in sessions:
                if s.v6 == v6:
                    lines.append(f"  neighbor {s.neighbour} activate")
                    lines += [f"  neighbor {s.neighbour} route-reflector-client"] if s.client else []
            lines.append(" exit-address-family")
        colours = {c for communities in routes.values() for c in communities}
        if colours:
            lines += ["route-map colour permit 10", f" set community {' '.join(sorted(colours))}"]
        config = self.directory / "bgpd.conf"
        config.write_text("\n".join(lines) + "\n")
        self.state = pathlib.Path("/var/run/frr", self.namespace.name)
        self.state.mkdir(parents=True, exist_ok=True)
        self.spawn(self.program, "-Z", "-n", "-S", "-f", config, "-p", "179", "-P", "0", "-N", self.namespace.name, "-i",
                   self.directory / "bgpd.pid", "--vty_socket", self.directory, "--log", f"file:{self.directory}/bgpd.log",
                   "-u", "root", "-g", "root")
        eventually("FRR answers", lambda: self.show("show version"))

    def show(self, command):
        return run("vtysh", "--vty_socket", self.directory, "-c", command, check=False)

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

    def start(self, local_as, sessions, routes):
        text = [f'[global.config]\nas = {local_as}\nrouter-id = "{self.router_id}"\n'
                'local-address-list = ["0.0.0.0", "::"]\n']
        for s in sessions:
            text.append(f'[[neighbors]]\n[neighbors.config]\nneighbor-address = "{s.neighbour}"\npeer-as = {s.remote_as}')
            text += [f'auth-password = "{s.password}"'] if s.password else []
            text.append('[neighbors.timers.config]\nconnect-retry = 2\nidle-hold-time-after-reset = 2')
            text += ['[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255'] if s.gtsm else []
            text += [f'[neighbors.route-reflector.config]\nroute-reflector-client = true\n'
                     f'route-reflector-cluster-id = "{self.router_id}"'] if s.client else []
            text.append(f'[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\n'
                        f'afi-safi-name = "{"ipv6" if s.v6 else "ipv4"}-unicast"')
        config = self.directory / "gobgpd.toml"
        config.write_text("\n".join(text) + "\n")
        self.spawn(self.program, "-t", "toml", "-f", config, "--api-hosts", "127.0.0.1:50051")
        eventually("GoBGP answers", lambda: "AS" in self.ask("gobgp", "global"))
        for prefix, communities in routes.items():
            family = ["-a", "ipv6"] if ":" in prefix else []
            local = next((s.local for s in sessions if s.v6 == (":" in prefix)), "")
            self.ask("gobgp", "global", "rib", "add", prefix, *(["nexthop", local] if local else []),
                     *(["community", ",".join(communities)] if communities else []), *family, check=True)

    def heard(self, prefix):
        text = self.ask("gobgp", "global", "rib", prefix, *(["-a", "ipv6"] if ":" in prefix else []))
        return text if prefix in text else ""


class Openbgpd(Speaker):
    program = "/usr/sbin/bgpd"

    def start(self, local_as, sessions, routes):
        for user in ("_openbgpd", "_bgpd"):  # bgpd changes into its user's home, which nothing has made yet
            try:
                os.makedirs(pwd.getpwnam(user).pw_dir, mode=0o755, exist_ok=True)
            except KeyError:
                continue
        self.socket = self.directory / "bgpd.sock"
        lines = [f"AS {local_as}", f"router-id {self.router_id}", "fib-update no", f'socket "{self.socket}"',
                 "nexthop qualify via default", "connect-retry 2"]
        for prefix, communities in routes.items():
            attributes = [f"community {c}" for c in communities]
            lines.append(f"network {prefix}" + (" set { " + ", ".join(attributes) + " }" if attributes else ""))
        for s in sessions:
            lines += [f"neighbor {s.neighbour} {{", f"  remote-as {s.remote_as}",
                      f"  announce IPv4 {'none' if s.v6 else 'unicast'}",
                      f"  announce IPv6 {'unicast' if s.v6 else 'none'}"]
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

    def heard(self, prefix):
        text = self.ask("bgpctl", "-s", self.socket, "show", "rib", "detail", prefix)
        return text if prefix in text else ""


class Exabgp(Speaker):
    """Hears and announces, decides nothing."""
    program = "/usr/sbin/exabgp"
    gtsm = reflects = False

    def start(self, local_as, sessions, routes):
        self.messages = self.directory / "messages.json"
        text = [f"process store {{ run /usr/bin/tee -a {self.messages}; encoder json; }}"]
        for s in sessions:
            families = "ipv6 unicast;" if s.v6 else "ipv4 unicast;"
            lines = [f"neighbor {s.neighbour} {{", f"  router-id {self.router_id}; local-address {s.local};",
                     f"  local-as {local_as}; peer-as {s.remote_as}; hold-time 90;"]
            lines += [f"  md5-password '{s.password}';"] if s.password else []
            lines += [f"  family {{ {families} }}",
                      "  api { processes [ store ]; neighbor-changes; receive { parsed; update; } }", "  static {"]
            for prefix, communities in routes.items():
                if (":" in prefix) == s.v6:
                    colour = f" community [ {' '.join(communities)} ]" if communities else ""
                    lines.append(f"    route {prefix} next-hop {s.local}{colour};")
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


ALL = (Frr, Gobgp, Openbgpd, Exabgp)
