#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask AWS what a declaration depends on, changing nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_info
short_description: Ask AWS what the declaration of an environment depends on
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the account of the credentials, the regions that it can use, availability zones, networks, the versions of
    PostgreSQL that RDS offers, the storage of the database, whether an image is in ECR, and which images a service of
    ECS runs. One execution asks for all of it at the same time.
  - Preflight judges the result before the first change of a deploy.
  - Fails only without valid credentials of the declared account; then nothing else is called. What AWS refuses
    besides is in RV(refused). What an emulator does not know is in RV(not_checked).
  - Has been run against the emulators MiniStack and moto only, never against AWS.
extends_documentation_fragment: [nexod.infra.aws_account]
options:
  region:
    description: Region.
    type: str
    required: true
  account:
    description: Number of the account that the credentials must be of.
    type: str
  instance:
    description: Name of the database in RDS.
    type: str
    default: ""
  repository:
    description: Name of the repository in ECR, in the account of the credentials.
    type: str
    default: ""
  tag:
    description: Tag of the image in O(repository).
    type: str
    default: ""
  image:
    description: The image with its registry, if it is not in O(repository). Those outside ECR are not looked for.
    type: str
    default: ""
  cluster:
    description: Name of the cluster of ECS that O(service) runs in.
    type: str
    default: ""
  service:
    description: Name of a service of ECS.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Ask AWS what the environment depends on
  nexod.infra.aws_info:
    region: us-east-1
    account: "123456789012"
    instance: nexod-staging
    repository: nexod-staging-api
    tag: 1.4.0
  register: aws_found
"""

RETURN = r"""
account:
  description: Number of the account.
  returned: success
  type: str
  sample: "123456789012"
regions:
  description: Regions that the account can use.
  returned: success
  type: list
  elements: str
zones:
  description: Availability zones of the region.
  returned: if the account can use the region
  type: list
  elements: str
  sample: [us-east-1a, us-east-1b]
networks:
  description: VPCs with C(id), C(name), the C(environment) they belong to, and C(cidrs).
  returned: if the account can use the region
  type: list
  elements: dict
engine_versions:
  description: Versions of PostgreSQL that new instances can have.
  returned: if the account can use the region
  type: list
  elements: str
  sample: ["15.8", "16.4"]
instance:
  description: Allocated C(storage_gb) and C(version) of the database; empty if it does not exist.
  returned: if the account can use the region
  type: dict
image:
  description: C(yes) or C(no); C(no repository yet); or C(elsewhere) for an image that is not in ECR in this region.
  returned: if the account can use the region
  type: str
serving:
  description: Images of the tasks of O(service); empty if it does not exist.
  returned: if O(cluster) and O(service) are given and the account can use the region
  type: list
  elements: str
serving_since:
  description: Unix time since when O(service) runs its release alone. It is now while a deployment runs, not before the
    last time that the service was scaled, and 0 if the service does not exist.
  returned: if O(cluster) and O(service) are given and the account can use the region
  type: int
  sample: 1795780800
tasks:
  description: How many tasks O(service) runs (C(least), and C(most) where it is scaled), and their C(cpu) and
    C(memory_mb); empty if it does not exist.
  returned: if O(cluster) and O(service) are given and the account can use the region
  type: dict
  sample: {"least": 2, "most": 10, "cpu": 2048, "memory_mb": 4096}
refused:
  description: What AWS did not answer, with C(about), C(cause) and C(next_step).
  returned: success
  type: list
  elements: dict
not_checked:
  description: Names of the values that an emulator does not know.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import MISSING, Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.facts import gather, home_of
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge

#: Of a request: it is only preflight.
ATTEMPTS = 3
ARGUMENTS = {
    "region": {"type": "str", "required": True},
    "account": {"type": "str"},
    "instance": {"type": "str", "default": ""},
    "repository": {"type": "str", "default": ""},
    "tag": {"type": "str", "default": ""},
    "image": {"type": "str", "default": ""},
    "cluster": {"type": "str", "default": ""},
    "service": {"type": "str", "default": ""},
    "profile": {"type": "str"},
    "endpoint_url": {"type": "str"},
}


def main() -> None:
    """Ask, report, exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if MISSING:
        module.fail_json(msg=missing_required_lib("boto3 (Debian: python3-boto3)"), exception=MISSING)
    with edge(module, "ask AWS about", given["region"]):
        emulated = bool(given["endpoint_url"] or os.environ.get("AWS_ENDPOINT_URL"))
        # Every call that would change something is refused. What an emulator does not know it will never know.
        attempts = {"attempts": 1 if emulated else ATTEMPTS}
        place = {"check": True, "profile": given["profile"], "endpoint_url": given["endpoint_url"], **attempts}
        api = Api(given["region"], **place)
        home = api if emulated or home_of(api.region) == api.region else Api(home_of(api.region), **place)
        module.exit_json(changed=False, **gather(api, home, given, emulated=emulated))


if __name__ == "__main__":
    main()
