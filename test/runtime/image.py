"""A root file system out of busybox, and an image of it that needs no registry."""
import hashlib
import io
import json
import pathlib
import shutil
import tarfile

COMMANDS = ("sh", "ip", "ping", "sleep", "cat", "nc")


def make_rootfs(directory: pathlib.Path) -> pathlib.Path:
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp", "run", "var"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/busybox", directory / "bin/busybox")
    for name in COMMANDS:
        (directory / "bin" / name).symlink_to("busybox")
    (directory / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    return directory


def make_image(rootfs: pathlib.Path, reference: str, archive: pathlib.Path) -> pathlib.Path:
    """One layer, in the layout of `docker save`."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(rootfs, arcname=".")
    data = layer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": ["/bin/sleep"], "Cmd": ["100000"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2024-01-01T00:00:00Z"}]}).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(archive, "w") as tar:
        for path, content in ((name, config), (f"{digest}/layer.tar", data), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive
