"""What users are given: the archive's contents, and that `deploy` works from it alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from ansible_collections.nexod.infra.tests.archive.support import BIN, ROOT, ansible

# First folder or file of a path -> why it must not be shipped.
FORBIDDEN = {
    ".ansible": "left behind by tools",
    ".cache": "left behind by tools",
    ".ci": "of the checkout",
    ".collections": "a link to the checkout",
    ".git": "of the checkout",
    ".dev": "secrets",
    ".lab": "secrets",
    ".lab_aws": "secrets",
    ".mypy_cache": "left behind by tools",
    ".report": "of this machine",
    ".ruff_cache": "left behind by tools",
    ".venv": "of this machine",
    "dist": "built things",
    "inventories": "this product's environments",
    "molecule": "tests",
    "tests": "tests",
}
NEEDED = [
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "meta/runtime.yml",
    "playbooks/deploy.yml",
    "playbooks/roll_back.yml",
    "playbooks/stages/preflight.yml",
    "playbooks/stages/verify.yml",
    "plugins/action/file_set.py",
    "plugins/callback/summary.py",
    "plugins/modules/live_service.py",
    "roles/prometheus/meta/argument_specs.yml",
]
SECRETS = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}|xox[bp]-[0-9]+-")


@pytest.fixture(scope="session")
def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {
            member.name: stream.read()
            for member in opened
            if member.isfile() and (stream := opened.extractfile(member))
        }


def test_it_holds_nothing_of_the_checkout_or_this_machine(members: dict[str, bytes]) -> None:
    assert {name: FORBIDDEN[top] for name in members if (top := name.split("/")[0]) in FORBIDDEN} == {}
    assert [name for name in members if name.endswith((".pyc", ".retry", ".tar.gz", ".log", ".whl"))] == []


def test_it_holds_examples_but_not_the_application(members: dict[str, bytes]) -> None:
    assert "examples/execution-environment.yml" in members
    product = ("examples/api", "examples/frontend", "examples/static_site")
    assert [name for name in members if name.startswith(product)] == []


def test_what_a_checkout_generates_is_left_out_before_it_is_there() -> None:
    """An archive built where a lab runs or a database was dumped would contain its passwords and its data."""
    left_out = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    generated = {line.strip("/").split("/")[0] for line in (ROOT / ".gitignore").read_text().split() if line[0] == "/"}
    # Of the examples, what is built lies in folders that are left out as a whole.
    assert generated - set(left_out) - {"examples"} == set()


def test_it_holds_nothing_that_git_does_not_know(members: dict[str, bytes]) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    said = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(set(members) - set(said.stdout.splitlines()) - {"MANIFEST.json", "FILES.json"}) == []


def test_it_holds_what_a_user_runs(members: dict[str, bytes]) -> None:
    assert [name for name in NEEDED if name not in members] == []


def test_it_holds_no_secret(members: dict[str, bytes]) -> None:
    assert [name for name, body in members.items() if SECRETS.search(body)] == []


def test_it_is_small(archive: Path) -> None:
    assert archive.stat().st_size < 5 * 1024 * 1024


def test_an_execution_environment_can_be_made_of_it(archive: Path, installed: Path, tmp_path: Path) -> None:
    """The definition is accepted, and the builder finds the requirements in the installed collection's metadata."""
    shutil.copy(archive, tmp_path)
    shutil.copy(ROOT / "examples/execution-environment.yml", tmp_path)
    done = ansible(BIN / "ansible-builder", "create", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "context/Containerfile").exists()
    [copied] = (tmp_path / "context/_build").rglob(archive.name)
    [collection] = yaml.safe_load((tmp_path / "context/_build/requirements.yml").read_text())["collections"]
    assert collection["name"] == f"/build/{copied.relative_to(tmp_path / 'context/_build')}"
    script = tmp_path / "context/_build/scripts/introspect.py"
    done = ansible(sys.executable, script, "introspect", installed / "collections", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = yaml.safe_load(done.stdout)
    assert {re.split("[<>= ]", row)[0] for row in found["python"]} == {"boto3", "botocore", "squawk-cli"}
    assert [row for row in found["python"] if "==" in row] == []
    assert found["system"]


def settings(home: Path) -> dict[str, str]:
    """The settings of ansible.cfg that do not name the checkout."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(home / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "nexod.infra.progress",
        "ANSIBLE_CALLBACKS_ENABLED": "nexod.infra.summary",
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_FORKS": "12",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
        "NEXOD_REPORT_DIR": str(home / ".report"),
    }


PLAYBOOKS = ("deploy", "roll_back", "migrate", "flush_cache", "lab_up", "lab_down")


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_its_playbooks_are_found_by_name(installed: Path, name: str) -> None:
    inventory = ROOT / "inventories" / "lab"
    done = ansible(
        BIN / "ansible-playbook",
        *("-i", inventory, "--syntax-check", f"nexod.infra.{name}"),
        cwd=installed,
        **settings(installed),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_deploy_finds_nothing_to_do_on_the_lab(installed: Path) -> None:
    # Only when told so: a lab that stands may be somebody's, and not yet deployed.
    if "LAB_VERSION" not in os.environ:
        pytest.skip("the step `lab` runs this on its own lab")
    done = ansible(
        BIN / "ansible-playbook",
        *("-i", ROOT / "inventories" / "lab", "nexod.infra.deploy"),
        *("-e", f"backend_version={os.environ['LAB_VERSION']}"),
        cwd=installed,
        **settings(installed),
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    recap = re.findall(r"^\S+ +: ok=\d+ +changed=(\d+)", said, re.M)
    assert recap, said
    assert set(recap) == {"0"}, said
