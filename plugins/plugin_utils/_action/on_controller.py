# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions have in common that run on the controller alone: they execute no module and change nothing."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


class ControllerAction(ActionBase):  # type: ignore[misc]
    """Checks the arguments, and returns what `act` finds, or its InfraError as a failure with action, object, cause
    and next step.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    #: The specification of the arguments.
    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {}
    #: Those of the task, once they are checked.
    arguments: dict[str, t.Any]

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        self.arguments = self.validate_argument_spec(self.ARGUMENTS)[1]
        try:
            return {**result, "changed": False, **self.act(task_vars or {})}
        except InfraError as error:
            return {**result, "failed": True, **error.report()}

    def act(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the task returns besides."""
        raise NotImplementedError
