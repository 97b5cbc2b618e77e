# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promtool's tests for the alert rules of the latency table."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.rule_file import tables_of, test_document

DOCUMENTATION = r"""
name: monitoring_rule_tests
short_description: Promtool's tests for the alert rules of the latency table
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Derives from the same table as P(nexod.infra.monitoring_rules#filter) the tests that its rules must pass.
positional: sources, minimum, rule_file
extends_documentation_fragment: [nexod.infra.rule_tables]
options:
  rule_file:
    description: Path of the rule file, relative to the file of tests.
    type: str
    required: true
"""

EXAMPLES = r"""
tests: >-
  {{ prometheus_latency_targets
     | nexod.infra.monitoring_rule_tests(sources, 100, '../rules/latency.yml') }}
"""

RETURN = r"""
_value:
  description: A file for C(promtool test rules).
  type: dict
"""


def monitoring_rule_tests(
    value: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Mapping[str, t.Mapping[str, t.Any]],
    minimum: int | str,
    rule_file: str,
    *,
    group: str = "",
    **options: t.Any,
) -> dict[str, t.Any]:
    """The file of tests."""
    return test_document(tables_of(value, sources, minimum, **options), rule_file, group)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_rule_tests": monitoring_rule_tests}
