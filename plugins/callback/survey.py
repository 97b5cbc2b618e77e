# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: survey
type: aggregate
short_description: Keep the survey of each host until something changes
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - M(nexod.infra.host_probe) surveys each host once, at the start of a run. Without such a survey, the roles for
    monitoring begin with one of their own, see P(nexod.infra.unsurveyed#test). If the survey shows that a host is in
    the desired state already, M(nexod.infra.file_set), M(nexod.infra.live_service) and M(nexod.infra.release) return
    their result without executing anything there.
  - If a task changes something on a host, or fails there, the callback discards the survey of that host and the proofs
    of the services on all other hosts. A change on the controller or by delegation discards everything, as does a new
    run.
  - Tasks in check mode change nothing and discard nothing.
  - Before the first task of this collection in a play on other hosts than the controller, the callback also loads the
    plugins that most tasks use. The workers, which are forks of that process, need not load them again.
  - Without this callback, every task checks its host itself. The results are the same.
requirements:
  - Enabled by C(callbacks_enabled) in the configuration.
"""

import typing as t

from ansible.plugins.callback import CallbackBase

from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.preload import preload

LOCAL = ("localhost", "127.0.0.1", "::1")
COLLECTION = "nexod.infra."


def is_ours(task: t.Any) -> bool:
    """Whether a task is one of a role of this collection, or executes a module of it."""
    role = getattr(task, "_role", None)
    names = (str(task.resolved_action or task.action), role.get_name() if role else "")
    return any(name.startswith(COLLECTION) for name in names)


class CallbackModule(CallbackBase):
    """Hears of every result before the host's next task is started."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "nexod.infra.survey"
    CALLBACK_NEEDS_ENABLED = True
    _loaded = False
    _on_hosts = False

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        KEPT.begin()

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        # A play on the controller alone has too few tasks to be worth it.
        self._on_hosts = list(play.hosts) != ["localhost"]

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        # A play of other tasks alone, as a test's preparation, uses none of it.
        if self._on_hosts and not self._loaded and is_ours(task):
            preload()
            self._loaded = True

    def v2_runner_on_ok(self, result: t.Any) -> None:
        packed = result.result.get("survey")
        if packed and str(result.task.resolved_action or result.task.action).endswith("nexod.infra.host_probe"):
            by_role = getattr(result.task, "_role", None) is not None
            KEPT.keep(result.host.get_name(), str(packed), by_role=by_role)
        elif result.is_changed():
            self._changed(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._changed(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        KEPT.changed(result.host.get_name())

    @staticmethod
    def _changed(result: t.Any) -> None:
        host = result.host.get_name()
        if result.task.check_mode:
            return
        if result.task.delegate_to or host in LOCAL:
            KEPT.clear()
        else:
            KEPT.changed(host)
