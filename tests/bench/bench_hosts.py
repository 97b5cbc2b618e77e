"""Hosts of a benchmark: containers with systemd, as the lab's, and playbooks that run on them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv/bin"
BENCH = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Hosts:
    """`name` is that of the benchmark, `network` the first three numbers of its addresses, `release` Debian's."""

    name: str
    network: str
    names: tuple[str, ...]
    release: str = "trixie"

    @property
    def cache(self) -> Path:
        return ROOT / ".cache" / self.name

    @property
    def addresses(self) -> dict[str, str]:
        return {name: f"{self.network}.{number}" for number, name in enumerate(self.names, 11)}

    def playbook(self, path: Path, *arguments: str, collections: str = "") -> tuple[float, str]:
        """Run a playbook; its seconds and its output."""
        self.cache.mkdir(parents=True, exist_ok=True)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": ":".join([str(ROOT / ".collections"), *([collections] if collections else [])]),
            "ANSIBLE_HOST_KEY_CHECKING": "false",
            "ANSIBLE_INJECT_FACT_VARS": "true",
        }
        key = str(self.cache / "ssh/id_ed25519")
        common = {"ansible_user": "root", "ansible_ssh_private_key_file": key}
        hosts = {
            name: {"ansible_host": address, "ansible_python_interpreter": "/usr/bin/python3", **common}
            for name, address in self.addresses.items()
        }
        inventory = self.cache / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
        command = [BIN / "ansible-playbook", "-i", inventory, path, *arguments]
        begun = time.monotonic()
        done = subprocess.run(command, cwd=self.cache, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begun
        if done.returncode:
            sys.exit(f"{path.name} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
        return seconds, done.stdout

    @contextlib.contextmanager
    def booted(self) -> t.Iterator[None]:
        rows = [{"name": name, "release": self.release, "address": one} for name, one in self.addresses.items()]
        values = json.dumps(
            {
                "lab_hosts_name": self.name,
                "lab_hosts_network": f"nexod-{self.name}",
                "lab_hosts_subnet": f"{self.network}.0/24",
                "lab_hosts_hosts": rows,
                "lab_hosts_keys": str(self.cache / "ssh"),
                "lab_hosts_folder": str(self.cache),
            }
        )
        remove = (BENCH / "hosts.yml", "-e", values, "-e", "lab_hosts_state=absent")
        self.playbook(*remove)
        self.playbook(BENCH / "hosts.yml", "-e", values)
        try:
            yield
        finally:
            self.playbook(*remove)

    def run(self, name: str, script: str, **environment: str) -> str:
        """The output of a shell script on a host."""
        given = [f"--env={key}={value}" for key, value in environment.items()]
        argv = ["podman", "exec", *given, f"{self.name}-{name}", "bash", "-ec", script]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: rc {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
        return done.stdout
