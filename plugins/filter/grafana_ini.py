# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of grafana.ini from sections, keys and values."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import grafana

DOCUMENTATION = r"""
name: grafana_ini
short_description: The text of grafana.ini from sections, keys and values
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Writes the text of C(grafana.ini). Booleans become C(true) and C(false); values that need quotes get them.
  - A null value leaves its key out. The section with an empty name comes first, without a heading.
options:
  _input:
    description: The sections, each a dictionary of keys and values.
    type: dict
    required: true
"""

EXAMPLES = r"""
content: "{{ {'smtp': {'enabled': true, 'host': 'mail:25'}} | nexod.infra.grafana_ini }}"
"""

RETURN = r"""
_value:
  description: The text of C(grafana.ini).
  type: str
"""


def grafana_ini(value: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """The text of grafana.ini."""
    return grafana.ini(value)


class FilterModule:
    """The entry point that Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"grafana_ini": grafana_ini}
