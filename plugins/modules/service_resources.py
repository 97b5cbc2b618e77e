#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage an environment's resources at Vercel, Clerk and Sentry, and on AWX."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_resources
short_description: Manage an environment's resources at Vercel, Clerk and Sentry, and on AWX
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Takes the declarations of all vendors at once, orders them by what they refer to, and reads, compares and changes
    independent ones at the same time. A resource may refer to one of another vendor, such as the value of a variable at
    Vercel to the DSN of a client key of Sentry.
  - A resource is found by its name, or by its V(id) where one is declared. If several have the name, it is refused, and
    their ids are listed. Fields that a declaration does not have are left alone.
  - A request is repeated if the vendor limits how often it may be asked, or does not answer, for at most two minutes.
    One that may have created something is not repeated if its answer was lost. Nothing is stored between runs, so the
    next run finds out, and continues.
  - In check mode no request that changes anything is sent, whatever asks for it.
  - Built to the vendors' published interfaces and run against stand-ins that the vendors' own clients accept, never
    against the live services.
  - The kinds, their properties and outputs are described in docs/service_resources.md.
extends_documentation_fragment: [nexod.infra.internal, nexod.infra.declared_resources]
options:
  awx:
    description: AWX 24 or newer, or Automation Controller 4.5. Required for resources of AWX.
    type: dict
    suboptions:
      organization:
        description:
          - Name of the organization whose declaration this is, for O(prune). It is the only one whose objects are
            pruned.
        type: str
        version_added: "1.1.0"
      token:
        description: Token of a user, with the scope write.
        type: str
        required: true
      url:
        description: URL of AWX, such as V(https://awx.example.com).
        type: str
        required: true
    version_added: "1.1.0"
  clerk:
    description: Account at Clerk. Required for resources of Clerk.
    type: dict
    suboptions:
      issuer:
        description:
          - Frontend API URL of the instance, whose session tokens an API accepts. If it is set, its keys are read there
            and must be those of the instance that the secret key belongs to. The secret key is not sent there.
          - With it, O(resources) may be empty.
        type: str
      token:
        description: Secret key of the instance.
        type: str
        required: true
      url:
        description: URL of the API, if it is not Clerk's.
        type: str
  prune:
    description:
      - Whether what is no longer declared is removed from AWX. Only objects of O(awx.organization) are whose
        description ends with C((nexod.infra ORGANIZATION\)), or begins with the fingerprint of a secret, and the nodes
        of such workflows and the rights of such teams. An organization is never removed. Nothing is removed if
        something failed.
    type: bool
    default: false
    version_added: "1.1.0"
  rehearse:
    description:
      - Whether everything is read and compared before the first change, so that what would be refused is reported for
        all resources, and nothing is changed. For AWX, this includes the rights of the token. It costs each request
        that reads a second time.
    type: bool
    default: false
    version_added: "1.1.0"
  sentry:
    description: Account at Sentry. Required for resources of Sentry.
    type: dict
    suboptions:
      token:
        description: Token of an internal integration of the organization.
        type: str
        required: true
      organization:
        description: Slug of the organization.
        type: str
        required: true
      url:
        description: URL of Sentry, such as V(https://de.sentry.io) for data in the EU.
        type: str
  vercel:
    description: Account at Vercel. Required for resources of Vercel.
    type: dict
    suboptions:
      token:
        description: Access token.
        type: str
        required: true
      team:
        description: Id of the team that has the projects. By default, the account of the token itself.
        type: str
      url:
        description: URL of the API, if it is not Vercel's.
        type: str
"""

EXAMPLES = r"""
- name: Declare what the front end needs at Clerk
  nexod.infra.service_resources:
    environment: staging
    clerk:
      token: "{{ infra_clerk_secret_key }}"
    resources:
      - kind: clerk_instance
        name: staging
        properties: {allowed_origins: ["https://staging.example.com"]}
      - kind: clerk_redirect_url
        name: https://staging.example.com/sign-in/callback
      - kind: clerk_jwt_template
        name: api
        properties:
          claims: {aud: api, email: "{{ '{{user.primary_email_address}}' }}"}
          lifetime: 60
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode - C(key), C(action) (create, update, replace or delete), and
    the properties C(before) and C(after).
  returned: always
  type: list
  elements: dict
outputs:
  description: The outputs of each resource, such as C(id), by C(KIND/NAME). Some are unknown in check mode.
  returned: always
  type: dict
  sample: {clerk_jwt_template/api: {id: jtmp_2a}}
later:
  description: What a vendor has accepted, or would accept, and applies only later, by C(KIND/NAME).
  returned: always
  type: dict
  sample: {"vercel_domain/app.example.com": "it waits for the DNS record A app.example.com 76.76.21.21"}
requests:
  description: How many requests were sent to each vendor.
  returned: always
  type: dict
  sample: {clerk: 3}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import told_lines
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import DECLARED, declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.outcome import reported
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import ACCOUNTS, refuse_empty_tokens
from ansible_collections.nexod.infra.plugins.module_utils._services.applied import applied
from ansible_collections.nexod.infra.plugins.module_utils._services.catalogue import KINDS

ARGUMENTS = {
    **DECLARED,
    "_internal": {"type": "dict"},
    "prune": {"type": "bool", "default": False},
    "rehearse": {"type": "bool", "default": False},
    **ACCOUNTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    path = (given["_internal"] or {}).get("progress_file")
    with edge(module, "manage the resources of", given["environment"]), told_lines(path) as tell:
        refuse_empty_tokens(given, given["resources"])
        rows = declared(given["resources"], KINDS, given["secrets"], removed=given["state"] == "absent")
        outcome, services = applied(given, rows, tell, check=module.check_mode)
        for key, text in outcome.later.items():
            module.warn(f"{key}: {text}")
        for text in filter(None, (client.refused_tokens for client in services.clients.values())):
            module.warn(text)
        requests = {name: len(client.requests) for name, client in services.clients.items()}
        module.exit_json(**reported(outcome, requests=requests))


if __name__ == "__main__":
    main()
