# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.proven import is_proven

DOCUMENTATION = r"""
name: proven
short_description: Check whether the survey of a host found a unit running with all that proves it
version_added: "1.0.0"
description:
  - True if M(nexod.infra.host_probe) has surveyed the host in this run, the unit is active with its current files, all
    proofs of its M(nexod.infra.live_service) task held, and nothing has been changed since.
  - For tasks of other collections that prepare a service, such as those that install its package. What they depend on
    must be in a file of the set, named in O(files), and what they have made must be among the service's proofs.
  - False if nothing is known, so that a task with this condition is skipped only if it would not change anything.
options:
  _input:
    description: Name of the unit, as M(nexod.infra.live_service) is given it.
    type: str
    required: true
  host:
    description: The host's name in the inventory.
    type: str
    required: true
  files:
    description: Files of the service's set by their path in it, each with the content that it must have.
    type: dict
    default: {}
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Install Grafana, unless this package is installed and runs
  ansible.builtin.apt:
    deb: "{{ package }}"
  when: "'grafana-server' is not nexod.infra.proven(inventory_hostname, {'package': checksum})"
"""

RETURN = r"""
_value:
  description: Whether the unit is known to run as its role left it.
  type: bool
"""


def proven(unit: str, host: str, files: dict[str, t.Any] | None = None) -> bool:
    survey = KEPT.of(host, services=True)
    wanted = {str(path): str(content) for path, content in (files or {}).items()}
    return survey is not None and is_proven(survey, str(unit), wanted)


class TestModule:
    """What Ansible loads."""

    def tests(self) -> dict[str, t.Callable[..., bool]]:
        return {"proven": proven}
