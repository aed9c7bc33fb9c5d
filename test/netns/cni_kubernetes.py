#!/usr/bin/env python3
"""Pods whose datastore is the Kubernetes API: real plugins, ipamd and felix of two nodes, and Pods that are deleted, made
anew under their name, finished or forgotten while their sandboxes and DELs come late or never. The API server is a
stand-in; MANUL_KUBE_APISERVER names a real kube-apiserver, which then runs on a real etcd with the rights of the manifests.

Closes with `N passed, N failed`. Runs beside a second copy of itself. Two minutes, mostly asleep.
"""
import hashlib
import http.client
import json
import os
import shutil
import ssl
import sys
import time
import uuid

from cni_rig import POOL, CniTest, wait_for
from etcd_test import EtcdLab
from namespaces import LabError
from server_test import ServedLab
from topology import BUILD, ROOT

KUBE_APISERVER = os.environ.get("MANUL_KUBE_APISERVER")
PODS = "/api/v1/namespaces/faults/pods"
NODE_USER = "/CN=system:serviceaccount:manul-system:manul-node"
OURS = "cni.projectcalico.org/"
TUNNEL = "projectcalico.org/IPv4VXLANTunnelAddr"
VXLAN = {**POOL, "spec": {**POOL["spec"], "vxlanMode": "Always"}}
SMALL = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "single"},
         "spec": {"cidr": "10.247.0.0/32", "blockSize": 32, "assignmentMode": "Manual", "allowedUses": ["Workload"]}}
NAMED = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "named"},
         "spec": {"cidr": "10.248.0.0/28", "blockSize": 30, "assignmentMode": "Manual", "allowedUses": ["Workload"]}}


class KubernetesLab(ServedLab):
    """The API server listens at the router."""

    def __init__(self, suffix: str, nodes: int):
        super().__init__(suffix, nodes)
        for node in self.nodes:
            node.datastore = node.datastore.replace("type: server", "type: kubernetes")
        self.admin = self.run_root / "admin.yaml"

    def start_api(self):
        self.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
        if KUBE_APISERVER:
            self.start_real_api()
        else:
            self.endpoint = "http://10.99.0.1:6443"
            for name in ["admin"] + [node.name for node in self.nodes]:
                (self.secrets / f"{name}.conf").write_text(json.dumps({
                    "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
                    "clusters": [{"name": "c", "cluster": {"server": self.endpoint}}],
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))
            process = self.tor.spawn(["python3", ROOT / "test/lab/kube_api.py", "10.99.0.1", "6443"], self.run_root / "api.log")
            self.remember("api", process.pid)
        self.admin.write_text(f"node:\n  name: admin\ndatastore:\n  type: kubernetes\n  kubernetes:\n    kubeconfig: {self.secrets}/admin.conf\n"
                              f"run_dir: {self.run_root}/admin\nstate_dir: {self.state_root}/admin\nlog_dir: {self.run_root}/admin\n")
        wait_for("the API server to answer", lambda: self.call("GET", "/api/v1/namespaces/kube-system")[0] == 200, 60)
        if KUBE_APISERVER:
            for name in ("crds", "rbac"):
                self.kubectl("apply", "-f", str(ROOT / f"config/kubernetes/{name}.yaml"))
            wait_for("the custom resources", lambda: self.call("GET", "/apis/projectcalico.org/v3/tiers")[0] == 200, 30)

    def start_real_api(self):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key",
                     "-out", "ca.crt", "-subj", "/CN=lab", "-days", "2")
        self.openssl("genrsa", "-out", "accounts.key", "2048")
        self.make_certificate("server", "/CN=server", "subjectAltName=IP:10.99.0.1\nextendedKeyUsage=serverAuth\n")
        for name, user in (("admin", "/O=system:masters/CN=admin"), *((node.name, NODE_USER) for node in self.nodes)):
            self.make_certificate(name, user, "extendedKeyUsage=clientAuth\n")
            self.make_kubeconfig(name)
        etcd = EtcdLab.start_etcd
        self.etcdctl = lambda *words: EtcdLab.etcdctl(self, *words)
        endpoint, self.endpoint = self.endpoint, "http://10.99.0.1:2379"
        etcd(self)
        self.endpoint = endpoint
        pki = self.secrets
        process = self.tor.spawn(
            [KUBE_APISERVER, "--etcd-servers=http://10.99.0.1:2379", "--secure-port=6443", "--bind-address=10.99.0.1",
             f"--tls-cert-file={pki}/server.crt", f"--tls-private-key-file={pki}/server.key", f"--client-ca-file={pki}/ca.crt",
             f"--service-account-key-file={pki}/accounts.key", f"--service-account-signing-key-file={pki}/accounts.key",
             "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
             "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--allow-privileged=true"],
            self.run_root / "api.log")
        self.remember("api", process.pid)

    def kubectl(self, *arguments, check=True):
        return self.tor.exec(shutil.which("kubectl"), *arguments, check=check,
                             env={"KUBECONFIG": f"{self.secrets}/admin.conf", "HOME": str(self.secrets)})

    def call(self, method, path, body=None, kind="application/json"):
        """(status, answer) of the API server, as an administrator; (0, None) without one."""
        def ask():
            host = self.endpoint.split("//")[1]
            if self.endpoint.startswith("https"):
                context = ssl.create_default_context(cafile=f"{self.secrets}/ca.crt")
                context.load_cert_chain(f"{self.secrets}/admin.crt", f"{self.secrets}/admin.key")
                connection = http.client.HTTPSConnection(host, timeout=20, context=context)
            else:
                connection = http.client.HTTPConnection(host, timeout=20)
            try:
                connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": kind})
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read() or b"null")
            except (OSError, ValueError):
                return 0, None
            finally:
                connection.close()
        return self.tor.call(ask)


class KubernetesTest(CniTest):
    POOLS = [VXLAN, SMALL, NAMED]

    def __init__(self):
        super().__init__(KubernetesLab(f"u{os.getpid()}", 2))

    def set_up(self):
        lab = self.lab
        lab.make_directories()
        lab.make_rack()
        lab.start_api()
        self.must("POST", "/api/v1/namespaces", {"metadata": {"name": "faults"}})
        for node in lab.nodes:
            self.make_node(node)
        self.ctl("apply", "-f", str(ROOT / "config/kubernetes/defaults.yaml"))
        self.start_daemons()

    def ctl(self, *arguments, **options):
        return self.lab.tor.exec(BUILD / "ctl/manulctl", "--config", self.lab.admin, *arguments, **options)

    def must(self, method, path, body=None, kind="application/json"):
        status, answer = self.lab.call(method, path, body, kind)
        assert status in (200, 201, 202), (method, path, status, answer)
        return answer

    # ---- what the kubelet and the controllers do

    def make_node(self, node):
        self.must("POST", "/api/v1/nodes", {"metadata": {"name": node.name}})

    def node_annotation(self, node, name):
        return self.must("GET", f"/api/v1/nodes/{node.name}")["metadata"].get("annotations", {}).get(name)

    def make_pod(self, name, node=0, annotations=None):
        """The Pod in the API."""
        self.must("POST", PODS, {"metadata": {"name": name, "annotations": annotations or {}},
                                 "spec": {"nodeName": self.lab.nodes[node].name, "terminationGracePeriodSeconds": 0,
                                          "containers": [{"name": "main", "image": "none"}]}})

    def delete_pod(self, *names):
        for name in names:
            self.must("DELETE", f"{PODS}/{name}", {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})

    def set_status(self, name, **status):
        self.must("PATCH", f"{PODS}/{name}/status", {"status": status}, "application/merge-patch+json")

    def recorded(self, name):
        """The address and the container that the Pod tells of."""
        annotations = self.must("GET", f"{PODS}/{name}")["metadata"].get("annotations", {})
        return annotations.get(OURS + "podIP"), annotations.get(OURS + "containerID")

    def restart_ipamd(self, node=0):
        self.daemons[node].restart("ipamd")
        probe = self.pod(node)
        wait_for("ipamd to answer", lambda: probe.call("STATUS")[0] == 0, 30)
        probe.gone()

    # ---- what is left

    def allocated(self):
        """{address: handle}, without the tunnels' own."""
        found = {}
        for block in self.objects("ipamblocks"):
            spec = block["spec"]
            base = spec["cidr"].split("/")[0].rsplit(".", 1)
            for i, index in enumerate(spec["allocations"]):
                if index is not None and "tunnel" not in spec["attributes"][index]["handle_id"]:
                    found[f"{base[0]}.{int(base[1]) + i}"] = spec["attributes"][index]["handle_id"]
        return found

    def addresses_in_use(self):
        return len(self.allocated())

    def left(self):
        return [one for one in super().left() if "tunnel-addr" not in one]

    def is_attached(self, pod, address):
        """The pod's link, its host route and its record agree."""
        assert pod.has_interface(), pod.container
        shown = pod.namespace.ip("-4", "address", "show", "dev", "eth0").stdout
        assert f"inet {address}" in shown, (address, shown)
        wait_for(f"the route to {address}", lambda: "dev cali" in pod.node.namespace.ip("route", "get", address.split("/")[0]).stdout, 20)
        assert self.recorded(pod.name) == (address, pod.container), (self.recorded(pod.name), address, pod.container)

    @staticmethod
    def host_interface(name):
        return "cali" + hashlib.sha1(f"faults.{name}".encode()).hexdigest()[:11]

    def attach(self, name, node=0, **more):
        """A sandbox of that Pod and its address."""
        pod = self.pod(node, name=name, **more)
        pod.name = name
        return pod, pod.add()

    # ---- without a DEL, to be looked at again in the end

    def test_what_is_lost_at_first(self):
        """The node's plugins never hear of these again: one whose Pod is gone, one whose Pod finished, one whose Pod waits
        for a sandbox that never comes."""
        for name in ("lost", "finished"):
            self.make_pod(name)
            setattr(self, name, self.attach(name)[0])
        self.set_status("finished", phase="Succeeded")
        self.delete_pod("lost")
        for pod in (self.lost, self.finished):
            pod.gone()
        self.restart_ipamd()
        self.lost_at = time.monotonic()
        assert self.addresses_in_use() == 2, "not before its time"

    # ---- lives of pods

    def test_a_pod_is_recorded_checked_and_forgotten(self):
        for version in ("0.4.0", "1.1.0"):
            self.make_pod("web")
            pod = self.pod(name="web", version=version)
            pod.name = "web"
            status, result = pod.call("ADD")
            assert status == 0, result
            address = result["ips"][0]["address"]
            self.is_attached(pod, address)
            for restart in (False, True):
                if restart:
                    self.restart_ipamd()
                status, answer = pod.call("CHECK", request={**pod.request, "prevResult": result})
                assert status == 0, answer
            assert pod.call("CHECK", {"CNI_CONTAINERID": "other"}, {**pod.request, "prevResult": result})[0] == 1
            pod.delete()
            wait_for("the address to be free", lambda a=address: a.split("/")[0] not in self.allocated(), 20)
            assert self.recorded("web") == ("", pod.container)
            pod.delete()
            self.delete_pod("web")
            pod.gone()

    def test_what_is_no_pod_of_this_node_is_refused(self):
        self.make_pod("elsewhere", node=1)
        for name, code, word in (("absent", 11, "no Pod"), ("elsewhere", 7, "node2")):
            pod = self.pod(name=name)
            status, answer = pod.call("ADD")
            assert status == 1 and answer["code"] == code and word in answer["msg"], answer
            assert not pod.has_interface()
            pod.delete()
            pod.gone()
        bare = self.pod()
        status, answer = bare.call("ADD")
        assert status == 1 and answer["code"] == 7 and "only pods" in answer["msg"], answer
        bare.gone()
        self.delete_pod("elsewhere")

    def test_a_stateful_pod_comes_back_under_its_name(self):
        """Its old sandbox still stands, its old DEL comes late or never, ipamd dies at any moment between."""
        before = set(self.allocated())
        for restart in (None, "before the new Pod", "after the new Pod"):
            for late in (True, False):
                self.make_pod("db-0")
                old, first = self.attach("db-0")
                self.delete_pod("db-0")
                if restart == "before the new Pod":
                    self.restart_ipamd()
                self.make_pod("db-0")
                if restart == "after the new Pod":
                    self.restart_ipamd()
                new, second = self.attach("db-0")
                assert first != second, "the old sandbox may still use it"
                self.is_attached(new, second)
                wait_for("the old sandbox's address to be free", lambda b=before, s=second:
                         set(self.allocated()) - b == {s.split("/")[0]}, 20)
                if late:
                    old.delete()
                old.gone()
                self.is_attached(new, second)
                new.delete()
                new.gone()
                self.delete_pod("db-0")
                wait_for("the new sandbox's address to be free", lambda b=before: set(self.allocated()) == b, 20)

    def test_a_sandbox_is_made_anew_in_the_same_pod(self):
        self.make_pod("again")
        before = set(self.allocated())
        sandboxes = [self.attach("again") for _ in range(3)]
        assert len({address for _, address in sandboxes}) == 3
        newest, address = sandboxes[-1]
        self.is_attached(newest, address)
        for pod, _ in sandboxes[:-1]:
            pod.delete()
            pod.gone()
        wait_for("the earlier ones' addresses to be free", lambda: set(self.allocated()) - before == {address.split("/")[0]}, 20)
        self.is_attached(newest, address)
        newest.delete()
        newest.gone()
        self.delete_pod("again")

    def test_a_static_pod_and_its_mirror(self):
        """The runtime knows a static pod by the hash of its file; its mirror in the API has a uid of its own, and may be
        deleted and made anew while the container runs."""
        mirror = {"kubernetes.io/config.hash": "0a" * 16, "kubernetes.io/config.mirror": "0a" * 16, "kubernetes.io/config.source": "file"}
        self.make_pod("static-node1", annotations=mirror)
        pod = self.pod(name="static-node1")
        pod.name = "static-node1"
        pod.environment["CNI_ARGS"] += f";K8S_POD_UID={'0a' * 16};K8S_POD_INFRA_CONTAINER_ID={pod.container}"
        address = pod.add()
        self.is_attached(pod, address)
        self.delete_pod("static-node1")
        self.make_pod("static-node1", annotations=mirror)
        plain = address.split("/")[0]
        self.set_status("static-node1", phase="Running", podIP=plain, podIPs=[{"ip": plain}])
        self.restart_ipamd()
        assert plain in self.allocated() and pod.has_interface()
        wait_for("felix to know the address again", lambda: any(
            e["spec"].get("ipNetworks") == [address] for e in self.objects("wep") if e["spec"]["pod"] == "static-node1"), 20)
        wait_for("its route", lambda: "dev cali" in pod.node.namespace.ip("route", "get", plain).stdout, 20)
        # Its file was changed: another sandbox, the old one's DEL comes after it.
        new = self.pod(name="static-node1")
        new.name = "static-node1"
        new.environment["CNI_ARGS"] += f";K8S_POD_UID={'0b' * 16}"
        second = new.add()
        assert second != address
        pod.delete()
        pod.gone()
        wait_for("the old sandbox's address to be free", lambda: plain not in self.allocated(), 20)
        self.is_attached(new, second)
        new.delete()
        new.gone()
        self.delete_pod("static-node1")

    def test_a_finished_pods_address_is_given_again_once_its_sandbox_is_gone(self):
        self.make_pod("job-1")
        self.make_pod("job-2")
        first, address = self.attach("job-1", ipam={"ipv4_pools": ["single"]})
        self.set_status("job-1", phase="Failed")
        wait_for("its endpoint to have no address", lambda: not any(
            e["spec"].get("ipNetworks") for e in self.objects("wep") if e["spec"]["pod"] == "job-1"), 20)
        second = self.pod(name="job-2", ipam={"ipv4_pools": ["single"]})
        second.name = "job-2"
        status, answer = second.call("ADD")
        assert status == 1 and answer["code"] == 11 and "0 free of 1" in answer["msg"], answer
        first.delete()
        wait_for("its address to be given", lambda: second.call("ADD")[0] == 0, 20, 0.5)
        self.is_attached(second, address)
        first.delete()  # runtimes send it twice
        first.gone()
        self.delete_pod("job-1")
        self.is_attached(second, address)
        second.delete()
        second.gone()
        self.delete_pod("job-2")

    def test_annotations_choose_addresses_and_pools(self):
        def lists(**names):
            return {OURS + name: json.dumps(values) for name, values in names.items()}

        self.must("PATCH", "/api/v1/namespaces/faults", {"metadata": {"annotations": lists(ipv4pools=["named"])}},
                  "application/merge-patch+json")
        for annotations, wanted in ((lists(ipAddrs=["10.245.0.200"], ipv4pools=["faults"]), "10.245.0.200/32"), (lists(ipv4pools=["10.245.0.0/22"]), "10.245."),
                                    ({}, "10.248.0."), (lists(ipAddrs=["10.248.0.9"]), "10.248.0.9/32")):
            self.make_pod("chosen", annotations=annotations)
            pod, address = self.attach("chosen")
            assert address.startswith(wanted), (annotations, address)
            self.is_attached(pod, address)
            pod.delete()
            pod.gone()
            self.delete_pod("chosen")
        self.must("PATCH", "/api/v1/namespaces/faults", {"metadata": {"annotations": {OURS + "ipv4pools": None}}},
                  "application/merge-patch+json")
        for annotations, code, word in (({OURS + "ipAddrs": "10.245.0.200"}, 7, "JSON list"), (lists(ipAddrs=["x"]), 7, "x"),
                                        (lists(ipv4pools=["absent"]), 7, "absent"), (lists(ipAddrs=["192.0.2.1"]), 7, "192.0.2.1"),
                                        (lists(ipAddrs=["10.245.0.1", "10.245.0.2"]), 7, "more than one")):
            self.make_pod("chosen", annotations=annotations)
            pod = self.pod(name="chosen")
            status, answer = pod.call("ADD")
            assert status == 1 and answer["code"] == code and word in answer["msg"], (annotations, answer)
            pod.delete()
            pod.gone()
            self.delete_pod("chosen")

    def test_a_pod_that_claims_anothers_container_gets_nothing_of_it(self):
        self.make_pod("victim")
        victim, address = self.attach("victim")
        plain = address.split("/")[0]
        for restart in (False, True):
            self.make_pod("thief", annotations={OURS + "containerID": victim.container, OURS + "podIP": address})
            if restart:
                self.restart_ipamd()
            thief, other = self.attach("thief")
            assert other != address
            time.sleep(0.5)
            assert self.allocated().get(plain, "").startswith("faults.") and victim.has_interface(), self.allocated()
            thief.delete()
            thief.gone()
            self.delete_pod("thief")
        # Who may edit a Pod may edit what it says of its address, but not its status.
        self.make_pod("thief")
        thief, other = self.attach("thief")
        self.must("PATCH", f"{PODS}/thief", {"metadata": {"annotations": {OURS + "podIP": address, OURS + "podIPs": address}}},
                  "application/merge-patch+json")
        time.sleep(0.5)
        routes = self.lab.nodes[0].namespace.ip("route", "show", plain).stdout
        assert self.host_interface("victim") in routes and self.host_interface("thief") not in routes, routes
        thief.delete()
        thief.gone()
        self.delete_pod("thief")
        self.is_attached(victim, address)
        victim.delete()
        victim.gone()
        self.delete_pod("victim")
        wait_for("its address to be free", lambda: plain not in self.allocated(), 20)

    def test_a_node_is_deleted_while_its_host_lives(self):
        node = self.lab.nodes[0]
        tunnel = wait_for("its tunnel's address", lambda: self.node_annotation(node, TUNNEL), 20)
        self.make_pod("stays")
        pod, address = self.attach("stays")
        affinities = sorted(a["metadata"]["name"] for a in self.objects("blockaffinities"))
        self.must("DELETE", f"/api/v1/nodes/{node.name}")
        wait_for("ipamd to say so", lambda: "IPAMD_NODE_MISSING" in (node.log_dir / "ipamd").read_text(), 20)
        wait_for("its sign of life", lambda: any(c["reason"] == "NodeMissing" for r in self.objects("nodereports")
                                                 if r["metadata"]["name"] == f"{node.name}.ipamd" for c in r["spec"].get("conditions", [])), 20)
        refused = self.ctl("delete", "node", node.name, "--release-addresses", check=False)
        assert refused.returncode != 0 and "Pods are scheduled" in refused.stderr, refused
        self.is_attached(pod, address)
        self.make_pod("late")  # a kubelet that lost its Node finishes what it began
        late, _ = self.attach("late")
        late.delete()
        late.gone()
        self.delete_pod("late")
        held = {a for b in self.objects("ipamblocks") for a in (x["handle_id"] for x in b["spec"]["attributes"])}
        assert f"vxlan-tunnel-addr-{node.name}" in held, held
        assert sorted(a["metadata"]["name"] for a in self.objects("blockaffinities")) == affinities
        self.make_node(node)
        assert wait_for("its tunnel's address again", lambda: self.node_annotation(node, TUNNEL), 20) == tunnel
        assert wait_for("its own address again", lambda: self.node_annotation(node, "projectcalico.org/IPv4Address"), 20)
        self.is_attached(pod, address)
        pod.delete()
        pod.gone()
        self.delete_pod("stays")

    def test_an_api_server_that_is_silent_keeps_nobody(self):
        self.make_pod("here")
        self.make_pod("new")
        pod, _ = self.attach("here")
        api = self.lab.processes["api"][0]
        os.kill(api, 19)
        try:
            new = self.pod(name="new")
            started = time.monotonic()
            status, answer = new.call("ADD")
            assert status == 1 and answer["code"] == 11, answer
            pod.delete()
            new.delete()
            assert time.monotonic() - started < 60
        finally:
            os.kill(api, 18)
        for one in (pod, new):
            one.gone()
        wait_for("what was noted to be done", lambda: self.recorded("here")[0] == "", 60, 0.3)
        self.delete_pod("here", "new")

    def test_what_was_lost_is_free_after_a_minute(self):
        wait_for("the lost addresses to be free", lambda: not self.allocated(), 200, 0.5)
        assert self.recorded("finished")[0] == ""
        self.delete_pod("finished")
        self.expect_nothing_left()
        self.expect_sound(60)


if __name__ == "__main__":
    sys.exit(KubernetesTest().run(sys.argv[1:]))
