# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the role caches that need no host: its preflight, and how it names a rollout."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.playbook import AS_JSON, play, tasks_of

PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: nexod.infra.caches, tasks_from: %s}
    - ansible.builtin.debug: {var: __caches_rollout}
"""


def run(folder: pathlib.Path, tasks: str, **variables: t.Any) -> dict[str, t.Any]:
    """The result of the last task."""
    (folder / "play.yml").write_text(PLAY % tasks)
    given = {"caches_redis": {"host": "cache"}, "caches_prefixes": ["api:"], "caches_release": "1.0.0", **variables}
    done = play("-i", "localhost,", folder / "play.yml", "-e", json.dumps(given), **AS_JSON)
    return t.cast("dict[str, t.Any]", tasks_of(done)[-1]["hosts"]["localhost"])


def test_every_fault_is_named_before_anything_is_reached(tmp_path: pathlib.Path) -> None:
    said = run(
        tmp_path,
        "preflight",
        caches_redis={"url": "redis://u:canary@cache:1?db=2", "db": "5", "port": "1"},
        caches_prefixes=["s", "api:*"],
        caches_patterns=["[a"],
        caches_protected=["session:", "^token:"],
        caches_release="",
        caches_cdn={"distribution_id": ""},
    )["msg"]
    for words in (
        'flush prefix "s"', 'flush prefix "api:*"', 'flush pattern "[a"', 'protect the keys "^token:"',
        "the URL and the option db contradict", "caches_release or caches_release_url is required",
        "caches_cdn has no distribution_id", "caches_cdn has neither paths nor tags",
    ):  # fmt: skip
        assert words in said
    assert "canary" not in said


def test_an_empty_list_protects_nothing_only_if_that_is_confirmed(tmp_path: pathlib.Path) -> None:
    assert "no prefix is given whose keys must be kept" in run(tmp_path, "preflight", caches_protected=[])["msg"]
    assert "failed" not in run(tmp_path, "preflight", caches_protected=[], caches_protect_nothing=True)


@pytest.mark.parametrize(
    ("last", "flush", "kept"),
    [
        ("", "release", False),
        ("1.0.0 2026-01-01T00:00:00", "release", True),
        ("1x0.0 2026-01-01T00:00:00", "release", False),
        ("1.1.0 2026-01-01T00:00:00", "release", False),
        ("1.0.0 2026-01-01T00:00:00", "always", False),
    ],
)
def test_a_rollout_keeps_its_name_until_its_flush_has_ended(
    tmp_path: pathlib.Path, last: str, flush: str, kept: bool
) -> None:
    name = run(tmp_path, "rollout", __caches_unfinished_for=last, caches_flush=flush)["__caches_rollout"]
    assert (name == "2026-01-01T00:00:00") is kept
    assert " " not in name
