# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a protected service is asked by its own host."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service import web

DOCUMENTATION = r"""
name: web_access
short_description: Find how a host asks its own protected service
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Builds the option C(access) of a proof of M(nexod.infra.live_service) from the options that protect the service.
positional: folder
options:
  _input:
    description: The options, as for P(nexod.infra.web_protection#filter).
    type: dict
    required: true
  folder:
    description: Folder on the host that the files of the web configuration are in.
    type: str
    required: true
"""

EXAMPLES = r"""
access: "{{ (__prometheus_web | nexod.infra.web_access('/etc/nexod/prometheus/current/web')).access }}"
"""

RETURN = r"""
_value:
  description:
    - C(scheme), http or https; C(protected), whether there is any protection; and C(access).
    - C(users), whether a password is needed, and C(stranger), the access without one.
  type: dict
"""


def web_access(value: t.Mapping[str, t.Any], folder: str) -> dict[str, t.Any]:
    """The access."""
    return {
        "scheme": web.scheme(value),
        "protected": web.is_protected(value),
        "access": web.access(value, folder),
        "users": bool(value["web_users"]),
        "stranger": web.stranger(value, folder),
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"web_access": web_access}
