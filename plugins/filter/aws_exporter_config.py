# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configure the exporter for CloudWatch from the options of an environment on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.exporter import configuration

DOCUMENTATION = r"""
name: aws_exporter_config
short_description: Configure the exporter for CloudWatch
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the configuration of L(YACE,https://github.com/prometheus-community/yet-another-cloudwatch-exporter), which
    exports the metrics that the alarms of P(nexod.infra.provider_aws#role) are on to Prometheus. It calls nothing.
options:
  _input:
    description: All options of the role, by their names without the prefix C(provider_aws_).
    type: dict
    required: true
"""

EXAMPLES = r"""
exporters_cloudwatch_configuration: "{{ options | nexod.infra.aws_exporter_config }}"
"""

RETURN = r"""
_value:
  description: The configuration.
  type: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filter names to functions."""
        return {"aws_exporter_config": configuration}
