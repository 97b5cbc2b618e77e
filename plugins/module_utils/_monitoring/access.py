# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that ask a protected service (doc fragment `access`), and what they become."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access

ARGUMENTS: t.Final[dict[str, dict[str, t.Any]]] = {
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "password_file": {"type": "path", "default": "", "no_log": False},
    "ca_file": {"type": "path", "default": ""},
    "certificate_file": {"type": "path", "default": ""},
    "key_file": {"type": "path", "default": "", "no_log": False},
    "validate_names": {"type": "bool", "default": True},
}


def access_of(asked: t.Mapping[str, t.Any]) -> Access:
    """What the options say."""
    files = {name: asked[name] for name in ("password_file", "ca_file", "certificate_file", "key_file")}
    return Access(user=asked["user"], password=asked["password"], names=asked["validate_names"], **files)
