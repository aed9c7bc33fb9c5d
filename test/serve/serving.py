"""`manulctl serve` of a test: on a free port of loopback, with a settings file and a log in the test's own directory."""
import pathlib
import signal
import socket
import subprocess
import time


class Server:
    """`more` is added to the settings; in it, {port} and {top} stand for what they say. `options` go to `serve`."""

    def __init__(self, build: pathlib.Path, top: pathlib.Path, more: str, *options: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.settings = top / "manul.yaml"
        self.settings.write_text(f"node: {{name: host1}}\nrun_dir: {top}/run\nstate_dir: {top}/state\nlog_dir: {top}/log\n" +
                                 more.format(port=self.port, top=top))
        self.command = [build / "ctl/manulctl", "-c", self.settings, "serve", *options]
        self.log_file = top / "serve.log"
        self.process = None

    def start(self):
        with open(self.log_file, "a") as log:
            self.process = subprocess.Popen(self.command, stderr=log, stdout=log)
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit("serve did not start:\n" + self.log_file.read_text())

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(30)

    def memory_mb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0
