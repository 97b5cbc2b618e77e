#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an API whether it serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_probe
short_description: Ask an API whether it serves, at which version, and whether sessions live
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Asks every URL at every path until all answer with status 200 and the wanted version, or the time is over;
    then all that is wrong is said at once.
  - Can send a bounded number of requests afterwards, so that there is something to judge.
  - Can look after a canary session, which it signs in once and expects to find at its next run.
  - In check mode nothing is asked, since what is to be asked may not have been deployed.
options:
  urls:
    description: Base URLs, such as the entry point and each instance. The first one is sent the traffic.
    type: list
    elements: str
    required: true
  paths:
    description: Paths that must answer with status 200 and, where O(version) is given, with JSON that holds C(version).
    type: list
    elements: str
    default: [/health, /ready]
  version:
    description: The version that must run everywhere; not compared where it is not given.
    type: str
  wait_seconds:
    description: Seconds to wait at most until all serve.
    type: int
    default: 30
  traffic_requests:
    description:
      - Requests to send to the first of O(urls) once all serve.
      - None when O(session_file) tells that this O(version) has been probed before.
    type: int
    default: 0
  traffic_paths:
    description: Paths they go to, in turn.
    type: list
    elements: str
    default: [/health]
  traffic_concurrency:
    description: Requests under way at a time.
    type: int
    default: 4
  session_url:
    description:
      - Where a session is signed in by POST, and found below by its id.
      - No canary where it is not given.
    type: str
  session_email:
    description: Who the canary signs in as.
    type: str
    default: canary@nexod.invalid
  session_file:
    description: File on the host that runs the module, which keeps the canary for the next run (mode 0600).
    type: path
"""

EXAMPLES = r"""
- name: See the release serve
  nexod.infra.api_probe:
    urls: [http://10.213.77.61, http://10.213.77.51:8000, http://10.213.77.52:8000]
    version: 1.1.0
    traffic_requests: 50
"""

RETURN = r"""
session:
  description: V(kept) when the canary of an earlier run still lives, V(new) when one was signed in, else V(none).
  returned: success
  type: str
answers:
  description: How often each HTTP status came back from the traffic; V(0) for no answer.
  returned: success
  type: dict
requests:
  description: Requests sent as traffic.
  returned: success
  type: int
seconds:
  description: Seconds it took until all served.
  returned: success
  type: float
faults:
  description: What did not serve.
  returned: when something did not serve
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._backend.probe import probe
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge

ARGUMENTS = {
    "urls": {"type": "list", "elements": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "default": ["/health", "/ready"]},
    "version": {"type": "str"},
    "wait_seconds": {"type": "int", "default": 30},
    "traffic_requests": {"type": "int", "default": 0},
    "traffic_paths": {"type": "list", "elements": "str", "default": ["/health"]},
    "traffic_concurrency": {"type": "int", "default": 4},
    "session_url": {"type": "str"},
    "session_email": {"type": "str", "default": "canary@nexod.invalid"},
    "session_file": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, required_by={"session_url": ["session_file"]}, supports_check_mode=True
    )
    if module.check_mode:
        module.exit_json(changed=False, session="none", answers={}, requests=0, seconds=0.0)
    with edge(module, "probe the API at", ", ".join(module.params["urls"]), module.params["session_file"] or ""):
        module.exit_json(changed=False, **probe(module.params))


if __name__ == "__main__":
    main()
