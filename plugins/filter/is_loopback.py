# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether only the host itself reaches a service."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service import addresses

DOCUMENTATION = r"""
name: is_loopback
short_description: Check whether only the host itself can connect to a service
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Checks whether an address that a service listens on is a loopback address.
options:
  _input:
    description: The address.
    type: str
    required: true
"""

EXAMPLES = r"""
# true
unseen: "{{ '127.0.0.1' | nexod.infra.is_loopback }}"
"""

RETURN = r"""
_value:
  description: Whether it is one.
  type: bool
"""


def is_loopback(value: str) -> bool:
    """Whether it is one."""
    return addresses.is_loopback(value)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"is_loopback": is_loopback}
