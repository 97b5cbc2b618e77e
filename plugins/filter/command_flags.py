# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command-line flags from a dictionary."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service import flags

DOCUMENTATION = r"""
name: command_flags
short_description: Turn a dictionary into command-line flags
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Turns names and values into the flags of a program.
  - A list gives one flag for each value, V(null) a flag without a value.
  - Booleans, also if given as text, become C(--name) or C(--no-name); with one dash, C(-name=true) or C(-name=false).
positional: dashes
options:
  _input:
    description: The flags by name, without dashes.
    type: dict
    required: true
  dashes:
    description: What a flag begins with.
    type: str
    choices: ["-", "--"]
    default: "--"
"""

EXAMPLES = r"""
# ['--log.level=debug', '--no-collector.arp']
flags: "{{ {'log.level': 'debug', 'collector.arp': false} | nexod.infra.command_flags }}"
"""

RETURN = r"""
_value:
  description: The flags.
  type: list
  elements: str
"""


def command_flags(value: t.Mapping[str, t.Any], dashes: str = "--") -> list[str]:
    """The flags."""
    return flags.words(value, dashes)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"command_flags": command_flags}
