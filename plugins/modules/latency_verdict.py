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
  - Asks Prometheus, for each row of the latency table, which fraction of the requests was answered within the target.
  - Three verdicts, V(met), V(missed) and V(not enough data), because too little traffic proves nothing.
  - Also returns each series that a condition finds, such as a target that is down.
  - In check mode nothing is queried and the verdict is V(not enough data), as a plan deploys nothing to judge.
  - Changes nothing. Fails only when Prometheus cannot be asked; what a verdict leads to is the caller's decision.
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
        description: What is measured.
        type: str
        required: true
      quantile:
        description: Fraction of the requests that must be at least as fast as the target.
        type: float
        required: true
      target_seconds:
        description: Seconds within which they must be answered. Exact only at a bucket's boundary.
        type: float
        required: true
      alert_seconds:
        description: Not read here; allowed so that the table can be given as it stands.
        type: float
  sources:
    description:
      - Where each metric of O(targets) comes from, by its name.
      - Either C(histogram), a metric's name, with C(matchers), label matchers; or C(gauge), an expression in seconds.
    type: dict
    required: true
  window_seconds:
    description: Seconds to look back. At least twice the scrape interval.
    type: int
    default: 300
  minimum_samples:
    description:
      - Requests below which a row is V(not enough data).
      - Where not given, 200 up to the median, 500 up to p95, 2000 above. A gauge always needs 5 probes.
    type: int
  expect_samples:
    description: Wait until Prometheus has seen this many requests of the first metric; scrapes come after requests.
    type: int
    default: 0
  conditions:
    description: What must not be. Each query must return no series; each one it returns is a fault.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it means when a series is returned.
        type: str
        required: true
      query:
        description: The PromQL expression.
        type: str
        required: true
  wait_seconds:
    description: Seconds to wait at most for O(conditions) to hold and O(expect_samples) to be there.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Judge the release
  nexod.infra.latency_verdict:
    targets:
      - {metric: api, quantile: 0.95, target_seconds: 0.3}
    sources:
      api: {histogram: http_request_duration_seconds, matchers: 'endpoint!="/slow"'}
    conditions:
      - {name: a scrape target is down, query: up == 0}
"""

RETURN = r"""
verdict:
  description: V(missed) as soon as one row is, V(met) when every row is, else V(not enough data).
  returned: success
  type: str
rows:
  description: Each row of the table with its own verdict, the samples it rests on, and a sentence (C(says)).
  returned: success
  type: list
  elements: dict
faults:
  description: What the conditions still found when the time was over; empty when all is well.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.verdict import Series, prometheus, verdict

TARGET = {
    "metric": {"type": "str", "required": True},
    "quantile": {"type": "float", "required": True},
    "target_seconds": {"type": "float", "required": True},
    "alert_seconds": {"type": "float"},
}
CONDITION = {"name": {"type": "str", "required": True}, "query": {"type": "str", "required": True}}
ARGUMENTS = {
    "url": {"type": "str", "default": "http://127.0.0.1:9090"},
    "targets": {"type": "list", "elements": "dict", "required": True, "options": TARGET},
    "sources": {"type": "dict", "required": True},
    "window_seconds": {"type": "int", "default": 300},
    "minimum_samples": {"type": "int"},
    "expect_samples": {"type": "int", "default": 0},
    "conditions": {"type": "list", "elements": "dict", "default": [], "options": CONDITION},
    "wait_seconds": {"type": "int", "default": 30},
}


def nobody(expression: str) -> list[Series]:
    """What is known without asking: nothing."""
    del expression
    return []


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    if module.check_mode:
        # A plan deploys nothing, so there is nothing to judge; Prometheus may not even be installed yet.
        asked = {**asked, "conditions": [], "expect_samples": 0}
    with edge(module, "judge the latency by", asked["url"]):
        found = verdict(asked, nobody if module.check_mode else prometheus(asked["url"]))
        module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
