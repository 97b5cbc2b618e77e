# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``cache_namespace`` decides: which version a namespace gets."""

from __future__ import annotations

import contextlib
import re

from ansible_collections.nexod.infra.plugins.module_utils._cache.server import Cache
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ACTION = "bump the namespace of"
COMMANDS = "+get +set +incr +info +ping +hello"


def next_version(namespace: str, current: str | None, wanted: str | None) -> str:
    """The version after `current`: the one that is wanted, or the number above."""
    if wanted is not None:
        return wanted
    if current is None:
        return "1"
    if not re.fullmatch(r"-?\d+", current):
        raise InfraError(
            "bump the namespace",
            f'"{namespace}"',
            f'its version "{current}" is no number',
            "Give the new one in version.",
        )
    return str(int(current) + 1)


def bump(cache: Cache, namespace: str, wanted: str | None, *, check: bool) -> tuple[str | None, str]:
    """The version before and after; only in earnest something is written."""
    name = namespace.encode()
    with contextlib.closing(cache.wire_for(name)) as wire:
        held = wire.ask(b"GET", name)
        before = None if held is None else held.decode("utf-8", "backslashreplace")
        after = next_version(namespace, before, wanted)
        if not check and wanted is None:
            after = str(wire.ask(b"INCR", name))  # also right where another one bumps it at the same time
        elif not check and after != before:
            wire.ask(b"SET", name, after.encode())
    return before, after
