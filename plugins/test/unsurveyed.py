# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import KEPT

DOCUMENTATION = r"""
name: unsurveyed
short_description: Check whether a role has to survey a host itself
version_added: "1.0.0"
description:
  - True if the callback P(nexod.infra.survey#callback) is enabled and no play of this run has surveyed the host. Then a
    role that begins with a survey needs one module execution to find out that nothing has to be changed, and most of
    its other tasks execute nothing on the host.
  - False in a deploy, whose preflight has surveyed all hosts, and without the callback, which is what keeps a survey.
options:
  _input:
    description: The host's name in the inventory.
    type: str
    required: true
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Survey the host
  nexod.infra.host_probe:
    survey: true
  when: inventory_hostname is nexod.infra.unsurveyed
"""

RETURN = r"""
_value:
  description: Whether the role has to take a survey.
  type: bool
"""


def unsurveyed(host: str) -> bool:
    return KEPT.left_to_roles(str(host))


class TestModule:
    """What Ansible loads."""

    def tests(self) -> dict[str, t.Callable[..., bool]]:
        return {"unsurveyed": unsurveyed}
