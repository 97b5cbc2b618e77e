# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pin versions in a lock file on the controller."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._software.lock import LOCK, mirrored, read
from ansible_collections.nexod.infra.plugins.plugin_utils._software.pinning import fetched, pinned, rendered, write


class ActionModule(ControllerAction):
    """Reads the lock file and upstream's sums, and writes the lock file where they differ."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "pin": {"type": "dict", "required": True},
        "lock": {"type": "path"},
        "mirror": {"type": "str", "default": ""},
        "architectures": {"type": "list", "elements": "str", "default": ["amd64", "arm64"]},
        "prune": {"type": "bool", "default": False},
    }

    def act(self, _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self.arguments
        path = pathlib.Path(given["lock"]).absolute() if given["lock"] else LOCK
        before = read(path) if path.exists() else {}
        # A new file has the addresses of the programs only: pins of the collection are read besides it anyway.
        known = {name: {**row, "versions": {}} for name, row in read(LOCK).items()}
        after = pinned(
            {**known, **before},
            given["pin"],
            given["architectures"],
            prune=given["prune"],
            fetch=lambda url: fetched(mirrored(url, given["mirror"])),
        )
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        # A comment or another order is not a change of the pins.
        changed = before != after
        if changed and not self._task.check_mode:
            write(path, rendered(after))
        header = str(path)
        return {
            "changed": changed,
            "path": header,
            "diff": {
                "before_header": header,
                "after_header": header,
                "before": text,
                "after": rendered(after) if changed else text,
            },
        }
