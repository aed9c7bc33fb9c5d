#!/usr/bin/env python3
"""What protects people from their own changes: verify, impact, apply --confirm-within, checksystem.

usage: safety_test.py MANUL_FELIX MANULCTL    (root)
"""
import fcntl
import json
import os
import re
import shutil
import sys
import time

from pod_node import Node, sh, wait_until

POLICY = """
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: a}}}]
    ports: [{port: 80}, {port: 81, endPort: 90}]
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: outside, labels: {where: outside}}
spec: {nets: [192.0.2.0/25, 198.51.100.7/32, 'fd09::/64']}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: c, namespace: default}
spec:
  selector: app == 'c'
  types: [Egress]
  egress:
  - {action: Deny, destination: {selector: where == 'outside', namespaceSelector: global()}}
  - {action: Allow}
"""

DENY = """
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: emergency}
spec: {order: 1}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: emergency.closed}
spec: {tier: emergency, namespaceSelector: all(), types: [Ingress, Egress]}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: c, namespace: default}
spec: {selector: app == 'c', order: 7, types: [Egress], egress: [{action: Deny}]}
"""


# What Calico writes with iptables beside others' rules. "calico-mine" and the rule about cali+ are somebody else's.
CALICO_RULES = """
*raw
:cali-PREROUTING - [0:0]
-A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
COMMIT
*nat
:cali-POSTROUTING - [0:0]
:cali-nat-outgoing - [0:0]
:KUBE-SERVICES - [0:0]
-A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
-A POSTROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A cali-POSTROUTING -m comment --comment "cali:Z-c7XtVd2Bq7s_hA" -j cali-nat-outgoing
COMMIT
*filter
:cali-FORWARD - [0:0]
:cali-from-wl-dispatch - [0:0]
:calico-mine - [0:0]
-A INPUT -i cali+ -m comment --comment "mine, not Calico's" -j ACCEPT
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m comment --comment "accepted" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A FORWARD -j calico-mine
-A cali-FORWARD -i cali-none+ -m comment --comment "cali:8ZoYfO5HKXWbB3pk" -j cali-from-wl-dispatch
-A cali-from-wl-dispatch -m comment --comment "cali:zTj6P0TIgYvgz-md" -m comment --comment "Unknown interface" -j DROP
COMMIT
"""

CALICO_TABLES = """
table ip calico {
  map filter-cali-fw { type ifname : verdict; elements = { "none" : goto filter-cali-fw-x } ; }
  chain filter-cali-fw-x { drop ; }
  chain filter-FORWARD { type filter hook forward priority filter; iifname vmap @filter-cali-fw; }
}
table arp calico-arp {
  chain filter-OUTPUT { type filter hook output priority filter; }
}
table ip kube-proxy {
  chain forward { type filter hook forward priority filter; }
}
"""


def nft(node, command, check=True):
    return sh(f"ip netns exec {node.ns} nft {command}", check=check).stdout


def verify(node):
    result = node.ctl("policy", "verify", "-o", "json", check=False)
    answer = json.loads(result.stdout)
    assert result.returncode == (0 if answer["equal"] else 1), result
    return answer


def check_verify(node, felix):
    answer = verify(node)
    assert answer["equal"], answer
    assert answer["compared"]["rules"] > 20 and answer["compared"]["links"] == 3, answer
    assert "the kernel holds what the resources ask" in node.ctl("policy", "verify").stdout

    # Chains are edited in place and keep the names that they were born with: those names are no difference.
    passing = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: passing-by}
spec: {order: 1, namespaceSelector: all(), types: [Ingress, Egress], ingress: [{action: Pass}], egress: [{action: Pass}]}
"""
    chains = lambda: {line for line in nft(node, "list table ip manul_i").splitlines() if "chain t_default_" in line}
    born = chains()
    for change in (["apply", "-f", "-"], ["replace", "-f", "-"], ["delete", "gnp", "passing-by"]):
        node.ctl(*change, text=passing if "-f" in change else None)
        wait_until(f"verify agrees after {change[0]}", lambda: verify(node)["equal"], node)
        assert born and born <= chains(), "no chain was edited in place: this shows nothing"

    # Felix owns its tables and repairs what others change, so it is killed while its rules are tampered with.
    felix.kill()
    felix.wait()
    node.processes.remove(felix)
    chain = next(line.split()[1] for line in nft(node, "list table ip manul_i").splitlines()
                 if "chain t_default_" in line)  # its only policy stands in it
    listing = nft(node, f"-a list chain ip manul_i {chain}").splitlines()
    allow = next(line for line in listing if "accept" in line)
    handle, comment = allow.split("handle ")[1], allow.split('comment "')[1].split('"')[0]
    tampering = {
        f"replace rule ip manul_i {chain} handle {handle} counter accept comment \\\"{comment}\\\"":
            ("carries our comment and does something else", "KubernetesNetworkPolicy default/web, ingress rule 0"),
        f"add rule ip manul_i {chain} counter drop": ("rules instead of", chain),
        "add element ip6 manul_e n_%s { fd0a::/64 }": ("has too many: fd0a::", "set n_"),
        "delete rule ip manul_e pre_hook handle %s": ("is another rule", "pre_hook"),
        "add chain ip manul_nat extra": ("should not be", "chain extra"),
    }
    ranges = next(line.split()[1] for line in nft(node, "list table ip6 manul_e").splitlines() if "set n_" in line)
    first = next(line for line in nft(node, "-a list chain ip manul_e pre_hook").splitlines() if "established" in line)
    for command, (problem, what) in tampering.items():
        command = command.replace("n_%s", ranges).replace("%s", first.split("handle ")[1])
        before = len(verify(node)["differences"])
        sh(f"ip netns exec {node.ns} nft '{command}'".replace('\\"', '"'))
        told = verify(node)["differences"]
        assert len(told) > before, (command, told)
        assert any(problem in d["problem"] and what in d["object"] for d in told), (command, told)
    sh(f"ip -n {node.ns} link set calib group 0")
    assert any("is in group 0x0 instead of" in d["problem"] for d in verify(node)["differences"])
    nft(node, "delete table ip manul_raw")
    words = node.ctl("policy", "verify", check=False)
    assert words.returncode == 1 and "ip manul_raw is missing" in words.stdout, words.stdout
    os.truncate(node.log, 0)
    node.start_felix()
    wait_until("felix has put everything right", lambda: verify(node)["equal"], node)


def check_impact(node):
    def impact(text, *arguments):
        return json.loads(node.ctl("policy", "impact", *arguments, "-o", "json", text=text).stdout)

    def flips(answer):
        return {(c["source"], c["destination"], c.get("destinationPort"), c["after"])
                for c in answer["connections"] if c["protocol"] == "TCP"}

    revision = node.ctl("get", "gnp", "-o", "json").stdout
    narrower = POLICY.replace("app: a}", "app: c}")
    answer = impact(narrower, "-f", "-")
    assert answer["complete"] and [e["label"] for e in answer["endpoints"]] == ["pod default/b"], answer
    assert ("pod default/a", "pod default/b", 80, "Deny") in flips(answer), answer
    assert ("pod default/c", "pod default/b", 80, "Allow") in flips(answer), answer
    assert ("pod default/a", "pod default/b", 64999, "Deny") not in flips(answer), "was denied before"
    assert node.connects("a", "b", 80)
    staged = narrower.replace("kind: NetworkPolicy\nmetadata: {name: web",
                              "kind: StagedKubernetesNetworkPolicy\nmetadata: {name: web").replace(
        "networking.k8s.io/v1\nkind: Staged", "projectcalico.org/v3\nkind: Staged")
    assert flips(impact(staged, "-f", "-")) == flips(answer), "a staged policy previews as what it stands for"
    gone = impact(POLICY, "-f", "-", "--delete")
    assert ("pod default/c", "pod default/b", 82, "Allow") not in flips(gone)
    assert ("pod default/c", "pod default/b", 80, "Allow") in flips(gone), gone
    assert impact(POLICY, "-f", "-")["connections"] == []

    # A connection that is open now would be denied.
    flows = impact(DENY, "-f", "-", "--flows")
    assert any(c["recorded"] and c["source"] == "pod default/a" and c["destinationPort"] == 80
               and c["after"] == "Deny" for c in flows["connections"]), flows["connections"][:5]
    words = node.ctl("policy", "impact", "-f", "-", text=DENY).stdout
    assert "gains GlobalNetworkPolicy emergency.closed" in words and "allowed -> DENIED" in words, words
    assert node.ctl("get", "gnp", "-o", "json").stdout == revision, "impact changes nothing"


def check_confirm(node):
    def closed():
        return not node.connects("a", "b", 80, patience=0.3)

    def policy_c():
        return json.loads(node.ctl("get", "np", "c", "-n", "default", "-o", "json").stdout)["spec"]
    before = policy_c()
    refused = node.ctl("apply", "-f", "-", "--confirm-within", "1s", text=DENY, check=False)
    assert refused.returncode == 2, refused
    # Nobody confirms: the objects go, or are as before, and nobody but the daemon is there to do it.
    node.ctl("apply", "-f", "-", "--confirm-within", "6s", text=DENY)
    wait_until("the change is in force", closed, node)
    again = node.ctl("apply", "-f", "-", "--confirm-within", "6s", text=POLICY, check=False)
    assert again.returncode == 1 and "another change waits" in again.stderr, again
    wait_until("the change is undone", lambda: node.connects("a", "b", 80, patience=0.3), node)
    wait_until("the store is as before", lambda: policy_c() == before, node)
    assert node.ctl("get", "tier", "emergency", check=False).returncode == 1
    assert node.ctl("get", "gnp", "emergency.closed", check=False).returncode == 1
    assert node.ctl("confirm", check=False).returncode == 1, "there is nothing left to confirm"
    assert verify(node)["equal"]

    # Confirmed in time: it stays. Then undone by hand, and applied again with the daemon killed meanwhile.
    node.ctl("apply", "-f", "-", "--confirm-within", "8s", text=DENY)
    node.ctl("confirm")
    time.sleep(9)
    assert closed() and policy_c() != before
    node.ctl("delete", "gnp", "emergency.closed")
    node.apply(POLICY)
    wait_until("open again", lambda: node.connects("a", "b", 80, patience=0.3), node)
    before = policy_c()
    node.ctl("apply", "-f", "-", "--confirm-within", "1h", text=DENY)
    wait_until("the change is in force", closed, node)
    node.ctl("rollback")
    wait_until("the change is undone", lambda: node.connects("a", "b", 80, patience=0.3), node)
    assert policy_c() == before

    node.ctl("apply", "-f", "-", "--confirm-within", "8s", text=DENY)
    wait_until("the change is in force", closed, node)
    for process in node.processes:
        if node.felix_program in process.args:
            process.kill()
            process.wait()
    time.sleep(9)
    assert closed(), "nobody was there to undo it"
    os.truncate(node.log, 0)
    node.start_felix()
    wait_until("the restarted felix undoes the change", lambda: node.connects("a", "b", 80, patience=0.3), node)
    wait_until("the store is as before", lambda: policy_c() == before, node)


def check_confirm_cut_off(node):
    """The datastore cannot be written when the time is up: the node goes back by itself, the datastore when it can."""
    def policy_c():
        return json.loads(node.ctl("get", "np", "c", "-n", "default", "-o", "json").stdout)["spec"]
    node.apply(POLICY)
    before = policy_c()
    node.ctl("apply", "-f", "-", "--confirm-within", "5s", text=DENY)
    wait_until("the change is in force", lambda: not node.connects("a", "b", 80, patience=0.3), node)
    with open(f"{node.work}/store.db.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wait_until("the node has undone the change", lambda: node.connects("a", "b", 80, patience=0.3), node)
        assert policy_c() != before, "nobody could write"
    wait_until("the store is as before", lambda: policy_c() == before, node)
    assert node.connects("a", "b", 80)


def check_system(node):
    def checks():
        result = node.ctl("node", "checksystem", "-o", "json", check=False)
        return result.returncode, {c["check"]: c for c in json.loads(result.stdout)}
    code, found = checks()
    assert code == 0, found
    assert found["nf_tables: route lookup (nft_fib)"]["result"] == "OK"
    assert found["rules of others"]["result"] == "OK"
    assert found["VXLAN devices"]["result"] == "OK" and found["IPIP devices"]["result"] in ("OK", "WARNING")
    assert found["kube-proxy"]["result"] == "OK"
    nft(node, "add table ip filter")
    nft(node, "'add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }'")
    nft(node, "add table inet firewalld")
    nft(node, "'add chain inet firewalld filter_FORWARD { type filter hook forward priority 10 ; }'")
    nft(node, "'add rule inet firewalld filter_FORWARD ip saddr 192.0.2.1 drop'")
    code, found = checks()
    assert code == 0 and "Docker" in found["rules of others: ip filter FORWARD"]["detail"], found
    assert "rules of others: inet firewalld filter_FORWARD" not in found, "one source is not everything"
    nft(node, "'add rule inet firewalld filter_FORWARD counter reject with icmpx type admin-prohibited'")
    sh(f"ip -n {node.ns} link add kube-ipvs0 type veth peer name probe")
    sh(f"ip netns exec {node.ns} sysctl -qw net.ipv4.conf.probe.rp_filter=1")
    code, found = checks()
    assert found["rules of others: inet firewalld filter_FORWARD"]["result"] == "WARNING"
    assert "egress policy sees service addresses" in found["kube-proxy"]["detail"]
    assert "probe" in found["reverse path filter"]["detail"]
    assert "WARNING  kube-proxy" in node.ctl("node", "checksystem").stdout
    nft(node, "delete table ip filter")
    nft(node, "delete table inet firewalld")
    sh(f"ip -n {node.ns} link del kube-ipvs0")


def check_calico_remains(node):
    """What Calico leaves is found, and the commands that are named remove it, all of it and nothing else."""
    def remains():
        found = json.loads(node.ctl("node", "checksystem", "-o", "json").stdout)
        return {c["check"].removeprefix("left by Calico: "): c["detail"] for c in found
                if c["check"].startswith("left by Calico") and c["result"] != "OK"}

    def here(command, text=None):
        return sh(["ip", "netns", "exec", node.ns, "sh", "-ec", command], text=text).stdout

    backends = [name for name in ("iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy")
                if shutil.which(name)]

    def others():
        saved = "".join(here(f"{backend}-save") for backend in backends) + here("nft list tables")
        kept = [line for line in saved.splitlines() if not re.search(r'^[#:][^c]|cali-|"cali:| calico', line)]
        return kept + here("ip -4 route show table all; ip -6 route show proto static").splitlines()
    assert remains() == {}
    for backend in backends:
        here(f"{backend}-restore --noflush", CALICO_RULES)
    here("nft -f -", CALICO_TABLES)
    kept = others()
    assert any("calico-mine" in line for line in kept) or not backends
    here("""ip link add vxlan.calico type vxlan id 4097 dstport 4790 && ip link set vxlan.calico up
         ip route add blackhole 198.18.1.0/26 proto 80; ip -6 route add blackhole fd00:66::/122 proto 80
         ip route add 198.18.2.0/26 dev vxlan.calico proto 80
         ip route add blackhole 198.18.3.0/26 proto bird; ip -6 route add blackhole fd00:67::/122 proto bird
         ip link add bwcali0123 type ifb; ip link add calidown type veth peer name down
         tc qdisc add dev calidown handle ffff: ingress
         tc filter add dev calidown parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev bwcali0123""")
    found = remains()
    tables = sum(name.startswith("rules in ") for name in found)
    assert tables == 2 + len(backends), found
    assert {"vxlan.calico", "3 routes of protocol 80", "2 routes of protocol bird", "1 limits of what pods send"} < set(found), found
    for detail in found.values():
        here(re.search(r": ((?:ip6?tables-|nft |ip |for ).*)", detail)[1])
    assert remains() == {}
    assert others() == kept
    assert "ingress" not in here("tc qdisc show dev calidown")
    here("ip link del calidown; nft delete table ip kube-proxy")
    assert node.connects("a", "b", 80)


def main():
    with Node(*sys.argv[1:3], pods=["a", "b", "c"]) as node:
        node.serve("b", 80, 81, 82)
        node.apply(POLICY + "".join(node.endpoint(pod) for pod in node.pods))
        felix = node.start_felix()
        wait_until("the pods are programmed", lambda: node.connects("a", "b", 80), node)
        check_system(node)
        check_calico_remains(node)
        check_verify(node, felix)
        check_impact(node)
        check_confirm(node)
        check_confirm_cut_off(node)
    print("verify, impact, confirm and checksystem do what they say")


main()
