#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage the resources of an environment on AWS."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_resources
short_description: Manage the resources of an environment on AWS
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Takes the declarations of all resources at once, orders them by what they refer to, and reads, compares and changes
    independent ones at the same time.
  - Each resource is marked by the tag C(nexod:environment). One of the same name without that tag, or of another
    environment, is refused.
  - Refuses to remove or to replace a resource that holds data, unless O(lose) names it.
  - After a change it waits until AWS shows the resource as declared. Nothing is stored between runs, so a run that was
    ended midway is continued by the next.
  - In check mode no call that changes anything is sent, whatever asks for it.
  - Has been run against the emulator moto and, for what moto lacks, against stand-ins in memory, never against AWS.
  - Kinds so far - C(vpc), C(subnet), C(security_group), C(internet_gateway), C(elastic_ip), C(nat_gateway),
    C(route_table), C(gateway_endpoint), C(load_balancer), C(target_group), C(listener), C(rds_subnet_group),
    C(rds_parameter_group), C(rds_instance), C(rds_replica), C(cache_subnet_group), C(cache_replication_group),
    C(s3_bucket), C(log_group), C(ecr_repository), C(sns_topic), C(alarm), C(iam_role), C(instance_profile),
    C(oidc_provider), C(secret), C(ecs_cluster), C(scaling_target), C(scaling_policy), C(origin_access_control),
    C(cache_policy), C(response_headers_policy), C(cloudfront_distribution), C(bucket_policy), C(ec2_instance) and
    C(key_pair).
    Their properties and outputs are described in docs/aws_resources.md.
extends_documentation_fragment: [nexod.infra.internal, nexod.infra.aws_account, nexod.infra.declared_resources]
options:
  account:
    description: Number of the AWS account. With credentials of another one nothing else is called.
    type: str
  region:
    description: AWS region.
    type: str
    required: true
  tags:
    description: Tags of all resources. Other tags that a resource has are kept.
    type: dict
    default: {}
  adopt:
    description: Resources, as C(KIND/NAME), that exist without the tag of an environment and are to be taken over.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Create the network and the database of staging
  nexod.infra.aws_resources:
    environment: staging
    region: us-east-1
    resources:
      - kind: vpc
        name: staging
        properties: {cidr: 10.20.0.0/16}
      - kind: subnet
        name: private-a
        properties: {vpc: "@vpc/staging", cidr: 10.20.1.0/24, zone: us-east-1a}
      - kind: subnet
        name: private-b
        properties: {vpc: "@vpc/staging", cidr: 10.20.2.0/24, zone: us-east-1b}
      - kind: security_group
        name: database
        properties:
          vpc: "@vpc/staging"
          description: PostgreSQL
          ingress: [{ports: 5432, from: 10.20.0.0/16}]
      - kind: rds_subnet_group
        name: staging
        properties: {description: Private subnets, subnets: ["@subnet/private-a", "@subnet/private-b"]}
      - kind: rds_instance
        name: staging
        properties:
          engine_version: "15"
          instance_class: db.t4g.medium
          storage_gb: 20
          database: app
          user: postgres
          subnet_group: "@rds_subnet_group/staging"
          security_groups: ["@security_group/database"]
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
  sample: {rds_instance/staging: {host: staging.abc.us-east-1.rds.amazonaws.com, port: 5432}}
later:
  description: What AWS has accepted, or would accept, and applies only later, by C(KIND/NAME) - changes that wait for
    the maintenance window, static parameters that wait for a restart. It is requested once, and reported until it is
    applied.
  returned: always
  type: dict
  sample: {rds_instance/staging: "instance_class db.r6g.large waits for the maintenance window"}
rights:
  description: The IAM actions that the run needed, with those that AWS wants besides, such as C(iam:PassRole).
  returned: always
  type: list
  elements: str
  sample: [ec2:CreateVpc, ec2:DescribeVpcs]
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import MISSING, Api, rights_of
from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import told_lines
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import DECLARED, declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Engine, Policy
from ansible_collections.nexod.infra.plugins.module_utils._resources.outcome import reported

ARGUMENTS = {
    **DECLARED,
    "account": {"type": "str"},
    "region": {"type": "str", "required": True},
    "tags": {"type": "dict", "default": {}},
    "adopt": {"type": "list", "elements": "str", "default": []},
    "profile": {"type": "str"},
    "endpoint_url": {"type": "str"},
    "_internal": {"type": "dict"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if MISSING:
        module.fail_json(msg=missing_required_lib("boto3 (Debian: python3-boto3)"), exception=MISSING)
    path = (given["_internal"] or {}).get("progress_file")
    with edge(module, "manage the AWS resources of", given["environment"]), told_lines(path) as tell:
        rows = declared(given["resources"], KINDS, given["secrets"], removed=given["state"] == "absent")
        api = Api(
            given["region"], check=module.check_mode, profile=given["profile"], endpoint_url=given["endpoint_url"]
        )
        if given["account"]:
            api.require_account(given["account"])
        policy = Policy(given["environment"], given["tags"], frozenset(given["lose"]), frozenset(given["adopt"]))
        engine = Engine(api, policy, tell)
        outcome = engine.present(rows) if given["state"] == "present" else engine.absent(rows)
        for key, text in outcome.later.items():
            module.warn(f"{key}: {text}")
        module.exit_json(**reported(outcome, rights=rights_of(api.calls)))


if __name__ == "__main__":
    main()
