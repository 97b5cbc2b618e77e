#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify that an API serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_probe
short_description: Verify that an API serves, at which version, and that sessions are kept
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Requests every path of every URL until all answer with status 200 and the expected version, or the time is over.
    Then all faults are reported at once.
  - Can send a number of requests afterwards, so that there is latency to judge. Fails if more of them than
    O(traffic_maximum_error_ratio) fail on any path.
  - Can keep a canary session. It signs in once, and expects to find the session at its next run.
  - In check mode no request is sent, because the API may not be deployed yet.
options:
  urls:
    description: Base URLs, such as the entry point and each instance. The traffic is sent to the first one.
    type: list
    elements: str
    required: true
  paths:
    description: Paths that must answer with status 200.
    type: list
    elements: str
    default: [/health, /ready]
  version:
    description: The version that must run everywhere. By default it is not verified.
    type: str
  version_key:
    description:
      - Key of the JSON answers that holds the version. A dot leads into a mapping, such as V(build.version).
      - Empty compares no version.
    type: str
    default: version
  version_paths:
    description: Paths whose answers must hold the version, where O(version) is given. By default all of O(paths).
    type: list
    elements: str
    default: []
  wait_seconds:
    description: Maximum number of seconds to wait until all serve.
    type: int
    default: 30
  traffic_requests:
    description:
      - Requests to send to the first of O(urls) once all serve.
    type: int
    default: 0
  traffic_new_version_requests:
    description:
      - Requests to send instead of O(traffic_requests), if that is fewer, unless this O(version) has been probed before
        according to O(session_file).
    type: int
    default: 0
  traffic_maximum_error_ratio:
    description: Fraction of the requests to each path that may fail. A status below 200 or from 400 on is a failure.
    type: float
    default: 0.0
  traffic_paths:
    description: Paths to request in turn.
    type: list
    elements: str
    default: [/health]
  traffic_concurrency:
    description: Maximum number of requests at a time.
    type: int
    default: 4
  traffic_seconds:
    description:
      - Seconds after which no further request is sent, so that a slow release does not take forever. At least 1.
    type: int
    default: 120
  session_url:
    description:
      - URL to which a POST signs in, and below which a session is found by its id.
      - By default there is no canary session.
    type: str
  session_request:
    description:
      - JSON object that is sent to O(session_url) to sign in. Never logged, as it may contain a password.
      - "By default C({email: canary@nexod.invalid})."
    type: dict
  session_id_key:
    description: Key of the session's id in the answer.
    type: str
    default: id
  session_lifetime_key:
    description: Key of the session's lifetime in seconds in the answer. If the answer lacks it, an hour is assumed.
    type: str
    default: seconds
  session_file:
    description: File that keeps the canary session for the next run (mode 0600), on the host that runs the module.
    type: path
"""

EXAMPLES = r"""
- name: Verify that the release serves
  nexod.infra.api_probe:
    urls: [http://10.213.77.61, http://10.213.77.51:8000, http://10.213.77.52:8000]
    version: 1.1.0
    traffic_requests: 50
"""

RETURN = r"""
session:
  description: V(kept) if the session of an earlier run was found, V(new) if one was signed in, else V(none).
  returned: success
  type: str
paths:
  description: How often the traffic got each HTTP status, by path.
  returned: success
  type: dict
answers:
  description: How often the traffic got each HTTP status; V(0) for no answer.
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
  description: What did not serve, and why.
  returned: if something did not serve
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
    "version_key": {"type": "str", "default": "version", "no_log": False},
    "version_paths": {"type": "list", "elements": "str", "default": []},
    "wait_seconds": {"type": "int", "default": 30},
    "traffic_requests": {"type": "int", "default": 0},
    "traffic_new_version_requests": {"type": "int", "default": 0},
    "traffic_maximum_error_ratio": {"type": "float", "default": 0.0},
    "traffic_paths": {"type": "list", "elements": "str", "default": ["/health"]},
    "traffic_concurrency": {"type": "int", "default": 4},
    "traffic_seconds": {"type": "int", "default": 120},
    "session_url": {"type": "str"},
    "session_request": {"type": "dict", "no_log": True},
    "session_id_key": {"type": "str", "default": "id", "no_log": False},
    "session_lifetime_key": {"type": "str", "default": "seconds", "no_log": False},
    "session_file": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, required_by={"session_url": ["session_file"]}, supports_check_mode=True
    )
    if module.check_mode:
        module.exit_json(changed=False, session="none", answers={}, paths={}, requests=0, seconds=0.0)
    with edge(module, "probe the API at", ", ".join(module.params["urls"]), module.params["session_file"] or ""):
        module.exit_json(changed=False, **probe(module.params))


if __name__ == "__main__":
    main()
