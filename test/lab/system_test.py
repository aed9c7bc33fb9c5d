#!/usr/bin/env python3
"""The whole path with real packets: a lab of its own, every step of it asserted, and every example manifest's effect.

Runs beside a lab that is up and beside a second copy of itself: everything carries this process's id in its name.
Closes with `N passed, N failed`.
"""
import contextlib
import ipaddress
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from namespaces import LabError, run, wait_for
from topology import BUILD, MANIFESTS, OUTSIDE4, OUTSIDE6, ROOT, Lab, Pod
from traffic import probe

EXAMPLES = ROOT / "docs/examples"

# Pods that the example manifests speak of: (name, namespace, node, labels).
EXAMPLE_PODS = [
    ("apiserver", "production", "node1", {"app": "api-server"}),
    ("frontend", "production", "node2", {"app": "frontend"}),
    ("database", "production", "node3", {"app": "database"}),
    ("api", "backend", "node1", {"app": "api"}),
    ("backweb", "backend", "node2", {"app": "web"}),
    ("backother", "backend", "node3", {"app": "other"}),
    ("frontweb", "frontend", "node3", {"app": "web"}),
    ("frontother", "frontend", "node1", {"app": "other"}),
    ("ingress", "ingress-nginx", "node2", {"app": "ingress"}),
    ("dns", "kube-system", "node3", {"k8s-app": "kube-dns"}),
]

# What each example does to packets: (source, target, protocol, port, allowed). `outside` is beyond the router.
EXAMPLE_EFFECTS = {
    "k8s-default-deny-all.yaml": [
        ("apiserver", "database", "tcp", 8080, False), ("apiserver", "api", "tcp", 8080, False),
        ("api", "apiserver", "tcp", 8080, False), ("api", "backweb", "tcp", 8080, True), ("apiserver", "outside", "tcp", 80, False)],
    "k8s-default-deny-ingress.yaml": [
        ("frontweb", "api", "tcp", 8080, False), ("backweb", "api", "tcp", 8080, False), ("api", "apiserver", "tcp", 8080, True),
        ("api", "outside", "tcp", 80, True)],
    "k8s-allow-frontend-to-api.yaml": [
        ("frontweb", "api", "tcp", 8080, True), ("frontother", "api", "tcp", 8080, False), ("backweb", "api", "tcp", 8080, False),
        ("frontweb", "api", "tcp", 80, False), ("frontother", "backweb", "tcp", 8080, True)],
    "k8s-frontend-or-web.yaml": [
        ("frontweb", "api", "tcp", 8080, True), ("frontother", "api", "tcp", 8080, True), ("backweb", "api", "tcp", 8080, True),
        ("backother", "api", "tcp", 8080, False), ("frontend", "api", "tcp", 8080, False)],
    "k8s-allow-dns-egress.yaml": [
        ("apiserver", "dns", "udp", 53, True), ("apiserver", "dns", "tcp", 53, True), ("apiserver", "dns", "tcp", 8080, False),
        ("apiserver", "database", "tcp", 5432, False), ("api", "apiserver", "tcp", 8080, True)],
    "k8s-allow-dns-only.yaml": [
        ("apiserver", "dns", "udp", 53, True), ("apiserver", "dns", "tcp", 53, False), ("apiserver", "database", "tcp", 5432, True),
        ("apiserver", "api", "tcp", 8080, False)],
    "k8s-allow-api-ingress.yaml": [
        ("ingress", "apiserver", "tcp", 8080, True), ("ingress", "apiserver", "tcp", 80, False),
        ("frontend", "apiserver", "tcp", 8080, False), ("ingress", "frontend", "tcp", 80, True)],
    "calico-allow-api-access.yaml": [
        ("frontend", "apiserver", "tcp", 8080, True), ("frontend", "apiserver", "tcp", 80, False),
        ("database", "apiserver", "tcp", 8080, False), ("apiserver", "database", "tcp", 5432, True),
        ("apiserver", "database", "tcp", 8080, False), ("apiserver", "dns", "udp", 53, False)],
    "calico-global-default-deny.yaml": [
        ("api", "backweb", "tcp", 8080, False), ("frontweb", "api", "tcp", 8080, False), ("dns", "outside", "tcp", 80, False)],
    "calico-deny-external-egress.yaml": [
        ("api", "outside", "tcp", 80, False), ("api", "backweb", "tcp", 8080, False)],
    "calico-felix-configuration.yaml": [("api", "backweb", "tcp", 8080, True)],
}


class SystemTest:
    def __init__(self):
        self.lab = Lab(suffix=str(os.getpid()), nodes=3)
        self.figures = {}

    @property
    def ctl(self):
        return self.lab.nodes[0].ctl

    def target(self, name, family=4):
        if name == "outside":
            return OUTSIDE4 if family == 4 else OUTSIDE6
        pod = self.lab.pod(name)
        return pod.address4 if family == 4 else pod.address6

    def expect(self, rows, what, patience=15, family=4):
        """Real packets until they all do as wanted; says which did not."""
        rows = list(rows)
        wrong = []

        def as_wanted():
            results = probe([(self.lab.pod(s).namespace, self.target(t, family), proto, port) for s, t, proto, port, _ in rows], 0.8)
            wrong[:] = [f"{s} -> {t} {proto}/{port} was {'allowed' if got else 'denied'}"
                        for (s, t, proto, port, want), got in zip(rows, results) if got != want]
            return not wrong

        try:
            wait_for(what, as_wanted, patience)
        except LabError:
            raise AssertionError(f"{what}: {'; '.join(wrong)}") from None

    def pairs(self, allowed, protocol="tcp", port=8080, names=None):
        names = names or [p.name for p in self.lab.pods]
        return [(a, b, protocol, port, allowed(a, b)) for a in names for b in names if a != b]

    # In this order; a later one builds on what an earlier one made.

    def test_the_lab_comes_up_and_the_router_has_a_session_with_every_node(self):
        lab = self.lab
        lab.make_directories()
        lab.make_rack()
        lab.start_router()
        lab.start_nodes()
        self.ctl("apply", "-f", MANIFESTS / "rack.yaml")
        lab.wait_for_sessions()
        assert len(lab.bird_sessions()) == 6

    def test_pods_get_addresses_out_of_their_nodes_blocks(self):
        lab = self.lab
        lab.plan_pods()
        lab.pods += [Pod(n, ns, node, labels, lab.pod_namespace(n)) for n, ns, node, labels in EXAMPLE_PODS]
        self.ctl("apply", "-f", "-", stdin=lab.pod_manifest())
        for pod in lab.pods:
            lab.add_pod(pod)
        lab.start_servers()
        assert len({p.address4 for p in lab.pods}) == len(lab.pods) and len({p.address6 for p in lab.pods}) == len(lab.pods)
        listed = json.loads(self.ctl("get", "wep", "-A", "-o", "json").stdout)["items"]
        assert {i["spec"]["pod"] for i in listed} == {p.name for p in lab.pods}
        owner = {i["spec"]["cidr"]: i["spec"]["node"] for i in json.loads(self.ctl("get", "blockaffinity", "-o", "json").stdout)["items"]}

        for pod in lab.pods:
            blocks = [c for c in owner if ipaddress.ip_address(pod.address4) in ipaddress.ip_network(c)]
            assert [owner[b] for b in blocks] == [pod.node], (pod.name, pod.address4, owner)
        self.figures["CNI ADD ms, median of 16"] = sorted(p.add_ms for p in lab.pods)[len(lab.pods) // 2]

    def test_the_router_learns_every_nodes_block_in_both_families(self):
        lab = self.lab
        nodes = {n.address4 for n in lab.nodes} | {n.address6 for n in lab.nodes}
        wait_for("blocks of every node on the router", lambda: nodes <= set(lab.bird_routes().values()), 30)

    def test_nodes_hold_plain_routes_to_each_others_blocks_and_the_default_route(self):
        pod = next(p for p in self.lab.pods if p.node == "node2")
        route = self.lab.nodes[0].namespace.ip("route", "get", pod.address4).stdout
        assert f"via {self.lab.nodes[1].address4} dev eth0" in route, route
        table = self.lab.nodes[0].namespace.ip("route", "show", "proto", "176").stdout
        assert re.search(r"^default .*via 10\.99\.0\.1 ", table, re.M) and "blackhole" in table, table

    def test_every_pod_reaches_every_other_over_tcp_udp_and_ipv6(self):
        names = [p.name for p in self.lab.pods if p.labels.get("app") in ("client", "server")]
        yes = lambda a, b: True
        self.expect(self.pairs(yes, names=names), "TCP between all pods")
        self.expect(self.pairs(yes, "udp", 53, names), "UDP between all pods")
        self.expect(self.pairs(yes, names=names), "TCP over IPv6 between all pods", family=6)
        self.expect([(n, "outside", "tcp", 80, True) for n in names], "the outside by the router's default route")

    def ways(self, node) -> list:
        """Routes of felix to other nodes' pods."""
        return [line for family in ("-4", "-6") for line in
                node.namespace.ip(family, "route", "show", "proto", "177").stdout.splitlines() if " via " in line]

    def test_pools_with_vxlan_are_reached_by_tunnel_and_past_it_within_one_network(self):
        everybody = self.pairs(lambda a, b: True)

        def encapsulate(mode, as_wanted):
            for pool in ("pods-ipv4", "pods-ipv6"):
                self.ctl("patch", "ippool", pool, "-p", json.dumps({"spec": {"vxlanMode": mode}}))
            wait_for(f"routes of mode {mode}", lambda: all(as_wanted(self.ways(node)) for node in self.lab.nodes), 30)
            for family in (4, 6):
                self.expect(everybody, f"all pods to reach each other, mode {mode}", family=family)

        def tunnelled(ways):
            return len(ways) == 4 and all(" dev vxlan" in way and " onlink" in way for way in ways)

        encapsulate("Always", tunnelled)
        first = self.lab.nodes[0].namespace
        sent = json.loads(first.ip("-s", "-j", "link", "show", "vxlan.manul").stdout)[0]["stats64"]["tx"]["packets"]
        assert sent > 0, "nothing went through the tunnel"
        # What a node sends by another address than the tunnel's is answered through the tunnel all the same.
        second = self.lab.nodes[1]
        second.namespace.exec("sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/vxlan.manul/rp_filter")
        pod = next(p for p in self.lab.pods if p.node == second.name)
        first.exec("ping", "-c", "1", "-W", "5", "-I", self.lab.nodes[0].address4, pod.address4)
        # Whoever takes something away, it comes back.
        first.ip("link", "del", "vxlan.manul")
        first.ip("-6", "route", "flush", "proto", "177", "via", "fe80::/10", check=False)
        self.lab.nodes[1].namespace.ip("link", "set", "vxlan-v6.manul", "down")
        wait_for("the tunnels to be there again", lambda: all(tunnelled(self.ways(n)) for n in self.lab.nodes), 30)
        for family in (4, 6):
            self.expect(everybody, "all pods to reach each other again", family=family)
        encapsulate("CrossSubnet", lambda ways: len(ways) == 4 and all(" dev eth0" in way for way in ways))
        # Into the tunnel again, while blocks are reached past it and a router claims to reach all of them.
        first.ip("-6", "route", "add", "fd00:10:244::/48", "via", "fd99::1")
        encapsulate("Always", tunnelled)
        first.ip("-6", "route", "del", "fd00:10:244::/48", "via", "fd99::1")
        encapsulate("Never", lambda ways: not ways)
        devices = first.ip("-o", "link").stdout
        assert "vxlan" not in devices, devices

    def test_a_global_deny_acts_on_the_wire_and_goes_away_again(self):
        names = [p.name for p in self.lab.pods if p.labels.get("app") in ("client", "server")]
        allowed = lambda a, b: not (a.startswith("client") and b.startswith("server"))
        self.ctl("apply", "-f", MANIFESTS / "deny-clients.yaml")
        self.expect(self.pairs(allowed, names=names), "the global deny")
        self.expect(self.pairs(allowed, names=names), "the global deny over IPv6", family=6)
        self.ctl("delete", "gnp", "deny-clients")
        self.expect(self.pairs(lambda a, b: True, names=names), "everything after the deny is gone")

    def test_the_time_from_apply_to_the_first_dropped_packet(self):
        client, server = self.lab.pod("client1"), self.lab.pod("server2")

        def reaches():
            return probe([(client.namespace, server.address4, "udp", 53)], 0.25)[0]

        applied = subprocess.Popen([BUILD / "ctl/manulctl", "--config", self.lab.nodes[0].config, "apply", "-f",
                                    MANIFESTS / "deny-clients.yaml"], stdout=subprocess.DEVNULL)
        started = last_passed = time.monotonic()
        while reaches():
            if time.monotonic() - started > 15:
                raise AssertionError("packets still pass 15 s after the deny was applied")
            last_passed = time.monotonic()
        applied.wait()
        self.figures["ms from starting `manulctl apply` of a deny to the last packet that passed"] = (last_passed - started) * 1000
        self.ctl("delete", "gnp", "deny-clients")

    def test_labels_and_named_ports_of_a_running_pod_can_change(self):
        policy = {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
                  "metadata": {"name": "named", "namespace": "api"},
                  "spec": {"selector": "app == 'server'", "types": ["Ingress"], "ingress": [
                      {"action": "Allow", "protocol": "TCP", "source": {"selector": "role == 'chosen'", "namespaceSelector": "name == 'web'"},
                       "destination": {"ports": ["http"]}}]}}
        self.ctl("apply", "-f", "-", stdin=json.dumps(policy))
        self.expect([("client1", "server2", "tcp", 8080, False), ("client2", "server2", "tcp", 8080, False)], "nobody is chosen yet")
        pod = json.loads(self.ctl("get", "pod", "client1", "-n", "web", "-o", "json").stdout)
        pod["metadata"]["labels"]["role"] = "chosen"
        self.ctl("apply", "-f", "-", stdin=json.dumps(pod))
        self.expect([("client1", "server2", "tcp", 8080, True), ("client1", "server2", "tcp", 80, False),
                     ("client2", "server2", "tcp", 8080, False)], "client1 is chosen by its new label, on the named port alone")
        pod = json.loads(self.ctl("get", "pod", "server2", "-n", "api", "-o", "json").stdout)
        pod["spec"]["containers"][0]["ports"][0]["containerPort"] = 80
        self.ctl("apply", "-f", "-", stdin=json.dumps(pod))
        self.expect([("client1", "server2", "tcp", 80, True), ("client1", "server2", "tcp", 8080, False),
                     ("client1", "server3", "tcp", 8080, True)], "the named port moved on one pod")
        self.ctl("delete", "np", "named", "-n", "api")

    def test_tiers_order_pass_and_log(self):
        documents = [
            {"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "security"}, "spec": {"order": 100}},
            {"apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy", "metadata": {"name": "security.web"},
             "spec": {"tier": "security", "order": 1, "selector": "app == 'server'", "types": ["Ingress"], "ingress": [
                 {"action": "Log"},
                 {"action": "Pass", "protocol": "TCP", "destination": {"ports": [8080]}},
                 {"action": "Allow", "protocol": "TCP", "destination": {"ports": [80]}, "source": {"nets": ["10.244.0.0/16"]}}]}},
            {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": {"name": "passed", "namespace": "api"},
             "spec": {"selector": "all()", "ingress": [{"action": "Allow", "protocol": "TCP", "source": {
                 "selector": "app == 'client'", "namespaceSelector": "all()"}, "destination": {"ports": ["8000:8100"]}}]}},
        ]
        self.ctl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(d) for d in documents))
        self.expect([("client1", "server2", "tcp", 8080, True), ("server1", "server2", "tcp", 8080, False),
                     ("server1", "server2", "tcp", 80, True), ("client1", "server2", "tcp", 5432, False),
                     ("client1", "server2", "udp", 53, False), ("server1", "client1", "tcp", 8080, True)],
                    "Pass leads to the next tier, the end of a tier denies")
        refused = self.ctl("delete", "tier", "security", check=False)
        assert refused.returncode == 1 and "security" in refused.stderr, refused
        self.ctl("delete", "-f", "-", stdin="\n---\n".join(json.dumps(d) for d in documents))
        self.expect([("server1", "server2", "tcp", 8080, True)], "without the tier all is open again")

    def test_bad_input_names_file_line_and_field_and_changes_nothing(self):
        before = self.ctl("get", "gnp", "-o", "json").stdout
        done = self.ctl("apply", "-f", "-", check=False, stdin=(
            "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: fine}\nspec: {selector: all()}\n---\n"
            "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: bad}\nspec:\n  selectr: all()\n"
            "  ingress:\n  - action: Alow\n    protocol: tcp\n"))
        assert done.returncode == 1, done
        for text in ("10: ", "spec.selectr", "selector", "spec.ingress[0].action", "Allow", "spec.ingress[0].protocol"):
            assert text in done.stderr, (text, done.stderr)
        assert self.ctl("get", "gnp", "-o", "json").stdout == before

    def test_node_status_shows_sessions_with_mesh_and_router(self):
        local = self.lab.nodes[1].ctl("node", "status").stdout
        assert local.count("Established") == 6 and "node-to-node mesh" in local and "global" in local, local
        everywhere = wait_for("reports of every node", lambda: (t := self.ctl("node", "status", "--all").stdout) and
                              t.count("Established") == 18 and t, 20)
        assert "Node node3" in everywhere

    def kill(self, node, *names, number=signal.SIGKILL):
        left = set(names)
        for pid in run("ip", "netns", "pids", node.namespace.name).stdout.split():
            if (name := pathlib.Path(f"/proc/{pid}/comm").read_text().strip()) in names:
                os.kill(int(pid), number)
                left.discard(name)
        assert not left, f"{', '.join(left)} did not run"

    def test_killed_daemons_come_back_and_policy_stays_meanwhile(self):
        node = self.lab.nodes[1]
        self.ctl("apply", "-f", MANIFESTS / "deny-clients.yaml")
        rows = [("client1", "server2", "tcp", 8080, False), ("client2", "client1", "tcp", 8080, True), ("server2", "client2", "tcp", 8080, True)]
        self.expect(rows, "the deny before the kill")
        self.kill(node, "manul-felix", "manul-ipamd", "manul-bgpd", "manulctl", number=signal.SIGHUP)
        time.sleep(0.3)
        self.kill(node, "manul-felix", "manul-ipamd", "manul-bgpd", "manulctl", number=0)  # all of them are there
        self.kill(node, "manul-felix", "manul-ipamd")
        results = probe([(self.lab.pod(s).namespace, self.target(t), proto, port) for s, t, proto, port, _ in rows], 0.8)
        assert results == [want for *_, want in rows], results
        self.ctl("delete", "gnp", "deny-clients")
        self.expect([(s, t, p, n, True) for s, t, p, n, _ in rows], "felix works again after kill -9", 30)
        self.kill(node, "manul-bgpd")
        self.expect([(s, t, p, n, True) for s, t, p, n, _ in rows], "routes are back after kill -9 of bgpd", 30)
        self.lab.wait_for_sessions()

    def test_every_example_has_the_effect_that_its_readme_states(self):
        names = sorted(p.name for p in EXAMPLES.glob("*.yaml"))
        assert set(EXAMPLE_EFFECTS) <= set(names), set(EXAMPLE_EFFECTS) - set(names)
        everybody = {s for rows in EXAMPLE_EFFECTS.values() for s, *_ in rows}
        open_rows = [(s, "outside", "tcp", 80, True) for s in everybody]
        for name, rows in EXAMPLE_EFFECTS.items():
            self.expect(open_rows, f"all open before {name}")
            self.ctl("apply", "-f", EXAMPLES / name)
            self.expect(rows, name)
            if "felix" not in name:
                self.ctl("delete", "-f", EXAMPLES / name)
        self.ctl("apply", "-f", MANIFESTS / "rack.yaml")

    def test_a_lock_keeps_what_is_in_force_and_a_backup_is_taken_back_under_running_daemons(self):
        names = [p.name for p in self.lab.pods if p.labels.get("app") in ("client", "server")]
        everything = lambda a, b: True
        denied = lambda a, b: not (a.startswith("client") and b.startswith("server"))
        self.ctl("datastore", "migrate", "lock")
        self.ctl("apply", "-f", MANIFESTS / "deny-clients.yaml")
        time.sleep(1)
        self.expect(self.pairs(everything, names=names), "what was in force before the lock")
        self.ctl("datastore", "migrate", "unlock")
        self.expect(self.pairs(denied, names=names), "what was written under the lock")
        backup = self.lab.state_root / "backup.db"
        self.ctl("datastore", "backup", backup)
        self.ctl("delete", "gnp", "deny-clients")
        self.expect(self.pairs(everything, names=names), "everything after the deny is gone")
        self.ctl("datastore", "restore", backup)
        self.expect(self.pairs(denied, names=names), "the deny out of the backup")
        self.ctl("delete", "gnp", "deny-clients")
        self.expect(self.pairs(everything, names=names), "everything at the end")

    def test_a_policy_whose_bytes_turned_over_stays_in_force_until_it_is_deleted(self):
        names = [p.name for p in self.lab.pods if p.labels.get("app") in ("client", "server")]
        denied = lambda a, b: not (a.startswith("client") and b.startswith("server"))
        self.ctl("apply", "-f", MANIFESTS / "deny-clients.yaml")
        self.expect(self.pairs(denied, names=names), "the deny")
        with contextlib.closing(sqlite3.connect(self.lab.store)) as store, store:
            changed = store.execute("UPDATE object SET body = CAST(replace(CAST(body AS TEXT), 'Deny', 'Pass') AS BLOB) "
                                    "WHERE name = 'deny-clients'").rowcount
            # A change that is damaged too: who follows the kind lists it again.
            store.execute("INSERT INTO change SELECT (rev + 1) << 7, counted + 1, 1, 'globalnetworkpolicies.projectcalico.org', '', "
                          "'deny-clients', 1, x'' FROM head")
        assert changed == 1, changed
        time.sleep(4)  # nobody was told: they look by themselves every two seconds
        self.expect(self.pairs(denied, names=names), "the deny whose bytes are damaged")
        report = self.ctl("get", "gnp", "deny-clients", check=False)
        assert report.returncode != 0 and "fails its checksum" in report.stderr, report
        self.ctl("delete", "gnp", "deny-clients")
        self.expect(self.pairs(lambda a, b: True, names=names), "everything after the damaged policy is deleted")

    def test_a_pod_goes_without_a_trace_and_its_del_can_be_repeated(self):
        lab, pod = self.lab, self.lab.pod("client3")
        node = lab.node(pod.node)
        lab.remove_pod(pod)
        code, answer, _ = node.cni("DEL", pod)
        assert code == 0 and answer is None, answer
        wait_for("the endpoint to go", lambda: pod.name not in self.ctl("get", "wep", "-A").stdout, 10)
        wait_for("the address to be free", lambda: "is not assigned" in self.ctl("ipam", "show", f"--ip={pod.address4}", check=False).stdout, 10)
        wait_for("the route to go", lambda: f"{pod.address4} dev cali" not in node.namespace.ip("route").stdout, 10)

    def test_ipam_show_counts_what_is_used(self):
        text = self.ctl("ipam", "show", "--show-blocks").stdout
        assert "10.244.0.0/16" in text and "Block" in text, text
        assert f"{len(self.lab.pods)} (0%)" in text, text

    def test_a_node_whose_daemons_are_stopped_can_be_cleaned_up(self):
        node = self.lab.nodes[2]
        here = node.namespace

        def cleanup(*options, check=True):
            return here.exec(BUILD / "ctl/manulctl", "--config", node.config, "node", "cleanup", *options, check=check)

        def in_the_kernel():
            return (here.exec("nft", "list", "tables").stdout + here.ip("route", "show", "proto", "176").stdout +
                    here.ip("-6", "route", "show", "proto", "176").stdout + here.ip("route", "show", "proto", "177").stdout +
                    here.ip("nexthop").stdout + here.ip("-o", "link", "show", "type", "vxlan").stdout +
                    here.ip("-o", "link", "show", "type", "ifb").stdout)

        endpoint = next(i for i in json.loads(self.ctl("get", "wep", "-A", "-o", "json").stdout)["items"] if i["spec"]["node"] == node.name)
        self.ctl("patch", "wep", endpoint["metadata"]["name"], "-n", endpoint["metadata"]["namespace"], "-p",
                 json.dumps({"spec": {"qosControls": {"ingressBandwidth": 10000000, "egressBandwidth": 10000000}}}))
        self.ctl("patch", "ippool", "pods-ipv4", "-p", json.dumps({"spec": {"vxlanMode": "Always"}}))
        wait_for("the tunnel and the bandwidth", lambda: "vxlan.manul" in in_the_kernel() and "manul_shape" in in_the_kernel(), 20)
        refused = cleanup("--yes", check=False)
        assert refused.returncode == 1 and "stop the daemons" in refused.stderr, refused
        self.kill(node, "manulctl", number=signal.SIGTERM)
        wait_for("the daemons to stop", lambda: "manul-" not in here.exec("ps", "-o", "comm=", "-p", ",".join(
            ["1", *run("ip", "netns", "pids", here.name).stdout.split()])).stdout, 20)
        before = in_the_kernel()
        assert "manul_e" in before and "blackhole" in before, before
        would = cleanup().stdout
        for text in ("would remove nftables table ip manul_e", "of manul-bgpd (protocol 176)", "of manul-felix (protocol 177)",
                     "device vxlan.manul", "token buckets of 2 devices", "Nothing was removed"):
            assert text in would, (text, would)
        assert in_the_kernel() == before
        cleanup("--yes")
        assert in_the_kernel().strip() == "", in_the_kernel()
        assert "nothing of Manul's" in cleanup("--yes").stdout

    def tests(self):
        """All of them, as they stand in this file."""
        tests = [getattr(self, n) for n in dir(type(self)) if n.startswith("test_")]
        return sorted(tests, key=lambda t: t.__func__.__code__.co_firstlineno)

    def run(self) -> int:
        passed = failed = 0
        try:
            for test in self.tests():
                title = test.__name__.removeprefix("test_").replace("_", " ")
                started = time.monotonic()
                try:
                    test()
                    passed += 1
                    print(f"ok      {time.monotonic() - started:6.1f} s  {title}", flush=True)
                except Exception as error:
                    failed += 1
                    print(f"FAILED  {time.monotonic() - started:6.1f} s  {title}: {error}", flush=True)
                    if not isinstance(error, (LabError, AssertionError)):
                        traceback.print_exc(file=sys.stdout)
                    if passed < 2:
                        break  # nothing later can work
            if failed:
                self.print_logs()
        finally:
            self.lab.down()
        for name, value in self.figures.items():
            print(f"{name}: {value:.1f}")
        left = run("ip", "netns", "list").stdout.count(self.lab.prefix)
        if left or self.lab.run_root.exists() or self.lab.state_root.exists():
            failed += 1
            print("FAILED  the lab left something behind")
        print(f"{passed} passed, {failed} failed")
        return 1 if failed else 0

    def print_logs(self):
        for node in self.lab.nodes:
            for log in sorted(node.log_dir.glob("*.log")):
                print(f"--- last lines of {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-60:]))


if __name__ == "__main__":
    sys.exit(SystemTest().run())
