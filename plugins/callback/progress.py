# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: Print one line for each change, and which tasks are still running
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Prints nothing for unchanged and skipped tasks, and one line with the duration for each changed or failed task.
  - Names a long-running task every few seconds, with the hosts on which it is still running.
  - Prints errors as text, in full.
  - With C(-v) or more, the output is that of P(ansible.builtin.default#callback).
  - Prints plain lines only, so that the output reads the same in a terminal, a file and a CI log.
  - Without C(-v), leaves out the warning that a module has created Ansible's temporary folder on a new host.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  wait_seconds:
    description: Seconds after which a running task is named for the first time; then at growing intervals.
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
    """A task's name without the collection's own prefix: ``prometheus : run | Reload Prometheus and verify it``."""
    return name.strip().removeprefix(OWN_PREFIX)


def due(elapsed: float, last: float, first: float) -> bool:
    """Whether to name a task that has run for `elapsed` seconds and was last named at `last` (0: never).

    First after `first` seconds, then each time its age has doubled, at least once a minute.
    """
    return elapsed >= first if last == 0 else elapsed >= min(last * 2, last + 60)


def word_for(task_in_check_mode: bool, run_in_check_mode: bool) -> str:
    """How the line of a changed task begins. In a real run, a task in check mode only plans."""
    if run_in_check_mode:
        return "would change"
    return "planned" if task_in_check_mode else "changed"


def is_noise(warnings: t.Any) -> bool:
    """Whether all warnings are about Ansible's own temporary folder, which modules create on a new host."""
    rows = [str(row) for row in warnings or ()]
    return bool(rows) and all("Module remote_tmp" in row and "did not exist and was created" in row for row in rows)


class Waiting:
    """Which tasks have been running on which hosts since when. Written by the run, read by the thread below."""

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
        """Label, hosts and age of each task to name now."""
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
    """Quiet while nothing changes; the default callback with ``-v``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "nexod.infra.progress"

    def __init__(self) -> None:
        super().__init__()
        self._waiting = Waiting()
        self._stage = ""
        self._heading = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    # -- helpers

    @property
    def _detailed(self) -> bool:
        return bool(self._display.verbosity)

    def _line(self, word: str, host: str, label: str, seconds: float | None, color: str) -> None:
        took = "" if seconds is None else f"  ({duration(seconds)})"
        self._display.display(f"  {word:<13}{host:<15} {label}{took}", color=color)

    def _where(self, result: t.Any) -> str:
        """The host, and the one that the task is delegated to, unless that is an unevaluated template (in loops)."""
        label = str(self.host_label(result))
        return result.host.get_name() if "{{" in label else label

    def _took(self, result: t.Any) -> float:
        return self._waiting.end(result.task._uuid, result.host.get_name(), time.monotonic())

    def _body(self, text: str, color: str) -> None:
        for line in text.splitlines():
            self._display.display(f"      {line}", color=color)

    def _name_running(self) -> None:
        first = float(self.get_option("wait_seconds"))
        while not self._over.wait(1.0):
            for label, hosts, age in self._waiting.overdue(time.monotonic(), first):
                # Ansible holds the display's lock while it forks, so another thread may print.
                self._line("waiting for", ", ".join(hosts), label, age, C.COLOR_VERBOSE)

    # -- plays and tasks

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        if self._detailed:
            super().v2_playbook_on_play_start(play)
            return
        self._play = play
        if self._thread is None:
            self._thread = threading.Thread(target=self._name_running, name="progress", daemon=True)
            self._thread.start()
        name = play.get_name().strip()
        stage = stage_of(name)
        mode = "  [check mode]" if play.check_mode or context.CLIARGS.get("check") else ""
        title = f"[{stage}] {name.partition(' | ')[2]}" if stage else f"[play] {name}"
        self._heading = ("\n" if stage and stage != self._stage else "") + title + mode
        self._stage = stage

    def _head(self) -> None:
        """Print the play's heading when its first task starts: a play whose hosts have all failed prints none."""
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

    def _handle_warnings(self, res: t.Any) -> None:
        if not self._detailed and is_noise(res.get("warnings")):
            res.pop("warnings")
        super()._handle_warnings(res)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        seconds = self._took(result)
        if self._detailed:
            super().v2_runner_on_ok(result)
            return
        self._handle_warnings_and_exception(result)
        if result.is_changed():
            word = word_for(bool(result.task.check_mode), bool(context.CLIARGS.get("check")))
            self._line(word, self._where(result), task_label(result.task_name), seconds, C.COLOR_CHANGED)
        elif result.result.get("_ansible_verbose_always") and "results" not in result.result:
            self._message(result)

    def _message(self, result: t.Any) -> None:
        """Print the message of a task such as ansible.builtin.debug."""
        found = result.result
        self._clean_results(found, result.task.action)
        self._line("message", self._where(result), task_label(result.task_name), None, C.COLOR_DEBUG)
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
        self._line(word, self._where(result), task_label(result.task_name), seconds, C.COLOR_ERROR)
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
        self._line("UNREACHABLE", self._where(result), task_label(result.task_name), seconds, C.COLOR_UNREACHABLE)
        # Where the task goes on without the host, a later one reports it (preflight: in its list).
        if not result.task.ignore_unreachable:
            self._body(error_text(result.result), C.COLOR_UNREACHABLE)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_runner_item_on_ok(result)
            return
        self._handle_warnings_and_exception(result)
        if result.result.get("_ansible_verbose_always"):
            self._message(result)

    def v2_runner_item_on_skipped(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_runner_item_on_failed(result)
            return
        self._handle_warnings(result.result)
        label = f"{task_label(result.task_name)} (item {self._get_item_label(result.result)})"
        self._line("FAILED", self._where(result), label, None, C.COLOR_ERROR)
        self._explain(result)

    def v2_runner_retry(self, result: t.Any) -> None:
        if self._detailed:
            super().v2_runner_retry(result)
            return
        left = int(result.result.get("retries", 0)) - int(result.result.get("attempts", 0))
        label = f"{task_label(result.task_name)}, {left} retries left"
        self._line("retrying", self._where(result), label, None, C.COLOR_DEBUG)

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
                self._line("diff", self._where(result), task_label(result.task_name), None, C.COLOR_HIGHLIGHT)
                self._display.display(text.rstrip("\n"))
