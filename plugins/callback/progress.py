# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: Shows stage, host, and what is waited for
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Unchanged and skipped tasks are quiet, changed and failed ones take one line each, with their seconds.
  - A task that lasts is named every few seconds, with the hosts that are still waited for.
  - Errors are printed whole, as text.
  - From C(-v) on it is P(ansible.builtin.default#callback), word for word.
  - Plain lines only, so that it reads the same in a terminal, a file and a CI log.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  wait_seconds:
    description: Seconds after which a running task is named as waited for, first; then at growing distances.
    type: float
    default: 5
    env:
      - name: NEXOD_PROGRESS_WAIT_SECONDS
    ini:
      - section: callback_nexod_progress
        key: wait_seconds
requirements:
  - Set as C(stdout_callback) in the configuration.
"""

import threading
import time
import typing as t

from ansible import constants as C  # noqa: N812 - Ansible's own name for it
from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import duration, error_text, stage_of

OWN_PREFIX = "nexod.infra."


def task_label(name: str) -> str:
    """A task's name with the collection's own prefix left out: ``prometheus : run | Prove it live``."""
    return name.strip().removeprefix(OWN_PREFIX)


def due(elapsed: float, last: float, first: float) -> bool:
    """Whether a task that runs for `elapsed` seconds and was last named at `last` (0: never) is to be named now.

    First after `first` seconds, then each time its age has doubled, at the latest every minute.
    """
    return elapsed >= first if last == 0 else elapsed >= min(last * 2, last + 60)


class Waiting:
    """Which tasks run since when on which hosts. Written by the run, read by the watcher."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], tuple[float, str]] = {}
        self._named: dict[str, float] = {}

    def start(self, uuid: str, host: str, label: str, now: float) -> None:
        with self._lock:
            self._running[uuid, host] = (now, label)

    def end(self, uuid: str, host: str, now: float) -> float:
        """Seconds that the task took on `host`."""
        with self._lock:
            begun, _label = self._running.pop((uuid, host), (now, ""))
            return now - begun

    def overdue(self, now: float, first: float) -> list[tuple[str, list[str], float]]:
        """Label, hosts and age of each task that is to be named now."""
        with self._lock:
            tasks: dict[str, list[tuple[float, str, str]]] = {}
            for (uuid, host), (begun, label) in self._running.items():
                tasks.setdefault(uuid, []).append((now - begun, host, label))
            self._named = {uuid: last for uuid, last in self._named.items() if uuid in tasks}
            found = []
            for uuid, rows in tasks.items():
                age = max(row[0] for row in rows)
                if due(age, self._named.get(uuid, 0.0), first):
                    self._named[uuid] = age
                    found.append((rows[0][2], sorted(row[1] for row in rows), age))
            return found


class CallbackModule(Default):
    """Quiet where nothing happens; the default callback where detail was asked for."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "nexod.infra.progress"

    def __init__(self) -> None:
        super().__init__()
        self._waiting = Waiting()
        self._stage = ""
        self._heading = ""
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None

    # -- helpers

    @property
    def _detailed(self) -> bool:
        return bool(self._display.verbosity)

    def _say(self, word: str, host: str, label: str, seconds: float | None, color: str) -> None:
        took = "" if seconds is None else f"  ({duration(seconds)})"
        self._display.display(f"  {word:<13}{host:<15} {label}{took}", color=color)

    def _where(self, result: t.Any) -> str:
        """The host, and the one that the task was delegated to; not the template that says which, as loops do."""
        label = str(self.host_label(result))
        return result.host.get_name() if "{{" in label else label

    def _took(self, result: t.Any) -> float:
        return self._waiting.end(result.task._uuid, result.host.get_name(), time.monotonic())

    def _body(self, text: str, color: str) -> None:
        for line in text.splitlines():
            self._display.display(f"      {line}", color=color)

    def _watch(self) -> None:
        first = float(self.get_option("wait_seconds"))
        while not self._over.wait(1.0):
            for label, hosts, age in self._waiting.overdue(time.monotonic(), first):
                # Ansible holds the display's lock while it forks, so another thread may print.
                self._say("waiting for", ", ".join(hosts), label, age, C.COLOR_VERBOSE)

    # -- the run's course

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        if self._detailed:
            super().v2_playbook_on_play_start(play)
            return
        self._play = play
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="progress", daemon=True)
            self._watcher.start()
        name = play.get_name().strip()
        stage = stage_of(name)
        mode = "  [check mode]" if play.check_mode or context.CLIARGS.get("check") else ""
        title = f"[{stage}] {name.partition(' | ')[2]}" if stage else f"[play] {name}"
        self._heading = ("\n" if stage and stage != self._stage else "") + title + mode
        self._stage = stage

    def _head(self) -> None:
        """The play's heading, once a task of it starts: one whose hosts have all failed before has none."""
        if self._heading:
            self._display.display(self._heading, color=C.COLOR_HIGHLIGHT)
        self._heading = ""

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._waiting.start(task._uuid, host.get_name(), task_label(task.get_name()), time.monotonic())
        if self._detailed:
            super().v2_runner_on_start(host, task)

    def _task_start(self, task: t.Any, prefix: str | None = None) -> None:
        if self._detailed:
            super()._task_start(task, prefix=prefix)
        else:
            self._head()

    def v2_playbook_on_include(self, included_file: t.Any) -> None:
        if self._detailed:
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        if self._detailed:
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._over.set()
        super().v2_playbook_on_stats(stats)

    # -- results

    def v2_runner_on_ok(self, result: t.Any) -> None:
        seconds = self._took(result)
        if self._detailed:
            super().v2_runner_on_ok(result)
            return
        self._handle_warnings_and_exception(result)
        if result.is_changed():
            word = "would change" if result.task.check_mode else "changed"
            self._say(word, self._where(result), task_label(result.task_name), seconds, C.COLOR_CHANGED)
        elif result.result.get("_ansible_verbose_always") and "results" not in result.result:
            self._speak(result)

    def _speak(self, result: t.Any) -> None:
        """What a task was written to say (ansible.builtin.debug)."""
        found = result.result
        self._clean_results(found, result.task.action)
        self._say("says", self._where(result), task_label(result.task_name), None, C.COLOR_DEBUG)
        message = found.get("msg")
        self._body(message if isinstance(message, str) else self._dump_results(found, indent=2), C.COLOR_DEBUG)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._took(result)
        if self._detailed:
            super().v2_runner_on_skipped(result)
        else:
            self._handle_warnings_and_exception(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        seconds = self._took(result)
        if self._detailed:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._handle_warnings(result.result)
        word = "ignored" if ignore_errors else "FAILED"
        self._say(word, self._where(result), task_label(result.task_name), seconds, C.COLOR_ERROR)
        # The items of a loop have been printed one by one.
        if not (result.task.loop and "results" in result.result):
            self._explain(result)

    def _explain(self, result: t.Any) -> None:
        if path := result.task.get_path():
            self._body(path, C.COLOR_DEBUG)
        self._body(error_text(result.result), C.COLOR_ERROR)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        seconds = self._took(result)
        if self._detailed:
            super().v2_runner_on_unreachable(result)
            return
        self._say("UNREACHABLE", self._where(result), task_label(result.task_name), seconds, C.COLOR_UNREACHABLE)
        self._body(error_text(result.result), C.COLOR_UNREACHABLE)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_runner_item_on_ok(result)
            return
        self._handle_warnings_and_exception(result)
        if result.result.get("_ansible_verbose_always"):
            self._speak(result)

    def v2_runner_item_on_skipped(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_runner_item_on_failed(result)
            return
        self._handle_warnings(result.result)
        label = f"{task_label(result.task_name)} (item {self._get_item_label(result.result)})"
        self._say("FAILED", self._where(result), label, None, C.COLOR_ERROR)
        self._explain(result)

    def v2_runner_retry(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_runner_retry(result)
            return
        left = int(result.result.get("retries", 0)) - int(result.result.get("attempts", 0))
        self._say(
            "again", self._where(result), f"{task_label(result.task_name)}, {left} tries left", None, C.COLOR_DEBUG
        )

    def v2_on_file_diff(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_on_file_diff(result)
            return
        found = result.result
        rows = found.get("results") if result.task.loop and "results" in found else [found]
        for row in rows or []:
            if not (isinstance(row, dict) and row.get("diff") and row.get("changed")):
                continue
            if text := self._get_diff(row["diff"]):
                self._say("diff", self._where(result), task_label(result.task_name), None, C.COLOR_HIGHLIGHT)
                self._display.display(text.rstrip("\n"))
