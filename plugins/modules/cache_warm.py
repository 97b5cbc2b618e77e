#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a cache by asking for URLs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_warm
short_description: Fill a cache by asking for URLs, within a bound
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Asks for each URL once, and tells status and time of each. What does not answer with status 200 is a warning, never
    a failure - a cold cache is slow, not wrong.
  - In check mode nothing is asked.
options:
  urls:
    description: URLs to ask for, the most important first.
    type: list
    elements: str
    required: true
  seconds:
    description: Seconds it may take in all; what is not asked for by then stays cold.
    type: float
    default: 30
  concurrency:
    description: URLs asked for at a time.
    type: int
    default: 4
seealso:
  - module: nexod.infra.cache_flush
"""

EXAMPLES = r"""
- name: Let the first user find the pages warm
  nexod.infra.cache_warm:
    urls: [http://10.213.77.61/dashboard]
    seconds: 10
"""

RETURN = r"""
urls:
  description: Each URL with its C(status) and C(ms); both null where the time was over before, status 0 for no answer.
  returned: success
  type: list
  elements: dict
  sample: [{url: "http://10.213.77.61/dashboard", status: 200, ms: 31}]
warmed:
  description: How many answered with status 200.
  returned: success
  type: int
  sample: 1
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._cache.warm import warm, warnings_of

ARGUMENTS = {
    "urls": {"type": "list", "elements": "str", "required": True},
    "seconds": {"type": "float", "default": 30},
    "concurrency": {"type": "int", "default": 4},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    rows = [] if module.check_mode else warm(given["urls"], given["seconds"], given["concurrency"])
    for warning in warnings_of(rows):
        module.warn(warning)
    module.exit_json(changed=False, urls=rows, warmed=sum(row["status"] == 200 for row in rows))


if __name__ == "__main__":
    main()
