#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify that a front end serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: page_probe
short_description: Verify that a front end serves its pages, and what they load
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Requests the pages of a front end and the files of the same origin that they load, which are scripts, style sheets,
    images, icons and manifests. Each must answer with status 200 and be what it is loaded as. A redirect is a fault, as
    it may lead to a page of somebody else, such as one to sign in.
  - Can check headers of the pages, what the front end was built with, that a protected one is protected, and how
    quickly answers begin.
  - Works as well on a deployment that no user gets yet, and is meant to be run on it before they do.
  - In check mode no request is sent, because the front end may not be deployed yet.
options:
  url:
    description: Base URL of the front end.
    type: str
    required: true
  paths:
    description: Paths of pages.
    type: list
    elements: str
    default: ["/"]
  files:
    description: Whether to request what the pages load. Of very many files, the first 200 are requested.
    type: bool
    default: true
  headers:
    description:
      - Headers that each page must have, each with a regular expression that its value must match somewhere, in upper
        or lower case. An empty one matches any value.
    type: dict
    default: {}
  texts:
    description:
      - What the front end must have been built with, such as its version or the URL of its API. A page, or a file that
        one loads, must contain it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is, for messages.
        type: str
        required: true
      text:
        description: The text. Not empty.
        type: str
        required: true
  request_headers:
    description: Headers to send, such as one that passes the protection of a deployment. Never logged.
    type: dict
    default: {}
  protected:
    description: Whether the first page must not be readable without O(request_headers).
    type: bool
    default: false
  latency_targets:
    description:
      - Rows of the latency table, of which those with the metric V(ttfb) are judged by five requests in turn, measured
        from the host that runs the module.
    type: list
    elements: dict
    default: []
  if_missed:
    description: What happens if a row is missed. With V(fail), the module fails.
    type: str
    choices: [fail, warn, accept]
    default: warn
  wait_seconds:
    description: Maximum number of seconds to wait until all is in order. From 0 to 86400.
    type: int
    default: 30
  proxies:
    description: Whether to use the proxies that the environment names (C(HTTPS_PROXY), C(NO_PROXY)).
    type: bool
    default: false
  next_step:
    description: What to do about a front end that is not in order, for the error.
    type: str
    default: Fix it and publish the front end again, or return to the one before.
seealso:
  - module: nexod.infra.api_probe
  - module: nexod.infra.vercel_deployment
"""

EXAMPLES = r"""
- name: Verify what Vercel has built before users get it
  nexod.infra.page_probe:
    url: "{{ built.deployment.url }}"
    request_headers: {x-vercel-protection-bypass: "{{ vercel_bypass }}"}
    headers: {Strict-Transport-Security: "max-age=[1-9]"}
    texts:
      - {name: commit, text: "{{ built.deployment.commit }}"}
      - {name: URL of the API, text: https://api.example.com}
"""

RETURN = r"""
files:
  description: Number of files that the pages load and that were requested.
  returned: success
  type: int
rows:
  description: The judged rows of O(latency_targets), as those of M(nexod.infra.latency_verdict).
  returned: success
  type: list
  elements: dict
verdict:
  description: V(met), or the verdict of RV(rows) together; V(not enough data) in check mode.
  returned: success
  type: str
says:
  description: The result as a sentence.
  returned: success
  type: str
  sample: "front end: 1 page and the 12 files that they load are in order"
faults:
  description: What is not in order.
  returned: if something is not
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._backend.pages import probe
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges

ARGUMENTS = {
    "url": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "default": ["/"]},
    "files": {"type": "bool", "default": True},
    "headers": {"type": "dict", "default": {}},
    "texts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, "text": {"type": "str", "required": True}},
    },
    "request_headers": {"type": "dict", "default": {}, "no_log": True},
    "protected": {"type": "bool", "default": False},
    "latency_targets": {"type": "list", "elements": "dict", "default": []},
    "if_missed": {"type": "str", "choices": ["fail", "warn", "accept"], "default": "warn"},
    "wait_seconds": {"type": "int", "default": 30},
    "proxies": {"type": "bool", "default": False},
    "next_step": {"type": "str", "default": "Fix it and publish the front end again, or return to the one before."},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    with edge(module, "verify the front end at", given["url"]):
        check_ranges(given, {"wait_seconds": (0, 86400)})
        if module.check_mode:
            says = "front end: not enough data (check mode requests nothing)"
            module.exit_json(changed=False, files=0, rows=[], says=says, verdict="not enough data")
        result = probe(given)
    for line in result.pop("slow") if given["if_missed"] == "warn" else ():
        module.warn(line)
    result.pop("slow", None)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
