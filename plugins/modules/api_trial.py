#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put an instance on trial before users reach it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_trial
short_description: Put an instance of an API on trial before users reach it
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Sends an instance requests of its own, spread over some seconds, and watches its health, its unit and its memory
    meanwhile. To be run on the instance's host while the entry point sends it nobody.
  - Fails where a request fails, where the latency table is missed, where O(health_path) or O(ready_path) does not
    answer with status 200 twice in a row, where the unit ends or is restarted, and where memory grows on and on.
  - Ends at once when the trial cannot be passed any more.
  - The instance's last log lines are part of the failure's message.
  - Nothing is changed. In check mode nothing is asked either, since what is to be asked may not have been deployed.
options:
  url:
    description: Base URL of the instance.
    type: str
    default: http://127.0.0.1:8000
  paths:
    description: Paths to get, in turn. They must answer with status 200 and be safe to ask at any time.
    type: list
    elements: str
    default: [/health]
  requests:
    description: Requests in all. V(0) only watches, such as an instance that users reach already.
    type: int
    default: 300
  concurrency:
    description: Requests under way at a time, at most.
    type: int
    default: 4
  seconds:
    description: Seconds over which the requests are spread, and that it is watched at the least.
    type: int
    default: 10
  timeout:
    description: Seconds after which the trial ends, passed or not.
    type: int
    default: 60
  unit:
    description: Name of the instance's systemd unit.
    type: str
    required: true
  health_path:
    description: Path that says whether the process is alive. Empty is not asked.
    type: str
    default: /health
  ready_path:
    description: Path that says whether it wants requests. Empty is not asked.
    type: str
    default: /ready
  targets:
    description:
      - The latency table. Rows whose C(metric) is V(api) are judged by the fraction of requests within
        C(target_seconds); others are left out.
      - The first request to each path may be slow.
    type: list
    elements: dict
    default: []
    suboptions:
      metric:
        description: What the row is about.
        type: str
        required: true
      quantile:
        description: Fraction of the requests that must be within the target.
        type: float
        required: true
      target_seconds:
        description: The target.
        type: float
        required: true
      alert_seconds:
        description: Not used here; part of the table.
        type: float
  maximum_error_ratio:
    description: Fraction of the requests that may fail.
    type: float
    default: 0
  maximum_memory_growth_mb:
    description:
      - MiB that the memory of the unit's processes may grow by after the first third of the trial.
      - V(0) does not look at it.
    type: int
    default: 64
seealso:
  - module: nexod.infra.api_probe
  - module: nexod.infra.live_service
"""

EXAMPLES = r"""
- name: See it stand ten seconds of requests
  nexod.infra.api_trial:
    unit: api
    paths: [/dashboard, "/tasks?user_id=1"]
    targets:
      - {metric: api, quantile: 0.95, target_seconds: 0.3}
"""

RETURN = r"""
requests:
  description: Requests that were answered, or failed.
  returned: always
  type: int
failures:
  description: What was wrong with the first ones that failed.
  returned: always
  type: list
  elements: str
p50:
  description: Median of the answers' times in seconds; none without answers.
  returned: always
  type: float
p95:
  description: The same for 95 of 100.
  returned: always
  type: float
p99:
  description: The same for 99 of 100.
  returned: always
  type: float
rows:
  description: The rows of the latency table with their verdicts, as M(nexod.infra.latency_verdict) returns them.
  returned: always
  type: list
  elements: dict
memory_growth_mb:
  description: MiB that its memory grew by after the first third; none where it could not be read.
  returned: always
  type: float
restarts:
  description: How often systemd restarted it.
  returned: always
  type: int
seconds:
  description: How long the trial took.
  returned: always
  type: float
faults:
  description: Why it was not passed.
  returned: when it was not passed
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._backend.trial import trial
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge

TARGET: dict[str, dict[str, t.Any]] = {
    "metric": {"type": "str", "required": True},
    "quantile": {"type": "float", "required": True},
    "target_seconds": {"type": "float", "required": True},
    "alert_seconds": {"type": "float"},
}

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": "http://127.0.0.1:8000"},
    "paths": {"type": "list", "elements": "str", "default": ["/health"]},
    "requests": {"type": "int", "default": 300},
    "concurrency": {"type": "int", "default": 4},
    "seconds": {"type": "int", "default": 10},
    "timeout": {"type": "int", "default": 60},
    "unit": {"type": "str", "required": True},
    "health_path": {"type": "str", "default": "/health"},
    "ready_path": {"type": "str", "default": "/ready"},
    "targets": {"type": "list", "elements": "dict", "default": [], "options": TARGET},
    "maximum_error_ratio": {"type": "float", "default": 0},
    "maximum_memory_growth_mb": {"type": "int", "default": 64},
}

#: What check mode returns: nobody was asked.
NOTHING: dict[str, t.Any] = {
    "requests": 0,
    "failures": [],
    "p50": None,
    "p95": None,
    "p99": None,
    "rows": [],
    "memory_growth_mb": None,
    "restarts": 0,
    "seconds": 0.0,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=False, **NOTHING)
    with edge(module, "put on trial", f'"{module.params["unit"]}"'):
        module.exit_json(changed=False, **trial(module.params))


if __name__ == "__main__":
    main()
