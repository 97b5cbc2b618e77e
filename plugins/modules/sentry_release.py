#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a release at Sentry, and record its deploy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sentry_release
short_description: Manage a release at Sentry, and record its deploy
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Creates the release if it does not exist, adds projects and commits that it lacks, finalizes it, and records its
    deploy to an environment.
  - A deploy is recorded once for each environment and version. Sentry would make another one for every request, so the
    existing ones are read first.
  - A request that may have created something is not repeated if its answer was lost. The next run finds out whether it
    did, and makes nothing twice.
  - In check mode no request that changes anything is sent.
  - Built to Sentry's published interface and run against a stand-in that C(sentry-cli) accepts, never against Sentry.
  - Source maps are not uploaded; C(sentry-cli sourcemaps upload) of the front end's build does so.
options:
  token:
    description: Token of an internal integration with the permission to administer releases, a secret.
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
    description:
      - Name of the release, as the application reports it, such as V(api@1.4.2). Names are unique in the organization.
    type: str
    required: true
  projects:
    description: Slugs of the projects that it is a release of. Others that it has are kept.
    type: list
    elements: str
    required: true
  commits:
    description:
      - Commits of the release, the newest first. They replace those that it has, unless these are the same.
      - Empty leaves its commits alone.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The full hash.
        type: str
        required: true
      repository:
        description: Name of the repository at Sentry, such as V(example/api).
        type: str
      text:
        description: The commit's message.
        type: str
      author_name:
        description: Name of the author.
        type: str
      author_email:
        description: Address of the author, by which Sentry suggests whom to assign an issue to.
        type: str
      timestamp:
        description: Time of the commit, such as V(2026-11-01T12:00:00Z).
        type: str
  refs:
    description:
      - Instead of O(commits), where Sentry has an integration with the repository, the newest commit in each. Sentry
        reads the commits between it and the one of the release before.
    type: list
    elements: dict
    default: []
    suboptions:
      repository:
        description: Name of the repository at Sentry.
        type: str
        required: true
      commit:
        description: Full hash of the newest commit.
        type: str
        required: true
      previous_commit:
        description: Full hash of the newest commit of the release before. By default that of the latest one.
        type: str
  finalized:
    description: Whether the release is out. A release that is stays so.
    type: bool
    default: true
  environment:
    description: Environment that it has been deployed to. By default, no deploy is recorded.
    type: str
  began:
    description: When the deploy began, in seconds since 1970. V(0) leaves it out.
    type: float
  ended:
    description: When it ended. By default now.
    type: float
  deploy_name:
    description: Name of the deploy.
    type: str
  deploy_url:
    description: Page of the deploy, such as that of the job that ran it.
    type: str
  strict:
    description: Whether to fail if Sentry cannot be reached or refuses. Otherwise the module warns.
    type: bool
    default: true
seealso:
  - module: nexod.infra.sentry_verdict
  - module: nexod.infra.service_resources
"""

EXAMPLES = r"""
- name: Record the deploy at Sentry
  nexod.infra.sentry_release:
    token: "{{ sentry_token }}"
    organization: example
    version: api@1.4.2
    projects: [api]
    refs:
      - {repository: example/api, commit: "{{ commit }}"}
    environment: production
"""

RETURN = r"""
release:
  description: Name of the release.
  returned: success
  type: str
steps:
  description: What was done, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [create release api@1.4.2, record the deploy of api@1.4.2 to production]
problem:
  description: Why it could not be done, with O(strict=false). Empty otherwise.
  returned: success
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import client_of
from ansible_collections.nexod.infra.plugins.module_utils._services.sentry_release import released

COMMIT = {
    "id": {"type": "str", "required": True},
    "repository": {"type": "str"},
    "text": {"type": "str"},
    "author_name": {"type": "str"},
    "author_email": {"type": "str"},
    "timestamp": {"type": "str"},
}
REF = {
    "repository": {"type": "str", "required": True},
    "commit": {"type": "str", "required": True},
    "previous_commit": {"type": "str"},
}
ARGUMENTS = {
    "token": {"type": "str", "required": True, "no_log": True},
    "organization": {"type": "str", "required": True},
    "url": {"type": "str"},
    "version": {"type": "str", "required": True},
    "projects": {"type": "list", "elements": "str", "required": True},
    "commits": {"type": "list", "elements": "dict", "default": [], "options": COMMIT},
    "refs": {"type": "list", "elements": "dict", "default": [], "options": REF},
    "finalized": {"type": "bool", "default": True},
    "environment": {"type": "str"},
    "began": {"type": "float"},
    "ended": {"type": "float"},
    "deploy_name": {"type": "str"},
    "deploy_url": {"type": "str"},
    "strict": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    with edge(module, "release", given["version"]):
        try:
            client = client_of("sentry", given, check=module.check_mode)
            module.exit_json(**released(client, given, time.time()), problem="")
        except InfraError as error:
            if given["strict"]:
                raise
            module.warn(str(error))
            module.exit_json(changed=False, release=given["version"], steps=[], problem=str(error))


if __name__ == "__main__":
    main()
