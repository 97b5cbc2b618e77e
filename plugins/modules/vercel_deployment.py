#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for, promote, roll back and remove deployments of Vercel."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vercel_deployment
short_description: Wait for, promote, roll back and remove deployments of Vercel
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Deployments are built by Vercel from what is pushed to the repository. This module finds the one of a commit, waits
    until it is built, and decides which one production delivers.
  - For a promotion to mean anything, the project must not assign its domains to each new production deployment by
    itself - see C(assign_domains) of the kind C(vercel_project) in docs/service_resources.md.
  - A promotion that fails leaves production as it was, and the domains concerned are named.
  - In check mode nothing is promoted or removed, and a deployment that is not built yet is not waited for.
  - Built to Vercel's published interface and run against a stand-in that Vercel's own SDK accepts, never against
    Vercel.
extends_documentation_fragment: [nexod.infra.internal]
options:
  project:
    description: Name or id of the project.
    type: str
    required: true
  state:
    description:
      - V(ready) waits until the deployment of O(commit) is built, and changes nothing.
      - V(promoted) lets production deliver it as well.
      - V(rolled_back) returns production to the deployment that it delivered before. If the last change was a rollback
        already, nothing is changed.
      - V(delivered) returns the deployment that production delivers, or that the domains of O(branch) deliver, and
        changes nothing.
      - V(absent) removes the previews of O(branch).
    type: str
    choices: [ready, promoted, rolled_back, delivered, absent]
    default: ready
  commit:
    description: The whole SHA of the commit. Required with V(ready) and V(promoted).
    type: str
  branch:
    description: The branch whose previews are removed, or whose newest one is returned. Required with V(absent).
    type: str
  target:
    description: Which deployment of the commit is meant. Only those of production can be promoted.
    type: str
    choices: [production, preview]
    default: production
  purge_tags:
    description:
      - Tags of the cache that are invalidated when V(promoted) or V(rolled_back) has changed what production delivers.
      - Vercel keeps the pages of each deployment apart, so they need none. Data that the front end caches by tags is
        shared by its deployments.
    type: list
    elements: str
    default: []
  wait_seconds:
    description: How long a build or a promotion is waited for. From 0 to 7200.
    type: int
    default: 900
  account:
    description: Account at Vercel.
    type: dict
    required: true
    suboptions:
      token:
        description: Access token.
        type: str
        required: true
      team:
        description: Id of the team that has the project. By default, the account of the token itself.
        type: str
      url:
        description: URL of the API, if it is not Vercel's.
        type: str
"""

EXAMPLES = r"""
- name: Wait until the front end of this release is built
  nexod.infra.vercel_deployment:
    account: {token: "{{ vercel_token }}", team: team_nexod}
    project: app
    commit: 4f2d3c0a7d1be5a4c9f1f0a2b3c4d5e6f7a8b9c0
  register: built

- name: Let production deliver it, now that the API serves
  nexod.infra.vercel_deployment:
    account: {token: "{{ vercel_token }}", team: team_nexod}
    project: app
    commit: 4f2d3c0a7d1be5a4c9f1f0a2b3c4d5e6f7a8b9c0
    state: promoted

- name: Remove the previews of a pull request that was closed
  nexod.infra.vercel_deployment:
    account: {token: "{{ vercel_token }}", team: team_nexod}
    project: app
    branch: feature/faster
    state: absent
"""

RETURN = r"""
deployment:
  description: The deployment that is meant, with C(id), C(url), C(commit), C(branch), C(state), C(created)
    (milliseconds since 1970) and C(inspector_url). Empty if check mode would wait for it, and with O(state=delivered)
    before the first one.
  returned: unless O(state=absent)
  type: dict
since:
  description: Unix time since when production delivers RV(deployment), or the domains of O(branch) do; 0 before the
    first one.
  returned: with O(state=delivered)
  type: int
  sample: 1795780800
previous:
  description: Id of the deployment that production delivered before; empty if there was none.
  returned: with O(state=promoted) and O(state=rolled_back)
  type: str
removed:
  description: The previews that were removed, or would be, as RV(deployment).
  returned: with O(state=absent)
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import told_lines
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import ACCOUNTS, client_of
from ansible_collections.nexod.infra.plugins.module_utils._services.vercel_deployment import Deployments, facts_of

ARGUMENTS = {
    "project": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "choices": ["ready", "promoted", "rolled_back", "delivered", "absent"],
        "default": "ready",
    },
    "commit": {"type": "str"},
    "branch": {"type": "str"},
    "target": {"type": "str", "choices": ["production", "preview"], "default": "production"},
    "purge_tags": {"type": "list", "elements": "str", "default": []},
    "wait_seconds": {"type": "int", "default": 900},
    "account": {**ACCOUNTS["vercel"], "required": True},
    "_internal": {"type": "dict"},
}
NEEDED = [("state", "ready", ["commit"]), ("state", "promoted", ["commit"]), ("state", "absent", ["branch"])]


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=NEEDED, supports_check_mode=True)
    given = module.params
    path = (given["_internal"] or {}).get("progress_file")
    with edge(module, "deploy", f"the Vercel project {given['project']}"), told_lines(path) as tell:
        check_ranges(given, {"wait_seconds": (0, 7200)})
        client = client_of("vercel", given["account"], check=module.check_mode)
        deployments = Deployments(client, given["project"], given["wait_seconds"], tell)
        if given["state"] == "absent":
            removed = deployments.remove_previews(given["branch"])
            module.exit_json(changed=bool(removed), removed=[facts_of(row) for row in removed])
        if given["state"] == "delivered":
            found, since = deployments.delivered(given["branch"])
            module.exit_json(changed=False, deployment=facts_of(found), since=since)
        if given["state"] == "ready":
            module.exit_json(changed=False, deployment=facts_of(deployments.ready(given["commit"], given["target"])))
        previous = deployments.live()
        if given["state"] == "promoted":
            chosen = deployments.ready(given["commit"], given["target"])
            # Without a deployment, check mode knows that there will be another one.
            changed = deployments.promote(chosen) if chosen else True
        else:
            chosen, changed = deployments.roll_back()
        if changed and given["purge_tags"] and not module.check_mode:
            deployments.invalidate(given["purge_tags"])
        module.exit_json(changed=changed, previous=previous, deployment=facts_of(chosen))


if __name__ == "__main__":
    main()
