#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify that Grafana's data sources answer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_datasource_health
short_description: Verify that Grafana's data sources answer
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Has Grafana itself ask each data source, through C(/api/datasources/uid/UID/health), with the URL and the
    credentials that Grafana has for it. Where a version of Grafana has no check for a Prometheus server, a query is
    passed on to it.
  - Changes nothing, and does the same in check mode.
options:
  url:
    description: Base URL of Grafana, with the path that it is served below.
    type: str
    default: http://127.0.0.1:3000
  user:
    description: Name of Grafana's administrator.
    type: str
    default: admin
  password_file:
    description: File with the administrator's password on the host where the module runs.
    type: path
    required: true
  datasources:
    description: The data sources to check.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the data source.
        type: str
        required: true
      uid:
        description: Its identifier. Without one it is found by its name.
        type: str
      type:
        description: Its type, such as V(prometheus).
        type: str
        required: true
  unreachable:
    description: Whether a data source that does not answer is a failure or a warning.
    type: str
    choices: [fail, warn]
    default: fail
  timeout:
    description: How long a data source that does not answer is asked again, as a duration.
    type: str
    default: "30"
extends_documentation_fragment: [nexod.infra.durations]
seealso:
  - module: nexod.infra.grafana_annotation
"""

EXAMPLES = r"""
- name: Verify that Grafana reaches Prometheus
  nexod.infra.grafana_datasource_health:
    password_file: /etc/nexod/grafana/current/secrets/admin-password
    datasources:
      - {name: Prometheus, uid: prometheus, type: prometheus}
"""

RETURN = r"""
datasources:
  description: Each data source with its C(state), which is V(ok), V(error) or V(unknown), and Grafana's C(message).
  returned: success
  type: list
  elements: dict
  sample: [{name: Prometheus, state: ok, message: Successfully queried the Prometheus API.}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.durations import seconds
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, Answer, ask
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import datasources

ARGUMENTS = {
    "url": {"type": "str", "default": "http://127.0.0.1:3000"},
    "user": {"type": "str", "default": "admin"},
    "password_file": {"type": "path", "required": True, "no_log": False},
    "datasources": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "uid": {"type": "str"},
            "type": {"type": "str", "required": True},
        },
    },
    "unreachable": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
    "timeout": {"type": "str", "default": "30"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    url = given["url"].rstrip("/")
    with edge(module, datasources.ACTION, url):
        header = Access(user=given["user"], password_file=given["password_file"]).authorization

        def asked(path: str) -> Answer:
            # Grafana itself waits up to 30 s for a data source.
            return ask(f"{url}{path}", authorization=header, timeout=35)

        timeout = seconds(given["timeout"], "timeout")
        rows = datasources.wait_healthy(asked, given["datasources"], url, timeout)
        if error := datasources.fault(rows, url):
            if given["unreachable"] == "fail":
                raise error
            module.warn(error.report()["msg"])
        module.exit_json(changed=False, datasources=[row.row() for row in rows])


if __name__ == "__main__":
    main()
