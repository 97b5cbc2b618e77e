#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy a service of Amazon ECS and follow the rollout."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_deploy
short_description: Deploy a service of Amazon ECS and follow the rollout to its end
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Creates or updates a service together with its task definition, which is declared as data, and only if something
    differs.
  - Before the first change it verifies that the cluster is active, and that the images in ECR, the secrets, roles, log
    groups, alarms and target groups exist and fit, and reports all faults at once. Images of other registries and
    whatever is in another region are not verified. In check mode, what does not exist is only a warning, because an
    earlier task may be going to create it.
  - After a change it follows its own deployment by its id, and shows the service's events as they come. It fails if
    that deployment fails, is rolled back by AWS, or is replaced by another one, with the reasons, exit codes and last
    log lines of the tasks that stopped, and says which definition runs now.
  - If the deployment is not complete in time, the service is returned to the definition that served before.
  - A run that was ended during a rollout is continued by the next, which finds the deployment and follows it.
  - Where autoscaling is registered for the service, the number of tasks is never changed.
  - Has been run against the emulators MiniStack and moto only, never against AWS. The strategies other than ROLLING
    exist in no emulator.
extends_documentation_fragment: [nexod.infra.ecs, nexod.infra.internal]
options:
  name:
    description: Name of the service.
    type: str
    required: true
  state:
    description:
      - V(present) deploys the service as declared, V(absent) removes it and its tasks; task definitions are kept.
      - V(previous) returns to the definition that served before the last deploy. Doing so twice is doing it once. For
        this, definitions are marked with the tag C(nexod:rollout) when they are replaced.
    type: str
    choices: [present, absent, previous]
    default: present
  environment:
    description:
      - Name of the environment that the service belongs to, which becomes its tag C(nexod:environment). A service of
        the same name with another tag or without it is refused.
    type: str
  desired_count:
    description:
      - Number of tasks. Without it, a new service has one, and the number of an existing one is not changed. At least
        0.
    type: int
  load_balancers:
    description: Target groups that the tasks are registered with.
    type: list
    elements: dict
    default: []
    suboptions:
      target_group:
        description: ARN of the target group.
        type: str
        required: true
      container:
        description: Container that the requests go to.
        type: str
        required: true
      port:
        description: Port of the container. From 1 to 65535.
        type: int
        required: true
      alternate_target_group:
        description: ARN of the second target group, for the strategies that shift traffic.
        type: str
      production_rule:
        description: ARN of the listener rule for production traffic, for the strategies that shift traffic.
        type: str
      test_rule:
        description: ARN of the listener rule for test traffic.
        type: str
      role:
        description: ARN of the role with which ECS changes the listener rules.
        type: str
  health_check_grace_seconds:
    description: Seconds after a task's start in which the load balancer's health check does not count. At least 0.
    type: int
  propagate_tags:
    description: Where the tags of tasks come from.
    type: str
    choices: [SERVICE, TASK_DEFINITION, NONE]
    default: SERVICE
  deployment:
    description: How tasks are replaced.
    type: dict
    default: {}
    suboptions:
      strategy:
        description: Strategy of ECS.
        type: str
        choices: [ROLLING, BLUE_GREEN, LINEAR, CANARY]
        default: ROLLING
      min_percent:
        description: Share of the tasks that keeps running during a rollout. From 0 to 100.
        type: int
        default: 100
      max_percent:
        description: Share of the tasks that may run during a rollout. From 100 to 200.
        type: int
        default: 200
      circuit_breaker:
        description: Whether AWS ends a rollout whose tasks keep failing. With V(ROLLING) only.
        type: bool
        default: true
      roll_back:
        description:
          - Whether the service is returned to the definition that served before, by AWS or, after O(wait_seconds), by
            this module.
        type: bool
        default: true
      alarms:
        description: CloudWatch alarms that end a rollout.
        type: list
        elements: str
        default: []
      bake_minutes:
        description: Minutes for which both versions run after the traffic has been shifted. From 0 to 1440.
        type: int
        default: 5
      step_percent:
        description: Share of the traffic that V(LINEAR) shifts at each step, and V(CANARY) first. From 1 to 99.
        type: int
        default: 10
      step_bake_minutes:
        description: Minutes between the steps. From 0 to 1440.
        type: int
        default: 5
  force_new_deployment:
    description: Whether to replace the tasks although nothing differs. It does so in every run.
    type: bool
    default: false
  keep_definitions:
    description:
      - Number of the family's latest definitions that stay registered; older ones that no task uses are deregistered.
        Without it, all are kept. At least 2.
    type: int
  wait_seconds:
    description: Seconds within which the rollout has to be complete. At least 1.
    type: int
    default: 900
seealso:
  - module: nexod.infra.ecs_run_task
"""

EXAMPLES = r"""
- name: Deploy the API
  nexod.infra.ecs_deploy:
    name: api
    cluster: production
    region: us-east-1
    environment: production
    desired_count: 2
    subnets: [subnet-0a1b2c3d, subnet-4e5f6a7b]
    security_groups: [sg-0a1b2c3d]
    load_balancers:
      - target_group: "{{ aws.outputs['target_group/api'].arn }}"
        container: api
        port: 8000
    health_check_grace_seconds: 60
    deployment:
      alarms: [production-api-5xx]
    task_definition:
      cpu: 2048
      memory_mb: 4096
      execution_role: production-api-execution
      task_role: production-api
      containers:
        - name: api
          image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/api:{{ backend_version }}"
          ports: [8000]
          environment: {LOG_LEVEL: info}
          secrets: {DATABASE_URL: "{{ database_url_arn }}"}
          log: {group: /production/api}

- name: Return to the definition that served before the last deploy
  nexod.infra.ecs_deploy:
    name: api
    cluster: production
    region: us-east-1
    state: previous
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode - V(none), V(create), V(update), V(follow) (a rollout
    that an earlier run has begun), V(return) or V(delete).
  returned: always
  type: str
changes:
  description: What differed of an existing service, in AWS' spelling.
  returned: always
  type: list
  elements: str
  sample: [taskDefinition, desiredCount]
task_definition:
  description: ARN of the task definition that was rolled out. Not known in check mode if it would be registered.
  returned: always
  type: str
previous_task_definition:
  description: ARN of the one that was in use before.
  returned: always
  type: str
deployment:
  description: Id of the deployment that was followed; the ARN of the service deployment if it is not ROLLING.
  returned: always
  type: str
events:
  description: Events of the service during the rollout, the oldest first.
  returned: always
  type: list
  elements: str
missing:
  description: In check mode, what does not exist yet of what the rollout needs.
  returned: always
  type: list
  elements: str
rights:
  description: The IAM actions that the run needed, with those that AWS wants besides, such as C(iam:PassRole).
  returned: always
  type: list
  elements: str
  sample: [ecs:DescribeServices, ecs:UpdateService]
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import MISSING, Api, rights_of
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.declared import check_service, declared_service
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deploy import Deployer
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.options import COMMON, TASK_DEFINITION
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import told_lines

BALANCER = {
    "target_group": {"type": "str", "required": True},
    "container": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "alternate_target_group": {"type": "str"},
    "production_rule": {"type": "str"},
    "test_rule": {"type": "str"},
    "role": {"type": "str"},
}
DEPLOYMENT = {
    "strategy": {"type": "str", "choices": ["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"], "default": "ROLLING"},
    "min_percent": {"type": "int", "default": 100},
    "max_percent": {"type": "int", "default": 200},
    "circuit_breaker": {"type": "bool", "default": True},
    "roll_back": {"type": "bool", "default": True},
    "alarms": {"type": "list", "elements": "str", "default": []},
    "bake_minutes": {"type": "int", "default": 5},
    "step_percent": {"type": "int", "default": 10},
    "step_bake_minutes": {"type": "int", "default": 5},
}
ARGUMENTS = {
    **COMMON,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent", "previous"], "default": "present"},
    "environment": {"type": "str"},
    "task_definition": {"type": "dict", "options": TASK_DEFINITION},
    "desired_count": {"type": "int"},
    "load_balancers": {"type": "list", "elements": "dict", "default": [], "options": BALANCER},
    "health_check_grace_seconds": {"type": "int"},
    "propagate_tags": {"type": "str", "choices": ["SERVICE", "TASK_DEFINITION", "NONE"], "default": "SERVICE"},
    "deployment": {"type": "dict", "default": {}, "options": DEPLOYMENT},
    "force_new_deployment": {"type": "bool", "default": False},
    "keep_definitions": {"type": "int"},
    "wait_seconds": {"type": "int", "default": 900},
}


def main() -> None:
    rules = [("state", "present", ["task_definition"])]
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=rules, supports_check_mode=True)
    given = module.params
    if MISSING:
        module.fail_json(msg=missing_required_lib("boto3 (Debian: python3-boto3)"), exception=MISSING)
    path = (given["_internal"] or {}).get("progress_file")
    with edge(module, "deploy", f'the service "{given["name"]}"'), told_lines(path) as tell:
        check_service(given)
        api = Api(
            given["region"], check=module.check_mode, profile=given["profile"], endpoint_url=given["endpoint_url"]
        )
        deployer = Deployer(api, declared_service(given), tell)
        state = {"present": deployer.present, "absent": deployer.absent, "previous": deployer.previous}
        result = state[given["state"]]()
    for text in result.missing:
        module.warn(f"In check mode, not verified: {text}")
    module.exit_json(**dataclasses.asdict(result), rights=rights_of(api.calls))


if __name__ == "__main__":
    main()
