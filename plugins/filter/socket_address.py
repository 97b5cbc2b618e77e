# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An address with its port."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service import addresses

DOCUMENTATION = r"""
name: socket_address
short_description: Join an address and a port
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Writes an address and a port as one text, with brackets around an IPv6 address.
positional: port
options:
  _input:
    description: The address, with or without brackets. An empty one stands for all addresses.
    type: str
    required: true
  port:
    description: The port.
    type: int
    required: true
"""

EXAMPLES = r"""
# [::]:9090
address: "{{ '::' | nexod.infra.socket_address(9090) }}"
"""

RETURN = r"""
_value:
  description: Address and port.
  type: str
"""


def socket_address(value: str, port: int | str) -> str:
    """Address and port."""
    return addresses.socket_address(value, port)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"socket_address": socket_address}
