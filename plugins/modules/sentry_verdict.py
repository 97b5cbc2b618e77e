#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a release by the new types of issues that Sentry has of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sentry_verdict
short_description: Judge a release by its new types of issues at Sentry
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Asks Sentry for unresolved issues that the release has caused first, and that the environment has had only since the
    deploy.
  - The verdict is V(met) if there are none, V(missed) if there are, and V(not enough data) if Sentry can't be asked, or
    has had no event of the release in the environment since the deploy. Without any event, the application may not
    report at all.
  - An issue that is archived or resolved at Sentry no longer counts.
  - Changes nothing. Does not fail if Sentry can't be asked; acting on the verdict is left to the caller.
  - In check mode it asks nothing and returns V(not enough data), as check mode deploys no release to judge.
  - Built to Sentry's published interface and run against a stand-in that C(sentry-cli) accepts, never against Sentry.
options:
  token:
    description: Token of an internal integration with the permission to read issues and releases, a secret.
    type: str
    required: true
  organization:
    description: Slug of the organization.
    type: str
    required: true
  url:
    description: URL of Sentry, such as V(https://de.sentry.io) for data in the EU. By default Sentry's in the USA.
    type: str
  version:
    description: Name of the release, as the application reports it, such as V(api@1.4.2).
    type: str
    required: true
  environment:
    description: Environment that it was deployed to.
    type: str
    required: true
  projects:
    description: Slugs of the projects whose issues count. By default all that the release belongs to.
    type: list
    elements: str
    default: []
  since:
    description:
      - When the deploy began, in seconds since 1970. Issues that were seen before do not count.
      - By default, or if V(0), when the last deploy of the version to the environment was recorded, as by
        M(nexod.infra.sentry_release).
    type: float
  wait_seconds:
    description: Seconds to keep looking. It ends earlier as soon as there is a new type of issue. From 0 to 86400.
    type: int
    default: 0
seealso:
  - module: nexod.infra.latency_verdict
  - module: nexod.infra.sentry_release
"""

EXAMPLES = r"""
- name: Look for new types of issues for five minutes
  nexod.infra.sentry_verdict:
    token: "{{ sentry_token }}"
    organization: example
    version: api@1.4.2
    environment: production
    wait_seconds: 300
  register: issues

- name: Refuse the release
  ansible.builtin.assert:
    that: issues.verdict != 'missed'
    fail_msg: "{{ issues.says }}"
"""

RETURN = r"""
verdict:
  description: V(met), V(missed) or V(not enough data).
  returned: success
  type: str
says:
  description: The verdict as a sentence, with titles and links of the issues.
  returned: success
  type: str
  sample: "new issue types of api@1.4.2 in production: met (none since the deploy)"
issues:
  description:
    - The issues, newest first, each with C(id), C(title), C(level), C(project), C(events), C(first_seen) and C(url).
  returned: success
  type: list
  elements: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import client_of
from ansible_collections.nexod.infra.plugins.module_utils._services.sentry_verdict import unknown, verdict

ARGUMENTS = {
    "token": {"type": "str", "required": True, "no_log": True},
    "organization": {"type": "str", "required": True},
    "url": {"type": "str"},
    "version": {"type": "str", "required": True},
    "environment": {"type": "str", "required": True},
    "projects": {"type": "list", "elements": "str", "default": []},
    "since": {"type": "float"},
    "wait_seconds": {"type": "int", "default": 0},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if module.check_mode:
        module.exit_json(changed=False, **unknown(given, "check mode deploys nothing"))
    with edge(module, "look for new issues of", given["version"]):
        try:
            found = verdict(client_of("sentry", given, check=True), given, time)
        except InfraError as error:
            module.warn(str(error))
            found = unknown(given, f"Sentry can't be asked: {error.cause.rstrip('.')}")
        module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
