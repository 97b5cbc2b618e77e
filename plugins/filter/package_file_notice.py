# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service.package_files import package_file_notice

DOCUMENTATION = r"""
name: package_file_notice
short_description: The text that stands in a package's configuration file that no service reads
version_added: "1.0.0"
description:
  - A role's service reads the files of its file set. The package's own file, such as C(/etc/prometheus/prometheus.yml),
    would still be there, and would be edited in vain.
  - Returns comments that name the file that is read. Install them in its place with a link of M(nexod.infra.file_set),
    which puts the package's file back when the role is removed.
options:
  _input:
    description: The file that the service reads.
    type: str
    required: true
  role:
    description: Role that manages it.
    type: str
    required: true
  include:
    description: A line that includes that file, for programs that are called with the package's path by habit.
    type: str
    default: ""
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Show the notice
  ansible.builtin.debug:
    msg: "{{ '/etc/nexod/prometheus/current/prometheus.yml' | nexod.infra.package_file_notice('prometheus') }}"
"""

RETURN = r"""
_value:
  description: The text, with a line break at its end.
  type: str
"""


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"package_file_notice": package_file_notice}
