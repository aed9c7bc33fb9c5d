"""What the tests of felix in this folder share: commands, the link of a pod, and felix's control socket."""
import json
import socket
import subprocess

HOST_MAC = "ee:ee:ee:ee:ee:ee"
GATEWAY = {4: "169.254.1.1", 6: "fe80::ecee:eeff:feee:eeee"}


def sh(command, text=None, check=True):
    """Runs a command (a list, or a line for the shell); with `check` a failure raises, with all that it printed."""
    result = subprocess.run(command, shell=isinstance(command, str), input=text, text=True, capture_output=True)
    if check and result.returncode:
        raise RuntimeError(f"{str(command)[:200]}: exit code {result.returncode}: {result.stdout}{result.stderr}")
    return result


def attach_pod(node_ns, pod_ns, interface, alias, ipv4, ipv6):
    """What the CNI plugin does for a pod, apart from the host route and the link group."""
    sh(f"ip -n {node_ns} link add {interface} address {HOST_MAC} type veth peer name eth0 netns {pod_ns}"
       f" && ip -n {node_ns} link set {interface} alias {alias} up"
       f" && ip -n {node_ns} addr add {GATEWAY[6]}/64 dev {interface} nodad"
       f" && ip -n {pod_ns} link set eth0 up"
       f" && ip -n {pod_ns} addr add {ipv4}/32 dev eth0"
       f" && ip -n {pod_ns} addr add {ipv6}/128 dev eth0 nodad"
       f" && ip -n {pod_ns} route add {GATEWAY[4]} dev eth0"
       f" && ip -n {pod_ns} route add default via {GATEWAY[4]} dev eth0"
       f" && ip -n {pod_ns} -6 route add default via {GATEWAY[6]} dev eth0"
       f" && ip -n {pod_ns} neigh replace {GATEWAY[4]} lladdr {HOST_MAC} dev eth0 nud permanent"
       f" && ip -n {pod_ns} neigh replace {GATEWAY[6]} lladdr {HOST_MAC} dev eth0 nud permanent")


def ask(run_dir, op):
    """felix's answer on its control socket (a 4-byte length, then JSON); empty while felix does not listen."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(f"{run_dir}/felix.sock")
            request = json.dumps({"op": op}).encode()
            s.sendall(len(request).to_bytes(4, "big") + request)
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
            return json.loads(answer[4:])
    except OSError:
        return {}
