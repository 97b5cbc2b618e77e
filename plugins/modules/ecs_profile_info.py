#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Return the command that profiles a task of Amazon ECS."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_profile_info
short_description: Return the command that profiles a task of Amazon ECS
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Chooses a running task of the service, verifies that it can be profiled by its container O(container), and returns
    the command that does so with py-spy and ECS Exec. Changes nothing and profiles nothing.
  - The task needs C(pidMode) V(task), and a container with C(sh), C(sleep), C(sort) and py-spy that has the capability
    C(SYS_PTRACE). The role P(nexod.infra.ecs_service#role) declares both, with C(ecs_service_profiler_image).
  - The command needs the AWS CLI, its Session Manager plugin and a terminal.
  - Has been run against the emulator moto only, never against AWS. The part of the command that runs in the container
    has been run in a namespace of processes of its own.
requirements:
  - boto3 on the host that runs the module, and Python 3.11; usually this is the controller
extends_documentation_fragment: [nexod.infra.aws_account]
options:
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  service:
    description: Name of the service.
    type: str
    required: true
  region:
    description: AWS region.
    type: str
    required: true
  container:
    description: Name of the container that profiles.
    type: str
    default: profiler
  task:
    description: Id or ARN of the task. By default, the oldest one that runs.
    type: str
  seconds:
    description: How long to profile. From 1 to 300.
    type: int
    default: 30
  rate:
    description: Samples a second. From 1 to 1000.
    type: int
    default: 100
  nonblocking:
    description: Whether py-spy reads the process without pausing it.
    type: bool
    default: true
seealso:
  - module: nexod.infra.profile_process
  - module: nexod.infra.ecs_deploy
"""

EXAMPLES = r"""
- name: Find out how to profile a task
  nexod.infra.ecs_profile_info:
    cluster: production
    service: api
    region: us-east-1
  register: profiled

- name: Print the command
  ansible.builtin.debug:
    msg: "{{ profiled.command }}"
"""

RETURN = r"""
task:
  description: Id of the task.
  returned: success
  type: str
command:
  description:
    - Command for a POSIX shell. It writes the collapsed stacks to C(profile.raw) in the current folder, and all output
      to C(profile.log), which has the reason if C(profile.raw) is empty.
  returned: success
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import MISSING, Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.client import tasks_of
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deployment import short
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.profiler import RANGES, Asked, chosen, command
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "cluster": {"type": "str", "required": True},
    "service": {"type": "str", "required": True},
    "region": {"type": "str", "required": True},
    "container": {"type": "str", "default": "profiler"},
    "task": {"type": "str"},
    "seconds": {"type": "int", "default": 30},
    "rate": {"type": "int", "default": 100},
    "nonblocking": {"type": "bool", "default": True},
    "profile": {"type": "str"},
    "endpoint_url": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if MISSING:
        module.fail_json(msg=missing_required_lib("boto3 (Debian: python3-boto3)"), exception=MISSING)
    asked = Asked(**module.params)
    with edge(module, "profile", asked.what):
        check_ranges(module.params, RANGES)
        # Every call that would change something is refused.
        api = Api(asked.region, check=True, profile=asked.profile, endpoint_url=asked.endpoint_url)
        found = api.call(
            "ecs", "DescribeServices", ("ClusterNotFoundException",), cluster=asked.cluster, services=[asked.service]
        )
        services = found["services"] if found else []
        tasks = tasks_of(api, asked.cluster, serviceName=asked.service) if services else []
        task = chosen(asked, services[0] if services else None, tasks)
        module.exit_json(changed=False, task=short(str(task["taskArn"])), command=command(asked, task))


if __name__ == "__main__":
    main()
