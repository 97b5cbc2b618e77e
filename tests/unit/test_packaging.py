"""What galaxy.yml declares: the collections that the shipped files use, no more and no fewer, in both lists of them."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
OURS = {"ansible.builtin", "nexod.infra"}
# Where another collection's content is used: a task, a filter or test, a lookup, an imported module.
USE = re.compile(
    r"""^\s*-?\s*([a-z_]+\.[a-z_]+)\.[a-z_0-9]+:(?:\s|$)
      | \|\s*([a-z_]+\.[a-z_]+)\.[a-z_0-9]+
      | \bis\s+(?:not\s+)?([a-z_]+\.[a-z_]+)\.[a-z_0-9]+
      | \b(?:lookup|query|map|select|reject|selectattr|rejectattr)\([^)]*?["']([a-z_]+\.[a-z_]+)\.[a-z_0-9]+["']
      | \bansible_collections\.([a-z_]+\.[a-z_]+)\.plugins""",
    re.MULTILINE | re.VERBOSE,
)


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def shipped() -> Iterator[Path]:
    """The files of the checkout that the archive holds."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ignored = load("galaxy.yml")["build_ignore"]
    for name in listed:
        above = [str(path) for path in [Path(name), *Path(name).parents]]
        if not any(fnmatch.fnmatch(path, pattern) for path in above for pattern in ignored) and (ROOT / name).is_file():
            yield ROOT / name


def used(text: str) -> set[str]:
    uncommented = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    return {name for groups in USE.findall(uncommented) for name in groups if name} - OURS


@pytest.mark.parametrize(
    ("text", "collections"),
    [
        ("- name: x\n  amazon.aws.s3_bucket:\n    name: y\n", {"amazon.aws"}),
        ("x: \"{{ y | community.general.remove_keys(target=['z']) }}\"", {"community.general"}),
        ("x: \"{{ y | map('community.general.dict_kv', 'url') }}\"", {"community.general"}),
        ("when: x is ansible.utils.in_network(y)", {"ansible.utils"}),
        ("x: \"{{ lookup('community.hashi_vault.kv', 'x') }}\"", {"community.hashi_vault"}),
        ("from ansible_collections.ansible.posix.plugins.module_utils import x", {"ansible.posix"}),
        ("# amazon.aws.s3_bucket: knows no check mode\n- ansible.builtin.debug:\n    msg: M(community.x.y)\n", set()),
        ("x: groups.api | map('extract', hostvars)", set()),
    ],
)
def test_uses_are_found(text: str, collections: set[str]) -> None:
    assert used(text) == collections


def test_dependencies_are_what_the_shipped_files_use() -> None:
    texts = [path.read_text(encoding="utf-8") for path in shipped() if path.suffix in {".yml", ".yaml", ".j2", ".py"}]
    assert len(texts) > 200
    assert set(load("galaxy.yml")["dependencies"]) == set().union(*map(used, texts))


def test_both_lists_of_dependencies_agree() -> None:
    rows = load("collections/requirements.yml")["collections"]
    assert {row["name"]: row["version"] for row in rows} == load("galaxy.yml")["dependencies"]
