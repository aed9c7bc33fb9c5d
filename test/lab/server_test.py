#!/usr/bin/env python3
"""Two hosts whose daemons have no datastore but `manulctl serve` at the router: TLS, client certificates, rights of a
node, pods, packets, policy by the real kubectl, and a server that dies."""
import json
import os
import shutil
import subprocess
import sys

from namespaces import start_time, wait_for
from system_test import SystemTest
from topology import BUILD, MANIFESTS, Lab


class ServedLab(Lab):
    """The server listens at the router, so that nodes reach it over their network as real hosts do."""

    def __init__(self, suffix: str, nodes: int):
        super().__init__(suffix, nodes)
        self.secrets = self.state_root / "pki"
        self.endpoint = "https://10.99.0.1:6443"
        for node in self.nodes:
            node.datastore = ("datastore:\n  type: server\n  kubernetes:\n"
                              f"    kubeconfig: {self.secrets / node.name}.conf\n")
            node.ctl_in_namespace = True

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.secrets, check=True, capture_output=True)

    def make_certificate(self, name, subject, extension):
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                     f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        (self.secrets / f"{name}.ext").write_text(extension)
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "2", "-out", f"{name}.crt", "-extfile", f"{name}.ext")
        (self.secrets / f"{name}.key").chmod(0o600)

    def make_kubeconfig(self, name):
        (self.secrets / f"{name}.conf").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.endpoint,
                                                   "certificate-authority": f"{self.secrets}/ca.crt"}}],
            "users": [{"name": "u", "user": {"client-certificate": f"{self.secrets}/{name}.crt",
                                             "client-key": f"{self.secrets}/{name}.key"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))

    def make_server(self):
        self.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                     "ca.key", "-out", "ca.crt", "-subj", "/CN=lab", "-days", "2")
        self.make_certificate("server", "/CN=server", "subjectAltName=IP:10.99.0.1\nextendedKeyUsage=serverAuth\n")
        self.make_certificate("admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth\n")
        for name in ["admin"] + [node.name for node in self.nodes]:
            if name != "admin":
                self.make_certificate(name, f"/O=manul:nodes/CN={name}", "extendedKeyUsage=clientAuth\n")
            self.make_kubeconfig(name)
        (self.secrets / "serve.yaml").write_text(
            f"node:\n  name: router\ndatastore:\n  type: sqlite\n  path: {self.store}\nrun_dir: {self.run_root}/serve\n"
            f"state_dir: {self.state_root}/serve\nlog_dir: {self.run_root}/serve\nserve:\n  listen: 10.99.0.1:6443\n"
            f"  tls_cert_file: {self.secrets}/server.crt\n  tls_key_file: {self.secrets}/server.key\n"
            f"  client_ca_file: {self.secrets}/ca.crt\n")

    def start_server(self):
        process = self.tor.spawn([BUILD / "ctl/manulctl", "--config", self.secrets / "serve.yaml", "serve"],
                                 self.run_root / "serve.log")
        self.remember("serve", process.pid)
        wait_for("the server to answer", lambda: self.kubectl("get", "tiers", check=False).returncode == 0, 30)

    def kill_server(self):
        pid, _ = self.processes["serve"]
        os.kill(pid, 9)
        wait_for("the server to be gone",
                 lambda: start_time(pid) is None or self.kubectl("get", "tiers", check=False).returncode != 0, 10)

    def kubectl(self, *arguments, check=True):
        return self.tor.exec(shutil.which("kubectl"), *arguments, check=check,
                             env={"KUBECONFIG": f"{self.secrets}/admin.conf", "HOME": str(self.secrets)})


class ServerTest(SystemTest):
    def __init__(self):
        self.lab = ServedLab(f"v{os.getpid()}", 2)
        self.figures = {}

    def tests(self):
        return [self.the_lab_comes_up, self.pods_reach_each_other, self.a_node_may_not_write_policy,
                self.a_deny_by_kubectl_acts, self.policy_stays_while_the_server_is_away,
                self.everything_goes_on_when_it_is_back]

    def admin(self, *arguments, **options):
        return self.lab.tor.exec(BUILD / "ctl/manulctl", "--config", self.lab.secrets / "serve.yaml", *arguments, **options)

    def the_lab_comes_up(self):
        lab = self.lab
        lab.make_directories()
        lab.make_rack()
        lab.start_router()
        lab.make_server()
        lab.start_server()
        lab.kubectl("create", "clusterrolebinding", "nodes", "--clusterrole=manul-node", "--group=manul:nodes")
        lab.start_nodes()
        self.admin("apply", "-f", MANIFESTS / "rack.yaml")
        lab.wait_for_sessions()

    def pods_reach_each_other(self):
        lab = self.lab
        lab.plan_pods()
        self.admin("apply", "-f", "-", stdin=lab.pod_manifest())
        for pod in lab.pods:
            lab.add_pod(pod)
        lab.start_servers()
        self.expect(self.pairs(lambda a, b: True), "TCP between all pods")

    def a_node_may_not_write_policy(self):
        done = self.ctl("apply", "-f", MANIFESTS / "deny-clients.yaml", check=False)
        assert done.returncode != 0 and "forbidden" in done.stderr, done
        assert self.ctl("get", "nodes").returncode == 0

    @staticmethod
    def denied(a, b):
        return not (a.startswith("client") and b.startswith("server"))

    def a_deny_by_kubectl_acts(self):
        self.lab.kubectl("apply", "-f", str(MANIFESTS / "deny-clients.yaml"))
        self.expect(self.pairs(self.denied), "the global deny")

    def policy_stays_while_the_server_is_away(self):
        self.lab.kill_server()
        self.expect(self.pairs(self.denied), "the same as before, without the server")

    def everything_goes_on_when_it_is_back(self):
        lab = self.lab
        lab.start_server()
        lab.kubectl("delete", "globalnetworkpolicy", "deny-clients")
        self.expect(self.pairs(lambda a, b: True), "everything after the deny is gone", patience=60)
        pod = lab.pod("client1")
        lab.remove_pod(pod)
        wait_for("the address to be free", lambda: "is not assigned" in
                 self.admin("ipam", "show", f"--ip={pod.address4}", check=False).stdout, 30)


if __name__ == "__main__":
    sys.exit(ServerTest().run())
