"""A stand-in for a Kubernetes API server, as far as Manul's daemons use one: objects of any kind in memory, lists,
watches, versions, merge patches (strategic ones as far as conditions go), preconditions, the status subresource. Plain HTTP; everybody may do everything.

    kube_api.py ADDRESS PORT
"""
import datetime
import http.server
import json
import sys
import threading
import time
import urllib.parse
import uuid

GROUPS = ["networking.k8s.io", "discovery.k8s.io", "coordination.k8s.io", "projectcalico.org", "manul.io"]
STRATEGIC = "application/strategic-merge-patch+json"
WITH_STATUS = ("pods", "nodes", "services", "namespaces")


class Refusal(Exception):
    def __init__(self, code, reason, message):
        self.status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


def merged(target, patch, strategic=False):
    """RFC 7396; a strategic patch merges conditions by their type."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif strategic and key == "conditions":
            former = {item["type"]: item for item in out.get(key, [])}
            out[key] = list({**former, **{item["type"]: merged(former.get(item["type"]), item) for item in value}}.values())
        else:
            out[key] = merged(out.get(key), value, strategic)
    return out


class Cluster:
    """All objects by (group and version, plural, namespace, name), and every change of them in order."""

    def __init__(self):
        self.changed = threading.Condition()
        self.objects, self.events, self.revision = {}, [], 0
        with self.changed:
            self.put(("v1", "namespaces", "", "kube-system"), {"metadata": {"name": "kube-system"}}, "ADDED")

    def put(self, key, document, event):
        self.revision += 1
        metadata = {**document.get("metadata", {}), "name": key[3], "resourceVersion": str(self.revision)}
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
        if key[2]:
            metadata["namespace"] = key[2]
        self.objects[key] = {**document, "metadata": metadata}
        self.tell(event, key, self.objects[key])
        return self.objects[key]

    def tell(self, event, key, document):
        self.events.append((self.revision, key, event, document))
        self.changed.notify_all()

    def found(self, key):
        if key not in self.objects:
            raise Refusal(404, "NotFound", f'{key[1]} "{key[3]}" not found')
        return self.objects[key]

    @staticmethod
    def check(stored, expected):
        for field in ("resourceVersion", "uid"):
            if expected.get(field) and expected[field] != stored["metadata"][field]:
                raise Refusal(409, "Conflict", f"the object has been modified: its {field} is {stored['metadata'][field]}")

    def write(self, method, key, of_status, body, content_type):
        with self.changed:
            if method == "POST":
                key = (*key[:3], body["metadata"]["name"])
                if key in self.objects:
                    raise Refusal(409, "AlreadyExists", f'{key[1]} "{key[3]}" already exists')
                return 201, self.put(key, body, "ADDED")
            stored = self.found(key)
            if method == "DELETE":
                self.check(stored, body.get("preconditions", {}))
                self.revision += 1
                gone = {**stored, "metadata": {**stored["metadata"], "resourceVersion": str(self.revision)}}
                del self.objects[key]
                self.tell("DELETED", key, gone)
                return 200, gone
            self.check(stored, body.get("metadata", {}))
            document = merged(stored, body, content_type == STRATEGIC) if method == "PATCH" else dict(body)
            if of_status:
                document = {**stored, "status": document.get("status", {}), "metadata": document["metadata"]}
            elif key[1] in WITH_STATUS:
                document = {**document, **({"status": stored["status"]} if "status" in stored else {})}
            document["metadata"] = {**document["metadata"], **{f: stored["metadata"][f] for f in ("uid", "creationTimestamp", "resourceVersion")}}
            return 200, stored if document == stored else self.put(key, document, "MODIFIED")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster = Cluster()

    def log_message(self, *arguments):
        pass

    def answer(self, code, document):
        data = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def place(self):
        """The key that the path names (its name empty for a collection), and whether it is of the status."""
        parts = [urllib.parse.unquote(part) for part in urllib.parse.urlsplit(self.path).path.strip("/").split("/")]
        if parts[:2] == ["api", "v1"]:
            version, parts = "v1", parts[2:]
        elif len(parts) > 2 and parts[0] == "apis" and parts[1] in GROUPS:
            version, parts = f"{parts[1]}/{parts[2]}", parts[3:]
        else:
            raise Refusal(404, "NotFound", "404 page not found")
        namespace = ""
        if len(parts) > 2 and parts[0] == "namespaces" and parts[2] != "status":
            namespace, parts = parts[1], parts[2:]
        return (version, parts[0], namespace, parts[1] if len(parts) > 1 else ""), parts[2:] == ["status"]

    def respond(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        try:
            if self.path == "/apis":
                return self.answer(200, {"kind": "APIGroupList", "groups": [{"name": group} for group in GROUPS]})
            key, of_status = self.place()
            if self.command != "GET":
                return self.answer(*self.cluster.write(self.command, key, of_status, body, self.headers.get("Content-Type")))
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            if query.get("watch") in ("1", "true"):
                return self.watch(key, query)
            with self.cluster.changed:
                if key[3]:
                    return self.answer(200, self.cluster.found(key))
                items = [o for k, o in self.cluster.objects.items() if self.matches(k, key)]
                return self.answer(200, {"metadata": {"resourceVersion": str(self.cluster.revision)}, "items": items})
        except Refusal as refusal:
            return self.answer(refusal.status["code"], refusal.status)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond

    @staticmethod
    def matches(key, collection):
        return key[:2] == collection[:2] and collection[2] in ("", key[2])

    def watch(self, collection, query):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = int(query.get("resourceVersion") or 0)
        end = time.monotonic() + int(query.get("timeoutSeconds") or 300)
        position = 0
        while time.monotonic() < end:
            with self.cluster.changed:
                self.cluster.changed.wait_for(lambda p=position: len(self.cluster.events) > p, 20)
                fresh = self.cluster.events[position:]
                position = len(self.cluster.events)
                bookmark = self.cluster.revision
            lines = [{"type": event, "object": document} for revision, key, event, document in fresh
                     if revision > seen and self.matches(key, collection)]
            if not fresh:
                lines = [{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(bookmark)}}}]
            for line in lines:
                data = json.dumps(line).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients that go away are no news."""


if __name__ == "__main__":
    Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
