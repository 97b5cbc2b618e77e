# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two profiles."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.module_utils._profiling.stacks import compared, from_raw

DOCUMENTATION = r"""
name: profile_comparison
short_description: Compare two profiles
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns in sentences which functions take a larger or a smaller share of the samples than before, as far as chance
    does not explain the difference. Both profiles need 200 samples.
  - Functions are recognized by their name and their file below the folder of packages, so that two releases and two
    hosts can be compared.
options:
  _input:
    description: The later profile, as collapsed stacks (C(profile.raw)).
    type: str
    required: true
  before:
    description: The earlier profile, in the same format.
    type: str
    required: true
positional: before
"""

EXAMPLES = r"""
msg: "{{ lookup('file', 'after/profile.raw') | nexod.infra.profile_comparison(lookup('file', 'before/profile.raw')) }}"
"""

RETURN = r"""
_value:
  description: The sentences, the largest difference of own time first.
  type: list
  elements: str
"""


def profile_comparison(after: str, before: str) -> list[str]:
    """The comparison in sentences."""
    try:
        return compared(from_raw(before), from_raw(after))
    except ValueError as error:
        raise AnsibleFilterError(f"Cannot compare the profiles: {error}. Give two files profile.raw.") from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"profile_comparison": profile_comparison}
