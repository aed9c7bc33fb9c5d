#!/usr/bin/env python3
"""manul-felix killed at any moment, and its tables changed by others.

usage: crash_test.py MANUL_FELIX STORE_TOOL    (root)

While policies change all the time, felix is killed (SIGKILL) at random moments and started again, with more changes
made while it is away. All along, packets that no policy ever allowed are sent and must not arrive, and a connection
that was allowed once must go on. Then others tamper with the tables: what they may not touch is refused by the kernel,
the rest is put right, and tables of theirs stay as they are.
"""
import random
import re
import signal
import subprocess
import sys
import threading
import time

from felix_node import (NODE, PREFIX, STORE, STORE_TOOL, address, ask, down, endpoint, marks, policy, processes,
                        reaches, settle, sh, start_felix, stop_felix, up, wait_until)

SEED = 20261121
ROUNDS = 6
random.seed(SEED)

CONNECTION = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 80), 5)
s.settimeout(20)
while True:
    s.sendall(b"x")
    if s.recv(1) != b"x":
        sys.exit("the connection was closed")
    print("alive", flush=True)
    time.sleep(0.02)
"""

# Counts answers to what must never arrive.
FORBIDDEN = """
import socket, sys, time
udp = []
for host in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.connect((host, 5353))
    udp.append(s)
sent = 0
while True:
    for s in udp:
        try:
            s.send(b"x")
            sent += 1
        except OSError:
            pass
        try:
            s.recv(10)
            print("LEAK", flush=True)
        except OSError:
            pass
    if sent % 200 == 0:
        print("sent", sent, flush=True)
    time.sleep(0.002)
"""


class Watcher:
    """A program in a pod whose lines are gathered."""

    def __init__(self, pod, program, *args):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", f"{PREFIX}-{pod}", sys.executable, "-c", program, *args],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(self.process)
        self.lines = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def count(self, word):
        return sum(word in line for line in self.lines)


def store(verb, text):
    sh([STORE_TOOL, STORE, verb], text)


def churn(number):
    """Policies that come, go and change, some of them for every pod; none allows UDP 5353 to b."""
    ports = random.sample(range(6000, 9000), random.choice((1, 3, 12)))
    listed = "".join(f"\n  - {{action: Allow, protocol: TCP, destination: {{ports: [{port}]}}}}" for port in ports)
    selector = random.choice(("app == 'db'", "app == 'web'", "has(app)"))
    order = random.choice(("", f"\n  order: {random.randrange(100)}"))
    return policy(f"churn{number}", f"{order}\n  selector: {selector}\n  types: [Ingress]\n  ingress:{listed}")


def web_may_reach_db(extra=""):
    return policy("db", f"""
  selector: app == 'db'
  types: [Ingress]
  ingress:
  - {{action: Allow, protocol: TCP, source: {{selector: app == 'web'}}, destination: {{ports: [80]}}}}{extra}""") + policy(
      "web", """
  selector: app == 'web'
  types: [Ingress, Egress]
  egress:
  - {action: Allow, destination: {selector: app == 'db'}}
  ingress:
  - {action: Deny, protocol: UDP}""")


def change_something():
    for _ in range(random.choice((1, 2, 4))):
        number = random.randrange(12)
        if random.random() < 0.25:
            store("apply", churn(number))
            store("delete", churn(number))
        else:
            store("apply", churn(number))


def killed_at_any_moment(felix):
    connection = Watcher("a", CONNECTION, address("b", 4))
    forbidden = Watcher("a", FORBIDDEN, address("b", 4), address("b", 6))
    wait_until("the connection stands", lambda: connection.count("alive") > 2, 20)
    for _ in range(ROUNDS):
        stop = threading.Event()

        def work():
            while not stop.is_set():
                change_something()

        worker = threading.Thread(target=work)
        worker.start()
        time.sleep(random.random() * 0.6)
        felix.send_signal(signal.SIGKILL)
        felix.wait()
        processes.remove(felix)
        stop.set()
        worker.join()
        change_something()  # nobody sees it
        felix = start_felix()
        settle()
        alive = connection.count("alive")
        wait_until("the connection goes on", lambda: connection.count("alive") > alive, 20)
        assert forbidden.count("LEAK") == 0, "a packet arrived that no policy allows"
        assert reaches("a", address("b", 4), "tcp", 80)
        assert not reaches("a", address("b", 4), "tcp", 81)
    assert connection.process.poll() is None
    assert forbidden.count("sent") > 0
    return felix, connection, forbidden


def nft(command, check=True):
    return sh(f"ip netns exec {NODE} nft {command}", check=check)


def table_text(table):
    """Its lines and elements without counters, in no order: what is made anew may be listed in another one."""
    text = nft(f"-s list table {table}", check=False).stdout
    return sorted(part.strip() for part in re.split(r"[\n,]", text))


def tampered(forbidden):
    nft("add table inet somebody")
    nft("add chain inet somebody c '{ type filter hook forward priority 5; }'")
    nft("add rule inet somebody c counter")
    theirs = table_text("inet somebody")
    before = table_text("ip manul_e")
    sets = re.findall(r"set (s_\w+) {", "\n".join(before))
    assert sets, before

    def is_repaired():
        return table_text("ip manul_e") == before

    handle = re.search(r"iifgroup vmap @class.*# handle (\d+)", nft("-a list chain ip manul_e pre_hook").stdout)[1]
    for what, command in (
            ("a rule", f"delete rule ip manul_e pre_hook handle {handle}"),
            ("all rules of a chain", "flush chain ip manul_e pre_hook"),
            ("the members of a set", f"flush set ip manul_e {sets[0]}"),
            ("a foreign member", f"add element ip manul_e {sets[0]} '{{ 203.0.113.99 }}'"),
            ("a foreign rule", "insert rule ip manul_e pre_hook accept"),
            ("a foreign chain", "add chain ip manul_e foreign"),
            ("a foreign set", "add set ip manul_e foreign '{ type ipv4_addr; }'"),
            ("the classes", "flush map ip manul_e class"),
            ("the whole table", "delete table ip manul_e")):
        nft(command)
        wait_until(f"repaired: {what}", is_repaired, 20)
    # The others belong to felix where the kernel knows owners; where not, they are put right as well.
    ingress = table_text("ip manul_i")
    nft("flush chain ip manul_i fwd_hook", check=False)
    wait_until("the table of pod ingress is whole", lambda: table_text("ip manul_i") == ingress, 20)
    assert table_text("inet somebody") == theirs
    assert reaches("a", address("b", 4), "tcp", 80)
    assert not reaches("a", address("b", 4), "tcp", 81)
    assert forbidden.count("LEAK") == 0


def scenario():
    store("apply", """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.65.0.0/16}
---
apiVersion: v1
kind: Namespace
metadata: {name: default}
""" + endpoint("a", {"app": "web"}) + endpoint("b", {"app": "db"}) + web_may_reach_db())
    felix = start_felix()
    wait_until("marks of a and b", lambda: marks() == ["calia", "calib"])
    settle()
    felix, connection, forbidden = killed_at_any_moment(felix)
    tampered(forbidden)
    # What was changed while nobody looked is in force, and nothing else.
    stop_felix(felix)
    store("apply", web_may_reach_db("\n  - {action: Allow, protocol: TCP, destination: {ports: [81]}}"))
    felix = start_felix()
    settle()
    assert reaches("a", address("b", 4), "tcp", 81)
    assert ask("status")["problems"] == []
    assert connection.process.poll() is None and forbidden.count("LEAK") == 0
    stop_felix(felix)
    print(f"{ROUNDS} kills, {connection.count('alive')} answers on the old connection, "
          f"{forbidden.count('sent') * 200} forbidden packets, none arrived")


try:
    up()
    time.sleep(0.3)
    scenario()
finally:
    down()
