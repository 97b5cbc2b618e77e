# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one shape in which a foreseeable fault leaves the collection."""

from __future__ import annotations

import typing as t


class InfraError(Exception):
    """A foreseeable fault: what was attempted, on what, why it failed and what to do next.

    `action` completes "Cannot ..." (``"write the file set"``), `object` names the thing
    (``'"prometheus"'``), `cause` is one clause, `next_step` one imperative sentence; `detail` is what
    the failing program itself said, line by line.
    """

    def __init__(self, action: str, object: str, cause: str, next_step: str, detail: str = "", **facts: object) -> None:
        self.action = action
        self.object = object
        self.cause = cause
        self.next_step = next_step
        self.detail = detail
        self.facts = facts
        super().__init__(str(self))

    def __str__(self) -> str:
        said = f"Cannot {self.action} {self.object}: {self.cause.rstrip('.')}.\n{self.next_step}"
        return f"{said}\n{self.detail}" if self.detail else said

    def report(self) -> dict[str, t.Any]:
        """Arguments for ``fail_json``: `msg` is for people, the rest for programs."""
        return {
            **self.facts,
            "msg": str(self),
            "error": {"action": self.action, "object": self.object, "cause": self.cause, "next_step": self.next_step},
        }


def ssh_reason(message: str) -> str:
    """Why a host does not answer: the last link of ssh's and Ansible's chain of words."""
    return " ".join(message.split()).rpartition("can be reached over ssh: ")[2].removeprefix("Task failed: ")


def away(host: str, message: str) -> dict[str, object]:
    """The result of a task that found nobody at `host`; in Ansible's own words an address is all that names it."""
    next_step = "See that it runs and that `ssh` to it works from here, then type the same command again."
    return InfraError("reach", host, ssh_reason(message) or "it does not answer", next_step).report()
