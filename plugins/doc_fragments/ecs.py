# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the modules for Amazon ECS share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - boto3 on the host that runs the module, and Python 3.11; usually this is the controller
options:
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  region:
    description: AWS region.
    type: str
    required: true
  task_definition:
    description:
      - The task definition as data. It is registered only if it means something else than the one in use and than the
        latest of its family. Defaults and fields that AWS adds, and the order where it has no meaning, are no
        difference.
    type: dict
    suboptions:
      family:
        description: Its family. By default, the O(name).
        type: str
      cpu:
        description: CPU units of the task, 1024 for each vCPU. Required by Fargate. At least 1.
        type: int
      memory_mb:
        description: Memory of the task in MiB. Required by Fargate, which has certain sizes. At least 4.
        type: int
      execution_role:
        description: Name or ARN of the role with which ECS pulls the image, reads the secrets and writes the log.
        type: str
      task_role:
        description: Name or ARN of the role of the application.
        type: str
      cpu_architecture:
        description: Processor that the images are built for.
        type: str
        choices: [X86_64, ARM64]
        default: X86_64
      operating_system:
        description: Operating system in AWS' spelling.
        type: str
        default: LINUX
      network_mode:
        description: Network mode; Fargate has V(awsvpc) only.
        type: str
        choices: [awsvpc, bridge, host, none]
        default: awsvpc
      ephemeral_storage_gb:
        description: Disk of the task. From 21 to 200; 20 GiB by default.
        type: int
      containers:
        description: The containers.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: Name of the container.
            type: str
            required: true
          image:
            description: Image, with its tag or, better, its digest.
            type: str
            required: true
          essential:
            description: Whether the task ends when this container ends.
            type: bool
            default: true
          command:
            description: The command, as a list.
            type: list
            elements: str
          entry_point:
            description: The entry point, as a list.
            type: list
            elements: str
          environment:
            description:
              - Environment variables. Their values can be read by whoever may describe task definitions, and are shown
                in the diff. A password belongs in O(task_definition.containers[].secrets).
            type: dict
            default: {}
          secrets:
            description:
              - Environment variables whose values ECS reads when a task starts, by the ARN of a secret in Secrets
                Manager or of a parameter in Systems Manager. The values never reach this module.
            type: dict
            default: {}
          ports:
            description: Ports that the container listens on.
            type: list
            elements: int
            default: []
          health_check:
            description: Command by which ECS decides whether the container is healthy.
            type: dict
            suboptions:
              command:
                description: The command in AWS' form, such as V([CMD-SHELL, "curl -f http://localhost/ || exit 1"]).
                type: list
                elements: str
                required: true
              interval_seconds:
                description: Seconds between two checks. From 5 to 300; 30 by default.
                type: int
              timeout_seconds:
                description: Seconds after which a check has failed. From 2 to 60; 5 by default.
                type: int
              retries:
                description: Failed checks after which the container is unhealthy. From 1 to 10; 3 by default.
                type: int
              start_seconds:
                description: Seconds after the start in which failed checks do not count. From 0 to 300.
                type: int
          log:
            description: Where the output goes. Without it, it is kept nowhere, and errors can't show the last lines.
            type: dict
            suboptions:
              group:
                description: Log group of CloudWatch Logs.
                type: str
              prefix:
                description: Prefix of the log stream. By default, the container's name.
                type: str
              region:
                description: Region of the log group. By default, O(region).
                type: str
              driver:
                description: Log driver. The last lines can be shown with V(awslogs) only.
                type: str
                default: awslogs
              options:
                description: Further options of the driver in AWS' spelling.
                type: dict
                default: {}
          depends_on:
            description: Containers that this one waits for, and the condition, such as V({init:SUCCESS}).
            type: dict
            default: {}
          cpu:
            description: CPU units of the container. At least 0.
            type: int
          memory_mb:
            description: Memory in MiB beyond which the container is ended. At least 4.
            type: int
          memory_reservation_mb:
            description: Memory in MiB that is reserved for the container. At least 4.
            type: int
          user:
            description: Account that the container runs as.
            type: str
          working_directory:
            description: Folder in which the command runs.
            type: str
          read_only_root:
            description: Whether the container's file system is read-only.
            type: bool
            default: false
          stop_seconds:
            description: Seconds between SIGTERM and SIGKILL. From 0 to 120; 30 by default.
            type: int
          parameters:
            description: Further parameters of the container in AWS' spelling, such as V(ulimits) or V(mountPoints).
            type: dict
            default: {}
      parameters:
        description: Further parameters of the task definition in AWS' spelling, such as V(volumes).
        type: dict
        default: {}
  launch_type:
    description: Where tasks run. Ignored with O(capacity_providers). AWS can't change it for an existing service.
    type: str
    choices: [FARGATE, EC2, EXTERNAL]
    default: FARGATE
  capacity_providers:
    description: Capacity providers, such as V(FARGATE_SPOT), instead of a launch type.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the capacity provider.
        type: str
        required: true
      weight:
        description: Share of the tasks beyond the bases. From 0 to 1000.
        type: int
        default: 1
      base:
        description: Number of tasks that it runs at least. From 0 to 100000.
        type: int
        default: 0
  platform_version:
    description: Platform version of Fargate. By default, AWS' latest; then it is not compared.
    type: str
  subnets:
    description: Subnets of the tasks. Required by the network mode V(awsvpc).
    type: list
    elements: str
    default: []
  security_groups:
    description: Security groups of the tasks.
    type: list
    elements: str
    default: []
  public_ip:
    description: Whether tasks have a public address.
    type: bool
    default: false
  enable_execute_command:
    description: Whether C(aws ecs execute-command) may be used.
    type: bool
    default: false
  tags:
    description: Tags. Other tags that there are are kept.
    type: dict
    default: {}
  profile:
    description: Profile of the AWS configuration. By default, boto3 finds the credentials.
    type: str
  endpoint_url:
    description: URL of the API, if it is not Amazon's.
    type: str
"""
