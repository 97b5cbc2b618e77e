# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The URL at which the host itself reaches a service."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service import addresses

DOCUMENTATION = r"""
name: local_url
short_description: Build the URL at which a host reaches its own service
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Builds a URL from the address that a service listens on.
  - An address that stands for all addresses becomes the loopback address.
positional: port, prefix, scheme
options:
  _input:
    description: The address that the service listens on.
    type: str
    required: true
  port:
    description: The port that it listens on.
    type: int
    required: true
  prefix:
    description: Path below which it answers.
    type: str
    default: ""
  scheme:
    description: Protocol of the service.
    type: str
    choices: [http, https]
    default: http
    version_added: "1.1.0"
"""

EXAMPLES = r"""
# http://127.0.0.1:9090/prometheus
url: "{{ '0.0.0.0' | nexod.infra.local_url(9090, '/prometheus') }}"
"""

RETURN = r"""
_value:
  description: The URL, without a slash at its end.
  type: str
"""


def local_url(value: str, port: int | str, prefix: str = "", scheme: str = "http") -> str:
    """The URL."""
    return addresses.local_url(value, port, prefix, scheme)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"local_url": local_url}
