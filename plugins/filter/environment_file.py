# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.plugin_utils._service.quoting import environment

DOCUMENTATION = r"""
name: environment_file
short_description: Write environment variables as a file for systemd
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Writes variables as the content of an C(EnvironmentFile=), sorted by name and quoted where necessary.
  - A boolean becomes V(true) or V(false), none an empty value.
options:
  _input:
    description: Names and values of the variables.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the environment of the API
  ansible.builtin.copy:
    content: "{{ {'API_PORT': 8000, 'API_TLS': false} | nexod.infra.environment_file }}"
    dest: /etc/api.env
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The content of the file.
  type: str
"""


def environment_file(variables: t.Mapping[str, object]) -> str:
    try:
        return environment(variables)
    except ValueError as error:
        raise AnsibleFilterError(f"Cannot write the environment file: {error}.") from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"environment_file": environment_file}
