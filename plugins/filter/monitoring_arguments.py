# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of Prometheus or Alertmanager."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import alertmanager, prometheus

DOCUMENTATION = r"""
name: monitoring_arguments
short_description: Build the command line of Prometheus or Alertmanager
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Builds the arguments from the options of the role M(nexod.infra.prometheus#role) or
    M(nexod.infra.alertmanager#role).
positional: role
options:
  _input:
    description: The options of the role, by their names without the role's prefix.
    type: dict
    required: true
  role:
    description: Name of the role whose options these are.
    type: str
    choices: [alertmanager, prometheus]
    required: true
"""

EXAMPLES = r"""
arguments: "{{ __prometheus_settings | nexod.infra.monitoring_arguments('prometheus') }}"
"""

RETURN = r"""
_value:
  description: The arguments, without the program.
  type: list
  elements: str
"""


ARGUMENTS: t.Final = {"alertmanager": alertmanager.arguments, "prometheus": prometheus.arguments}


def monitoring_arguments(value: t.Mapping[str, t.Any], role: str) -> list[str]:
    """The arguments."""
    return ARGUMENTS[role](value)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_arguments": monitoring_arguments}
