# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nexod.infra.file_set takes: one specification for its half on the controller and its half on the host."""

from __future__ import annotations

import typing as t

FILE: dict[str, dict[str, t.Any]] = {
    "path": {"type": "str", "required": True},
    "template": {"type": "str"},
    "src": {"type": "str"},
    "content": {"type": "str"},
    "vars": {"type": "dict"},
    "mode": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "link": {"type": "str"},
    "on_change": {"type": "str", "choices": ["none", "reload", "restart"], "default": "restart"},
    "secret": {"type": "bool", "default": False},
}

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "root": {"type": "str", "default": "/etc/nexod"},
    "state": {"type": "str", "choices": ["present", "previous", "absent"], "default": "present"},
    "files": {"type": "list", "elements": "dict", "options": FILE},
    "check": {"type": "list", "elements": "list", "default": []},
    "rendered": {"type": "str", "no_log": True},
}

MUTUALLY_EXCLUSIVE = [("files", "rendered")]
