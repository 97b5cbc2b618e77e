#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a cache by requesting URLs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_warm
short_description: Fill a cache by requesting URLs, within a time limit
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Requests each URL once, and returns the status and duration of each request. A status other than 200 is a warning,
    never a failure - a cold cache is slow, not wrong.
  - In check mode, nothing is requested.
options:
  urls:
    description: URLs to request, the most important first.
    type: list
    elements: str
    required: true
  seconds:
    description: How long all requests may take together, as a duration. URLs not requested by then stay cold.
    type: str
    default: "30"
  concurrency:
    description: Number of simultaneous requests, from 1 to 100.
    type: int
    default: 4
extends_documentation_fragment: [nexod.infra.durations]
seealso:
  - module: nexod.infra.cache_flush
"""

EXAMPLES = r"""
- name: Warm the dashboard
  nexod.infra.cache_warm:
    urls: [http://10.213.77.61/dashboard]
    seconds: 10
"""

RETURN = r"""
urls:
  description: Each URL with its C(status) and C(ms). Both are null if the time was up before; status 0 is no answer.
  returned: success
  type: list
  elements: dict
  sample: [{url: "http://10.213.77.61/dashboard", status: 200, ms: 31}]
warmed:
  description: Number of URLs that answered with status 200.
  returned: success
  type: int
  sample: 1
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._cache.warm import warm, warnings_of
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import seconds
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges

ARGUMENTS = {
    "urls": {"type": "list", "elements": "str", "required": True},
    "seconds": {"type": "str", "default": "30"},
    "concurrency": {"type": "int", "default": 4},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    with edge(module, "warm", "the cache"):
        limit = seconds(given["seconds"], "seconds")
        check_ranges(given, {"concurrency": (1, 100)})
    rows = [] if module.check_mode else warm(given["urls"], limit, given["concurrency"])
    for warning in warnings_of(rows):
        module.warn(warning)
    module.exit_json(changed=False, urls=rows, warmed=sum(row["status"] == 200 for row in rows))


if __name__ == "__main__":
    main()
