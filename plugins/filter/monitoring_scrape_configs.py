# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus's scrape_configs from a list of jobs."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import scrape as _monitoring

DOCUMENTATION = r"""
name: monitoring_scrape_configs
short_description: Prometheus's scrape_configs from a list of jobs
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Turns C(prometheus_scrape_jobs) into what C(scrape_configs) of C(prometheus.yml) holds.
options:
  _input:
    description: The jobs, as the role M(nexod.infra.prometheus#role) takes them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
scrape_configs: "{{ prometheus_scrape_jobs | nexod.infra.monitoring_scrape_configs }}"
"""

RETURN = r"""
_value:
  description: Entries of C(scrape_configs).
  type: list
  elements: dict
"""


def monitoring_scrape_configs(value: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """An entry for each job."""
    return [_monitoring.scrape_config(job) for job in value]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"monitoring_scrape_configs": monitoring_scrape_configs}
