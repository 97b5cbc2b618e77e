# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules from the latency table."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.rule_file import rule_document, tables_of

DOCUMENTATION = r"""
name: monitoring_rules
short_description: Alert rules from the latency table
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Derives a rule file for Prometheus from the latency table; every alert compares fractions of requests.
  - A row whose metric has no source is left out.
positional: sources, minimum
extends_documentation_fragment: [nexod.infra.rule_tables]
"""

EXAMPLES = r"""
rules: >-
  {{ prometheus_latency_targets
     | nexod.infra.monitoring_rules(prometheus_latency_sources, 100) }}
"""

RETURN = r"""
_value:
  description: A rule file.
  type: dict
"""


def monitoring_rules(
    value: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Mapping[str, t.Mapping[str, t.Any]],
    minimum: int | str,
    *,
    group: str = "",
    **options: t.Any,
) -> dict[str, t.Any]:
    """The rule file."""
    return rule_document(tables_of(value, sources, minimum, **options), group)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_rules": monitoring_rules}
