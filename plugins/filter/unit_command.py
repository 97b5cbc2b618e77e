# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.plugin_utils._service.quoting import command_line

DOCUMENTATION = r"""
name: unit_command
short_description: Quote a command for a systemd unit
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Writes a program and its arguments as the value of C(ExecStart=), quoted so that each argument arrives unchanged.
options:
  _input:
    description: The program, an absolute path, and its arguments.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the line of the unit
  ansible.builtin.debug:
    msg: "ExecStart={{ ['/opt/api/1.0.0/bin/api', '--title', 'Tasks, 100 %'] | nexod.infra.unit_command }}"
"""

RETURN = r"""
_value:
  description: The quoted command.
  type: str
"""


def unit_command(argv: t.Sequence[object]) -> str:
    try:
        return command_line(argv)
    except ValueError as error:
        raise AnsibleFilterError(f"Cannot write the command of a unit: {error}.") from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"unit_command": unit_command}
