# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of nexod.infra.file_set: of the action plugin on the controller, and of the module on the host."""

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
    "keep_previous": {"type": "bool", "default": True},
}

OPTIONS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "root": {"type": "str", "default": "/etc/nexod"},
    "state": {"type": "str", "choices": ["present", "previous", "absent"], "default": "present"},
    "files": {"type": "list", "elements": "dict", "options": FILE},
    "check": {"type": "list", "elements": "list", "default": []},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "keep_files": {"type": "list", "elements": "str", "default": []},
    "keep_days": {"type": "int", "default": 30},
    "plan": {"type": "bool", "default": False},
}
#: For the action plugin. Without files, "present" would mean a set without any.
REQUIRED_IF = [("state", "present", ["files"])]

#: For the module, which gets the rendered files in place of `files`.
HOST_OPTIONS: dict[str, dict[str, t.Any]] = {**OPTIONS, "_internal": {"type": "dict", "no_log": True}}
HOST_REQUIRED_IF = [("state", "present", ["_internal"])]
