#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record a deploy as an annotation in Grafana."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_annotation
short_description: Record a deploy as an annotation in Grafana
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Writes an annotation of the organization with a beginning, an end and tags, through Grafana's HTTP API. Every
    dashboard with an annotation query for these tags shows it as a region.
  - If Grafana cannot be reached or refuses it, the module warns and does not fail, unless O(required).
  - An annotation is a record and changes nothing in the environment, so the task is never changed. In check mode
    nothing is written.
options:
  url:
    description: Base URL of Grafana, with the path that it is served below.
    type: str
    default: http://127.0.0.1:3000
  token:
    description: Token of a service account with the permission C(annotations:create), a secret.
    type: str
  token_file:
    description:
      - File on the host where the module runs that contains the token, such as the one that the role
        P(nexod.infra.grafana#role) keeps. So it does not leave that host.
    type: path
  user:
    description: Name of the account to use without O(token) and O(token_file).
    type: str
    default: admin
  password:
    description: Password of that account, a secret. O(token), O(token_file) or O(password) is required.
    type: str
  began:
    description: When the deploy began, in seconds since 1970.
    type: float
    required: true
  ended:
    description: When it ended. By default now.
    type: float
  tags:
    description: Tags, by which dashboards find it. Empty ones and repetitions are left out.
    type: list
    elements: str
    default: [deploy]
  text:
    description: What Grafana shows.
    type: str
    required: true
  timeout:
    description: Seconds to wait for Grafana. Above 0.
    type: float
    default: 10
  required:
    description: Whether to fail if it cannot be recorded.
    type: bool
    default: false
seealso:
  - module: community.grafana.grafana_dashboard
"""

EXAMPLES = r"""
- name: Record the deploy in Grafana
  nexod.infra.grafana_annotation:
    url: https://grafana.example.com
    token: "{{ grafana_token }}"
    began: "{{ deploy_began }}"
    tags: [deploy, production, 1.4.2, met]
    text: Version 1.4.2 was deployed
"""

RETURN = r"""
recorded:
  description: Whether Grafana has it.
  returned: success
  type: bool
id:
  description: The number that Grafana gave it.
  returned: if it was recorded
  type: int
annotation:
  description: What was sent, or would be in check mode. Times are in milliseconds.
  returned: success
  type: dict
  sample: {time: 1764163200000, timeEnd: 1764163260000, tags: [deploy, lab], text: Version 1.4.2 was deployed}
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.annotation import (
    annotation,
    authorization,
    record,
    token_of,
)

ARGUMENTS = {
    "url": {"type": "str", "default": "http://127.0.0.1:3000"},
    "token": {"type": "str", "no_log": True},
    "token_file": {"type": "path", "no_log": False},
    "user": {"type": "str", "default": "admin"},
    "password": {"type": "str", "no_log": True},
    "began": {"type": "float", "required": True},
    "ended": {"type": "float"},
    "tags": {"type": "list", "elements": "str", "default": ["deploy"]},
    "text": {"type": "str", "required": True},
    "timeout": {"type": "float", "default": 10},
    "required": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_one_of=[["token", "token_file", "password"]]
    )
    given = module.params
    ended = time.time() if given["ended"] is None else given["ended"]
    document = annotation(given["began"], ended, given["tags"], given["text"])
    if module.check_mode:
        module.exit_json(changed=False, recorded=False, annotation=document)
    with edge(module, "record the deploy in Grafana at", given["url"]):
        try:
            token = given["token"] or token_of(given["token_file"] or "")
            header = authorization(token, given["user"], given["password"] or "")
            number = record(given["url"], header, document, given["timeout"])
        except InfraError as error:
            if given["required"]:
                raise
            module.warn(error.report()["msg"])
            module.exit_json(changed=False, recorded=False, annotation=document)
        module.exit_json(changed=False, recorded=True, id=number, annotation=document)


if __name__ == "__main__":
    main()
