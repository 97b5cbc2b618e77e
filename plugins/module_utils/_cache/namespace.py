# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``cache_namespace`` decides: which version a namespace gets."""

from __future__ import annotations

import contextlib
import re

from ansible_collections.nexod.infra.plugins.module_utils._cache.globs import raw
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import Cache
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ACTION = "bump the namespace of"
COMMANDS = "+get +set +incr +info +ping +hello"


def next_version(namespace: str, current: str | None, desired: str | None) -> str:
    """The version after `current`: the desired one, or the next number."""
    if desired is not None:
        return desired
    if current is None:
        return "1"
    if not re.fullmatch(r"-?\d+", current):
        raise InfraError(
            "bump the namespace",
            f'"{namespace}"',
            f'its version "{current}" is not a number',
            "Set the new one in version.",
        )
    return str(int(current) + 1)


def bump(cache: Cache, namespace: str, desired: str | None, *, check: bool) -> tuple[str | None, str]:
    """The version before and after; `check`: without writing it."""
    name = raw(namespace, "namespace")
    with contextlib.closing(cache.connection_for(name)) as connection:
        stored = connection.ask(b"GET", name)
        before = None if stored is None else stored.decode("utf-8", "backslashreplace")
        after = next_version(namespace, before, desired)
        if not check and desired is None:
            after = str(connection.ask(b"INCR", name))  # correct even if another client bumps it at the same time
        elif not check and after != before:
            connection.ask(b"SET", name, raw(after, "version"))
    return before, after
