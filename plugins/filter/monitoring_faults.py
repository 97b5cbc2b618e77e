# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What contradicts itself in what Prometheus was asked to do."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules as _monitoring

DOCUMENTATION = r"""
name: monitoring_faults
short_description: What contradicts itself in what Prometheus was asked to do
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Names doubled jobs, timeouts above intervals, targets above alerts and sources without a metric, all at once.
positional: _input, interval, timeout, rows, sources
options:
  _input:
    description: The scrape jobs.
    type: list
    elements: dict
    required: true
  interval:
    description: Seconds between scrapes, where a job has none of its own.
    type: int
    required: true
  timeout:
    description: Seconds that a scrape may take, where a job has none of its own.
    type: int
    required: true
  rows:
    description: Rows of the latency table.
    type: list
    elements: dict
    required: true
  sources:
    description:
      - Where each metric comes from, by the row's name.
      - Either C(histogram), a name, with C(matchers); or C(gauge), an expression.
    type: dict
    required: true
"""

EXAMPLES = r"""
faults: >-
  {{ prometheus_scrape_jobs
     | nexod.infra.monitoring_faults(15, 10, prometheus_latency_targets, prometheus_latency_sources) }}
"""

RETURN = r"""
_value:
  description: One sentence a fault, with its next step; empty when all is well.
  type: list
  elements: str
"""


def monitoring_faults(
    value: t.Sequence[t.Mapping[str, t.Any]],
    interval: int,
    timeout: int,
    rows: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Mapping[str, t.Mapping[str, t.Any]],
) -> list[str]:
    """The faults."""
    return _monitoring.faults(value, interval, timeout, rows, sources)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_faults": monitoring_faults}
