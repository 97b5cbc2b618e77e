# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: Print a summary at the end of a run, and write it as HTML and JSON
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Prints environment, version and revision before and after, keys flushed and sessions kept, the latency verdict,
    the duration of each stage, the changed hosts, the stand-ins in use, and the URLs to open.
  - If the run failed, prints the stage, host and task with the first line of the error and its next step. The full
    error has been printed where it happened.
  - Writes the same to a directory of its own, C(<environment>/<time>-<playbook>), so that no run overwrites the report
    of another one. The files are named after the playbook, JSON for programs and a page for people (C(deploy.json) and
    C(deploy.html) for C(deploy.yml)). The link C(<environment>/latest) names the directory of the last run.
  - In check mode, lists each planned change by stage and host, and writes the list as Markdown too
    (C(deploy-plan.json), C(deploy-plan.html), C(deploy-plan.md)).
  - Writes C(index.html), a page with the history of all runs that links to their reports. Reports are never deleted.
    A directory that you delete disappears from the history with the next run.
  - A run in which no stage ran, for example because of C(--tags) or C(--limit), writes no report.
  - Stages pass their facts to it with M(ansible.builtin.set_stats) under the key C(infra_summary).
  - Renews the environment's lock (M(nexod.infra.deploy_lock)) during the run, and releases it when the run ends,
    whether or not it failed.
  - Records a run that failed after it had changed something as an annotation in Grafana, unless the stage verify has
    done so (M(nexod.infra.grafana_annotation)). Playbooks name the host and the file with the token under the key
    C(annotation) of C(infra_summary).
  - Prints nothing for playbooks whose plays belong to no stage (their names lack the form C(<stage> | what it does)).
options:
  report_dir:
    description: >-
      Folder for the files, relative to the working directory. Created if it does not exist. An empty text is none: AWX
      sets one for a credential without the field.
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
import time
import typing as t
from pathlib import Path

from ansible import constants as C  # noqa: N812 - Ansible's own name for it
from ansible import context
from ansible.plugins.callback import CallbackBase

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import away
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run as run_process
from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import RUN_VARIABLE
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.renewal import Renewal
from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import (
    Change,
    changes_of,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.files import link_latest, write_history, write_report
from ansible_collections.nexod.infra.plugins.plugin_utils._report.planned import begin
from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import (
    Failure,
    Run,
    Stage,
    build,
    error_text,
    final_failures,
    outcome_of,
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

# The command-line options that another `ansible` needs to reach the same host with the same variables.
REPEATED_OPTIONS = {
    "inventory": "--inventory",
    "extra_vars": "--extra-vars",
    "vault_ids": "--vault-id",
    "vault_password_files": "--vault-password-file",
}
SINGLE_OPTIONS = {
    "remote_user": "--user",
    "private_key_file": "--private-key",
    "connection": "--connection",
    "timeout": "--timeout",
    "ssh_common_args": "--ssh-common-args",
    "ssh_extra_args": "--ssh-extra-args",
    "sftp_extra_args": "--sftp-extra-args",
    "scp_extra_args": "--scp-extra-args",
    "become_method": "--become-method",
    "become_user": "--become-user",
    "become_password_file": "--become-password-file",
    "connection_password_file": "--connection-password-file",
}


NOTHING_RAN = (
    "NOTHING WAS RUN: no stage matches the given --tags, --skip-tags and --limit. No report was written; the last one "
    "is unchanged.\n"
)


def selected_tags(given: t.Mapping[str, t.Any]) -> tuple[list[str], list[str]]:
    """The tags to which the run is restricted, and those that it skips; `all` restricts nothing."""
    run, skip = (sorted(str(tag) for tag in given.get(name) or ()) for name in ("tags", "skip_tags"))
    return [tag for tag in run if tag != "all"], skip


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def lock_command(state: str, lock: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> list[str]:
    """The command that renews or releases `lock`, with the inventory, secrets and connection options of this run."""
    which = {name: lock[name] for name in ("environment", "folder", "lease_seconds") if lock.get(name)}
    return module_command(str(lock["host"]), "nexod.infra.deploy_lock", {**which, "state": state}, given)


def annotation_command(
    where: t.Mapping[str, t.Any], playbook: str, stage: str, given: t.Mapping[str, t.Any]
) -> list[str]:
    """The command that records the failed run in Grafana; its token stays on Grafana's host."""
    arguments = {name: where[name] for name in ("url", "token_file", "began")}
    text = f"{playbook} failed" + (f" in the stage {stage}" if stage else "")
    arguments.update(tags=[*(where.get("tags") or ()), "failed"], text=text, timeout=10)
    return module_command(str(where["host"]), "nexod.infra.grafana_annotation", arguments, given)


def module_command(host: str, module: str, arguments: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> list[str]:
    """The command that executes a module, with the inventory, secrets and connection options of this run."""
    argv = [sys.executable, "-m", "ansible", "adhoc", host, "--module-name", module, "--args", json.dumps(arguments)]
    for name, option in REPEATED_OPTIONS.items():
        argv += [f"{option}={value}" for value in given.get(name) or ()]
    argv += [f"{option}={given[name]}" for name, option in SINGLE_OPTIONS.items() if given.get(name)]
    return [*argv, *(["--become"] if given.get("become") else [])]


def lock_environment(lock: t.Mapping[str, t.Any]) -> dict[str, str]:
    """What makes another `ansible` act for this run."""
    return {**os.environ, RUN_VARIABLE: str(lock["run"])}


def release(lock: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> str:
    """Release the lock; returns why that failed, or nothing."""
    done = run_process(lock_command("released", lock, given), environment=lock_environment(lock), timeout=60)
    return "" if done.rc == 0 else (done.output.splitlines() or [f"rc {done.rc}"])[-1]


class CallbackModule(CallbackBase):
    """Collects facts during the run and prints the summary at its end."""

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
        self._changes: list[Change] = begin()
        self._lock: dict[str, t.Any] = {}
        self._recorded = False
        self._renewal: Renewal | None = None
        self._timeline = Timeline(self._begun)
        self._has_stages = False

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._playbook = Path(playbook._file_name).name
        if context.CLIARGS.get("start_at_task"):
            self._display.warning(
                "--start-at-task leaves out what comes before that task: preflight, the deploy lock and the approved "
                "plan are not checked. Use --tags to run only some stages."
            )

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._end_stage()
        self._play = play
        self._stage_name = stage_of(play.get_name())
        self._has_stages = self._has_stages or bool(self._stage_name)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """A play whose hosts have all failed starts no task: its stage did not run."""
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
        self._ended(result, CHANGED if result.is_changed() and not self._only_planned(result) else OK)
        if not self._stage:
            return
        if result.is_changed() and not self._only_planned(result):
            self._stage.changed += 1
        if result.result.get("became") in ("take", "take over"):
            self._hold_lock(dict(result.result.get("lock") or {}))
        self._recorded = self._recorded or result.result.get("recorded") is True
        if result.task.loop is None:
            self._record(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        self._record(result)

    @staticmethod
    def _only_planned(result: t.Any) -> bool:
        """Whether a task of a real run runs in check mode: it only compares and changes nothing."""
        return bool(result.task.check_mode) and not context.CLIARGS.get("check")

    def _record(self, result: t.Any) -> None:
        """Record the changes of a task from its result and arguments (ansible-core 2.21 no longer returns those)."""
        if self._stage and not self._only_planned(result):
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
        # The host that the task was delegated to; in a loop this is only the unevaluated template.
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
        """The environment's name: from the inventory's variables, otherwise the name of its folder."""
        try:
            manager = self._play.get_variable_manager()
            # Before the hosts exist, an inventory may have none; AWX calls the folder of every inventory the same.
            host = (manager._inventory.get_hosts() or [manager._inventory.get_host("localhost")])[0]
            name = manager.get_vars(host=host, include_hostvars=False).get("infra_environment")
        except Exception:  # noqa: BLE001,RUF100 - the report's heading must not fail a run
            name = None
        if isinstance(name, str) and "{{" not in name:
            return name
        sources = [str(source).rstrip("/,") for source in context.CLIARGS.get("inventory") or ()]
        return Path(sources[0]).name if sources else ""

    def _hold_lock(self, lock: dict[str, t.Any]) -> None:
        """Renew the environment's lock from now on, instead of one on another host that it replaces."""
        if self._lock:
            self._release_lock()
        self._lock = lock
        if not lock or context.CLIARGS.get("check"):
            return
        command = lock_command("renewed", lock, context.CLIARGS)
        try:
            self._renewal = Renewal(command, lock_environment(lock), float(lock.get("lease_seconds") or 7200))
        except OSError as error:
            self._display.warning(f"Cannot renew the lock of {lock['environment']} during the run: {error}.")

    def _release_lock(self) -> None:
        """Release the environment's lock. Done here because a failed playbook runs no final task."""
        lock, self._lock = self._lock, {}
        renewal, self._renewal = self._renewal, None
        if renewal:
            renewal.stop()
        if not lock or context.CLIARGS.get("check"):
            return
        failure = release(lock, context.CLIARGS)
        if failure:
            self._display.warning(
                f"Cannot release the lock of {lock['environment']} on {lock['host']}: {failure}. "
                "The next run on this machine takes it over; other machines wait until its lease ends."
            )

    def _record_failure(self, where: t.Mapping[str, t.Any], run: Run) -> None:
        """Show on the dashboards that a run failed after it had changed something, and from when to when it ran."""
        changed = any(stage.changed for stage in run.stages)
        if run.check_mode or not changed or self._recorded or outcome_of(run.hosts) == "ok":
            return
        stage = next((failure.stage for failure in final_failures(run)), "")
        # The module does not fail if Grafana is not there yet or does not answer: that is no reason for one more error.
        done = run_process(annotation_command(where, run.playbook, stage, context.CLIARGS), timeout=60)
        if done.rc:
            reason = (done.output.splitlines() or [f"rc {done.rc}"])[-1]
            self._display.warning(f"Cannot record the failed run in Grafana on {where['host']}: {reason}")

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._end_stage()
        self._release_lock()
        facts = dict(stats.custom.get("_run", {}).get("infra_summary") or {})
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        if not facts and not self._stages:
            if self._has_stages and outcome_of(hosts) == "ok":
                self._display.display(NOTHING_RAN, color=C.COLOR_ERROR)
            return
        where = facts.pop("annotation", None)
        tags, skip_tags = selected_tags(context.CLIARGS)
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
            limit=str(context.CLIARGS.get("subset") or ""),
            tags=tags,
            skip_tags=skip_tags,
        )
        if where:
            self._record_failure(where, run)
        report = build(run, facts)
        written = self._write(report)
        color = C.COLOR_OK if report["outcome"] == "ok" else C.COLOR_ERROR
        self._display.display("\n".join(render(report, [str(path) for path in written])) + "\n", color=color)

    def _write(self, report: t.Mapping[str, t.Any]) -> list[Path]:
        """The files that could be written. Neither the report nor the history is worth a failed run."""
        # Ansible takes an empty text for the working directory.
        empty = os.environ.get("NEXOD_REPORT_DIR") == ""
        folder, written = Path(".report" if empty else self.get_option("report_dir")).absolute(), []
        try:
            written = write_report(folder, report)
            link_latest(written[0].parent)
            written.append(write_history(folder))
        except OSError as error:
            what = "the link and the history of the reports" if written else "the report"
            self._display.warning(f"Cannot write {what}: {error}. Make the folder writable, or set NEXOD_REPORT_DIR.")
        return written
