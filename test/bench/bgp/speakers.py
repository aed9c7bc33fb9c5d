"""The speakers that are compared: how each is configured to do the same, and started."""
import ipaddress
import json
import os
import pathlib
import pwd
import shutil
import subprocess


class Speaker:
    """One speaker for one run. `case` says what the run needs: directory, address, address6, asn, peers (address and AS
    number each), reflector, v6, kernel (routes go there too)."""
    name = ""
    has_kernel = False  # can program the kernel's routes here

    def __init__(self, case, programs):
        self.case = case
        self.programs = programs

    def command(self):
        raise NotImplementedError

    def close(self):
        pass

    def write(self, name, text, mode=0o644):
        path = self.case.directory / name
        path.write_text(text)
        path.chmod(mode)
        return path


class Manul(Speaker):
    name = "manul"
    has_kernel = True

    def resources(self):
        case = self.case
        bgp = {"ipv4Address": f"{case.address}/16", "ipv6Address": f"{case.address6}/64", "asNumber": case.asn}
        if case.reflector:
            bgp["routeReflectorClusterID"] = case.address
        yield "Node", "speaker", {"bgp": bgp}
        yield "BGPConfiguration", "default", {"asNumber": case.asn, "nodeToNodeMeshEnabled": False}
        if not case.reflector:
            yield "BGPFilter", "all", {f"{direction}{family}": [{"action": "Accept"}]
                                       for direction in ("import", "export") for family in ("V4", "V6")}
        for number, (address, asn) in enumerate(case.peers):
            spec = {"peerIP": address, "asNumber": asn, "passive": True, "holdTime": "240s",
                    "families": ["IPv4", "IPv6"] if case.v6 else ["IPv4"]}
            if not case.reflector:
                spec["filters"] = ["all"]
            yield "BGPPeer", f"peer-{number}", spec

    def command(self):
        here = self.case.directory
        settings = self.write("manul.yaml", f"""
node: {{name: speaker}}
datastore: {{type: sqlite, path: {here}/store.db}}
run_dir: {here}/run
state_dir: {here}/state
bgpd: {{kernel: {str(self.case.kernel).lower()}}}
log: {{level: warning}}
""")
        items = [{"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}, "spec": spec}
                 for kind, name, spec in self.resources()]
        resources = self.write("resources.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        subprocess.run([self.programs.manulctl, "--config", settings, "apply", "-f", resources], check=True, stdout=subprocess.DEVNULL)
        return [self.programs.bgpd, "--config", settings]


class Bird(Speaker):
    name = "bird"
    has_kernel = True

    def command(self):
        case = self.case
        lines = ["log stderr { warning, error, fatal, bug };", f"router id {case.address};",
                 "protocol device { scan time 600; }", "protocol direct { ipv4; ipv6; }"]
        if case.kernel:
            lines += [f"protocol kernel {{ {family} {{ export where source = RTS_BGP; }}; scan time 600; }}" for family in ("ipv4", "ipv6")]
        lines += ["template bgp peer {", f"local {case.address} as {case.asn};",
                  "passive yes; connect delay time 1; error wait time 1,2; hold time 240;"]
        if case.reflector:
            lines += ["rr client;", f"rr cluster id {case.address};"]
        lines += ["ipv4 { import all; export where source = RTS_BGP; };"]
        if case.v6:
            own = "" if case.reflector else f" next hop address {case.address6};"
            lines += [f"ipv6 {{ import all; export where source = RTS_BGP;{own} }};"]
        lines += ["}"]
        lines += [f"protocol bgp p{number} from peer {{ neighbor {address} as {asn}; }}" for number, (address, asn) in enumerate(case.peers)]
        configuration = self.write("bird.conf", "\n".join(lines) + "\n")
        return ["bird", "-f", "-c", configuration, "-s", case.directory / "bird.ctl", "-P", case.directory / "bird.pid"]


class Frr(Speaker):
    """bgpd alone, without the timer that holds UPDATEs back to pack more of them."""
    name = "frr"

    def __init__(self, case, programs):
        super().__init__(case, programs)
        self.run_directory = pathlib.Path("/var/run/frr", case.directory.name)
        self.run_directory.mkdir(parents=True, exist_ok=True)

    def command(self):
        case = self.case
        lines = ["frr defaults traditional", f"router bgp {case.asn}", f"bgp router-id {case.address}",
                 "no bgp default ipv4-unicast", "no bgp ebgp-requires-policy", "no bgp network import-check",
                 "timers bgp 60 240", "coalesce-time 0"]
        if case.reflector:
            lines += [f"bgp cluster-id {case.address}", "neighbor all peer-group", f"neighbor all remote-as {case.asn}", "neighbor all passive"]
        for address, asn in case.peers:
            lines += [f"neighbor {address} peer-group all"] if case.reflector else [f"neighbor {address} remote-as {asn}",
                                                                                    f"neighbor {address} passive"]
        for family in ["ipv4"] + (["ipv6"] if case.v6 else []):
            lines.append(f"address-family {family} unicast")
            if case.reflector:
                lines += ["neighbor all activate", "neighbor all route-reflector-client"]
            else:
                lines += [f"neighbor {address} activate" for address, _ in case.peers]
            lines.append("exit-address-family")
        configuration = self.write("bgpd.conf", "\n".join(lines) + "\n")
        here = case.directory
        return ["/usr/lib/frr/bgpd", "-Z", "-n", "-S", "-f", configuration, "-l", case.address, "-p", "179", "-P", "0", "-N", here.name,
                "-i", here / "bgpd.pid", "--vty_socket", here, "--log", f"file:{here}/bgpd.log", "--log-level", "errors"]

    def close(self):
        shutil.rmtree(self.run_directory, ignore_errors=True)


class OpenBgpd(Speaker):
    name = "openbgpd"

    def command(self):
        case = self.case
        for user in ("_openbgpd", "_bgpd"):  # it changes its root to the home of its user
            try:
                os.makedirs(pwd.getpwnam(user).pw_dir, mode=0o755, exist_ok=True)
            except KeyError:
                continue
        lines = [f"AS {case.asn}", f"router-id {case.address}", "fib-update no", f"listen on {case.address}", "holdtime 240",
                 f'socket "{case.directory}/bgpd.sock"', "nexthop qualify via default"]
        for address, asn in case.peers:
            lines += [f"neighbor {address} {{", f"remote-as {asn}", "passive", f"local-address {case.address}",
                      "announce IPv4 unicast", f"announce IPv6 {'unicast' if case.v6 else 'none'}"]
            lines += [f"route-reflector {case.address}"] if case.reflector else []
            lines.append("}")
        lines += ["allow from any", "allow to any"]
        return ["/usr/sbin/bgpd", "-d", "-f", self.write("bgpd.conf", "\n".join(lines) + "\n", mode=0o600)]


class GoBgp(Speaker):
    name = "gobgp"

    def command(self):
        case = self.case
        lines = ["[global.config]", f"as = {case.asn}", f'router-id = "{case.address}"', "port = 179", f'local-address-list = ["{case.address}"]']
        for address, asn in case.peers:
            lines += ["[[neighbors]]", "[neighbors.config]", f'neighbor-address = "{address}"', f"peer-as = {asn}",
                      "[neighbors.transport.config]", "passive-mode = true",
                      "[neighbors.timers.config]", "hold-time = 240", "keepalive-interval = 60", "idle-hold-time-after-reset = 1"]
            if case.reflector:
                lines += ["[neighbors.route-reflector.config]", "route-reflector-client = true",
                          f'route-reflector-cluster-id = "{case.address}"']
            for family in ["ipv4-unicast"] + (["ipv6-unicast"] if case.v6 else []):
                lines += ["[[neighbors.afi-safis]]", "[neighbors.afi-safis.config]", f'afi-safi-name = "{family}"']
        configuration = self.write("gobgpd.toml", "\n".join(lines) + "\n")
        return ["gobgpd", "-f", configuration, "-t", "toml", "-l", "error", "--api-hosts", "127.0.0.1:50051"]


class Relay(Speaker):
    """No speaker: sends every UPDATE on to all others. What sockets alone cost here."""
    name = "sockets alone"

    def command(self):
        return [self.programs.relay, self.case.address, str(self.case.asn)]


class Routes(Speaker):
    """No speaker: a loop that writes the routes. What the kernel alone needs here."""
    name = "netlink alone"

    def command(self):
        return [self.programs.load, "scenario=routes"]


YARDSTICKS = (Relay.name, Routes.name)


def sender_address(number):
    return str(ipaddress.IPv4Address("10.99.128.0") + number // 250 * 256 + number % 250 + 1)
