# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections of grafana.ini for logins and e-mail."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import grafana_access as access

DOCUMENTATION = r"""
name: grafana_access
short_description: Sections of grafana.ini for logins and e-mail
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the sections of C(grafana.ini) for who may log in to Grafana and how it sends e-mail, from the options of
    the role P(nexod.infra.grafana#role). Secrets are referred to as files.
positional: _input, credentials
options:
  _input:
    description: The options by name, as the role passes them.
    type: dict
    required: true
  credentials:
    description: Folder of the files with the secrets.
    type: str
    required: true
"""

EXAMPLES = r"""
sections: "{{ options | nexod.infra.grafana_access('/run/credentials/grafana-server.service') }}"
"""

RETURN = r"""
_value:
  description: The sections, each a dictionary of keys and values.
  type: dict
"""


def grafana_access(value: t.Mapping[str, t.Any], credentials: str) -> dict[str, dict[str, t.Any]]:
    """The sections."""
    return access.sections(value, credentials)


class FilterModule:
    """The entry point that Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"grafana_access": grafana_access}
