# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._roles.options import as_specified

DOCUMENTATION = r"""
name: as_specified
short_description: Convert a value to the type that an option's specification names
version_added: "1.0.0"
description:
  - Converts numbers, booleans, lists and dictionaries that were given as text, as with C(-e pool_size=30), by a survey
    of AWX or in an inventory in the INI format. Elements and suboptions are converted too.
  - A value that does not fit is returned as it is. Role argument validation refuses it.
  - Templates of M(nexod.infra.file_set) need no such call, as it is made for them.
options:
  _input:
    description: The value.
    type: raw
    required: true
  specification:
    description:
      - The specification of the option, as in a role's C(meta/argument_specs.yml).
      - Of its keys C(type), C(elements) and C(options) are used.
    type: dict
    required: true
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Show the number after the given one
  ansible.builtin.debug:
    msg: "{{ (pool_size | nexod.infra.as_specified({'type': 'int'})) + 1 }}"
"""

RETURN = r"""
_value:
  description: The value in the type of O(specification).
  type: raw
"""


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"as_specified": as_specified}
