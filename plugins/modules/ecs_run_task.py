#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one task of Amazon ECS to its end."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_run_task
short_description: Run one task of Amazon ECS to its end, such as migrations
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Starts a task, shows its log lines as they come, waits for its end, and fails unless the container that was asked
    about ended with the exit code 0. A container without an exit code never started, which is a failure too.
  - A task that was started for the same O(name) and still runs is followed instead of starting another one, so a run
    whose controller has died is continued by the next. One that ended with 0 is not run again as long as AWS shows it,
    which is about an hour, if task definition, command and environment are the same. One that failed is run again.
  - When the time is up, and when the module itself is asked to end (SIGTERM, SIGINT or SIGHUP), the task is stopped.
    If the controller is killed or loses power, the task runs on.
  - Before it starts a task that is declared as data, it verifies what M(nexod.infra.ecs_deploy) verifies.
  - In check mode nothing is started; whether it would be is returned.
  - Has been run against the emulators MiniStack and moto only, never against AWS.
extends_documentation_fragment: [nexod.infra.ecs, nexod.infra.internal]
options:
  name:
    description:
      - What the task is for, such as the release whose migrations it runs. AWS keeps it as C(startedBy), in which
        other characters than letters, digits, V(-), V(_) and V(/) are replaced.
    type: str
    required: true
  definition:
    description: ARN, family with revision, or family of a registered task definition, instead of O(task_definition).
    type: str
  container:
    description: Container whose exit code and log count. Required if there are several.
    type: str
  command:
    description: Command instead of the container's own.
    type: list
    elements: str
  environment:
    description: Environment variables that are added to the container's own. They can be read like those.
    type: dict
    default: {}
  wait_seconds:
    description: Seconds after which the task is stopped. At least 1.
    type: int
    default: 1800
seealso:
  - module: nexod.infra.ecs_deploy
"""

EXAMPLES = r"""
- name: Run the migrations of the release in its own image
  nexod.infra.ecs_run_task:
    name: "migrate-{{ backend_version }}"
    cluster: production
    region: us-east-1
    subnets: [subnet-0a1b2c3d]
    security_groups: [sg-0a1b2c3d]
    task_definition:
      family: production-migrate
      cpu: 512
      memory_mb: 1024
      execution_role: production-api-execution
      containers:
        - name: migrate
          image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/api:{{ backend_version }}"
          command: [alembic, upgrade, head]
          secrets: {DATABASE_URL: "{{ owner_url_arn }}"}
          log: {group: /production/migrate}

- name: Run another command with the definition that the API runs with
  nexod.infra.ecs_run_task:
    name: report-2026-11
    cluster: production
    region: us-east-1
    subnets: [subnet-0a1b2c3d]
    definition: api
    container: api
    command: [python, -m, app.report]
"""

RETURN = r"""
attached:
  description: Whether a task was found that an earlier run had started.
  returned: always
  type: bool
task_arn:
  description: ARN of the task. Not known in check mode if it would be started.
  returned: always
  type: str
task_definition:
  description: ARN of its task definition.
  returned: always
  type: str
exit_code:
  description: Exit code of the container; null if it never started.
  returned: always
  type: int
stopped_reason:
  description: Why the task stopped, in AWS' words.
  returned: always
  type: str
log_lines:
  description: The last 500 lines of the container's log.
  returned: always
  type: list
  elements: str
log_missing:
  description: Why there are no lines, if that is known.
  returned: always
  type: str
missing:
  description: In check mode, what does not exist yet of what the task needs.
  returned: always
  type: list
  elements: str
rights:
  description: The IAM actions that the run needed, with those that AWS wants besides, such as C(iam:PassRole).
  returned: success
  type: list
  elements: str
  sample: [ecs:RunTask, logs:GetLogEvents]
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import MISSING, Api, rights_of
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.declared import check_task, declared_task
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.options import COMMON, TASK_DEFINITION
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.run import Runner
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import told_lines

ARGUMENTS = {
    **COMMON,
    "name": {"type": "str", "required": True},
    "task_definition": {"type": "dict", "options": TASK_DEFINITION},
    "definition": {"type": "str"},
    "container": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
    "environment": {"type": "dict", "default": {}},
    "wait_seconds": {"type": "int", "default": 1800},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("task_definition", "definition")],
        required_one_of=[("task_definition", "definition")],
        supports_check_mode=True,
    )
    given = module.params
    if MISSING:
        module.fail_json(msg=missing_required_lib("boto3 (Debian: python3-boto3)"), exception=MISSING)
    path = (given["_internal"] or {}).get("progress_file")
    with edge(module, "run", f'the task "{given["name"]}"'), told_lines(path) as tell:
        check_task(given)
        api = Api(
            given["region"], check=module.check_mode, profile=given["profile"], endpoint_url=given["endpoint_url"]
        )
        ran = Runner(api, declared_task(given), tell).run()
    for text in ran.missing:
        module.warn(f"In check mode, not verified: {text}")
    module.exit_json(**dataclasses.asdict(ran), rights=rights_of(api.calls))


if __name__ == "__main__":
    main()
