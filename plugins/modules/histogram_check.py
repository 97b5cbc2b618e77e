#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that an application's histograms have the buckets that the latency table needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: histogram_check
short_description: Check that an application's histograms have the buckets that the latency table needs
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Reads the live metrics of an application and reports, for each row of the latency table, which buckets it needs and
    which of them are missing, with the fix.
  - A row needs a bucket that ends at its target, one that ends at its alert threshold, and one above the highest of
    them. Without the first two, a fraction of fast requests cannot be computed; without the last, slow requests cannot
    be distinguished from very slow ones.
  - Reads Prometheus's text format and OpenMetrics. C(le="1") and C(le="1.0") are the same bucket.
  - Changes nothing. What is missing is a warning, unless O(fail_on_missing).
  - Reads the metrics in check mode too. If they cannot be read then, that is no fault, as there may be no release yet.
options:
  url:
    description: URL of the metrics. O(url) or O(text) is required.
    type: str
  text:
    description: The metrics themselves, in place of O(url).
    type: str
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
        description: Fraction of the requests that the row is about, such as V(0.95).
        type: float
        required: true
      target_seconds:
        description: Seconds within which they should be answered.
        type: float
        required: true
      alert_seconds:
        description: Seconds above which an alert fires.
        type: float
  sources:
    description:
      - Source of each metric in O(targets), by its name. Only those with C(histogram) are checked.
      - Of their C(matchers), those on labels that the application does not export itself, such as C(job), are ignored.
    type: dict
    required: true
  fail_on_missing:
    description: Whether to fail if a bucket or a histogram is missing, or if the metrics cannot be read.
    type: bool
    default: false
  timeout:
    description: Seconds to wait for the metrics. Above 0.
    type: float
    default: 10
seealso:
  - module: nexod.infra.latency_verdict
"""

EXAMPLES = r"""
- name: Check the buckets before a release
  nexod.infra.histogram_check:
    url: http://127.0.0.1:8000/metrics
    targets:
      - {metric: api, quantile: 0.95, target_seconds: 0.3, alert_seconds: 0.5}
      - {metric: api, quantile: 0.99, target_seconds: 0.5, alert_seconds: 1}
    sources:
      api: {histogram: http_request_duration_seconds, matchers: 'job="api", endpoint!="/health"'}
    fail_on_missing: true

- name: Check metrics that were read elsewhere
  nexod.infra.histogram_check:
    text: "{{ lookup('ansible.builtin.file', 'metrics.txt') }}"
    targets: "{{ infra_latency_targets }}"
    sources: "{{ prometheus_latency_sources }}"
"""

RETURN = r"""
complete:
  description: Whether no row is V(missing).
  returned: success
  type: bool
rows:
  description:
    - Each row of the table with its C(histogram), C(result) (V(complete), V(missing), V(unknown) where nothing was
      measured yet, or V(not checked) where the source is no histogram), the boundaries C(needed) and C(missing), a
      sentence (C(says)), and C(fix).
  returned: success
  type: list
  elements: dict
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import ask
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.histogram import MISSING, Row, rows

ACCEPTED = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.9"
TARGET = {
    "metric": {"type": "str", "required": True},
    "quantile": {"type": "float", "required": True},
    "target_seconds": {"type": "float", "required": True},
    "alert_seconds": {"type": "float"},
}
ARGUMENTS = {
    "url": {"type": "str"},
    "text": {"type": "str"},
    "targets": {"type": "list", "elements": "dict", "required": True, "options": TARGET},
    "sources": {"type": "dict", "required": True},
    "fail_on_missing": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 10},
}


def read(url: str, timeout: float) -> str:
    """The page of metrics."""
    answer = ask(url, accept=ACCEPTED, timeout=timeout)
    if answer.status != 200:
        cause = f"HTTP {answer.status}" if answer.status else answer.reason
        raise InfraError("read the metrics of", url, cause, "Check that the application runs and exports them there.")
    return answer.body


def lacking(found: list[Row]) -> InfraError:
    """All that is missing, in one error."""
    missing = [row for row in found if row.result == MISSING]
    names = ", ".join(dict.fromkeys(row.histogram for row in missing))
    fixes = "; ".join(dict.fromkeys(row.fix for row in missing))
    return InfraError("judge the latency by", names, "; ".join(row.says for row in missing), f"{fixes}.")


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[["url", "text"]],
        mutually_exclusive=[["url", "text"]],
    )
    given, page = module.params, module.params["text"]
    with edge(module, "check the histograms of", given["url"] or "the text"):
        try:
            page = read(given["url"], given["timeout"]) if page is None else page
        except InfraError as error:
            if given["fail_on_missing"] and not module.check_mode:
                raise
            # In check mode there may be no release yet.
            if not module.check_mode:
                module.warn(str(error))
        found = rows(given["targets"], given["sources"], page)
        complete = all(row.result != MISSING for row in found)
        if not complete:
            if given["fail_on_missing"]:
                raise lacking(found)
            module.warn(str(lacking(found)))
        module.exit_json(changed=False, complete=complete, rows=[dataclasses.asdict(row) for row in found])


if __name__ == "__main__":
    main()
