# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in what a flush deletes and protects."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache.address import CONNECTION, target_of
from ansible_collections.nexod.infra.plugins.module_utils._cache.selection import selection_faults
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._roles.options import as_specified

DOCUMENTATION = r"""
name: cache_flush_faults
short_description: Faults in what a flush deletes and protects
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Names at once all that M(nexod.infra.cache_flush) would refuse one after the other.
options:
  _input:
    description:
      - C(prefixes), C(patterns), C(protect) and C(protect_nothing) as the module takes them, and C(connection), its
        options that say where the cache is.
    type: dict
    required: true
"""

EXAMPLES = r"""
fail_msg: "{{ {'prefixes': ['api:'], 'protect': ['session:']} | nexod.infra.cache_flush_faults | join('; ') }}"
"""

RETURN = r"""
_value:
  description: One sentence for each fault; empty if there is none.
  type: list
  elements: str
"""


def cache_flush_faults(value: t.Mapping[str, t.Any]) -> list[str]:
    """The faults."""
    prefixes, patterns, protect = (value.get(name) or [] for name in ("prefixes", "patterns", "protect"))
    faults = list(selection_faults(prefixes, patterns, protect, waived=bool(value.get("protect_nothing"))))
    # As the module will have it: a role may be given numbers and booleans as text.
    connection = as_specified(value.get("connection") or {}, {"type": "dict", "options": CONNECTION})
    if not any(connection.get(name) for name in ("url", "host", "unix_socket", "sentinels")):
        return [sentence(fault) for fault in faults]
    try:
        target_of(connection)
    except InfraError as error:
        faults.append(error)
    return [sentence(fault) for fault in faults]


def sentence(fault: InfraError) -> str:
    return f"{fault.action} {fault.object}: {fault.cause.rstrip('.')}; {fault.next_step.rstrip('.')}"


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cache_flush_faults": cache_flush_faults}
