#!/usr/bin/env python3
"""Records what an API server answers, for tests that replay it: record_api.py KUBECONFIG PORT FILE.

A proxy on 127.0.0.1:PORT without TLS in front of the server that the kubeconfig names (client certificate). Each exchange
becomes one line of JSON in FILE: method, target, body of the request, status, body of the answer. What says nothing to a
client of ours (managedFields) is left out.
"""
import base64
import http.client
import http.server
import json
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.parse


def config_of(path):
    text = subprocess.run(["kubectl", "--kubeconfig", path, "config", "view", "--raw", "--flatten", "-o", "json"], check=True,
                          capture_output=True, text=True).stdout
    config = json.loads(text)
    return config["clusters"][0]["cluster"], config["users"][0]["user"]


def file_of(data):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(base64.b64decode(data))
    return file.name


CLUSTER, USER = config_of(sys.argv[1])
CONTEXT = ssl.create_default_context(cafile=file_of(CLUSTER["certificate-authority-data"]))
CONTEXT.load_cert_chain(file_of(USER["client-certificate-data"]), file_of(USER["client-key-data"]))
SERVER = urllib.parse.urlparse(CLUSTER["server"])
OUT = open(sys.argv[3], "w")
LOCK = threading.Lock()


def without_noise(value):
    if isinstance(value, dict):
        return {key: without_noise(item) for key, item in value.items() if key != "managedFields"}
    return [without_noise(item) for item in value] if isinstance(value, list) else value


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPSConnection(SERVER.hostname, SERVER.port, context=CONTEXT)
        headers = {key: self.headers[key] for key in ("Content-Type", "Accept", "User-Agent") if key in self.headers}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        text = json.dumps(without_noise(json.loads(answer.read())), separators=(",", ":"))
        with LOCK:
            print(json.dumps({"method": self.command, "target": self.path, "body": body.decode(), "status": answer.status,
                              "answer": text}, separators=(",", ":")), file=OUT, flush=True)
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Proxy).serve_forever()
