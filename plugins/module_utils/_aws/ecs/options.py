# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the modules for ECS share."""

from __future__ import annotations

import typing as t

Spec = dict[str, dict[str, t.Any]]

HEALTH_CHECK: Spec = {
    "command": {"type": "list", "elements": "str", "required": True},
    "interval_seconds": {"type": "int"},
    "timeout_seconds": {"type": "int"},
    "retries": {"type": "int"},
    "start_seconds": {"type": "int"},
}
LOG: Spec = {
    "group": {"type": "str"},
    "prefix": {"type": "str"},
    "region": {"type": "str"},
    "driver": {"type": "str", "default": "awslogs"},
    "options": {"type": "dict", "default": {}},
}
CONTAINER: Spec = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "essential": {"type": "bool", "default": True},
    "command": {"type": "list", "elements": "str"},
    "entry_point": {"type": "list", "elements": "str"},
    "environment": {"type": "dict", "default": {}},
    # The ARNs of secrets, not the secrets.
    "secrets": {"type": "dict", "default": {}, "no_log": False},
    "ports": {"type": "list", "elements": "int", "default": []},
    "health_check": {"type": "dict", "options": HEALTH_CHECK},
    "log": {"type": "dict", "options": LOG},
    "depends_on": {"type": "dict", "default": {}},
    "cpu": {"type": "int"},
    "memory_mb": {"type": "int"},
    "memory_reservation_mb": {"type": "int"},
    "user": {"type": "str"},
    "working_directory": {"type": "str"},
    "read_only_root": {"type": "bool", "default": False},
    "stop_seconds": {"type": "int"},
    "parameters": {"type": "dict", "default": {}},
}
TASK_DEFINITION: Spec = {
    "family": {"type": "str"},
    "cpu": {"type": "int"},
    "memory_mb": {"type": "int"},
    "execution_role": {"type": "str"},
    "task_role": {"type": "str"},
    "cpu_architecture": {"type": "str", "choices": ["X86_64", "ARM64"], "default": "X86_64"},
    "operating_system": {"type": "str", "default": "LINUX"},
    "network_mode": {"type": "str", "choices": ["awsvpc", "bridge", "host", "none"], "default": "awsvpc"},
    "ephemeral_storage_gb": {"type": "int"},
    "containers": {"type": "list", "elements": "dict", "required": True, "options": CONTAINER},
    "parameters": {"type": "dict", "default": {}},
}
PROVIDER: Spec = {
    "name": {"type": "str", "required": True},
    "weight": {"type": "int", "default": 1},
    "base": {"type": "int", "default": 0},
}
COMMON: Spec = {
    "cluster": {"type": "str", "required": True},
    "region": {"type": "str", "required": True},
    "launch_type": {"type": "str", "choices": ["FARGATE", "EC2", "EXTERNAL"], "default": "FARGATE"},
    "capacity_providers": {"type": "list", "elements": "dict", "default": [], "options": PROVIDER},
    "platform_version": {"type": "str"},
    "subnets": {"type": "list", "elements": "str", "default": []},
    "security_groups": {"type": "list", "elements": "str", "default": []},
    "public_ip": {"type": "bool", "default": False},
    "enable_execute_command": {"type": "bool", "default": False},
    "tags": {"type": "dict", "default": {}},
    "profile": {"type": "str"},
    "endpoint_url": {"type": "str"},
    "_internal": {"type": "dict"},
}
#: Ranges by the options that hold them, as AWS has them.
TASK_RANGES = {"ephemeral_storage_gb": (21, 200), "cpu": (1, None), "memory_mb": (4, None)}
CONTAINER_RANGES = {
    "cpu": (0, None),
    "memory_mb": (4, None),
    "memory_reservation_mb": (4, None),
    "stop_seconds": (0, 120),
}
HEALTH_RANGES = {
    "interval_seconds": (5, 300),
    "timeout_seconds": (2, 60),
    "retries": (1, 10),
    "start_seconds": (0, 300),
}
PROVIDER_RANGES = {"weight": (0, 1000), "base": (0, 100000)}
