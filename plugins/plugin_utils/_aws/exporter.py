# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of YACE, the exporter for CloudWatch: the metrics of the alarms, so that dashboards show them too.

https://github.com/prometheus-community/yet-another-cloudwatch-exporter/blob/master/docs/configuration.md
"""

from __future__ import annotations

import re

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import OWNER
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import Rule, rules
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import Options, Row

#: CloudWatch has a value for each minute, up to a few minutes late; the newest of these is exported.
PERIOD_SECONDS, LENGTH_SECONDS = 60, 300


def configuration(options: Options) -> Row:
    """A job for each namespace and set of dimensions, which finds resources by the tag of the environment.

    Only metrics with exactly these dimensions are requested: each one is paid for.
    """
    jobs: dict[tuple[str, tuple[str, ...]], dict[str, set[str]]] = {}
    for rule in rules(options):
        metrics = jobs.setdefault((rule.namespace, tuple(sorted(rule.dimensions))), {})
        metrics.setdefault(rule.metric, set()).add(statistic(rule))
    tag = {"key": OWNER, "value": f"^{re.escape(options['environment'])}$"}
    return {
        "apiVersion": "v1alpha1",
        # It asks who it is. The endpoint of the region is reached from private networks too, the global one is not.
        "sts-region": options["region"],
        "discovery": {
            "jobs": [
                {
                    "type": namespace,
                    "regions": [options["region"]],
                    "searchTags": [tag],
                    "dimensionNameRequirements": list(dimensions),
                    "period": PERIOD_SECONDS,
                    "length": LENGTH_SECONDS,
                    "metrics": [
                        {"name": name, "statistics": sorted(statistics)} for name, statistics in sorted(metrics.items())
                    ],
                }
                for (namespace, dimensions), metrics in sorted(jobs.items())
            ]
        },
    }


def statistic(rule: Rule) -> str:
    """What CloudWatch computes of the values of a period: a quantile such as p95, or a statistic by its name."""
    return str(rule.more.get("quantile") or rule.more["statistic"])
