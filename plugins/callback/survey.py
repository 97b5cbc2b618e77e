# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: survey
type: aggregate
short_description: Keeps what the survey of each host found, for as long as it holds
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - M(nexod.infra.host_probe) surveys a host once, at the start of a run. M(nexod.infra.file_set),
    M(nexod.infra.live_service) and M(nexod.infra.release) then execute nothing on a host that is as it should be
    already, and return what they would have found.
  - As soon as a task has changed something on a host, or failed there, its survey is dropped, and of all other hosts
    what was proven of their services. A change on the controller or by delegation drops everything. So does a new run.
  - Tasks in check mode change nothing and drop nothing.
  - Without this callback every task looks at its host itself. Results are the same, later.
requirements:
  - Enabled by C(callbacks_enabled) in the configuration.
"""

import typing as t

from ansible.plugins.callback import CallbackBase

from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT

LOCAL = ("localhost", "127.0.0.1", "::1")


class CallbackModule(CallbackBase):
    """Hears of every result before the host's next task is started."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "nexod.infra.survey"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        KEPT.clear()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        packed = result.result.get("survey")
        if packed and str(result.task.resolved_action or result.task.action).endswith("nexod.infra.host_probe"):
            KEPT.keep(result.host.get_name(), str(packed))
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
