"""What the README promises a stranger: the archive, the three files of an inventory as printed there, and hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.archive.support import BIN, ROOT, ansible

NETWORK = "10.213.79"
HOSTS = {"data-1": "bookworm", "ops-1": "trixie", "api-1": "trixie", "api-2": "trixie"}
LAB = {"lab_hosts_name": "nexod-own", "lab_hosts_network": "nexod-own", "lab_hosts_subnet": f"{NETWORK}.0/24"}


def printed() -> dict[str, str]:
    """The files of the README's inventory, by the name in their first line."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n# inventory/(\S+)\n(.*?)^```$", text, re.M | re.S)
    return {name: body.replace("192.0.2.", f"{NETWORK}.") for name, body in blocks}


def addresses() -> dict[str, str]:
    found = re.findall(r"([\w-]+): \{ansible_host: ([\d.]+)\}", printed()["hosts.yml"])
    return dict(found)


@pytest.fixture(scope="module")
def home(installed: Path) -> Iterator[Path]:
    """A folder outside the checkout with the archive installed, the inventory, the release, and hosts that are up."""
    for name, body in printed().items():
        path = installed / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    built = subprocess.run(
        [sys.executable, ROOT / "examples/api/build.py", "1.0.0", "-o", installed / "dist"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    rows = [{"name": name, "release": HOSTS[name], "address": address} for name, address in addresses().items()]
    values = {
        **LAB,
        "lab_hosts_hosts": rows,
        "lab_hosts_keys": str(installed / "lab" / "ssh"),
        "lab_hosts_folder": str(installed / "lab"),
    }
    role = {"ansible.builtin.include_role": {"name": "nexod.infra.lab_hosts"}}
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": [role]}]
    (installed / "hosts.json").write_text(json.dumps(play))

    def hosts(state: str) -> None:
        given = json.dumps({**values, "lab_hosts_state": state})
        done = run(installed, installed / "hosts.json", "-e", given)
        assert done[0] == 0, done[1]

    # What a run that was killed has left has another key.
    hosts("absent")
    hosts("present")
    yield installed
    hosts("absent")


def run(home: Path, *arguments: str | Path) -> tuple[int, str]:
    done = ansible(
        BIN / "ansible-playbook",
        *arguments,
        cwd=home,
        ANSIBLE_COLLECTIONS_PATH=str(home / "collections"),
        ANSIBLE_PRIVATE_KEY_FILE=str(home / "lab/ssh/id_ed25519"),
        ANSIBLE_SSH_ARGS=f"-o UserKnownHostsFile={home}/lab/ssh/known_hosts -o ControlMaster=auto -o ControlPersist=1m",
        ANSIBLE_STDOUT_CALLBACK="nexod.infra.progress",
        ANSIBLE_CALLBACKS_ENABLED="nexod.infra.summary",
        **{
            f"NEXOD_{name}_PASSWORD": f"own-{name.lower().replace('_', '-')}"
            for name in ("DATABASE_OWNER", "DATABASE_APP", "DATABASE_MONITOR", "CACHE")
        },
    )
    return done.returncode, done.stdout + done.stderr


#: How quick the API is depends on what else this machine does.
UNHURRIED = ("-e", '{"verify_latency_targets": [], "backend_trial_latency_targets": []}')


def deploy(home: Path, *arguments: str) -> str:
    code, output = run(home, "-i", "inventory", "nexod.infra.deploy", *UNHURRIED, *arguments)
    assert code == 0, output
    return output


def answer(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_readme_prints_a_whole_inventory() -> None:
    assert set(printed()) == {"hosts.yml", "nexod.yml", "group_vars/all.yml"}
    assert set(addresses()) == set(HOSTS)
    values = [line for line in printed()["group_vars/all.yml"].splitlines() if line and not line.startswith("#")]
    assert len(values) <= 20


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="boots hosts of its own, as root only")
@pytest.mark.timeout(900)
def test_it_deploys_on_hosts_of_ones_own(home: Path) -> None:
    planned = deploy(home, "--check", "--diff")
    assert "own-" not in planned, "a password is in the plan"
    deploy(home)
    edge = addresses()["ops-1"]
    assert answer(f"http://{edge}/health") == 200
    assert answer(f"http://{edge}/ready") == 200
    with urllib.request.urlopen(f"http://{edge}:9090/api/v1/query?query=up", timeout=10) as response:
        results = json.load(response)["data"]["result"]
    jobs = {row["metric"]["job"] for row in results}
    assert {"api", "node", "postgres", "redis", "pgbouncer", "haproxy", "prometheus", "alertmanager"} <= jobs
    assert [row["metric"] for row in results if row["value"][1] != "1"] == []
    again = deploy(home)
    recap = re.findall(r"^\S+ +: ok=\d+ +changed=(\d+)", again, re.M)
    assert recap, again
    assert set(recap) == {"0"}, again
