# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.roll_back import Instance, Known, choose

DOCUMENTATION = r"""
name: roll_back_target
short_description: Choose the set that all instances are rolled back to
version_added: "1.0.0"
description:
  - From the results of M(nexod.infra.file_set_info) on all instances, chooses the set that each of them runs or ran
    before, even if a rollout or rollback was interrupted.
  - Fails if there is no such set.
options:
  _input:
    description: The C(links) returned by M(nexod.infra.file_set_info), by name of the instance.
    type: dict
    required: true
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Show the target of a rollback
  ansible.builtin.debug:
    msg: "{{ {'api-1': links_of_api_1, 'api-2': links_of_api_2} | nexod.infra.roll_back_target }}"
"""

RETURN = r"""
_value:
  description: C(digest) and C(label) of the set, and C(instances) that must be rolled back to it.
  type: dict
"""


def roll_back_target(links: dict[str, dict[str, dict[str, str]]]) -> dict[str, t.Any]:
    instances = [_instance(name, found) for name, found in links.items()]
    try:
        target = choose(instances)
    except InfraError as error:
        raise AnsibleFilterError(str(error)) from error
    return {"digest": target.known.digest, "label": target.known.label, "instances": list(target.instances)}


def _instance(name: str, found: dict[str, dict[str, str]]) -> Instance:
    current, previous, live, returned = (_known(found, link) for link in ("current", "previous", "live", "returned"))
    # A rollout was killed during the trial of the current set: the previous set is the one that is still marked live.
    on_trial = live is not None and current is not None and live != current and returned is None
    return Instance(name, current, live if on_trial else previous, returned, settled=live == current)


def _known(found: dict[str, dict[str, str]], link: str) -> Known | None:
    return Known(found[link]["digest"], found[link]["content"].strip()) if link in found else None


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"roll_back_target": roll_back_target}
