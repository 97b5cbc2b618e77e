# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads plugins in the process that runs the playbook, before it forks the workers.

Ansible loads a plugin where it is used: in the worker, a process that ends with its task. Several hundred workers of a
deploy would each load the same filters and tests again. What the parent has loaded, all of them inherit.
"""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

from ansible.plugins.loader import (
    action_loader,
    connection_loader,
    filter_loader,
    lookup_loader,
    shell_loader,
    test_loader,
)

PLUGINS = pathlib.Path(__file__).resolve().parents[2]
#: One of Ansible's own loads all of its filters or tests at once.
BUILTIN = "ansible.builtin."
#: Actions that most tasks of the roles use; `normal` stands for every module without an action plugin. Those of this
#: collection are not among them: the strategy loads the action of a task before it forks the worker, and a run that
#: needs no AWS does not import its SDK.
ACTIONS = ("assert", "include_vars", "normal", "set_fact", "set_stats", "validate_argument_spec")


def names(kind: str) -> list[str]:
    """The full names of this collection's plugins of a kind, for example `filter`."""
    return sorted(f"nexod.infra.{path.stem}" for path in (PLUGINS / kind).glob("[!_]*.py"))


def preload() -> None:
    """Load what workers use. A plugin that can't be loaded is left to the task that uses it, which reports why."""
    wanted: list[tuple[t.Any, list[str]]] = [
        # Whichever is asked for, Ansible imports all filters (tests) of its collection.
        (filter_loader, [f"{BUILTIN}default", *names("filter")[:1]]),
        (lookup_loader, names("lookup")),
        (test_loader, [f"{BUILTIN}defined", *names("test")[:1]]),
        (action_loader, [BUILTIN + name for name in ACTIONS]),
        (connection_loader, [f"{BUILTIN}local", f"{BUILTIN}ssh"]),
        (shell_loader, [f"{BUILTIN}sh"]),
    ]
    for loader, plugins in wanted:
        for name in plugins:
            with contextlib.suppress(Exception):
                loader.get(name, class_only=True)
