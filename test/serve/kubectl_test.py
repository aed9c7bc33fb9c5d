#!/usr/bin/env python3
"""The real kubectl against `manulctl serve`: TLS, client certificates, tokens, rights, and every verb.

The client is $MANUL_KUBECTL or the kubectl that is installed (Debian 12: 1.20.2).
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from serving import Server

BUILD = pathlib.Path(os.environ["MANUL_BUILD_DIR"])
KUBECTL = os.environ.get("MANUL_KUBECTL") or shutil.which("kubectl")
TOP = pathlib.Path(tempfile.mkdtemp(prefix=f"manul-serve-{os.getpid()}-"))
failures = []


def check(what, condition, detail=""):
    print(("ok    " if condition else "FAIL  ") + what)
    if not condition:
        failures.append(what)
        print("      " + str(detail).strip().replace("\n", "\n      "))


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=TOP, check=True, capture_output=True)


def make_certificate(name, subject, ca="ca", extra=""):
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", subject)
    (TOP / f"{name}.ext").write_text(extra or "extendedKeyUsage=clientAuth\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days",
            "2", "-out", f"{name}.crt", "-extfile", f"{name}.ext")
    (TOP / f"{name}.key").chmod(0o600)


def make_authority(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}", "-days", "2")


SETTINGS = """datastore: {{type: sqlite, path: {top}/store.db}}
serve:
  listen: 127.0.0.1:{port}
  tls_cert_file: {top}/server.crt
  tls_key_file: {top}/server.key
  client_ca_file: {top}/ca.crt
  tokens_file: {top}/tokens.csv
"""


def kubeconfig(name, port, user):
    (TOP / name).write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}",
                                               "certificate-authority": f"{TOP}/ca.crt"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))
    return TOP / name


def kubectl(config, *arguments, stdin=None, timeout=60):
    environment = dict(os.environ, HOME=str(TOP), KUBECONFIG=str(config), KUBE_EDITOR=str(TOP / "editor"))
    done = subprocess.run([KUBECTL, *arguments], input=stdin, capture_output=True, text=True, env=environment,
                          timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def expect(what, config, arguments, stdin=None, out=None, err=None, code=0):
    status, stdout, stderr = kubectl(config, *arguments, stdin=stdin)
    good = status == code if code is not None else status != 0
    good = good and (out is None or out in stdout) and (err is None or err in stderr)
    check(what, good, f"exit {status}\n{stdout}\n{stderr}")
    return stdout


POLICY = """
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny-all, labels: {team: blue}}
spec: {selector: all(), order: %s, types: [Ingress]}
"""
KUBERNETES_POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: prod}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - ports: [{port: %s}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec:
  ports: [{name: http, port: 80}, {name: %s, port: %s}]
"""


def client_version():
    text = subprocess.run([KUBECTL, "version", "--client", "-o", "json"], capture_output=True, text=True,
                          env=dict(os.environ, HOME=str(TOP))).stdout
    return int(re.sub(r"\D", "", json.loads(text)["clientVersion"]["minor"]))


def prune_option():
    return "--prune-allowlist" if client_version() >= 26 else "--prune-whitelist"


def verbs(admin):
    expect("api-resources", admin, ["api-resources"], out="globalnetworkpolicies")
    expect("apply creates", admin, ["apply", "-f", "-"], POLICY % 100, out="deny-all created")
    expect("apply again changes nothing", admin, ["apply", "-f", "-"], POLICY % 100, out="unchanged")
    expect("apply changes", admin, ["apply", "-f", "-"], POLICY % 7, out="configured")
    expect("get is a table", admin, ["get", "globalnetworkpolicies"], out="TIER")
    expect("get by a short name", admin, ["get", "gnp", "deny-all", "-o", "jsonpath={.spec.order}"], out="7")
    expect("get -o wide has more columns", admin, ["get", "gnp", "-o", "wide"], out="SELECTOR")
    expect("get -l", admin, ["get", "gnp", "-l", "team=blue", "-o", "name"], out="deny-all")
    expect("get --field-selector", admin, ["get", "gnp", "--field-selector", "metadata.name=deny-all", "-o", "name"],
           out="deny-all")
    expect("edit", admin, ["edit", "gnp", "deny-all"], out="edited")
    expect("patch --type=merge", admin, ["patch", "gnp", "deny-all", "--type=merge", "-p", '{"spec":{"order":9}}'],
           out="patched")
    expect("patch --type=json", admin,
           ["patch", "gnp", "deny-all", "--type=json", "-p", '[{"op":"replace","path":"/spec/order","value":11}]'],
           out="patched")
    status, out, err = kubectl(admin, "patch", "gnp", "deny-all", "--type=json", "-p", '[{"op":"remove","path":"/spec/absent"}]')
    check("a patch that does not fit says why", status == 1 and "/spec/absent" in err, out + err)
    expect("patch --type=strategic is refused", admin, ["patch", "gnp", "deny-all", "-p", '{"spec":{"order":9}}'],
           err="application/merge-patch+json", code=1)
    expect("label", admin, ["label", "gnp", "deny-all", "a=b"], out="labeled")
    expect("annotate", admin, ["annotate", "gnp", "deny-all", "c=d"], out="annotate")
    expect("describe", admin, ["describe", "gnp", "deny-all"], out="Order:")
    expect("replace", admin, ["replace", "-f", "-"], POLICY % 12, out="replaced")
    expect("create refuses what exists", admin, ["create", "-f", "-"], POLICY % 1, err="AlreadyExists", code=1)
    applies = ["apply", "--server-side", "-f", "-"]
    expect("apply --server-side", admin, applies, POLICY.replace("deny-all", "ssa") % 1, out="serverside-applied")
    expect("apply --server-side by somebody else", admin, [*applies, "--field-manager=other"],
           POLICY.replace("deny-all", "ssa") % 2, err='conflict with "kubectl"', code=1)
    expect("apply --server-side --force-conflicts", admin, [*applies, "--field-manager=other", "--force-conflicts"],
           POLICY.replace("deny-all", "ssa") % 2, out="serverside-applied")
    expect("fields have their owners", admin, ["get", "gnp", "ssa", "-o", "jsonpath={.metadata.managedFields[*].manager}"],
           out="kubectl other")
    expect("apply --server-side lost to somebody else", admin, applies, POLICY.replace("deny-all", "ssa") % 3,
           err='conflict with "other": .spec.order', code=1)
    expect("delete what was applied", admin, ["delete", "gnp", "ssa"], out="deleted")
    expect("a dry run does nothing", admin, ["apply", "--dry-run=server", "-f", "-"], POLICY % 99, out="server dry run")
    expect("and shows so", admin, ["get", "gnp", "deny-all", "-o", "jsonpath={.spec.order}"], out="12")
    expect("explain", admin, ["explain", "globalnetworkpolicies.spec.order"], out="Place in the tier")
    expect("explain a kind of Kubernetes", admin, ["explain", "networkpolicies"], out="networking.k8s.io")
    expect("an unknown field is refused", admin, ["apply", "-f", "-"], (POLICY % 1).replace("order", "ordr"),
           err="ordr", code=1)
    expect("a wrong value is refused", admin, ["apply", "-f", "-"],
           (POLICY % 1).replace("[Ingress]", "[Sideways]"), err="spec.types", code=1)
    expect("apply what was replaced", admin, ["apply", "-f", "-"], POLICY % 12, out="configured")
    expect("diff of what is stored", admin, ["diff", "-f", "-"], POLICY % 12)
    expect("diff of a change", admin, ["diff", "-f", "-"], POLICY % 13, out="order: 13", code=1)
    expect("diff changes nothing", admin, ["get", "gnp", "deny-all", "-o", "jsonpath={.spec.order}"], out="12")
    expect("a list in pages", admin, ["get", "gnp,tiers", "--chunk-size=1", "-o", "name"], out="tier")
    expect("a list in another order", admin, ["get", "tiers", "--sort-by=.spec.order"], out="kube-admin")
    expect("explain --recursive", admin, ["explain", "globalnetworkpolicies", "--recursive"], out="notSelector")
    version = expect("a version", admin, ["get", "gnp", "deny-all", "-o", "jsonpath={.metadata.resourceVersion}"])
    expect("label at that version", admin, ["label", "gnp", "deny-all", "n=1", f"--resource-version={version}"],
           out="labeled")
    expect("which it has no more", admin, ["annotate", "gnp", "deny-all", "n=1", f"--resource-version={version}"],
           err="onflict", code=1)
    expect("a dry run of a deletion", admin, ["delete", "gnp", "deny-all", "--dry-run=server"], out="server dry run")
    expect("replace --force", admin, ["replace", "--force", "-f", "-"], POLICY % 14, out="replaced")
    expect("a generated name", admin, ["create", "-f", "-"], (POLICY % 1).replace("name: deny-all", "generateName: made-"),
           out="made-")
    expect("delete -l", admin, ["delete", "gnp", "-l", "team=blue"], out="made-")
    expect("create it again", admin, ["create", "-f", "-"], POLICY % 15, out="created")
    expect("apply --prune", admin,
           ["apply", "--prune", "-l", "team=blue", prune_option() + "=projectcalico.org/v3/GlobalNetworkPolicy", "-f", "-"],
           (POLICY % 1).replace("deny-all", "kept"), out="kept")
    expect("which spares what was never applied", admin, ["get", "gnp", "-o", "name"], out="deny-all")
    expect("delete", admin, ["delete", "gnp", "deny-all"], out="deleted")
    expect("delete the other", admin, ["delete", "gnp", "kept", "--wait=false"], out="deleted")
    expect("an absent object is told so", admin, ["get", "gnp", "deny-all"], err="NotFound", code=1)


def kubernetes_kinds(admin):
    expect("create namespace", admin, ["create", "namespace", "prod"], out="created")
    expect("create secret", admin, ["create", "secret", "generic", "s", "-n", "prod", "--from-literal=p=hidden"],
           out="created")
    text = expect("a secret is masked", admin, ["get", "secret", "s", "-n", "prod", "-o", "yaml"], out="Kioq")
    check("and its value is nowhere", "aGlkZGVu" not in text, text)
    applied = "apiVersion: v1\nkind: Secret\nmetadata: {name: applied, namespace: prod}\nstringData: {p: hidden}\n"
    expect("apply a secret", admin, ["apply", "-f", "-"], applied, out="created")
    version = ["get", "secret", "applied", "-n", "prod", "-o", "jsonpath={.metadata.resourceVersion}"]
    before = expect("its version", admin, version)
    expect("apply it again", admin, ["apply", "-f", "-"], applied, out="configured")  # the client cannot know better
    check("which changes nothing", before and expect("its version then", admin, version) == before)
    for turn in ("apply it from now on by the server", "and again"):
        status, out, err = kubectl(admin, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=applied)
        check(turn, status == 0 and "failed to migrate" not in err, out + err)
    expect("apply a policy of Kubernetes", admin, ["apply", "-f", "-"], KUBERNETES_POLICY % 80, out="created")
    expect("its change is a strategic merge patch", admin, ["apply", "-f", "-"], KUBERNETES_POLICY % 81,
           out="configured")
    expect("which replaced the list", admin,
           ["get", "networkpolicy", "web", "-n", "prod", "-o", "jsonpath={.spec.ingress[*].ports[*].port}"], out="81")
    expect("networkpolicies are Kubernetes'", admin, ["get", "networkpolicies", "-A", "-o", "name"],
           out="networkpolicy.networking.k8s.io/web")
    expect("apply a service", admin, ["apply", "-f", "-"], SERVICE % ("tls", 443), out="created")
    expect("ports are merged by their number", admin, ["apply", "-f", "-"], SERVICE % ("alt", 8080), out="configured")
    expect("as kubectl meant it", admin, ["get", "service", "web", "-n", "prod", "-o", "jsonpath={.spec.ports[*].port}"],
           out="80 8080")
    expect("auth can-i", admin, ["auth", "can-i", "delete", "pods"], out="yes")
    expect("get all", admin, ["get", "all", "-n", "prod"], out="service/web")
    expect("auth can-i --list", admin, ["auth", "can-i", "--list"], out="*.*")
    expect("a namespace is in use", admin, ["describe", "namespace", "prod"], out="Active")
    expect("a secret has a type", admin, ["get", "secret", "s", "-n", "prod", "-o", "jsonpath={.type}"], out="Opaque")
    if client_version() >= 23:
        expect("wait --for=jsonpath", admin,
               ["wait", "namespace/prod", "--for=jsonpath={.status.phase}=Active", "--timeout=20s"], out="condition met")
        expect("wait --for=jsonpath that never comes", admin,
               ["wait", "namespace/prod", "--for=jsonpath={.status.phase}=Gone", "--timeout=1s"], err="timed out", code=1)
    expect("create a role", admin, ["create", "role", "r", "--verb=get", "--resource=networksets.projectcalico.org", "-n",
                                    "prod"], out="created")
    expect("patch --type=strategic", admin,
           ["patch", "networkpolicy", "web", "-n", "prod", "-p", '{"spec":{"policyTypes":["Ingress","Egress"]}}'],
           out="patched")


ENDPOINT = """
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {name: n1-k8s-web-eth0, namespace: short, annotations: {manul.io/boot-id: b}}
spec: {node: n1, orchestrator: k8s, pod: web, endpoint: eth0, interfaceName: cali12345678901}
"""


def namespaces(admin):
    expect("a namespace", admin, ["create", "namespace", "short"], out="created")
    expect("with a policy in it", admin, ["apply", "-f", "-"], KUBERNETES_POLICY.replace("prod", "short") % 80, out="created")
    expect("and a pod that runs", admin, ["create", "-f", "-"], ENDPOINT, out="created")
    expect("delete the namespace", admin, ["delete", "namespace", "short", "--wait=false"], out="deleted")
    expect("it waits for the pod", admin, ["get", "namespace", "short"], out="Terminating")
    expect("with its policy", admin, ["get", "networkpolicy", "web", "-n", "short", "-o", "name"], out="web")
    expect("and takes nothing new", admin, ["create", "secret", "generic", "s", "-n", "short"],
           err="because it is being terminated", code=1)
    expect("when the pod has ended", admin, ["delete", "workloadendpoint", "n1-k8s-web-eth0", "-n", "short"], out="deleted")
    expect("it goes by itself", admin, ["wait", "--for=delete", "namespace/short", "--timeout=40s"])
    expect("with what was in it", admin, ["get", "networkpolicy", "web", "-n", "short"], err="NotFound", code=1)
    expect("an empty one goes at once", admin, ["create", "namespace", "short"], out="created")
    expect("as kubectl waits to see", admin, ["delete", "namespace", "short", "--timeout=30s"], out="deleted")


def rights(admin, viewer, nobody, port):
    expect("nobody knows this token", nobody, ["get", "gnp"], err="nauthorized", code=1)
    expect("a reader without a binding", viewer, ["get", "gnp"], err="forbidden", code=1)
    expect("bind him", admin, ["create", "clusterrolebinding", "views", "--clusterrole=manul-view", "--user=ann"],
           out="created")
    deadline = time.monotonic() + 20
    while kubectl(viewer, "get", "gnp")[0] != 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    expect("then he reads", viewer, ["get", "tiers"], out="kube-admin")
    expect("but does not write", viewer, ["apply", "-f", "-"], POLICY % 1, err="forbidden", code=1)
    expect("auth can-i says so too", viewer, ["auth", "can-i", "create", "gnp"], out="no", code=1)
    with open(TOP / "tokens.csv", "a") as file:
        file.write("late,ann,3\n")
    late = kubeconfig("late.conf", port, {"token": "late"})
    deadline = time.monotonic() + 40
    while kubectl(late, "get", "gnp")[0] != 0 and time.monotonic() < deadline:
        time.sleep(0.5)
    expect("a token that was added is known", late, ["get", "tiers"], out="kube-admin")


def watching(admin):
    watch = subprocess.Popen([KUBECTL, "get", "gnp", "-w", "--output-watch-events"], stdout=subprocess.PIPE, text=True,
                             env=dict(os.environ, HOME=str(TOP), KUBECONFIG=str(admin)))
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(iter(watch.stdout.readline, "")), daemon=True)
    reader.start()
    names = [f"watched-{number}" for number in range(3)]
    for name in names:
        expect(f"create {name}", admin, ["create", "-f", "-"], (POLICY % 1).replace("deny-all", name), out="created")
    deadline = time.monotonic() + 30
    while not all(any(name in line for line in seen) for name in names) and time.monotonic() < deadline:
        time.sleep(0.1)
    check("get -w shows what is created", all(any(name in line for line in seen) for name in names), seen)
    check("and that it is new", any("ADDED" in line and names[-1] in line for line in seen), seen)
    watch.kill()
    watch.wait()
    waiting = subprocess.Popen([KUBECTL, "wait", "--for=delete", "gnp/watched-0", "--timeout=40s"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=dict(os.environ, HOME=str(TOP), KUBECONFIG=str(admin)))
    time.sleep(1)
    expect("delete what is waited for", admin, ["delete", "gnp", "watched-0"], out="deleted")
    output, _ = waiting.communicate(timeout=60)
    check("wait --for=delete ends", waiting.returncode == 0, output)
    expect("delete --all", admin, ["delete", "gnp", "--all"], out="watched-2")


def raw(port, data, certificate=None, wait=5):
    """What the server says to these bytes, within some seconds."""
    context = ssl.create_default_context(cafile=TOP / "ca.crt")
    if certificate:
        context.load_cert_chain(TOP / f"{certificate}.crt", TOP / f"{certificate}.key")
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10),
                             server_hostname="127.0.0.1") as connection:
        connection.settimeout(wait)
        try:
            connection.sendall(data)
        except OSError:
            pass
        out = b""
        try:
            while chunk := connection.recv(65536):
                out += chunk
        except (TimeoutError, OSError):
            pass
        return out


def rudeness(port, admin):
    check("no HTTP at all", b" 400 " in raw(port, b"\x00\x01\x02\r\n\r\n" * 3))
    check("a header without an end", b"431" in raw(port, b"GET / HTTP/1.1\r\nA: " + b"x" * 20000))
    check("a body larger than allowed",
          b"413" in raw(port, b"POST /apis HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"))
    check("two lengths", b" 200 " not in raw(
        port, b"POST /apis HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"))
    answer = raw(port, b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nImpersonate-User: root\r\nConnection: close\r\n\r\n",
                 "admin")
    check("impersonation is refused", b"403" in answer, answer)
    try:
        raw(port, b"GET /apis HTTP/1.1\r\nHost: x\r\n\r\n", "stranger", wait=3)
        refused = b" 200 " not in raw(port, b"GET /apis HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "stranger")
    except (ssl.SSLError, OSError):
        refused = True
    check("a certificate of another authority is refused", refused)
    # Connections that say nothing keep nobody else from being served.
    silent = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(200)]
    expect("served beside 200 silent connections", admin, ["get", "tiers"], out="default")
    for connection in silent:
        connection.close()
    plain = socket.create_connection(("127.0.0.1", port), 5)
    plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
    plain.settimeout(15)
    try:
        check("plain HTTP gets nothing", b"200" not in plain.recv(1000))
    except OSError:
        check("plain HTTP gets nothing", True)
    plain.close()


def audit():
    path = TOP / "log/audit.log"
    check("the audit log is for root alone", path.stat().st_mode & 0o777 == 0o600, oct(path.stat().st_mode))
    events = [json.loads(line) for line in path.read_text().splitlines()]
    check("who did it", any(event["user"]["username"] == "root-admin" for event in events))
    check("what was refused is there too", any(event["responseStatus"]["code"] == 403 for event in events))
    changed = [event for event in events if event["verb"] == "patch" and event["objectRef"]["name"] == "deny-all"]
    check("before and after", any("manul.io/before" in event["annotations"] and "manul.io/after" in
                                  event["annotations"] for event in changed), changed[:1])
    check("no secret", "aGlkZGVu" not in path.read_text())


def main():
    if not KUBECTL:
        raise SystemExit("no kubectl is installed (Debian: kubernetes-client)")
    make_authority("ca")
    make_authority("otherca")
    make_certificate("server", "/CN=server", extra="subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    make_certificate("admin", "/O=system:masters/CN=root-admin")
    make_certificate("stranger", "/O=system:masters/CN=root-admin", ca="otherca")
    (TOP / "tokens.csv").write_text('view,ann,1,"readers"\n')
    (TOP / "tokens.csv").chmod(0o600)
    (TOP / "editor").write_text('#!/bin/sh\nsed -i "s/order: 7/order: 8/" "$1"\n')
    (TOP / "editor").chmod(0o700)
    server = Server(BUILD, TOP, SETTINGS)
    server.start()
    admin = kubeconfig("admin.conf", server.port,
                       {"client-certificate": f"{TOP}/admin.crt", "client-key": f"{TOP}/admin.key"})
    viewer = kubeconfig("viewer.conf", server.port, {"token": "view"})
    nobody = kubeconfig("nobody.conf", server.port, {"token": "wrong"})
    try:
        print(subprocess.run([KUBECTL, "version", "--client"], capture_output=True, text=True,
                             env=dict(os.environ, HOME=str(TOP))).stdout.strip())
        verbs(admin)
        kubernetes_kinds(admin)
        namespaces(admin)
        watching(admin)
        rights(admin, viewer, nobody, server.port)
        rudeness(server.port, admin)
        check("killed, it is started again", server.stop(signal.SIGKILL) == -signal.SIGKILL)
        server.start()
        expect("with everything there", admin, ["get", "namespace", "prod"], out="prod")
        audit()
    finally:
        code = server.stop()
    check("SIGTERM ends it cleanly", code == 0, code)
    if failures:
        print((TOP / "serve.log").read_text()[-3000:])
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        result = main()
    finally:
        shutil.rmtree(TOP, ignore_errors=True)
    sys.exit(result)
