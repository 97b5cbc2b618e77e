#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a release by its latency table."""

from __future__ import annotations

DOCUMENTATION = r"""
module: latency_verdict
short_description: Judge a release by its latency table
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Queries Prometheus, for each row of the latency table, for the fraction of requests answered within the target.
  - The verdict is V(met), V(missed) or V(not enough data), as too little traffic proves nothing.
  - Also returns each series that a condition finds, such as a target that is down.
  - Changes nothing. Fails only if Prometheus cannot be queried; acting on the verdict is left to the caller.
  - In check mode it queries nothing and returns V(not enough data), as check mode deploys no release to judge.
extends_documentation_fragment: [nexod.infra.access]
options:
  url:
    description: Base URL of Prometheus, as seen from the host that runs the module.
    type: str
    default: http://127.0.0.1:9090
  targets:
    description: The latency table.
    type: list
    elements: dict
    required: true
    suboptions:
      metric:
        description: Name of the metric, a key of O(sources).
        type: str
        required: true
      quantile:
        description: Fraction of the requests that must be answered within the target, such as V(0.95).
        type: float
        required: true
      target_seconds:
        description: Seconds within which they must be answered. A histogram needs a bucket that ends there.
        type: float
        required: true
      alert_seconds:
        description: Not used here. Allowed so that the table of the other roles can be passed unchanged.
        type: float
  sources:
    description:
      - Source of each metric in O(targets), by its name.
      - Either C(histogram), the name of a histogram, with optional label C(matchers); or C(gauge), a PromQL expression
        in seconds.
      - With a histogram, C(failures) names the counter of failed requests (C(counter), C(matchers) and C(failed), as in
        O(errors)). They count as slow, however quickly they were answered.
    type: dict
    required: true
  window_seconds:
    description:
      - Seconds of measurements that the verdict covers. At least twice the scrape interval.
      - With O(serving_seconds) at most these, as it covers no measurements from before.
    type: int
    default: 300
  minimum_samples:
    description:
      - Requests that a row needs for a verdict; with fewer it is V(not enough data).
      - Not given or V(0) is 200 for a median, 500 up to p95 and 2000 above. A gauge always needs 5 samples.
    type: int
  expect_samples:
    description:
      - Number of requests of the first metric to wait for, as a scrape follows the requests it counts.
      - When all targets have been scraped since the module began, there is nothing more to wait for.
    type: int
    default: 0
  errors:
    description: Counters of requests whose failures must stay within O(maximum_error_ratio).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What is counted, such as V(API).
        type: str
        required: true
      counter:
        description: Name of the counter.
        type: str
        required: true
      matchers:
        description: Label matchers of all its requests.
        type: str
        default: ""
      failed:
        description: Label matchers of the failed ones, such as V(status=~"5..").
        type: str
        required: true
      by:
        description: Label that tells kinds of failures apart in the message.
        type: str
        default: ""
  maximum_error_ratio:
    description: Fraction of the requests of each of O(errors) that may fail, from 0 to 1.
    type: float
    default: 0.01
  serving_seconds:
    description:
      - Seconds since this release has been serving alone, if it has just been rolled out. Nothing looks back further,
        so that what the release before did does not count for or against this one, nor further than O(window_seconds).
      - By default O(errors) look back O(error_window_seconds), and the latency table O(window_seconds).
    type: float
  began_seconds:
    description:
      - Seconds since the deploy began. If it is given, C(course) is returned. At least 0.
      - By default, nothing of the past is read.
    type: float
  version:
    description:
      - Version to judge. Of the sources that are histograms, only the series of instances that report it in
        O(version_metric) count. Where none does, the row is V(not enough data).
      - By default all series count.
    type: str
  version_metric:
    description:
      - Metric whose label C(version) names the version that an instance runs, such as V(app_build_info). Its labels
        C(job) and C(instance) are those of the sources.
      - Not given, or a metric that no instance has, lets all series count.
    type: str
  error_window_seconds:
    description:
      - Seconds that O(errors) look back without O(serving_seconds). Short, so that an outage that is over does not fail
        a verification for long. At least twice the scrape interval.
    type: int
    default: 45
  conditions:
    description: Conditions that must not hold. Each query must return no series; each series it returns is a fault.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Meaning of a series that the query returns.
        type: str
        required: true
      query:
        description: The PromQL expression.
        type: str
        required: true
  unchanged_seconds:
    description:
      - Seconds for which nothing has been changed. Each target of Prometheus must have been scraped within them, as
        older measurements are of what was there before. Targets that are scraped less often than every
        O(wait_seconds) are not waited for. At least 0.
      - By default the time since this run last changed something, or since it began, if the callback
        P(nexod.infra.survey#callback) is enabled; without it V(0), so each target must be scraped once more.
    type: float
  samples_wait_seconds:
    description:
      - Seconds to wait after that until each row has enough samples for a verdict. It ends earlier as soon as a row
        is V(missed). At least 0.
    type: int
    default: 0
  wait_seconds:
    description:
      - Seconds to wait for O(conditions) to clear, for O(expect_samples) to be reached, and for every target to be
        scraped. At least 0.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Judge the release by a Prometheus that is protected
  nexod.infra.latency_verdict:
    url: https://prometheus.example.com
    user: verify
    password: "{{ vault_prometheus_password }}"
    ca_file: /etc/ssl/certs/monitoring-ca.pem
    targets:
      - {metric: api, quantile: 0.95, target_seconds: 0.3}
    sources:
      api: {histogram: http_request_duration_seconds}

- name: Judge the release
  nexod.infra.latency_verdict:
    targets:
      - {metric: api, quantile: 0.95, target_seconds: 0.3}
    sources:
      api: {histogram: http_request_duration_seconds, matchers: 'endpoint!="/slow"'}
    errors:
      - {name: API, counter: http_requests_total, failed: 'status=~"5.."', by: status}
    conditions:
      - {name: a scrape target is down, query: up == 0}
"""

RETURN = r"""
verdict:
  description: V(missed) if any row is, V(met) if every row is, otherwise V(not enough data).
  returned: success
  type: str
rows:
  description: Each row of the table with its own verdict, the number of samples behind it, and a sentence (C(says)).
  returned: success
  type: list
  elements: dict
errors:
  description: Each of O(errors) with its verdict, failed and counted requests, and a sentence (C(says)).
  returned: success
  type: list
  elements: dict
course:
  description:
    - The latency of each row from ten minutes before the deploy until now, for a chart. Times are in seconds since the
      deploy began.
    - C(rows) with C(points), at most 60 of them; C(serving_seconds), C(ended_seconds), C(before_seconds),
      C(step_seconds); and C(reason) if Prometheus could not be asked for all of it.
  returned: with O(began_seconds), and not in check mode
  type: dict
faults:
  description: Errors above the limit, and the series that the conditions still returned at the end.
  returned: success
  type: list
  elements: str
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import access
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.course import course
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.verdict import (
    Prometheus,
    Series,
    Target,
    verdict,
)

TARGET = {
    "metric": {"type": "str", "required": True},
    "quantile": {"type": "float", "required": True},
    "target_seconds": {"type": "float", "required": True},
    "alert_seconds": {"type": "float"},
}
CONDITION = {"name": {"type": "str", "required": True}, "query": {"type": "str", "required": True}}
ERROR = {
    "name": {"type": "str", "required": True},
    "counter": {"type": "str", "required": True},
    "matchers": {"type": "str", "default": ""},
    "failed": {"type": "str", "required": True},
    "by": {"type": "str", "default": ""},
}
ARGUMENTS = {
    **access.ARGUMENTS,
    "url": {"type": "str", "default": "http://127.0.0.1:9090"},
    "targets": {"type": "list", "elements": "dict", "required": True, "options": TARGET},
    "sources": {"type": "dict", "required": True},
    "window_seconds": {"type": "int", "default": 300},
    "minimum_samples": {"type": "int"},
    "expect_samples": {"type": "int", "default": 0},
    "errors": {"type": "list", "elements": "dict", "default": [], "options": ERROR},
    "maximum_error_ratio": {"type": "float", "default": 0.01},
    "serving_seconds": {"type": "float"},
    "began_seconds": {"type": "float"},
    "version": {"type": "str"},
    "version_metric": {"type": "str"},
    "error_window_seconds": {"type": "int", "default": 45},
    "conditions": {"type": "list", "elements": "dict", "default": [], "options": CONDITION},
    "unchanged_seconds": {"type": "float"},
    "samples_wait_seconds": {"type": "int", "default": 0},
    "wait_seconds": {"type": "int", "default": 30},
}


class Nobody:
    """Empty results, used in check mode."""

    def query(self, expression: str) -> list[Series]:
        del expression
        return []

    def targets(self) -> list[Target]:
        return []


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    if module.check_mode:
        # Check mode deploys nothing, so there is nothing to judge; Prometheus may not even be installed yet.
        asked = {**asked, "conditions": [], "errors": [], "expect_samples": 0, "samples_wait_seconds": 0}
    with edge(module, "judge the latency by", asked["url"]):
        source = Nobody() if module.check_mode else Prometheus(asked["url"], access=access.access_of(asked))
        found = verdict(asked, source)
        if isinstance(source, Prometheus) and asked["began_seconds"] is not None:
            found["course"] = course(asked, time.time(), source)
        module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
