"""Drives containerd as a kubelet does: the few calls of the Container Runtime Interface that pods need."""
import importlib
import pathlib
import subprocess
import sys
import uuid

import grpc

HERE = pathlib.Path(__file__).resolve().parent


def _messages(scratch: pathlib.Path):
    subprocess.run(["protoc", "-I", HERE, "--python_out", scratch, "cri.proto"], check=True, cwd=HERE)
    sys.path.insert(0, str(scratch))
    return importlib.import_module("cri_pb2")


class Cri:
    def __init__(self, socket: pathlib.Path, scratch: pathlib.Path):
        self.channel = grpc.insecure_channel(f"unix://{socket}")
        self.pb = _messages(scratch)

    def close(self):
        self.channel.close()

    def call(self, method, **fields):
        request = getattr(self.pb, f"{method}Request")(**fields)
        answer = getattr(self.pb, f"{method}Response")
        function = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", request_serializer=lambda m: m.SerializeToString(),
                                            response_deserializer=answer.FromString)
        return function(request, timeout=120, wait_for_ready=True)

    def network_ready(self) -> bool:
        return any(c.type == "NetworkReady" and c.status for c in self.call("Status").status.conditions)

    def sandbox_config(self, name, namespace="default", attempt=0, annotations=None, ports=(), uid=None):
        pb = self.pb
        return pb.PodSandboxConfig(
            metadata=pb.PodSandboxMetadata(name=name, uid=uid or str(uuid.uuid4()), namespace=namespace, attempt=attempt),
            hostname=name, log_directory="/tmp", dns_config=pb.DNSConfig(servers=["10.96.0.10"], searches=["svc.cluster.local"]),
            port_mappings=[pb.PortMapping(host_port=host, container_port=container) for host, container in ports],
            annotations=annotations or {}, labels={"app": name}, linux=pb.LinuxPodSandboxConfig())

    def run_pod(self, name, **more) -> str:
        return self.call("RunPodSandbox", config=self.sandbox_config(name, **more)).pod_sandbox_id

    def pod_ip(self, sandbox) -> str:
        return self.call("PodSandboxStatus", pod_sandbox_id=sandbox).status.network.ip

    def remove_pod(self, sandbox):
        """As a kubelet does: two DELs, the second without namespace and earlier result."""
        self.call("StopPodSandbox", pod_sandbox_id=sandbox)
        self.call("RemovePodSandbox", pod_sandbox_id=sandbox)

    def run_container(self, sandbox, name, image, *command) -> str:
        pb = self.pb
        created = self.call("CreateContainer", pod_sandbox_id=sandbox, sandbox_config=self.sandbox_config("x"),
                            config=pb.ContainerConfig(metadata=pb.ContainerMetadata(name=name), image=pb.ImageSpec(image=image), command=command))
        self.call("StartContainer", container_id=created.container_id)
        return created.container_id

    def exec(self, container, *command):
        done = self.call("ExecSync", container_id=container, cmd=command, timeout=30)
        return done.exit_code, done.stdout.decode() + done.stderr.decode()
