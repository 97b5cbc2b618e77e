# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: Says at the end of a run what it did, and writes it as a page and as JSON
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Prints environment, version and revision before and after, keys flushed and sessions kept, the latency verdict,
    the time of each stage, the hosts that changed, what is a stand-in, and the URLs to open.
  - When the run failed, it names stage, host and task, with the whole error.
  - Writes the same to two files named after the playbook, as JSON for programs and as one page for people
    (C(deploy.json) and C(deploy.html) for C(deploy.yml)).
  - In check mode, lists each thing that would change by stage and host, and writes it as Markdown too
    (C(deploy-plan.json), C(deploy-plan.html), C(deploy-plan.md)).
  - Stages hand over what they know by M(ansible.builtin.set_stats) under the key C(infra_summary).
  - Silent for playbooks whose plays belong to no stage (their names lack the form C(<stage> | what it does)).
options:
  report_dir:
    description: Folder the two files go to, made when it is missing. Relative to the folder the command was typed in.
    type: path
    default: .report
    env:
      - name: NEXOD_REPORT_DIR
    ini:
      - section: callback_nexod_summary
        key: report_dir
requirements:
  - Enabled by C(callbacks_enabled) in the configuration.
"""

import datetime
import json
import os
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible import constants as C  # noqa: N812 - Ansible's own name for it
from ansible import context
from ansible.plugins.callback import CallbackBase

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import away
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run as run_process
from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import RUN_VARIABLE
from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import (
    Change,
    changes_of,
    from_rows,
    markdown_of,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.html import page
from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import (
    Failure,
    Run,
    Stage,
    build,
    error_text,
    render,
    stage_of,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.timeline import (
    CHANGED,
    FAILED,
    OK,
    UNREACHABLE,
    Timeline,
)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def as_markdown(report: t.Mapping[str, t.Any]) -> str:
    """What a pull request shows of a plan."""
    version = report["version"]["after"]
    title = f"Plan: {Path(report['playbook']).stem} {report['environment']}{f' to {version}' if version else ''}"
    faults = [f"{row['stage']} on {row['host']}: {row['message']}" for row in report["failures"]]
    return markdown_of(title, from_rows(report["changes"]), faults)


def write(folder: Path, name: str, text: str) -> Path:
    """Write `text` below `folder` in one rename, readable by its owner only: errors may name internals."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    # Half a surrogate pair, as a file's name can hold one, becomes its escape: in JSON that is the same character.
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)
    target = folder / name
    Path(temporary).replace(target)
    return target


def give_back_command(lock: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> list[str]:
    """`ansible` as this run was called: the same inventory, secrets and way to the host."""
    argv = [sys.executable, "-m", "ansible", "adhoc", str(lock["host"]), "--module-name", "nexod.infra.deploy_lock"]
    argv += ["--args", json.dumps({"environment": lock["environment"], "state": "released"})]
    listed = {
        "inventory": "--inventory",
        "extra_vars": "--extra-vars",
        "vault_ids": "--vault-id",
        "vault_password_files": "--vault-password-file",
    }
    for name, option in listed.items():
        argv += [word for value in given.get(name) or () for word in (option, str(value))]
    single = {"remote_user": "--user", "private_key_file": "--private-key", "become_method": "--become-method"}
    argv += [word for name, option in single.items() if given.get(name) for word in (option, str(given[name]))]
    return [*argv, *(["--become"] if given.get("become") else [])]


def give_back(lock: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> str:
    """Give the lock back; returns why it could not be, or nothing."""
    environment = {**os.environ, RUN_VARIABLE: str(lock["run"])}
    done = run_process(give_back_command(lock, given), environment=environment, timeout=60)
    return "" if done.rc == 0 else (done.output.splitlines() or [f"rc {done.rc}"])[-1]


def write_report(folder: Path, name: str, report: t.Mapping[str, t.Any]) -> list[Path]:
    """Write the report for people and for programs; the files' names differ in their suffix alone."""
    told = write(folder, f"{name}.json", json.dumps(report, indent=2, ensure_ascii=False, default=str) + "\n")
    shown = [write(folder, f"{name}.html", page(report)), told]
    return [*shown, write(folder, f"{name}.md", as_markdown(report))] if report["check_mode"] else shown


class CallbackModule(CallbackBase):
    """Gathers while the run lasts, speaks once at its end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "nexod.infra.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.monotonic()
        self._started = _now()
        self._playbook = ""
        self._play: t.Any = None
        self._stages: dict[str, Stage] = {}
        self._stage: Stage | None = None
        self._stage_name = ""
        self._stage_begun = 0.0
        self._failures: list[Failure] = []
        self._changes: list[Change] = []
        self._lock: dict[str, t.Any] = {}
        self._timeline = Timeline(self._begun)

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._playbook = Path(playbook._file_name).name

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._end_stage()
        self._play = play
        self._stage_name = stage_of(play.get_name())

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """A play whose hosts have all failed before starts no task: its stage did not run."""
        if self._stage_name and not self._stage:
            self._stage_begun = time.monotonic()
            new = Stage(self._stage_name, begun=self._stage_begun - self._begun)
            self._stage = self._stages.setdefault(self._stage_name, new)

    def _end_stage(self) -> None:
        if self._stage:
            self._stage.seconds += time.monotonic() - self._stage_begun
        self._stage = None

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._timeline.start(task._uuid, host.get_name(), time.monotonic())

    def _ended(self, result: t.Any, outcome: str) -> None:
        task, host = result.task, result.host.get_name()
        self._timeline.end(
            task._uuid, host, time.monotonic(), stage=self._stage_name, task=result.task_name, outcome=outcome
        )

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._ended(result, CHANGED if result.is_changed() else OK)
        if not self._stage:
            return
        if result.is_changed():
            self._stage.changed += 1
        if result.result.get("became") in ("take", "take over"):
            self._lock = dict(result.result.get("lock") or {})
        if result.task.loop is None:
            self._learn(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        self._learn(result)

    def _learn(self, result: t.Any) -> None:
        """What was changed, from the result and the task's arguments: ansible-core 2.21 no longer returns those."""
        if self._stage:
            module = str(getattr(result.task, "resolved_action", None) or result.task.action)
            where = (self._stage.name, result.host.get_name(), module, result.task_name)
            given = result.task_fields.get("args") or {}
            self._changes += changes_of(*where, result=result.result, given=given)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._ended(result, OK if ignore_errors else FAILED)
        if not ignore_errors:
            self._fail(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._ended(result, UNREACHABLE)
        if not result.task.ignore_unreachable:
            self._fail(result)

    def _fail(self, result: t.Any) -> None:
        found = result.result
        # The host that the task was given to; of a loop only the template that says which.
        where = str(result.task.delegate_to or result.host.get_name())
        if found.get("unreachable") and "{{" not in where:
            found = away(where, str(found.get("msg") or ""))
        items = [item for item in found.get("results") or [] if isinstance(item, dict) and item.get("failed")]
        self._failures.append(
            Failure(
                stage=self._stage.name if self._stage else "",
                host=result.host.get_name(),
                task=result.task_name,
                path=result.task.get_path() or "",
                message="\n".join(error_text(item) for item in items or [found]),
                error=found["error"] if isinstance(found.get("error"), dict) else None,
            )
        )

    def _environment(self) -> str:
        """The environment's name: what the inventory says, else the inventory's own folder."""
        try:
            manager = self._play.get_variable_manager()
            host = manager._inventory.get_hosts()[0]
            name = manager.get_vars(host=host, include_hostvars=False).get("infra_environment")
        except Exception:  # noqa: BLE001,RUF100 - a name for the report is never worth failing a run
            name = None
        if isinstance(name, str) and "{{" not in name:
            return name
        sources = [str(source).rstrip("/,") for source in context.CLIARGS.get("inventory") or ()]
        return Path(sources[0]).name if sources else ""

    def _give_back(self) -> None:
        """Give the environment's lock back. Here, because a playbook that fails has no last task."""
        lock, self._lock = self._lock, {}
        if not lock or context.CLIARGS.get("check"):
            return
        told = give_back(lock, context.CLIARGS)
        if told:
            self._display.warning(
                f"The lock of {lock['environment']} on {lock['host']} was not given back ({told}). "
                "The next run on this machine takes it over; from another one, wait for its lease to end."
            )

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._end_stage()
        self._give_back()
        told = stats.custom.get("_run", {}).get("infra_summary") or {}
        if not told and not self._stages:
            return
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        run = Run(
            playbook=self._playbook,
            check_mode=bool(context.CLIARGS.get("check")),
            environment=self._environment(),
            started=self._started,
            finished=_now(),
            seconds=time.monotonic() - self._begun,
            stages=list(self._stages.values()),
            hosts=hosts,
            failures=self._failures,
            changes=self._changes,
            timeline=self._timeline.rows(),
        )
        report = build(run, told)
        name = Path(self._playbook).stem + ("-plan" if run.check_mode else "")
        written: list[Path] = []
        try:
            written = write_report(Path(self.get_option("report_dir")), name, report)
        except OSError as error:
            self._display.warning(
                f"Cannot write the report: {error}. Make the folder writable, or set NEXOD_REPORT_DIR."
            )
        color = C.COLOR_OK if report["outcome"] == "ok" else C.COLOR_ERROR
        self._display.display("\n".join(render(report, [str(path) for path in written])) + "\n", color=color)
