# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every playbook refuses before it connects to any host: limits, tags and inventories that it cannot run with."""

from __future__ import annotations

import pathlib

import pytest
import yaml

from ansible_collections.nexod.infra.tests.playbook import ROOT, Done
from ansible_collections.nexod.infra.tests.playbook import play as run_playbook

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
STAGES = sorted(
    path.stem
    for path in (ROOT / "playbooks" / "stages").glob("*.yml")
    if path.stem not in ("inventory", "lock", "planned")
)
#: What works on the controller alone, or for all environments; they need no inventory.
ALONE = ("build_release", "configure_awx", "pin_versions")
OF_ENVIRONMENTS = [name for name in PLAYBOOKS if name not in ALONE]
NOT_OF_THE_COLLECTION = "all:\n  hosts:\n    web-1: {ansible_connection: local}\n"
WITHOUT_LOCALHOST = "leaves out localhost"
WITHOUT_PLUGIN = "does not load the groups and variables of the collection"


def play(tmp_path: pathlib.Path, playbook: str, inventory: str, *arguments: str) -> Done:
    path = ROOT / "inventories" / "lab"
    if inventory != "lab":
        path = tmp_path / "hosts.yml"
        path.write_text(inventory)
    return run_playbook(
        *("-i", path, f"nexod.infra.{playbook}", *arguments),
        cwd=tmp_path,
        ANSIBLE_STDOUT_CALLBACK="nexod.infra.progress",
        ANSIBLE_CALLBACKS_ENABLED="nexod.infra.summary",
    )


@pytest.mark.parametrize("playbook", [*OF_ENVIRONMENTS, *(f"stages/{stage}" for stage in STAGES)])
def test_every_playbook_begins_with_the_check(playbook: str) -> None:
    first = yaml.safe_load((ROOT / "playbooks" / f"{playbook}.yml").read_text())[0]
    assert first["ansible.builtin.import_playbook"] == ("" if "/" in playbook else "stages/") + "inventory.yml"
    # Without tags: where it had any, --skip-tags would skip it with the rest.
    assert "tags" not in first


# Two that have little in common stand for all, which begin with the same check.
@pytest.mark.parametrize("playbook", ["deploy", "flush_cache"])
@pytest.mark.parametrize(
    ("inventory", "arguments", "message"),
    [
        pytest.param("lab", ["--limit", "api-1"], WITHOUT_LOCALHOST, id="a limit without localhost"),
        pytest.param("lab", ["--limit", "all:!localhost", "--check"], WITHOUT_LOCALHOST, id="in check mode too"),
        pytest.param("lab", ["--limit", "api-1,api-11,localhost"], "no host or group api-11", id="a misspelt host"),
        pytest.param("lab", ["--tags", "verfy"], "nothing in this playbook has that tag", id="an unknown tag"),
        pytest.param(
            "lab", ["--skip-tags", "verfy"], "nothing in this playbook has that tag", id="an unknown tag to skip"
        ),
        pytest.param("lab", ["--tags", "always"], "it selects nothing of this playbook", id="tags that select nothing"),
        pytest.param(NOT_OF_THE_COLLECTION, [], WITHOUT_PLUGIN, id="an inventory without the plugin"),
    ],
)
def test_refuses(tmp_path: pathlib.Path, playbook: str, inventory: str, arguments: list[str], message: str) -> None:
    done = play(tmp_path, playbook, inventory, *arguments)
    assert done.returncode != 0
    assert message in done.stdout
    assert "Nothing was changed." in done.stdout
    assert "HostVarsVars" not in done.stdout + done.stderr
    assert "Acquire the lock" not in done.stdout
    # The report of an earlier run stays the last one.
    assert not (tmp_path / ".report").exists()


def test_a_stage_that_another_playbook_has_is_refused_where_it_is_not(tmp_path: pathlib.Path) -> None:
    done = play(tmp_path, "migrate", "lab", "--tags", "verify")
    assert done.returncode != 0
    assert "The tags are: migrate." in done.stdout


@pytest.mark.parametrize("skipped", ["l1", "l1,l2,l3"])
def test_layers_that_cannot_be_skipped_are_not_skipped_in_silence(tmp_path: pathlib.Path, skipped: str) -> None:
    done = play(tmp_path, "flush_cache", "lab", "--skip-tags", skipped)
    assert done.returncode != 0
    assert "it selects nothing of this playbook" in done.stdout


@pytest.mark.parametrize(
    ("playbook", "tags"),
    [
        pytest.param("stages.backend", ["--skip-tags", "backend"], id="a stage by its file, and skipped"),
        pytest.param("build_release", ["--tags", "build"], id="a playbook without tags"),
        pytest.param("lab_down", ["--skip-tags", "all"], id="everything"),
    ],
)
def test_no_playbook_does_nothing_and_calls_it_success(tmp_path: pathlib.Path, playbook: str, tags: list[str]) -> None:
    done = play(tmp_path, playbook, "lab", *tags)
    assert done.returncode != 0
    assert "Nothing was changed." in done.stdout


def selected(said: str) -> set[tuple[str, str]]:
    """Play and task of each task that --list-tasks lists, without the checks, the lock and the plan around them."""
    found, play_name = set(), ""
    for line in said.splitlines():
        if line.startswith("  play #"):
            play_name = line.partition("): ")[2].partition("\t")[0]
        elif line.startswith("      ") and not play_name.startswith(("Check the limit", "Lock | ", "Publish what")):
            found.add((play_name, line.partition("\t")[0].strip()))
    return found


def test_every_stage_is_a_playbook() -> None:
    assert [stage for stage in STAGES if stage not in PLAYBOOKS] == []


# Of the stages with one play, with several, and with roles that are imported.
@pytest.mark.parametrize("stage", ["preflight", "monitoring", "backend", "verify"])
def test_every_stage_is_a_tag_of_the_deploy_and_a_playbook(tmp_path: pathlib.Path, stage: str) -> None:
    without = [] if stage == "preflight" else ["--skip-tags", "preflight"]
    by_tag = play(tmp_path, "deploy", "lab", "--tags", stage, *without, "--list-tasks")
    by_name = play(tmp_path, stage, "lab", "--list-tasks")
    assert (by_tag.returncode, by_name.returncode) == (0, 0), by_tag.stdout + by_name.stdout
    found = selected(by_name.stdout)
    assert {name.partition(" | ")[0].lower() for name, _task in found} == {stage}
    assert selected(by_tag.stdout) == found


def test_preflight_runs_whichever_stage_is_selected(tmp_path: pathlib.Path) -> None:
    done = play(tmp_path, "deploy", "lab", "--tags", "verify", "--list-tasks")
    assert "Check the inventory against the specification of every role" in done.stdout
    assert "Verify the release" in done.stdout
    assert "Acquire the lock" not in done.stdout
