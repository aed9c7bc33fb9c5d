#!/usr/bin/env python3
"""Live edits come to the same as beginning anew: after each, the kernel of a node whose felix saw them all is compared
with that of one whose felix begins with the same store and the same interfaces, and `policy verify` finds nothing.

usage: edits_test.py MANUL_FELIX MANULCTL    (root)
"""
import signal
import subprocess
import sys
import time

from edit_node import Edited, sh

signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))


def obj(kind, name, spec, ns="", labels=None, api="projectcalico.org/v3"):
    metadata = {"name": name, **({"namespace": ns} if ns else {}), **({"labels": labels} if labels else {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def felix(**settings):
    # What is not right at once is not put right later either.
    return obj("FelixConfiguration", "default", {"routeRefreshInterval": "0s", "nftablesRefreshInterval": "0s", **settings})


def pod(name, number, interface, profiles=("kns.red",), container="c1", **more):
    return obj("WorkloadEndpoint", f"node1-k8s-{name}-eth0",
               {"orchestrator": "k8s", "node": "node1", "pod": name, "endpoint": "eth0", "containerID": container,
                "interfaceName": interface, "ipNetworks": [f"10.65.0.{number}/32", f"fd65::{number}/128"],
                "profiles": list(profiles), **more}, "red", {"projectcalico.org/orchestrator": "k8s", "app": name})


def gnp(name, selector, **spec):
    return obj("GlobalNetworkPolicy", name, {"selector": selector, **spec})


def allow(port):
    return {"action": "Allow", "protocol": "TCP", "destination": {"ports": [port]}}


def routes_follow(node):
    for settings in ({"deviceRouteProtocol": 80}, {"deviceRouteProtocol": 80, "ipv4NormalRoutePriority": 500}, {},
                     {"deviceRouteSourceAddress": "192.0.2.1"}):
        node.apply(felix(**settings))
        node.check(f"routes with {settings}")
    for there in (False, True):  # the kernel takes the routes with the address, and gives none back
        node.node.ip(node.links.address("eth0", "192.0.2.1/24", there))
        node.check(f"their source is {'there again' if there else 'gone'}")
    for settings in ({"deviceRouteProtocol": 80}, {}):
        node.apply(felix(**settings))
        for family in ("-4", "-6"):
            sh(["ip", "-n", node.node.ns, family, "route", "flush", "proto", str(settings.get("deviceRouteProtocol", 177))])
        node.check(f"somebody removed the routes with {settings}")
    node.node.kill()
    node.apply(felix(deviceRouteProtocol=81))
    node.node.start()
    node.check("another protocol meanwhile")
    node.node.kill()
    node.apply(felix(ipv4NormalRoutePriority=700, ipv6NormalRoutePriority=800))
    node.node.start()
    node.apply(felix())


def interfaces_follow(node):
    host = obj("HostEndpoint", "up", {"node": "node1", "expectedIPs": ["192.0.2.1"]})
    node.apply(host)
    node.check("a host endpoint by its address")
    node.node.ip(node.links.rename("eth0", "eth7"))
    node.check("its interface renamed")
    node.node.ip(node.links.address("eth7", "192.0.2.1/24", False))
    node.check("its address gone")  # and the report says so
    node.node.ip(node.links.rename("eth7", "eth0") + node.links.address("eth0", "192.0.2.1/24", True))
    node.delete(host)
    # While it is up, so that its routes stay.
    node.links.links["cali9"] = node.links.links.pop("cali1")
    node.node.ip(["link set cali1 name cali9"])
    node.check("a workload's interface has another name")
    node.links.links["cali1"] = node.links.links.pop("cali9")
    node.node.ip(["link set cali9 name cali1"])
    node.check("and its own again")
    node.node.ip(node.links.change("cali2", "alias", "c9"))
    node.apply(pod("b", 3, "cali2", container="c8"))
    node.check("another container's interface")
    node.node.ip(node.links.change("cali2", "alias", "c1"))
    node.apply(pod("b", 3, "cali2"), pod("c", 4, "tap1"))
    node.check("an interface of another plugin")
    node.apply(pod("c", 4, "tap1", container="c8"))
    node.check("it is another container's")
    node.apply(pod("c", 4, "tap1"), felix(hostToWorkloadPolicy="Enabled"))
    node.check("what the node sends to it is judged")
    node.apply(felix())
    node.node.kill()
    node.delete(pod("c", 4, "tap1"))
    node.node.start()
    node.check("it is no workload's any more")


def buckets_follow(node):
    limits = {"ingressBandwidth": 1_000_000, "ingressBurst": 8_000, "ingressPeakrate": 20_000_000}
    for change in ({}, {"ingressPeakrate": 40_000_000}, {"ingressMinburst": 4_000}):
        limits |= change
        node.apply(pod("a", 2, "cali1", qosControls=limits))
        node.check(f"limits {limits}")
    node.node.ip(node.links.change("cali1", "mtu", 9000))
    node.check("what a packet takes is larger")
    node.node.ip(node.links.change("cali1", "mtu", 1500))
    node.apply(pod("a", 2, "cali1"))


def names_stay(node):
    """Lists and classes are edited in place: a kernel that has them under other names is right."""
    node.apply(*[gnp(f"p{i}", "app == 'a'", order=i, types=["Ingress"], ingress=[allow(80 + i), allow(180 + i)])
                 for i in range(10)])
    node.check("a list with a map of ports")
    node.apply(gnp("all", "all()", order=4, types=["Ingress"], ingress=[allow(22)]))
    node.check("a policy for all comes into it")
    node.delete(gnp("p3", ""))
    node.check("one goes")
    # Profiles without rules: two classes that are the same but for their names.
    node.apply(pod("a", 2, "cali1", profiles=["kns.red", "one"]), pod("b", 3, "cali2", profiles=["kns.red", "two"]))
    node.apply(gnp("more", "all()", order=3, ingress=[allow(23)], egress=[{"action": "Allow"}], types=["Ingress", "Egress"]))
    node.check("two classes alike are edited")
    node.delete(gnp("more", ""), gnp("all", ""))
    node.check("and again")


def nft_lists_everything(node):
    node.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": "api-1", "namespace": "red", "labels": {"kubernetes.io/service-name": "api"}},
                "endpoints": [{"addresses": ["10.65.0.3"]}], "ports": [{"protocol": "TCP", "port": 80}]},
               gnp("odd", "all()", types=["Egress"], egress=[
                   {"action": "Allow", "protocol": 99, "destination": {"services": {"name": "api", "namespace": "red"}}},
                   {"action": "Allow", "protocol": "TCP", "destination": {"services": {"name": "api", "namespace": "red"}}}]))
    node.check("a service's ports in a protocol that has none")


def refused_at_first(node):
    """What was refused at first and is in force later is reported then."""
    tokens = node.node.report("lastTokens")
    node.node.kill()
    node.apply(felix(logPrefix="other"))
    inside = ["ip", "netns", "exec", node.node.ns, "nft"]
    sh([*inside, "delete table ip manul_i"])
    with subprocess.Popen([*inside, "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as owner:
        owner.stdin.write("add table ip manul_i { flags owner; }\n")
        owner.stdin.flush()
        wait_until("the table is another's", lambda: "ip manul_i" in sh([*inside, "list tables"]).stdout)
        node.node.launch()
        wait_until("felix is refused", lambda: "FELIX_COMMIT_REFUSED" in node.node.log())
        owner.stdin.close()
    node.node.wait_in_sync()
    wait_until("the report tells", lambda: node.node.report("lastTokens") != tokens)


def wait_until(what, condition):
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain until {what}")
        time.sleep(0.05)


def main():
    with Edited(sys.argv[1:3]) as node:
        for name, alias, addresses in (("cali1", "c1", ()), ("cali2", "c1", ()), ("tap1", "c1", ()),
                                       ("eth0", "", ("192.0.2.1/24", "fd09::1/64"))):
            node.node.ip(node.links.add(name, alias, addresses))
        node.apply(obj("Node", "node1", {"bgp": {"ipv4Address": "192.0.2.1/24"}}), felix(),
                   obj("IPPool", "four", {"cidr": "10.65.0.0/16", "natOutgoing": True}), pod("a", 2, "cali1"),
                   pod("b", 3, "cali2"))
        node.node.start()
        node.check("as it begins")
        for part in (routes_follow, interfaces_follow, buckets_follow, names_stay, nft_lists_everything, refused_at_first):
            part(node)
            node.check(f"after {part.__name__}")
            print(part.__name__, "ok", flush=True)
        sh(f"ip netns exec {node.node.ns} nft list ruleset")


if __name__ == "__main__":
    main()
