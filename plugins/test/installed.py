# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.proven import are_installed

DOCUMENTATION = r"""
name: installed
short_description: Check whether the survey of a host found packages installed
version_added: "1.0.0"
description:
  - True if M(nexod.infra.host_probe) has surveyed the host in this run and found all packages installed, and nothing
    has changed on the host since. Asking apt takes about a second per host.
  - False if nothing is known, so that a task with this condition is skipped only if it would not change anything.
    Not suitable for tasks that require a specific version.
options:
  _input:
    description: Names of Debian packages, one or a list.
    type: list
    elements: str
    required: true
  host:
    description: The host's name in the inventory.
    type: str
    required: true
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Install PgBouncer
  ansible.builtin.apt:
    name: pgbouncer
  when: "'pgbouncer' is not nexod.infra.installed(inventory_hostname)"
"""

RETURN = r"""
_value:
  description: Whether all of them are known to be installed.
  type: bool
"""


def installed(packages: str | list[str], host: str) -> bool:
    survey = KEPT.of(host)
    names = [packages] if isinstance(packages, str) else packages
    return survey is not None and are_installed(survey, names)


class TestModule:
    """What Ansible loads."""

    def tests(self) -> dict[str, t.Callable[..., bool]]:
        return {"installed": installed}
