#!/usr/bin/env python3
"""What the API server says to bytes that no client should send: every answer is a Status object with the right code, and
nobody else is kept waiting. Runs `manulctl serve --insecure` of its own on loopback."""

import gzip
import json
import os
import pathlib
import shutil
import socket
import tempfile
import time

from serving import Server

BUILD = pathlib.Path(os.environ.get("MANUL_BUILD_DIR", "build"))
TOP = pathlib.Path(tempfile.mkdtemp(prefix="manul-attack-"))
SETS = "/apis/projectcalico.org/v3/globalnetworksets"
failures = []


def check(what, condition, detail=""):
    print(("ok    " if condition else "FAIL  ") + what, flush=True)
    if not condition:
        failures.append(what)
        print("      " + str(detail)[:2000], flush=True)


def connect(port, timeout=30):
    return socket.create_connection(("127.0.0.1", port), timeout)


def answer_of(connection):
    """Status code and body of the next answer; (0, b"") when the server only closes."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return 0, b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    headers = {line.split(b":", 1)[0].lower(): line.split(b":", 1)[1].strip() for line in head.split(b"\r\n")[1:]}
    length = int(headers.get(b"content-length", b"0"))
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            break
        body += more
    return int(head.split()[1]), body


def ask(port, data):
    with connect(port) as connection:
        try:
            connection.sendall(data)
        except OSError:
            pass  # it is refused before all of it was sent
        try:
            return answer_of(connection)
        except OSError:
            return 0, b""


def request(method, target, body=b"", content_type="application/json", more=""):
    if isinstance(body, str):
        body = body.encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}"
    if body or method in ("POST", "PUT", "PATCH"):
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def network_set(name, extra=""):
    return ('{"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkSet","metadata":{"name":"' + name +
            '"},"spec":{"nets":["10.0.0.0/8"]' + extra + "}}")


# What is sent, the code, and the reason of the Status; a code of 0: the connection is closed without a word.
ATTACKS = [
    ("bytes that are no HTTP", b"\x00\x01\x02\r\n\r\n", 400, "BadRequest"),
    ("a TLS hello", bytes.fromhex("160301002f0100002b0303") + b"\x00" * 40 + b"\r\n\r\n", 400, "BadRequest"),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "BadRequest"),
    ("a header without colon", b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400, "BadRequest"),
    ("a folded header with a NUL", b"GET / HTTP/1.1\r\nHost: x\r\n a\x00b\r\n\r\n", 400, "BadRequest"),
    ("two different lengths", b"POST " + SETS.encode() + b" HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
     400, "BadRequest"),
    ("a length and chunks", b"POST " + SETS.encode() +
     b" HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "BadRequest"),
    ("a negative length", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "BadRequest"),
    ("a bad chunk", b"POST " + SETS.encode() + b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400,
     "BadRequest"),
    ("a header of 20 KB", b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 431, "RequestHeaderFieldsTooLarge"),
    ("a target of 20 KB", b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 431, "RequestHeaderFieldsTooLarge"),
    ("a target of 10 KB", request("GET", "/api/v1/pods?labelSelector=" + "x" * 10_000), 400, "BadRequest"),
    ("a body announced as 100 MB", b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413, "RequestEntityTooLarge"),
    ("chunks of 4 MB", b"POST " + SETS.encode() + b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" +
     (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 4 + b"0\r\n\r\n", 413, "RequestEntityTooLarge"),
    ("an object of 2 MB", request("POST", SETS, network_set("a", ',"x":"' + "y" * 2_000_000 + '"')), 400, "BadRequest"),
    ("no path", b"GET x HTTP/1.1\r\n\r\n", 400, "BadRequest"),
    ("an absolute target", request("GET", "http://evil.example/api"), 400, "BadRequest"),
    ("a path upwards", request("GET", "/apis/../etc/passwd"), 400, "BadRequest"),
    ("a path upwards, encoded", request("GET", "/apis/%2e%2e/%2e%2e/etc/passwd"), 400, "BadRequest"),
    ("an empty segment", request("GET", "/apis//v1"), 400, "BadRequest"),
    ("half an escape", request("GET", "/api/v1/pods%2"), 400, "BadRequest"),
    ("a NUL in the path", request("GET", "/api/v1/pods/%00"), 400, "BadRequest"),
    ("no UTF-8 in the path", request("GET", "/api/v1/pods/%ff"), 400, "BadRequest"),
    ("no UTF-8 in the query", request("GET", "/api/v1/pods?labelSelector=%ff"), 400, "BadRequest"),
    ("a slash in a name", request("GET", SETS + "/a%2fb"), 404, "NotFound"),
    ("an unknown path", request("GET", "/etc/passwd"), 404, "NotFound"),
    ("an unknown group", request("GET", "/apis/nosuch.io/v1/things"), 404, "NotFound"),
    ("an unknown version", request("GET", "/apis/projectcalico.org/v9/globalnetworksets"), 404, "NotFound"),
    ("an unknown kind", request("GET", "/apis/projectcalico.org/v3/things"), 404, "NotFound"),
    ("an unknown kind in all namespaces", request("POST", "/api/v1/things", "{}"), 404, "NotFound"),
    ("a namespace for a kind that has none", request("GET", "/apis/projectcalico.org/v3/namespaces/a/tiers"), 404,
     "NotFound"),
    ("an unknown subresource", request("PUT", SETS + "/a/scale", "{}"), 404, "NotFound"),
    ("an unknown method", request("BREW", SETS), 405, "MethodNotAllowed"),
    ("TRACE", request("TRACE", SETS), 405, "MethodNotAllowed"),
    ("CONNECT", request("CONNECT", SETS), 405, "MethodNotAllowed"),
    ("POST of one object's path", request("POST", SETS + "/a", network_set("a")), 405, "MethodNotAllowed"),
    ("no body", request("POST", SETS), 400, "BadRequest"),
    ("no JSON", request("POST", SETS, "{"), 400, "BadRequest"),
    ("JSON and more", request("POST", SETS, network_set("a") + "x"), 400, "BadRequest"),
    ("no object", request("POST", SETS, "[]"), 400, "BadRequest"),
    ("a key twice", request("POST", SETS, '{"kind":"a","kind":"b"}'), 400, "BadRequest"),
    ("no UTF-8 in the body", request("POST", SETS, b'{"kind":"\xff"}'), 400, "BadRequest"),
    ("nesting of 100,000", request("POST", SETS, "[" * 100_000), 400, "BadRequest"),
    ("metadata that is a list", request("POST", SETS, '{"metadata":[]}'), 400, "BadRequest"),
    ("metadata that is a number", request("POST", SETS, '{"metadata":7}'), 400, "BadRequest"),
    ("a name that is a number", request("POST", SETS, '{"metadata":{"name":7}}'), 422, "Invalid"),
    ("a name that is none", request("POST", SETS, network_set("A_B/")), 422, "Invalid"),
    ("another kind", request("POST", SETS, network_set("a").replace("GlobalNetworkSet", "Tier")), 400, "BadRequest"),
    ("a field that is unknown", request("POST", SETS, network_set("a", ',"nett":[]')), 400, "BadRequest"),
    ("a value of another type", request("POST", SETS, network_set("a").replace('["10.0.0.0/8"]', "7")), 422, "Invalid"),
    ("a body of XML", request("POST", SETS, "<a/>", "application/xml"), 415, "UnsupportedMediaType"),
    ("a compressed body", request("POST", SETS, b"\x1f\x8b\x08\x00", more="Content-Encoding: gzip\r\n"), 415,
     "UnsupportedMediaType"),
    ("protobuf that is none", request("POST", "/api/v1/namespaces", b"k8s\0\xff\xff\xff\xff",
                                      "application/vnd.kubernetes.protobuf"), 400, "BadRequest"),
    ("a patch of no known type", request("PATCH", SETS + "/here", "{}", "text/plain"), 415, "UnsupportedMediaType"),
    ("a patch without type", request("PATCH", SETS + "/here", "{}", ""), 415, "UnsupportedMediaType"),
    ("a JSON patch that is an object", request("PATCH", SETS + "/here", "{}", "application/json-patch+json"), 400,
     "BadRequest"),
    ("a JSON patch that removes everything",
     request("PATCH", SETS + "/here", '[{"op":"remove","path":""}]', "application/json-patch+json"), 422, "Invalid"),
    ("a merge patch that is null", request("PATCH", SETS + "/here", "null", "application/merge-patch+json"), 400,
     "BadRequest"),
    ("a merge patch of the name", request("PATCH", SETS + "/here", '{"metadata":null}', "application/merge-patch+json"),
     400, "BadRequest"),
    ("a limit that is no number", request("GET", SETS + "?limit=many"), 400, "BadRequest"),
    ("a continue key of nobody", request("GET", SETS + "?continue=AAAA"), 400, "BadRequest"),
    ("a selector that is none", request("GET", SETS + "?labelSelector=%28%28"), 400, "BadRequest"),
    ("a field that cannot be selected by", request("GET", SETS + "?fieldSelector=spec.nets%3D1"), 400, "BadRequest"),
    ("a version from the future", request("GET", SETS + "?resourceVersion=99999999"), 504, "Timeout"),
    ("a version that is none", request("GET", SETS + "?watch=1&resourceVersion=x"), 400, "BadRequest"),
    ("a version of 40 digits", request("GET", SETS + "?resourceVersion=" + "9" * 40), 400, "BadRequest"),
    ("watches of nothing", request("GET", "/apis/manul.io/v1/watches?starts=,,,"), 400, "BadRequest"),
    ("a transaction that is none", request("POST", "/apis/manul.io/v1/transactions", '{"ops":[7]}'), 400, "BadRequest"),
    ("a transaction of nothing known", request("POST", "/apis/manul.io/v1/transactions", '{"ops":[{"put":{}}]}'), 400,
     "BadRequest"),
]


def serves(port):
    return ask(port, request("GET", SETS + "/here"))[0] == 200


def main():
    server = Server(BUILD, TOP, 'datastore: {{type: memory}}\nserve: {{listen: "127.0.0.1:{port}"}}\n', "--insecure")
    server.start()
    port = server.port
    try:
        check("an honest write", ask(port, request("POST", SETS, network_set("here")))[0] == 201)
        for what, data, code, reason in ATTACKS:
            got, body = ask(port, data)
            try:
                status = json.loads(body) if body else {}
            except ValueError:
                status = {}
            head = data[:5] == b"HEAD "
            good = got == code and (head or (status.get("kind") == "Status" and status.get("reason") == reason and
                                             status.get("code") == code and status.get("status") == "Failure"))
            check(what, good, f"{got} {body[:500]!r}")
        check("it serves as before", serves(port))

        with connect(port) as connection:  # one behind the other, without waiting
            connection.sendall(request("GET", SETS + "/here").replace(b"Connection: close\r\n", b"") * 50)
            buffered = b""
            connection.settimeout(30)
            while buffered.count(b"HTTP/1.1 200") < 50:
                more = connection.recv(65536)
                if not more:
                    break
                buffered += more
            check("fifty requests at once on one connection", buffered.count(b"HTTP/1.1 200") == 50, buffered[-300:])

        with connect(port) as connection:  # as curl sends bodies of more than a megabyte
            head, body = request("POST", SETS, network_set("asks"), more="Expect: 100-continue\r\n").split(b"\r\n\r\n", 1)
            connection.sendall(head + b"\r\n\r\n")
            connection.settimeout(30)
            said = connection.recv(65536)
            check("who asks before he sends his body is told to go on", said == b"HTTP/1.1 100 Continue\r\n\r\n", said)
            connection.sendall(body)
            check("and answered then", answer_of(connection)[0] == 201)
        large = request("POST", SETS, more="Expect: 100-continue\r\n").replace(b"Content-Length: 0", b"Content-Length: 9999999")
        check("but not for a body that is too large", ask(port, large)[0] == 413)

        with connect(port) as connection:  # as client-go sends one: without asking, and without reading meanwhile
            body = b" " * 6_000_000
            connection.sendall(b"POST " + SETS.encode() + b" HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body))
            for at in range(0, len(body), 65536):
                connection.sendall(body[at:at + 65536])
            check("who sends it all the same is answered", answer_of(connection)[0] == 413)

        for number in range(300):
            ask(port, request("POST", SETS, network_set(f"many-{number}").replace(
                '["10.0.0.0/8"]', json.dumps([f"10.{number % 250}.{i}.0/24" for i in range(100)]))))
        plain = ask(port, request("GET", SETS))[1]
        zipped = ask(port, request("GET", SETS, more="Accept-Encoding: br, gzip\r\n"))[1]
        check("a large answer is small for who takes gzip", len(zipped) * 4 < len(plain) and
              gzip.decompress(zipped) == plain, (len(plain), len(zipped)))
        small = request("GET", SETS + "/here")
        check("a small one is left as it is", ask(port, small)[1] == ask(port, request(
            "GET", SETS + "/here", more="Accept-Encoding: gzip\r\n"))[1])

        with connect(port) as connection:  # a client of 1996
            connection.sendall(b"GET " + SETS.encode() + b"?watch=1&timeoutSeconds=1 HTTP/1.0\r\n\r\n")
            data = b"".join(iter(lambda: connection.recv(65536), b""))
            head, _, body = data.partition(b"\r\n\r\n")
            events = [json.loads(line)["type"] for line in body.splitlines()]
            check("HTTP/1.0 watches without chunks", b"chunked" not in head and set(events) == {"ADDED"}, data[:300])
            answer = ask(port, b"GET " + SETS.encode() + b"/here HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            check("and gets one answer", answer[0] == 200, answer)

        before = server.memory_mb()
        idle = [connect(port) for _ in range(1000)]
        slow = [connect(port) for _ in range(200)]
        for number, connection in enumerate(slow):
            connection.sendall(b"GET /apis HTTP/1.1\r\nX-A: " if number % 2 == 0 else
                               b"POST /apis HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
        for _ in range(5):
            for connection in slow:
                connection.sendall(b"x")
            check("served beside a thousand idle connections and two hundred that trickle", serves(port))
        check("they cost little", server.memory_mb() - before < 100, server.memory_mb() - before)
        for connection in idle:
            connection.close()
        # Who has said half a header for twenty seconds, or half a body for thirty, is heard no longer.
        deadline = time.monotonic() + 60
        ended = 0
        for connection in slow:
            connection.settimeout(max(1, deadline - time.monotonic()))
            try:
                while connection.recv(65536):
                    pass
                ended += 1
            except TimeoutError:
                pass
            except OSError:
                ended += 1
        check("who trickles is cut off", ended == len(slow), ended)
        check("it serves as ever", serves(port))
        check("it did not stop", server.process.poll() is None)
    finally:
        code = server.stop()
    check("SIGTERM ends it cleanly", code == 0, code)
    shutil.rmtree(TOP, ignore_errors=True)
    if failures:
        raise SystemExit(f"{len(failures)} failed: {failures}")


main()
