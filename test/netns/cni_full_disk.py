#!/usr/bin/env python3
"""Pods on a node whose disk is full: the daemon's own files, and the datastore's. Nothing is promised that cannot be kept,
and with space everything goes on.

Closes with `N passed, N failed`. Runs beside a second copy of itself.
"""
import fcntl
import os
import pathlib
import sys
import time

from cni_rig import CniTest, Lab, wait_for
from namespaces import run


class FullDiskTest(CniTest):
    def __init__(self):
        super().__init__(Lab(suffix=f"u{os.getpid()}", nodes=1))

    def mount(self, directory: pathlib.Path, size):
        directory.mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", directory)

    def set_up(self):
        self.mount(self.lab.state_root, "64m")
        self.lab.make_directories()
        self.lab.make_rack()
        self.mount(self.lab.nodes[0].state_dir, "256k")
        self.start_daemons()

    def tear_down(self):
        super().tear_down()
        for directory in (self.lab.nodes[0].state_dir, self.lab.state_root):
            run("umount", directory, check=False)
        super().tear_down()

    @staticmethod
    def fill(directory) -> pathlib.Path:
        filler = directory / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096) > 0:
                    pass
            except OSError:
                pass
        return filler

    def start_without_room(self):
        """ipamd, which was killed, without an empty log of DELs that has its length already."""
        (self.lab.nodes[0].state_dir / "ipamd-deletes.log").unlink()
        filler = self.fill(self.lab.nodes[0].state_dir)
        self.daemons[0].start("ipamd")
        wait_for("ipamd to answer", lambda: self.pods[0].call("STATUS")[0] == 0, 30)
        return filler

    def test_a_del_that_cannot_be_kept_is_carried_out_before_it_is_answered(self):
        before, during, waiting = self.pod(), self.pod(), self.pod()
        before.add()
        waiting.add()
        self.daemons[0].kill("ipamd")
        filler = self.start_without_room()
        before.delete()
        assert not before.has_interface() and self.addresses_in_use() == 1
        for _ in range(2):
            during.add()  # needs no space there
            during.delete()
            assert self.addresses_in_use() == 1
        filler.unlink()
        self.daemons[0].kill("ipamd")
        waiting.delete()  # into the plugin's journal
        filler = self.start_without_room()
        self.expect_nothing_left()
        filler.unlink()
        for pod in (before, during, waiting):
            pod.gone()
        self.expect_sound()

    def test_a_del_that_can_be_neither_kept_nor_carried_out_is_refused(self):
        pod = self.pod()
        pod.add()
        self.daemons[0].kill("ipamd")
        filler = self.start_without_room()
        with open(f"{self.lab.store}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # nobody can write to the datastore
            code, answer = pod.call("DEL")
            assert code == 1 and answer["code"] == 5, answer
        pod.delete()
        assert self.addresses_in_use() == 0
        filler.unlink()
        pod.gone()
        self.expect_nothing_left()

    def test_a_full_datastore_refuses_pods_and_takes_their_dels(self):
        before, during = self.pod(), self.pod()
        address = before.add()
        filler = self.fill(self.lab.state_root)
        refused = []
        for _ in range(40):  # some space is left in the pages that the database has
            extra = self.pod()
            code, answer = extra.call("ADD")
            if code != 0:
                assert answer["code"] == 11, answer
                assert not extra.has_interface()
                refused.append(answer["msg"])
            extra.delete()
            extra.gone()
        assert refused and all("full" in text for text in refused), refused
        assert before.has_interface()
        code, answer = before.call("STATUS")
        assert code == 1 and answer["code"] == 50 and "full" in answer["msg"], answer
        filler.unlink()
        wait_for("pods to be taken again", lambda: during.call("ADD")[0] == 0, 60, 0.5)
        assert address in {n for e in self.objects("wep") for n in e["spec"]["ipNetworks"]}
        for pod in (before, during):
            pod.delete()
            pod.gone()
        self.expect_nothing_left(60)
        self.expect_sound()

    def test_status_tells_of_a_read_only_datastore(self):
        pod = self.pod()
        pod.add()
        run("mount", "--bind", self.lab.state_root, self.lab.state_root)
        try:
            run("mount", "-o", "remount,bind,ro", self.lab.state_root)
            code, answer = pod.call("STATUS")
            assert code == 1 and answer["code"] == 50 and "read-only" in answer["msg"], answer
        finally:
            run("umount", self.lab.state_root)
        assert pod.call("STATUS")[0] == 0
        pod.delete()
        pod.gone()
        self.expect_nothing_left()


if __name__ == "__main__":
    sys.exit(FullDiskTest().run(sys.argv[1:]))
