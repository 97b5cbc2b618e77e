# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a profile in sentences."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.module_utils._profiling.stacks import from_raw, words

DOCUMENTATION = r"""
name: profile_summary
short_description: Read a profile in sentences
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the functions with the largest own and total time, and the shares of the database, the cache, JSON and
    validation, for a profile that M(nexod.infra.profile_process) has not taken itself, such as one of Amazon ECS.
options:
  _input:
    description: The profile, as collapsed stacks (C(profile.raw)).
    type: str
    required: true
  seconds:
    description: How long was profiled.
    type: float
    required: true
  rate:
    description: Samples a second.
    type: int
    default: 100
positional: seconds, rate
"""

EXAMPLES = r"""
msg: "{{ lookup('file', 'profile.raw') | nexod.infra.profile_summary(seconds=30) }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""


def profile_summary(raw: str, seconds: float, rate: int = 100) -> list[str]:
    """The profile in sentences."""
    try:
        profile = from_raw(raw)
    except ValueError as error:
        raise AnsibleFilterError(f"Cannot read the profile: {error}. Give a file profile.raw.") from error
    if seconds <= 0 or rate <= 0:
        raise AnsibleFilterError("Cannot read the profile: seconds and rate must be above 0.")
    return words(profile, seconds=seconds, rate=rate)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"profile_summary": profile_summary}
