# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox of a systemd unit."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.plugin_utils._service.hardening import hardening

DOCUMENTATION = r"""
name: unit_hardening
short_description: Write the sandbox of a systemd unit
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the directives that confine a service, for the C([Service]) section of its unit file.
  - Without exceptions, C(systemd-analyze security) rates the unit 1.5 or better.
  - The service has no capabilities and no devices, sees its own processes only, writes nowhere but to the folders that
    the unit declares (C(StateDirectory), C(RuntimeDirectory), C(ReadWritePaths)), and reaches the network through
    IPv4, IPv6 and Unix sockets.
options:
  _input:
    description:
      - Directives whose value differs from the default for this unit.
      - A list writes one line for each value. V(null) omits the directive, so that the default of systemd applies.
      - A name that is not a sandbox directive is an error, as systemd would ignore it.
    type: dict
    required: true
"""

EXAMPLES = r"""
# In a unit template: the defaults, and the right to bind to ports below 1024.
# [Service]
# ExecStart=/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg
# {{ {"AmbientCapabilities": "CAP_NET_BIND_SERVICE", "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE",
#     "PrivateUsers": false} | nexod.infra.unit_hardening }}

- name: Show the default sandbox
  ansible.builtin.debug:
    msg: "{{ {} | nexod.infra.unit_hardening }}"
"""

RETURN = r"""
_value:
  description: The lines, sorted by directive, without a final line break.
  type: str
"""


def unit_hardening(value: t.Mapping[str, t.Any]) -> str:
    """The lines, or a filter's error."""
    try:
        return hardening(value)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"unit_hardening": unit_hardening}
