#!/usr/bin/env python3
"""The plugin as a runtime meets it: every verb in every version, every result held against the specification's form,
every bad input with its code, and nothing left after any of them. Real plugin, ipamd and felix on one node.

Closes with `N passed, N failed`. Runs beside a second copy of itself.
"""
import ipaddress
import json
import os
import re
import subprocess
import sys

from cni_rig import BUILD, CniTest, Lab, wait_for

VERSIONS = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]
POOL4 = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "four"},
         "spec": {"cidr": "10.245.0.0/24", "blockSize": 28}}
POOL6 = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "six"},
         "spec": {"cidr": "fd00:245::/112", "blockSize": 122}}
DUAL = {"assign_ipv4": "true", "assign_ipv6": "true"}


def has_form(result, version, netns):
    """Raises unless `result` is a success result of that version, with nothing that the version does not know."""
    def only(item, required, optional):
        assert isinstance(item, dict) and set(required) <= set(item) <= set(required) | set(optional), (version, item)

    older_than_1, newest = version.startswith("0."), version == "1.1.0"
    only(result, ["cniVersion", "interfaces", "ips"], ["routes", "dns"])
    assert result["cniVersion"] == version
    for interface in result["interfaces"]:
        only(interface, ["name"], ["mac", "sandbox", *(["mtu", "socketPath", "pciID"] if newest else [])])
        assert re.fullmatch(r"[^/: \t]{1,15}", interface["name"]), interface
        assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", interface.get("mac", "00:00:00:00:00:00")), interface
        assert interface.get("sandbox", netns) == netns and isinstance(interface.get("mtu", 0), int), interface
    for ip in result["ips"]:
        only(ip, ["address", *(["version"] if older_than_1 else [])], ["gateway", "interface"])
        address = ipaddress.ip_interface(ip["address"])
        assert "/" in ip["address"]
        assert ip.get("version", str(address.version)) == str(address.version), ip
        assert type(ip.get("interface", 0)) is int and 0 <= ip.get("interface", 0) < len(result["interfaces"]), ip
        assert result["interfaces"][ip["interface"]]["sandbox"] == netns, ip
        if "gateway" in ip:
            ipaddress.ip_address(ip["gateway"])
    for route in result.get("routes", []):
        only(route, ["dst"], ["gw", *(["mtu", "advmss", "priority", "table", "scope"] if newest else [])])
        assert ipaddress.ip_network(route["dst"]).version == ipaddress.ip_address(route["gw"]).version
    only(result.get("dns", {}), [], ["nameservers", "domain", "search", "options"])
    for key in ("nameservers", "search", "options"):
        assert all(isinstance(text, str) for text in result.get("dns", {}).get(key, []))


class ConformanceTest(CniTest):
    POOLS = [POOL4, POOL6]

    def __init__(self):
        super().__init__(Lab(suffix=f"k{os.getpid()}", nodes=1))

    def expect(self, pod, command, code, *words, environment=None, request=None):
        """The call fails with this code, an error object of the right form, and a text that has these words."""
        status, answer = pod.call(command, environment, request)
        assert status != 0 and isinstance(answer, dict), (command, environment, request, status, answer)
        assert {"cniVersion", "code", "msg"} <= set(answer) <= {"cniVersion", "code", "msg", "details"}, answer
        assert answer["code"] == code and type(answer["code"]) is int, (command, environment, request, answer)
        assert answer["msg"] and all(word in answer["msg"] for word in words), (words, answer)
        return answer

    def succeed(self, pod, command, environment=None, request=None):
        status, answer = pod.call(command, environment, request)
        assert status == 0, (command, environment, request, answer)
        assert (answer is None) == (command not in ("ADD", "VERSION")), answer
        return answer

    def rm(self, *pods):
        for pod in pods:
            self.succeed(pod, "DEL")
            pod.gone()
        self.expect_nothing_left()

    # ---- what must work

    def test_every_verb_in_every_version(self):
        for version in VERSIONS:
            pod = self.pod(version=version, ipam=DUAL, dns={"nameservers": ["10.96.0.10"], "search": ["a.b"]})
            netns = str(pod.namespace.path)
            result = self.succeed(pod, "ADD")
            has_form(result, version, netns)
            assert [ipaddress.ip_interface(ip["address"]).version for ip in result["ips"]] == [4, 6], result
            assert {r["dst"] for r in result["routes"]} == {"0.0.0.0/0", "::/0"}, result
            assert result["dns"]["nameservers"] == ["10.96.0.10"], result
            shown = pod.namespace.ip("-o", "address", "show", "dev", "eth0").stdout
            assert all(ip["address"] in shown for ip in result["ips"]), (shown, result)
            with_result = {**pod.request, "prevResult": result}
            if version == "0.3.1":
                self.expect(pod, "CHECK", 1, version, request=with_result)
            else:
                self.succeed(pod, "CHECK", request=with_result)
            valid = {**pod.request, "cni.dev/valid-attachments": [{"containerID": pod.container, "ifname": "eth0"}]}
            bare = {"CNI_CONTAINERID": None, "CNI_NETNS": None, "CNI_IFNAME": None, "CNI_ARGS": None}
            if version == "1.1.0":
                self.succeed(pod, "STATUS", bare)
                self.succeed(pod, "GC", bare, valid)
            else:
                self.expect(pod, "STATUS", 1, "1.1.0", environment=bare)
                self.expect(pod, "GC", 1, "1.1.0", environment=bare, request=valid)
            assert len(self.objects("wep")) == 1
            self.succeed(pod, "DEL", request=with_result)
            self.rm(pod)

    def test_version_needs_nothing_but_its_name(self):
        pod = self.pod()
        none = {k: None for k in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH")}
        for variables in (none, {k: "dummy" for k in none}):
            for request, version in (({"cniVersion": "0.4.0"}, "0.4.0"), ({"cniVersion": "7.0.0"}, "7.0.0"), ("", "1.1.0"), ({}, "1.1.0")):
                answer = self.succeed(pod, "VERSION", variables, request)
                assert answer == {"cniVersion": version, "supportedVersions": VERSIONS}, answer
        self.expect(pod, "VERSION", 6, request="{")
        pod.gone()

    def test_keys_count_in_any_case_as_containerd_writes_them(self):
        pod = self.pod(name="cased", runtimeConfig={
            "portMappings": [{"HostPort": 18080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}],
            "Bandwidth": {"IngressRate": 8000000, "IngressBurst": 8000000, "egressRate": 4000000, "EgressBurst": 4000000},
            "dns": {"Servers": ["10.96.0.10"], "Searches": ["svc"], "Options": ["ndots:5"]}}, capabilities={"portMappings": True})
        result = self.succeed(pod, "ADD")
        assert result["dns"] == {"nameservers": ["10.96.0.10"], "search": ["svc"], "options": ["ndots:5"]}, result
        spec = self.objects("wep")[0]["spec"]
        assert spec["ports"][0]["hostPort"] == 18080 and spec["ports"][0]["port"] == 80, spec
        assert "8M" in json.dumps(spec["qosControls"]) or "8000000" in json.dumps(spec["qosControls"]), spec
        self.rm(pod)
        pod = self.pod(name="other-case")
        has_form(self.succeed(pod, "ADD", request={k.upper(): v for k, v in pod.request.items()}), "1.1.0", str(pod.namespace.path))
        self.rm(pod)

    def test_unknown_keys_and_what_belongs_to_the_runtime_are_passed_over(self):
        pod = self.pod(capabilities={"portMappings": True, "unheard-of": True}, ipMasq=True, log_level="info", datastore_type="kubernetes",
                       kubernetes={"kubeconfig": "/none"}, runtimeConfig={"unheard-of": [1], "cgroupPath": "/x", "aliases": {"faults": ["a"]}},
                       args={"org.example": {"a": 1}, "cni": {"labels": [{"key": "tier", "value": "gold"}]}}, **{"cni.dev/x": 1, "nested": {"a": [{}]}})
        self.succeed(pod, "ADD")
        assert self.objects("wep")[0]["metadata"]["labels"]["tier"] == "gold"
        self.rm(pod)

    def test_addresses_and_mac_asked_for_by_every_way_are_given(self):
        ways = [({}, {"CNI_ARGS": "IP=10.245.0.77;MAC=02:00:00:00:00:77"}),
                ({"runtimeConfig": {"ips": ["10.245.0.77/24"], "mac": "02:00:00:00:00:77"}}, {}),
                ({"args": {"cni": {"ips": ["10.245.0.77"]}}, "runtimeConfig": {"mac": "02:00:00:00:00:77"}}, {"CNI_ARGS": "IP=10.245.0.78"})]
        for config, variables in ways:
            pod = self.pod(**config)
            result = self.succeed(pod, "ADD", variables)
            assert [ip["address"] for ip in result["ips"]] == ["10.245.0.77/32"], result
            assert "02:00:00:00:00:77" in pod.namespace.ip("link", "show", "eth0").stdout
            rival = self.pod(**config)
            self.expect(rival, "ADD", 11, "10.245.0.77", "in use", environment=variables)
            rival.gone()
            self.rm(pod)

    def test_two_interfaces_of_one_container_come_and_go_apart(self):
        pod = self.pod()
        first = self.succeed(pod, "ADD")
        second = self.succeed(pod, "ADD", {"CNI_IFNAME": "net1"})
        assert first["ips"][0]["address"] != second["ips"][0]["address"]
        assert "dev eth0" in pod.namespace.ip("route", "get", "192.0.2.1").stdout  # the first one stays the default
        self.succeed(pod, "DEL")
        wait_for("the first to go", lambda: not pod.has_interface("eth0"), 20)
        wait_for("its endpoint to go", lambda: len(self.objects("wep")) == 1, 20)  # after the link
        assert pod.has_interface("net1")
        self.succeed(pod, "CHECK", {"CNI_IFNAME": "net1"}, {**pod.request, "prevResult": second})
        self.succeed(pod, "DEL", {"CNI_IFNAME": "net1"})
        self.rm(pod)

    def test_a_second_add_is_refused_and_the_first_one_stays(self):
        pod = self.pod()
        result = self.succeed(pod, "ADD")
        for _ in range(2):
            self.expect(pod, "ADD", 4, "eth0")
        self.succeed(pod, "CHECK", request={**pod.request, "prevResult": result})
        self.rm(pod)

    def test_an_add_right_after_the_del_of_the_same_attachment_works(self):
        for name in (None, "again"):
            pod = self.pod(name=name)
            for _ in range(10):
                request = {**pod.request, "prevResult": self.succeed(pod, "ADD")}
                wait_for("CHECK to agree", lambda r=request: pod.call("CHECK", request=r)[0] == 0, 20)
                self.succeed(pod, "DEL")
            self.rm(pod)

    def test_del_succeeds_however_little_it_is_told(self):
        for variables, config in (({}, {}), ({"CNI_NETNS": ""}, {}), ({"CNI_NETNS": None}, {}), ({"CNI_NETNS": "/run/netns/none"}, {}),
                                  ({"CNI_NETNS": "/etc"}, {}), ({"CNI_ARGS": "nonsense"}, {}), ({"CNI_ARGS": None}, {}),
                                  ({}, {"prevResult": 7}), ({}, {"prevResult": {"ips": "x"}}), ({}, {"mtu": "x", "ipam": [], "runtimeConfig": 1})):
            pod = self.pod()
            self.succeed(pod, "ADD")
            for _ in range(3):
                self.succeed(pod, "DEL", variables, {**pod.request, **config})
            self.expect_nothing_left()
            pod.gone()
        never = self.pod()
        self.succeed(never, "DEL")
        self.succeed(never, "DEL", {"CNI_CONTAINERID": "x" * 300})
        self.rm(never)

    def test_gc_frees_what_the_runtime_does_not_name_and_nothing_of_other_networks(self):
        pods = [self.pod() for _ in range(4)]
        for pod in pods:
            self.succeed(pod, "ADD")
        other = self.pod()
        other.request["name"] = "other"
        self.succeed(other, "ADD")
        named = [{"containerID": pod.container, "ifname": "eth0"} for pod in pods]
        base = pods[0].request

        def left():
            return {e["spec"]["containerID"] for e in self.objects("wep")}

        everybody = {pod.container for pod in pods} | {other.container}
        self.succeed(pods[0], "GC", request=base)  # does not say: nothing is freed
        self.succeed(pods[0], "GC", request={**base, "cni.dev/valid-attachments": named})
        self.expect(pods[0], "GC", 7, "valid-attachments", request={**base, "cni.dev/valid-attachments": "all"})
        self.expect(pods[0], "GC", 7, "valid-attachments", request={**base, "cni.dev/valid-attachments": [1]})
        assert left() == everybody
        self.succeed(pods[0], "GC", request={**base, "cni.dev/valid-attachments": named[1:]})
        wait_for("the first to go", lambda: left() == everybody - {pods[0].container}, 20)
        wait_for("its link to go", lambda: not pods[0].has_interface(), 20)
        self.succeed(pods[0], "GC", request={**base, "cni.dev/attachments": named[2:], "cni.dev/valid-attachments": named[2:]})
        wait_for("the second to go", lambda: left() == everybody - {p.container for p in pods[:2]}, 20)
        for wrong in ({}, "x", 5, [5], [None], [{"containerID": "x"}], [{"ifname": "eth0"}], [{"containerID": 5, "ifname": "eth0"}],
                      [*named, {"containerID": "", "ifname": "eth0"}]):
            self.expect(pods[0], "GC", 7, "cni.dev/valid-attachments", request={**base, "cni.dev/valid-attachments": wrong})
        assert left() == everybody - {p.container for p in pods[:2]}
        self.succeed(pods[0], "GC", request={**base, "cni.dev/valid-attachments": []})
        wait_for("all of this network to go", lambda: left() == {other.container}, 20)
        self.succeed(pods[0], "GC", request={**base, "cni.dev/valid-attachments": []})
        for pod in pods:
            self.succeed(pod, "DEL")
            pod.gone()
        self.rm(other)

    def test_check_finds_what_is_missing(self):
        pod = self.pod(ipam=DUAL)
        result = self.succeed(pod, "ADD")
        request = {**pod.request, "prevResult": result}
        self.expect(pod, "CHECK", 7, "prevResult", request=pod.request)
        for wrong in (7, [], {"ips": 7}, {"ips": [{"address": "x"}]}, {"interfaces": [{"mac": "x"}]}, {"cniVersion": "1.1.0"},
                      {**result, "interfaces": []}, {**result, "ips": []}):
            self.expect(pod, "CHECK", 7, request={**pod.request, "prevResult": wrong})
        moved = json.loads(json.dumps(result).replace(result["ips"][0]["address"], "10.245.0.200/32"))
        self.expect(pod, "CHECK", 100, "10.245.0.200", request={**pod.request, "prevResult": moved})
        for number, part, change in ((0, "interfaces", {"name": "cali0123456789a"}), (0, "interfaces", {"mac": "02:00:00:00:00:09"}),
                                     (0, "interfaces", {"mtu": 1300}), (1, "interfaces", {"mac": "02:00:00:00:00:09"}),
                                     (1, "interfaces", {"mtu": 1300}), (1, "interfaces", {"sandbox": str(self.lab.tor.path)}),
                                     (1, "interfaces", {"sandbox": "/run/netns/none"}), (0, "ips", {"address": "10.245.0.1/24"}),
                                     (0, "routes", {"gw": "169.254.1.9"}), (0, "routes", {"dst": "10.9.0.0/16"})):
            wrong = json.loads(json.dumps(result))
            wrong[part][number].update(change)
            self.expect(pod, "CHECK", 100, request={**pod.request, "prevResult": wrong})
        for same in ({"cniVersion": "1.0.0"}, {"dns": {"nameservers": ["10.0.0.9"]}},
                     {"interfaces": [*result["interfaces"], {"name": "tap0"}, {"name": "dummy", "sandbox": "/x"}]}):
            self.succeed(pod, "CHECK", request={**pod.request, "prevResult": {**result, **same}})
        for wrong in ({"cniVersion": "9.9.9"}, {"interfaces": result["interfaces"][:1]}, {"ips": [{**result["ips"][0], "interface": 9}]},
                      {"ips": [{**result["ips"][0], "interface": -1}]}, {"ips": [{**result["ips"][0], "interface": 0}]}):
            self.expect(pod, "CHECK", 7, "prevResult", request={**pod.request, "prevResult": {**result, **wrong}})
        stranger = self.pod()
        self.expect(stranger, "CHECK", 100, "eth0", request={**request, "prevResult": json.loads(
            json.dumps(result).replace(str(pod.namespace.path), str(stranger.namespace.path)))})
        stranger.namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", "other")
        self.expect(stranger, "CHECK", 3, stranger.container, request={**request, "prevResult": json.loads(
            json.dumps(result).replace(str(pod.namespace.path), str(stranger.namespace.path)))})
        stranger.gone()
        pod.namespace.ip("address", "del", result["ips"][0]["address"], "dev", "eth0")
        self.expect(pod, "CHECK", 100, result["ips"][0]["address"], request=request)
        self.rm(pod)

    # ---- where addresses come from

    def apply(self, kind, name, spec, **metadata):
        version = "v1" if kind == "Namespace" else "projectcalico.org/v3"
        self.ctl("apply", "-f", "-", stdin=json.dumps(
            {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}))

    def address_of(self, pod, environment=None, **config):
        return self.succeed(pod, "ADD", environment, {**pod.request, **config})["ips"][0]["address"]

    def test_every_field_of_a_pool_counts(self):
        pools = {"a-disabled": {"disabled": True}, "b-manual": {"assignmentMode": "Manual"}, "c-tunnel": {"allowedUses": ["Tunnel"]},
                 "d-node": {"nodeSelector": "rack == 'x'"}, "e-namespace": {"namespaceSelector": "team == 'blue'", "allowedUses": ["Workload"]},
                 "f-balancer": {"allowedUses": ["LoadBalancer"], "nodeSelector": "all()"}}
        for i, (name, spec) in enumerate(pools.items()):
            self.apply("IPPool", name, {"cidr": f"10.250.{i}.0/24", **spec})
        self.apply("Namespace", "blue", {}, labels={"team": "blue"})
        blue = {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=blue;K8S_POD_NAME=b"}
        pods = [self.pod() for _ in range(5)]
        assert self.address_of(pods[0]).startswith("10.245.0."), "no other pool is for it"
        self.apply("IPPool", "four", {**POOL4["spec"], "disabled": True})
        wait_for("the pool to be closed", lambda: pods[1].call("STATUS")[0] == 1, 20)
        for name in list(pools)[:-1]:
            assert name in self.expect(pods[1], "ADD", 11)["msg"]  # each is named, with why it is passed over
        assert self.address_of(pods[1], blue).startswith("10.250.4.")
        assert self.address_of(pods[2], ipam={"ipv4_pools": ["10.250.1.0/24"]}).startswith("10.250.1.")
        for name, word in (("a-disabled", "disabled"), ("c-tunnel", "allowedUses"), ("f-balancer", "allowedUses")):
            self.expect(pods[3], "ADD", 7, name, word, request={**pods[3].request, "ipam": {"ipv4_pools": [name]}})
        assert self.address_of(pods[3], ipam={"ipv4_pools": ["d-node"]}).startswith("10.250.3."), "who names it gets it"
        node = json.loads(self.ctl("get", "node", "node1", "-o", "json").stdout)
        node["metadata"].setdefault("labels", {})["rack"] = "x"
        self.ctl("apply", "-f", "-", stdin=json.dumps(node))
        assert self.address_of(pods[4]).startswith("10.250.3.")
        for pod in pods:
            self.succeed(pod, "DEL")
            pod.gone()
        self.expect_nothing_left()
        for name in pools:
            self.ctl("delete", "ippool", name)
        self.apply("IPPool", "four", POOL4["spec"])
        wait_for("the pool to be open", lambda: pods[0].call("STATUS")[0] == 0, 20)

    def test_an_address_rests_and_remembers_who_had_it(self):
        self.apply("IPPool", "tiny", {"cidr": "10.251.0.0/31", "blockSize": 31, "assignmentMode": "Manual"})
        self.ctl("ipam", "configure", "--ip-cooldown-seconds", "4")
        first, second, third = (self.pod(name=name, ipam={"ipv4_pools": ["tiny"]}) for name in ("first", "second", "third"))
        address = self.address_of(first).split("/")[0]
        self.address_of(second)
        self.succeed(first, "DEL")
        wait_for("the address to rest", lambda: "cool" in self.ctl("ipam", "why", address).stdout, 20)
        answer = self.expect(third, "ADD", 11, "no free address: pool tiny has 0 free of 2: 1 in use by 1 node, 1 in cool-down until 20")
        assert re.search(r"until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", answer["msg"]), answer
        wait_for("its rest to end", lambda: third.call("ADD")[0] == 0, 20, 0.3)
        text = wait_for("the history", lambda: (t := self.ctl("ipam", "why", address).stdout).count("given to") == 2 and t, 20)
        assert "WorkloadEndpoint(faults/node1-k8s-third-eth0)" in text and "faults/first" in text and "released" in text, text
        self.ctl("ipam", "configure", "--ip-cooldown-seconds", "0")
        for pod in (first, second, third):
            self.succeed(pod, "DEL")
            pod.gone()
        self.expect_nothing_left()
        self.ctl("delete", "ippool", "tiny")

    def test_pools_change_under_living_addresses(self):
        spec = {"cidr": "10.252.0.0/26", "blockSize": 28, "assignmentMode": "Manual"}
        chosen = {"ipv4_pools": ["10.252.0.0/26"]}

        def refused(name, *words, **change):
            pool = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": name}, "spec": {**spec, **change}}
            done = self.ctl("apply", "-f", "-", stdin=json.dumps(pool), check=False)
            assert done.returncode == 1 and all(word in done.stderr for word in words), (words, done.stderr)

        self.apply("IPPool", "moving", spec)
        pod, late = self.pod(ipam=chosen), self.pod(ipam=chosen)
        result = self.succeed(pod, "ADD")
        address = result["ips"][0]["address"].split("/")[0]
        request = {**pod.request, "prevResult": result}
        refused("moving", "blockSize", "cannot change", blockSize=29)
        refused("moving", "cidr", "cannot change", cidr="10.252.0.0/25")
        refused("rival", "overlaps", "moving", cidr="10.252.0.0/16")
        refused("rival", "loopback", cidr="127.1.0.0/16")
        refused("rival", "multicast", cidr="239.0.0.0/24")
        self.apply("IPPool", "moving", {**spec, "disabled": True})
        wait_for("the pool to be closed", lambda: late.call("STATUS")[0] == 1, 20)
        self.expect(late, "ADD", 7, "10.252.0.0/26", "disabled")
        self.succeed(pod, "CHECK", request=request)
        self.ctl("delete", "ippool", "moving")
        wait_for("the pool to be forgotten", lambda: "there is no IPPool" in late.call("STATUS")[1]["msg"], 20)
        self.expect(late, "ADD", 7, "there is no IPPool")
        self.succeed(pod, "CHECK", request=request)
        assert "of no pool, owned by node1" in self.ctl("ipam", "show", f"--ip={address}").stdout
        assert "lies in no IPPool (1 addresses in use)" in self.ctl("ipam", "check", "--show-problem-ips").stdout
        refused("again", "only blockSize 28 fits it", blockSize=29)
        self.apply("IPPool", "again", spec)
        wait_for("the pool to be open", lambda: late.call("STATUS")[0] == 0, 20)
        assert self.address_of(late) != result["ips"][0]["address"]
        self.succeed(pod, "CHECK", request=request)
        for one in (pod, late):
            self.succeed(one, "DEL")
            one.gone()
        self.expect_nothing_left()
        self.ctl("delete", "ippool", "again")

    # ---- what must not

    def test_what_is_no_configuration_is_refused(self):
        pod = self.pod()
        for text in ("", " ", "{", "[]", "null", "7", '"x"', '{"a":1}{', '{"cniVersion":', b"\x00\x01\xff", b'{"name":"\xff\xfe"}',
                     "[" * 100000, '{"a":' * 100000, "x" * 1000000):
            for command in ("ADD", "DEL", "CHECK", "GC", "STATUS"):
                self.expect(pod, command, 6, request=text)
        self.expect(pod, "ADD", 6, "cniVersion", request={**pod.request, "cniVersion": 1})
        pod.gone()
        self.expect_nothing_left()

    def test_versions_that_are_not_spoken_are_refused(self):
        pod = self.pod()
        for version in ("0.1.0", "0.2.0", "0.3.0", "1.2.0", "9.9.9", "x", "", "1.1.0.0", " 1.1.0"):
            for command in ("ADD", "DEL", "CHECK", "GC", "STATUS"):
                self.expect(pod, command, 1, request={**pod.request, "cniVersion": version})
        without = {k: v for k, v in pod.request.items() if k != "cniVersion"}
        self.expect(pod, "ADD", 1, "cniVersion", request=without)
        pod.gone()
        self.expect_nothing_left()

    def test_a_wrong_environment_is_refused_by_name(self):
        pod = self.pod()
        for name in ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"):
            for nothing in (None, ""):
                self.expect(pod, "ADD", 4, name, environment={name: nothing})
        for command in ("add", "REMOVE", "ADD ", "x" * 1000):
            self.expect(pod, command, 4, "CNI_COMMAND")
        for text in ("../a", "a b", "-a", ".a", "_a", "a/b", "\u00e4", "a\nb", "a;b", "$(x)", "x" * 256):
            self.expect(pod, "ADD", 4, "CNI_CONTAINERID", environment={"CNI_CONTAINERID": text})
            if len(text) < 256:
                self.expect(pod, "DEL", 4, "CNI_CONTAINERID", environment={"CNI_CONTAINERID": text})
        for text in ("a" * 16, ".", "..", "a/b", "a:b", "a b", "a\tb", "a\nb", "eth%d", "%", "a\u00a0", "all", "default"):
            self.expect(pod, "ADD", 4, "CNI_IFNAME", environment={"CNI_IFNAME": text})
            self.expect(pod, "DEL", 4, "CNI_IFNAME", environment={"CNI_IFNAME": text})
        self.expect(pod, "ADD", 4, "lo", environment={"CNI_IFNAME": "lo"})  # there already
        for text, word in (("x", "CNI_ARGS"), ("=x", "CNI_ARGS"), ("COLOUR=red", "COLOUR"), ("IgnoreUnknown=0;COLOUR=red", "COLOUR"),
                           ("IP=x", "IP"), ("IP=10.0.0.300", "IP"), ("MAC=x", "MAC"), ("MAC=01:00:00:00:00:01", "MAC")):
            self.expect(pod, "ADD", 4, word, environment={"CNI_ARGS": text})
        pod.gone()
        self.expect_nothing_left()

    def test_a_namespace_that_is_none_is_refused(self):
        pod = self.pod()
        gone = self.pod()
        gone.gone()
        host = str(self.lab.nodes[0].namespace.path)
        for path in (str(gone.namespace.path), "/etc/hostname", "/etc", "/proc/self/ns/mnt", "nowhere", "/dev/null", host, "/proc/self/ns/net"):
            self.expect(pod, "ADD", 8, environment={"CNI_NETNS": path})
        assert "eth0@" in self.lab.nodes[0].namespace.ip("-br", "link").stdout  # its own uplink
        pod.gone()
        self.expect_nothing_left()

    def test_input_that_is_not_needed_may_never_come(self):
        for environment, code in (({"CNI_COMMAND": "VERSION"}, 0), ({"CNI_COMMAND": "ADD"}, 4), ({}, 4)):
            process = subprocess.Popen([BUILD / "cni/manul"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            out, _ = process.stdout.read(), process.wait(20)
            process.stdin.close()
            assert json.loads(out).get("code", 0) == code, (environment, out)

    def test_settings_without_sense_are_refused(self):
        rows = [({"name": None}, "name"), ({"name": ""}, "name"), ({"name": "a/b"}, "name"), ({"name": 5}, "name"), ({"name": "../x"}, "name"),
                ({"mtu": "big"}, "mtu"), ({"mtu": -1}, "mtu"), ({"mtu": 20}, "mtu"), ({"mtu": 70000}, "mtu"), ({"mtu": 1.5}, "mtu"),
                ({"ipam": []}, "ipam"), ({"ipam": {"assign_ipv4": "maybe"}}, "assign_ipv4"), ({"ipam": {"assign_ipv4": False}}, "both false"),
                ({"ipam": {"ipv4_pools": "four"}}, "ipv4_pools"), ({"ipam": {"ipv4_pools": ["absent"]}}, "absent"),
                ({"ipam": {"ipv4_pools": ["six"]}}, "six"), ({"run_dir": "run"}, "run_dir"), ({"run_dir": "/" + "x" * 80}, "run_dir"),
                ({"runtimeConfig": {"ips": ["10.0.0.300"]}}, "ips"), ({"runtimeConfig": {"ips": "10.245.0.1"}}, "ips"),
                ({"runtimeConfig": {"ips": ["192.0.2.1"]}}, "192.0.2.1"), ({"runtimeConfig": {"mac": "x"}}, "mac"),
                ({"runtimeConfig": {"mac": "ff:ff:ff:ff:ff:ff"}}, "mac"), ({"runtimeConfig": {"portMappings": [{"hostPort": 70000}]}}, "hostPort"),
                ({"runtimeConfig": {"portMappings": [{"hostPort": 1}]}}, "containerPort"),
                ({"runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": 2, "protocol": "icmp"}]}}, "icmp"),
                ({"runtimeConfig": {"bandwidth": {"ingressRate": -5}}}, "ingressRate"), ({"runtimeConfig": 5}, "runtimeConfig"),
                ({"args": {"cni": {"ips": ["x"]}}}, "ips"), ({"dns": {"nameservers": "10.0.0.1"}}, "nameservers"),
                ({"policy_setup_timeout_seconds": "soon"}, "policy_setup_timeout_seconds"), ({"prevResult": 7}, "prevResult"),
                ({"prevResult": {"ips": [{"address": "x"}]}}, "prevResult"), ({"prevResult": {"cniVersion": "1.1.0"}}, "prevResult")]
        pod = self.pod()
        for config, word in rows:
            request = {k: v for k, v in {**pod.request, **config}.items() if v is not None}
            self.expect(pod, "ADD", 7, word, request=request)
            assert not pod.has_interface()
        pod.gone()
        self.expect_nothing_left()

    def test_names_of_networks_and_interfaces_may_be_odd(self):
        for name in ("A", "0", "My_Net", "a.b", "a-", "x" * 253, "y" * 300):
            pod = self.pod()
            pod.request["name"] = name
            self.succeed(pod, "ADD")
            self.rm(pod)
        for ifname in ("a" * 15, "-x", 'e"0', "\u00e4th0", "...", "$(x)"):
            pod = self.pod(ifname=ifname)
            assert self.succeed(pod, "ADD")["interfaces"][1]["name"] == ifname
            self.rm(pod)

    def test_much_that_means_nothing_is_passed_over_and_too_much_for_a_request_is_refused(self):
        pod = self.pod()
        self.succeed(pod, "ADD", request={**pod.request, "junk": "x" * 20_000_000, "list": [{}] * 100_000})
        self.rm(pod)
        pod = self.pod()
        for config in ({"args": {"cni": {"labels": [{"key": f"k{i}", "value": "v" * 60} for i in range(20_000)]}}},
                       {"runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"a": "x" * 2_000_000}}}):
            self.expect(pod, "ADD", 7, "1 MiB", request={**pod.request, **config})
            assert not pod.has_interface()
        self.rm(pod)

    def test_unknown_keys_of_cni_args_need_permission(self):
        for permission in ("1", "true", "True", "TRUE"):
            pod = self.pod()
            self.succeed(pod, "ADD", {"CNI_ARGS": f"COLOUR=red=blue;IgnoreUnknown={permission};"})
            self.rm(pod)

    def test_an_attachment_of_another_network_is_none(self):
        """Container id and interface alone do not name an attachment."""
        pod = self.pod()
        result = self.succeed(pod, "ADD")
        for restarted in (False, True):
            if restarted:
                self.daemons[0].restart("ipamd")
                wait_for("ipamd to answer", lambda: pod.call("STATUS")[0] == 0, 30)
            other = {**pod.request, "name": "other", "prevResult": result}
            self.expect(pod, "ADD", 4, "eth0", request={k: v for k, v in other.items() if k != "prevResult"})
            self.expect(pod, "CHECK", 3, "other", request=other)
            for _ in range(2):
                self.succeed(pod, "DEL", request=other)
            self.succeed(pod, "GC", request={**other, "cni.dev/valid-attachments": []})
            self.succeed(pod, "CHECK", request={**pod.request, "prevResult": result})
        self.succeed(pod, "DEL")
        self.expect_nothing_left()
        # The list was renamed, and its runtime makes the container's network anew without a DEL.
        self.succeed(pod, "ADD")
        pod.namespace.ip("link", "del", "eth0")
        self.succeed(pod, "ADD", request={**pod.request, "name": "renamed"})
        wait_for("the first address to be free", lambda: self.addresses_in_use() == 1, 20)
        self.succeed(pod, "DEL", request={**pod.request, "name": "renamed"})
        self.rm(pod)

    def test_odd_names_of_pods_work_and_names_that_no_namespace_can_have_are_refused(self):
        for ns, name, code in (("a", "My_Pod", 0), ("a", "../b", 0), ("a", "b c", 0), ("a", "-b", 0), ("a", "x" * 300, 0), ("a", "\u00e4", 0),
                               ("n" * 63, f"{'p' * 63}.{'q' * 63}.{'r' * 63}", 0), ("a", "b\n", 0), ("a", '"b"', 0),
                               ("A", "b", 7), ("a/b", "c", 7), ("x" * 100, "b", 7), ("..", "..", 7), ("\u00e4", "b", 7)):
            pod = self.pod()
            variables = {"CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE={ns};K8S_POD_NAME={name}"}
            if code == 0:
                self.succeed(pod, "ADD", variables)
            else:
                self.expect(pod, "ADD", code, "namespace", environment=variables)
            self.succeed(pod, "DEL", variables)
            pod.gone()
        self.expect_nothing_left()

    def test_a_result_that_cannot_be_written_is_a_failure(self):
        pod = self.pod()
        with open("/dev/full", "w") as full:
            done = subprocess.run(["nsenter", f"--net={self.lab.nodes[0].namespace.path}", BUILD / "cni/manul"], stdout=full,
                                  input=json.dumps(pod.request), text=True, env={**os.environ, **pod.environment, "CNI_COMMAND": "ADD"}, check=False)
        assert done.returncode != 0
        self.rm(pod)

    def test_status_says_why_an_add_would_fail(self):
        pod = self.pod()
        self.succeed(pod, "STATUS")
        self.daemons[0].kill("felix")
        self.expect(pod, "STATUS", 51, "felix")
        self.succeed(pod, "STATUS", request={**pod.request, "policy_setup_timeout_seconds": 0})
        self.daemons[0].start("felix")
        wait_for("felix to answer", lambda: pod.call("STATUS")[0] == 0, 30)
        self.daemons[0].kill("ipamd")
        self.expect(pod, "STATUS", 50, "manul-ipamd")
        self.daemons[0].start("ipamd")
        wait_for("ipamd to answer", lambda: pod.call("STATUS")[0] == 0, 30)
        everything = {"apiVersion": "projectcalico.org/v3", "kind": "IPReservation", "metadata": {"name": "all"},
                      "spec": {"reservedCIDRs": ["10.245.0.0/24"]}}
        self.ctl("apply", "-f", "-", stdin=json.dumps(everything))
        text = "no free address: pool four has 0 free of 256: 0 in use by 0 nodes, 256 reserved"
        wait_for("the reservation to count", lambda: pod.call("STATUS")[0] == 1, 20)
        self.expect(pod, "STATUS", 50, text)
        self.expect(pod, "ADD", 11, text)
        self.ctl("delete", "ipreservation", "all")
        wait_for("the reservation to go", lambda: pod.call("STATUS")[0] == 0, 20)
        overlapping = {**POOL4, "metadata": {"name": "overlapping"}, "spec": {"cidr": "10.245.0.128/25"}}
        refused = self.ctl("apply", "-f", "-", stdin=json.dumps(overlapping), check=False)
        assert refused.returncode != 0 and "four" in refused.stderr, refused
        self.ctl("delete", "ippool", "four")
        wait_for("the pool to go", lambda: pod.call("STATUS")[0] == 1, 20)
        self.expect(pod, "STATUS", 50, "there is no IPv4 IPPool")
        self.expect(pod, "ADD", 11, "there is no IPv4 IPPool")
        self.ctl("apply", "-f", "-", stdin=json.dumps(POOL4))
        wait_for("the pool to count", lambda: pod.call("STATUS")[0] == 0, 20)
        pod.gone()
        self.expect_nothing_left()


if __name__ == "__main__":
    sys.exit(ConformanceTest().run(sys.argv[1:]))
