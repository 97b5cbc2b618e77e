#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test an instance of an API before it gets requests of users."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_trial
short_description: Test an instance of an API before it gets requests of users
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Sends requests to an instance, spread over some seconds, and meanwhile monitors its health, its systemd unit and its
    memory. Runs on the host of the instance, while the instance is drained at the entry point.
  - Fails if a request fails, if a latency target is missed, if O(health_path) or O(ready_path) does not answer with
    status 200 twice in a row, if the unit stops or is restarted, or if memory keeps growing.
  - Ends as soon as the trial can no longer be passed.
  - The error message includes the last log lines of the instance.
  - Changes nothing. In check mode no request is sent, because the instance may not be deployed yet.
extends_documentation_fragment: [nexod.infra.durations]
options:
  url:
    description: Base URL of the instance.
    type: str
    default: http://127.0.0.1:8000
  paths:
    description: Paths to request in turn. They must answer with status 200, and be safe to request at any time.
    type: list
    elements: str
    default: [/health]
  requests:
    description: Total number of requests. V(0) only monitors, as for an instance that gets requests of users already.
    type: int
    default: 300
  concurrency:
    description: Maximum number of requests at a time.
    type: int
    default: 4
  seconds:
    description: Over which time the requests are spread, as a duration. The trial takes at least that long.
    type: str
    default: "10"
  timeout:
    description: How long the trial may take, as a duration.
    type: str
    default: "60"
  unit:
    description: Name of the systemd unit of the instance.
    type: str
    required: true
  health_path:
    description: Path that answers with status 200 while the process is alive. If empty, it is not requested.
    type: str
    default: /health
  ready_path:
    description: Path that answers with status 200 while the instance accepts requests. If empty, it is not requested.
    type: str
    default: /ready
  targets:
    description:
      - The latency targets. Rows whose C(metric) is V(api) are judged by the share of requests within
        C(target_seconds); other rows are ignored.
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
        description: Share of the requests that must be within the target.
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
    description: Share of the requests that may fail.
    type: float
    default: 0
  maximum_memory_growth_mb:
    description:
      - MiB by which the memory of the unit's processes may grow after the first third of the trial.
      - V(0) does not check it.
    type: int
    default: 64
seealso:
  - module: nexod.infra.api_probe
  - module: nexod.infra.live_service
"""

EXAMPLES = r"""
- name: Send requests for ten seconds and judge the latency
  nexod.infra.api_trial:
    unit: api
    paths: [/dashboard, "/tasks?user_id=1"]
    targets:
      - {metric: api, quantile: 0.95, target_seconds: 0.3}
"""

RETURN = r"""
requests:
  description: Number of requests that were answered or failed.
  returned: always
  type: int
failures:
  description: Reasons of the first requests that failed.
  returned: always
  type: list
  elements: str
p50:
  description: Median response time in seconds; none without answers.
  returned: always
  type: float
p95:
  description: The 95th percentile.
  returned: always
  type: float
p99:
  description: The 99th percentile.
  returned: always
  type: float
rows:
  description: The rows of the latency targets with their verdicts, as M(nexod.infra.latency_verdict) returns them.
  returned: always
  type: list
  elements: dict
memory_growth_mb:
  description: MiB by which memory grew after the first third; none if it could not be read.
  returned: always
  type: float
restarts:
  description: How often systemd restarted the unit.
  returned: always
  type: int
seconds:
  description: Duration of the trial.
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
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import seconds
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
    "seconds": {"type": "str", "default": "10"},
    "timeout": {"type": "str", "default": "60"},
    "unit": {"type": "str", "required": True},
    "health_path": {"type": "str", "default": "/health"},
    "ready_path": {"type": "str", "default": "/ready"},
    "targets": {"type": "list", "elements": "dict", "default": [], "options": TARGET},
    "maximum_error_ratio": {"type": "float", "default": 0},
    "maximum_memory_growth_mb": {"type": "int", "default": 64},
}

#: What check mode returns: no request was sent.
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
        durations = {name: seconds(module.params[name], name) for name in ("seconds", "timeout")}
        module.exit_json(changed=False, **trial({**module.params, **durations}))


if __name__ == "__main__":
    main()
