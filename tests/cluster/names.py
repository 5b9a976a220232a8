"""The cluster's DNS: every Service's name answered with the addresses of its ready pods, as a headless one's is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers.engine import LEASH

EVERY_S = 1.0
TTL_S = 1


@dataclass(frozen=True, slots=True)
class Names:
    """dnsmasq, told every second what the endpoints are."""

    kubeconfig: Path
    namespace: str
    folder: Path
    address: str

    @contextmanager
    def answering(self) -> Iterator[None]:
        hosts = self.folder / "hosts"
        hosts.write_text("")
        command = [
            "dnsmasq",
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--conf-file=/dev/null",
            "--user=root",
        ]
        command += [f"--addn-hosts={hosts}", f"--listen-address={self.address}", "--bind-interfaces", "--pid-file="]
        command += [f"--local-ttl={TTL_S}", "--local=/cluster.local/"]
        with (self.folder / "log/names").open("wb") as log:
            leashed = [sys.executable, str(LEASH), str(os.getpid()), *self._inside(*command)]
            server = subprocess.Popen(leashed, stdout=log, stderr=log)
            stopped = threading.Event()
            thread = threading.Thread(target=self._follow, args=(hosts, server, stopped), daemon=True)
            thread.start()
            try:
                yield
            finally:
                stopped.set()
                thread.join()
                server.terminate()
                server.wait()

    def _follow(self, hosts: Path, server: subprocess.Popen[bytes], stopped: threading.Event) -> None:
        known = ""
        while not stopped.wait(EVERY_S):
            command = ["kubectl", "--kubeconfig", str(self.kubeconfig), "get", "endpoints", "-A", "-o", "json"]
            done = subprocess.run(self._inside(*command), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                continue
            lines = "".join(f"{line}\n" for line in hosts_of(json.loads(done.stdout)["items"]))
            if lines != known:
                hosts.write_text(lines)
                server.send_signal(signal.SIGHUP)
                known = lines

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *command]


def hosts_of(endpoints: list[dict[str, object]]) -> list[str]:
    """Lines of a hosts file; a pod that has a hostname (of a StatefulSet) has a name of its own, too."""
    lines = []
    for one in endpoints:
        name = f"{one['metadata']['name']}.{one['metadata']['namespace']}.svc.cluster.local"  # type: ignore[index]
        for subset in one.get("subsets") or ():  # type: ignore[attr-defined]
            for address in subset.get("addresses") or ():
                lines.append(f"{address['ip']} {name}")
                if "hostname" in address:
                    lines.append(f"{address['ip']} {address['hostname']}.{name}")
    return sorted(lines)
