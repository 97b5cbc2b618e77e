# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the options of the role grafana."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import grafana

DOCUMENTATION = r"""
name: grafana_faults
short_description: Faults in the options of the role grafana
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Names at once all that is missing or contradicts itself in the options of the role P(nexod.infra.grafana#role).
  - Of passwords it needs only whether they are given, of the secrets only their names. No sentence contains a secret.
options:
  _input:
    description: The options by name, and C(datasources), C(credentials) and C(os_family), as the role passes them.
    type: dict
    required: true
"""

EXAMPLES = r"""
fail_msg: "{{ options | nexod.infra.grafana_faults | join('; ') }}"
"""

RETURN = r"""
_value:
  description: One sentence for each fault; empty if there is none.
  type: list
  elements: str
"""


def grafana_faults(value: t.Mapping[str, t.Any]) -> list[str]:
    """The faults."""
    return grafana.faults(value)


class FilterModule:
    """The entry point that Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"grafana_faults": grafana_faults}
