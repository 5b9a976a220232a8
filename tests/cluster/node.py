"""One node with its control plane, in a network namespace of its own; all of it is gone when the block is left."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.names import Names
from containers.engine import LEASH
from containers.namespace import PLACE, namespace
from containers.podman import Podman, unmount

ADDRESS = "10.99.0.1"
PAUSE = "localhost/pause:1"
LOGS = (Path("/var/log/pods"), Path("/var/log/containers"))
"""Where this kubelet writes pods' logs, whatever it is told."""
START_S = 120.0

NETWORK = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.97.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
    ],
}

# Where a machine's own container may not lower its score, a pod's must not either: nothing would start.
CONTAINERD = """version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{pause}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/network"
"""

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "cgroupsPerQOS": False,
    "enforceNodeAllocatable": [],
    "failSwapOn": False,
    "clusterDNS": [ADDRESS],
    "clusterDomain": "cluster.local",
    "resolvConf": "/dev/null",
    "imageGCHighThresholdPercent": 100,
}


@dataclass(frozen=True, slots=True)
class Node:
    """A running node: where its files are, and the network namespace it is in."""

    folder: Path
    namespace: str

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def inside(self, *command: str) -> list[str]:
        """The command, run where the pods' addresses are."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *command]

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True, timeout_s: float = 600) -> str:
        """What kubectl says on its standard output; a failure says why."""
        command = self.inside("kubectl", "--kubeconfig", str(self.kubeconfig), *arguments)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout

    def load(self, podman: Podman, *images: str) -> None:
        """Copies images out of podman's storage, under the names that they have there."""
        for image in images:
            archive = self.folder / "image.tar"
            podman.run("save", "--format", "oci-archive", "--output", str(archive), image)
            command = ["ctr", "--address", str(self.folder / "containerd.sock"), "--namespace", "k8s.io"]
            subprocess.run([*command, "images", "import", str(archive)], check=True, stdout=subprocess.DEVNULL)
            archive.unlink()


@contextmanager
def node(folder: Path, programs: Path, podman: Podman) -> Iterator[Node]:
    """Starts it, and waits until it is Ready; on leaving every process, mount and file of it goes. It ends with us."""
    if folder.exists():
        remove(folder)
    (folder / "log").mkdir(parents=True)
    others = set(PLACE.glob("cni-*"))
    with namespace("node") as name, ExitStack() as processes:
        found = Node(folder, name)
        processes.callback(_remove_networks, others)
        _link(found)
        _write(found)
        starting = _control_plane(folder, programs)
        _start(found, processes, "etcd", starting.pop("etcd"))
        _start(found, processes, "kube-apiserver", starting.pop("kube-apiserver"))
        _until(lambda: found.kubectl("get", "--raw", "/readyz", check=False) == "ok", "the API server is ready", folder)
        _start(found, processes, "containerd", ["containerd", "--config", str(folder / "containerd.toml")])
        processes.callback(_end_pods, folder)
        _until((folder / "containerd.sock").exists, "containerd is there", folder)
        _load_pause(found, podman)
        for program, command in starting.items():
            _start(found, processes, program, command)
        processes.enter_context(Names(found.kubeconfig, name, folder, ADDRESS).answering())
        ready = ("get", "node", "node", "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')
        _until(lambda: found.kubectl(*ready, check=False) == "True", "the node is ready", folder)
        yield found
    remove(folder)


def remove(folder: Path) -> None:
    """Undoes the mounts of a node that is gone, and its folder."""
    unmount(folder)
    shutil.rmtree(folder)
    for place in LOGS:
        shutil.rmtree(place, ignore_errors=True)


def _link(node: Node) -> None:
    for command in (
        ["ip", "link", "add", "node0", "type", "bridge"],
        ["ip", "address", "add", f"{ADDRESS}/24", "dev", "node0"],
        ["ip", "link", "set", "node0", "up"],
        ["ip", "route", "add", "default", "dev", "node0"],
        ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
    ):
        subprocess.run(node.inside(*command), check=True)


def _write(node: Node) -> None:
    folder, token = node.folder, secrets.token_hex(16)
    (folder / "network").mkdir()
    (folder / "network/pods.conflist").write_text(json.dumps(NETWORK))
    (folder / "containerd.toml").write_text(CONTAINERD.format(folder=folder, pause=PAUSE))
    (folder / "kubelet.json").write_text(json.dumps(KUBELET))
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "node", "cluster": {"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": True}}
        ],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "node", "context": {"cluster": "node", "user": "admin"}}],
        "current-context": "node",
    }
    node.kubeconfig.write_text(json.dumps(config))
    subprocess.run(["openssl", "genrsa", "-out", str(folder / "accounts.key"), "2048"], check=True, capture_output=True)


def _control_plane(folder: Path, programs: Path) -> dict[str, list[str]]:
    key, config, socket = folder / "accounts.key", folder / "kubeconfig", f"unix://{folder}/containerd.sock"
    commands: dict[str, dict[str, object]] = {
        "kube-apiserver": {
            "etcd-servers": "http://127.0.0.1:2379",
            "cert-dir": folder / "certificates",
            "bind-address": "127.0.0.1",
            "secure-port": 6443,
            "advertise-address": ADDRESS,
            "kubelet-preferred-address-types": "InternalIP",
            "service-cluster-ip-range": "10.98.0.0/16",
            "token-auth-file": folder / "tokens.csv",
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://node",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
        },
        "kube-controller-manager": {
            "kubeconfig": config,
            "service-account-private-key-file": key,
            "leader-elect": "false",
        },
        "kube-scheduler": {"kubeconfig": config, "leader-elect": "false"},
        "kubelet": {
            "config": folder / "kubelet.json",
            "kubeconfig": config,
            "container-runtime": "remote",
            "container-runtime-endpoint": socket,
            "image-service-endpoint": socket,
            "root-dir": folder / "kubelet",
            "cert-dir": folder / "kubelet/pki",
            "hostname-override": "node",
            "node-ip": ADDRESS,
        },
    }
    etcd = ["etcd", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync"]
    etcd += ["--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379"]
    etcd += ["--listen-peer-urls=http://127.0.0.1:2380"]
    found = {
        name: [str(programs / name), *(f"--{option}={value}" for option, value in options.items())]
        for name, options in commands.items()
    }
    return {"etcd": etcd, **found}


def _start(node: Node, processes: ExitStack, name: str, command: list[str]) -> None:
    log = processes.enter_context((node.folder / "log" / name).open("wb"))
    leashed = [sys.executable, str(LEASH), str(os.getpid()), *node.inside(*command)]
    process = subprocess.Popen(leashed, stdout=log, stderr=log, start_new_session=True)
    processes.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end_pods(folder: Path) -> None:
    """The containers outlive containerd, and so are ended first; the kubelet that would start them anew is gone."""
    control = ["ctr", "--address", str(folder / "containerd.sock"), "--namespace", "k8s.io"]
    listed = subprocess.run([*control, "tasks", "list", "--quiet"], capture_output=True, text=True, check=False)
    for task in listed.stdout.split():
        subprocess.run([*control, "tasks", "delete", "--force", task], capture_output=True, check=False)


def _remove_networks(others: set[Path]) -> None:
    """Each pod's network namespace, which containerd made."""
    for place in set(PLACE.glob("cni-*")) - others:
        subprocess.run(["ip", "netns", "delete", place.name], check=True)


def _load_pause(node: Node, podman: Podman) -> None:
    """What holds a pod's namespaces: one static program that waits."""
    tar = node.folder / "pause.tar"
    subprocess.run(["tar", "-C", "/usr/bin", "-cf", str(tar), "catatonit"], check=True)
    podman.run("import", "--change", 'ENTRYPOINT ["/catatonit","-P"]', str(tar), PAUSE)
    node.load(podman, PAUSE)


def _until(condition: Callable[[], bool], what: str, folder: Path) -> None:
    end = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not after {START_S:g} s; see {folder / 'log'}")
        time.sleep(0.5)
