# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of Prometheus or Alertmanager."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import alertmanager, prometheus

DOCUMENTATION = r"""
name: monitoring_config
short_description: Build the configuration of Prometheus or Alertmanager
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Builds the content of C(prometheus.yml) or C(alertmanager.yml) from the options of the role
    M(nexod.infra.prometheus#role) or M(nexod.infra.alertmanager#role).
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
configuration: "{{ __prometheus_settings | nexod.infra.monitoring_config('prometheus') }}"
"""

RETURN = r"""
_value:
  description: The configuration, ready to be written as YAML.
  type: dict
"""


CONFIGURATIONS: t.Final = {"alertmanager": alertmanager.configuration, "prometheus": prometheus.configuration}


def monitoring_config(value: t.Mapping[str, t.Any], role: str) -> dict[str, t.Any]:
    """The configuration."""
    return CONFIGURATIONS[role](value)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_config": monitoring_config}
