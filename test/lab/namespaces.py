"""Network namespaces, links and processes of a lab: made by name, found again by name, removed by name."""
import ctypes
import os
import pathlib
import signal
import subprocess
import threading
import time

NETNS_DIR = pathlib.Path("/run/netns")
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class LabError(Exception):
    """What a person must know: which step, why, where the log is."""


def run(*command, check=True, timeout=60, env=None, stdin=None):
    """Runs a command; its output is in the exception when it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, input=stdin,
                          env=None if env is None else {**os.environ, **env})
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise LabError(f"'{' '.join(str(c) for c in command)}' failed (exit {done.returncode}): {said}")
    return done


class Namespace:
    """One named network namespace. `enter()` works for the calling thread only."""

    def __init__(self, name: str):
        self.name = name
        self.path = NETNS_DIR / name

    def exists(self) -> bool:
        return self.path.exists()

    def create(self):
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")

    def remove(self):
        if self.exists():
            run("ip", "netns", "del", self.name, check=False)

    def ip(self, *arguments, **options):
        return run("ip", "-n", self.name, *arguments, **options)

    def exec(self, *command, **options):
        return run("nsenter", f"--net={self.path}", *command, **options)

    def spawn(self, command, log: pathlib.Path, env=None) -> subprocess.Popen:
        """Starts a process of its own session inside the namespace; it outlives this program."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as out:
            return subprocess.Popen(["nsenter", f"--net={self.path}", *[str(c) for c in command]], stdout=out, stderr=out,
                                    stdin=subprocess.DEVNULL, start_new_session=True,
                                    env=None if env is None else {**os.environ, **env})

    def call(self, function):
        """Runs `function` on a thread that is inside the namespace (sockets made there stay there)."""
        result, failure = [], []

        def inside():
            try:
                fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                if _libc.setns(fd, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"cannot enter {self.path}")
                os.close(fd)
                result.append(function())
            except BaseException as error:  # handed to the caller's thread
                failure.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return result[0]


def veth(a: Namespace, name_a: str, b: Namespace, name_b: str, mac_a: str | None = None):
    """A pair of links, each end born in its namespace and up."""
    command = ["link", "add", name_a]
    if mac_a:
        command += ["address", mac_a]
    a.ip(*command, "type", "veth", "peer", "name", name_b, "netns", b.name)
    a.ip("link", "set", name_a, "up")
    b.ip("link", "set", name_b, "up")


def process_alive(pid: int) -> bool:
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def start_time(pid: int) -> str:
    """Tells a process from a later one with the same number."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""


def stop_process(pid: int, started: str, patience: float = 8.0):
    """SIGTERM, then SIGKILL; nothing when the number belongs to another process by now."""
    if not started or start_time(pid) != started:
        return
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
            if not process_alive(pid):
                return
            time.sleep(0.02)


def wait_for(what: str, condition, timeout: float, interval: float = 0.05):
    """Polls until `condition` gives something true and returns it."""
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return last
        except (LabError, OSError, ValueError) as error:
            last = error
        time.sleep(interval)
    raise LabError(f"waited {timeout:.0f} s for {what}" + (f" (last: {last})" if last else ""))
